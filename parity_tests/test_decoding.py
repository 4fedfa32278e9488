"""inference/: greedy and beam search on both twins, against exhaustive search and a search written with plain loops."""

import dataclasses
import itertools
import math
import random

import numpy as np
import pytest
import torch

from numpy_impl.inference.hypotheses import length_penalty
from numpy_impl.inference.translation import translate
from numpy_impl.models.config import TransformerConfig
from numpy_impl.module import no_grad
from numpy_impl.text.batches import pad
from numpy_impl.text.tasks import make_task
from parity_tests.harness.runs import NUMPY, TORCH

PADDING, BEGIN, END = 0, 1, 2
CONFIG = TransformerConfig(6, 6, d_model=8, num_heads=2, num_encoder_layers=1, num_decoder_layers=1, d_ff=6,
                           max_length=8)
TINY = dataclasses.replace(CONFIG, source_vocabulary_size=5, target_vocabulary_size=5)    # two symbols besides the end
SOURCE_IDS = np.array([[3, 4, 3, 2], [4, 4, 2, 0], [3, 2, 0, 0], [0, 0, 0, 0], [4, 3, 3, 4]])
SYMBOLS = {"begin": BEGIN, "end": END}
TWINS = pytest.mark.parametrize("twin", [NUMPY, TORCH], ids=["numpy", "torch"])
FROM_NUMPY = {NUMPY: np.asarray, TORCH: torch.as_tensor}


def build(twin, config=CONFIG, seed=0, dtype="float64"):
    """A random model that is less undecided than a new one, in evaluation mode; the same in both twins."""
    model = twin.models.transformer.Transformer(dataclasses.replace(config, tie_weights=False), rng=seed, dtype=dtype)
    for name, array in model.state_dict().items():
        if name == "output_projection.weight":
            array *= 4
    return model.eval()


def greedy(twin, model, source_ids, **options):
    ids = twin.inference.decoding.greedy_decode(model, FROM_NUMPY[twin](source_ids), **{**SYMBOLS, **options})
    return np.asarray(ids)


def beam(twin, model, source_ids, **options):
    return twin.inference.decoding.beam_search(model, FROM_NUMPY[twin](source_ids), **{**SYMBOLS, **options})


# Independent oracles

def next_log_probabilities(model, source, target):
    """{symbol: log-probability} after `target`, among all symbols but padding and begin."""
    with no_grad():
        logits = model(np.array([source]), np.array([[BEGIN, *target]]))[0, -1]
    allowed = [symbol for symbol in range(len(logits)) if symbol not in (PADDING, BEGIN)]
    total = math.fsum(math.exp(logits[symbol]) for symbol in allowed)
    return {symbol: logits[symbol] - math.log(total) for symbol in allowed}


def all_targets(model, source, max_length, alpha):
    """[(score, log-probability, symbols, finished)] of every target of up to `max_length` symbols, the best first."""
    found = []
    letters = [symbol for symbol in range(model.config.target_vocabulary_size) if symbol > END]
    for length in range(1, max_length + 1):
        for symbols in itertools.product(letters + [END], repeat=length):
            is_finished = symbols[-1] == END
            if END in symbols[:-1] or not is_finished and length < max_length:
                continue
            log_probability = math.fsum(next_log_probabilities(model, source, symbols[:place])[symbols[place]]
                                        for place in range(length))
            score = log_probability / ((5 + length) / 6) ** alpha
            found.append((score, log_probability, [symbol for symbol in symbols if symbol != END], is_finished))
    return sorted(found, reverse=True)


def search_with_loops(model, source, max_length, beam_size, alpha):
    """Beam search as its docstring has it: finished beams stay, and compete with the open ones by score."""
    beams = [((), 0.0)]
    for _ in range(max_length):
        candidates = []
        for symbols, log_probability in beams:
            if symbols and symbols[-1] == END:
                candidates.append((symbols, log_probability))
            else:
                candidates += [((*symbols, symbol), log_probability + step)
                               for symbol, step in next_log_probabilities(model, source, symbols).items()]
        candidates.sort(key=lambda candidate: candidate[1] / ((5 + len(candidate[0])) / 6) ** alpha, reverse=True)
        beams = candidates[:beam_size]
    return [([symbol for symbol in symbols if symbol != END], log_probability) for symbols, log_probability in beams]


# Greedy

@TWINS
@pytest.mark.parametrize("seed", range(4))
def test_greedy_writes_the_most_probable_symbol(seed, twin):
    model = build(twin, seed=seed)
    ids, reference = greedy(twin, model, SOURCE_IDS, max_length=6), build(NUMPY, seed=seed)
    for row, source in zip(ids, SOURCE_IDS):
        written = []
        while len(written) < 6 and END not in written:
            log_probabilities = next_log_probabilities(reference, source, written)
            written.append(max(log_probabilities, key=log_probabilities.get))
        assert row.tolist() == written + [PADDING] * (ids.shape[1] - len(written))


def test_the_twins_write_the_same_tokens():
    ends = set()
    for seed in range(6):
        ours, theirs = build(NUMPY, seed=seed), build(TORCH, seed=seed)
        written = greedy(NUMPY, ours, SOURCE_IDS, max_length=8)
        np.testing.assert_array_equal(written, greedy(TORCH, theirs, SOURCE_IDS, max_length=8))
        ends.update((written == END).sum(axis=1))
        for alpha in (0.0, 0.6):
            options = {"max_length": 8, "beam_size": 3, "alpha": alpha, "n_best": 3}
            for mine, its in zip(beam(NUMPY, ours, SOURCE_IDS, **options), beam(TORCH, theirs, SOURCE_IDS, **options)):
                assert [(best.ids, best.finished) for best in mine] == [(best.ids, best.finished) for best in its]
                np.testing.assert_allclose([(best.score, best.log_probability) for best in mine],
                                           [(best.score, best.log_probability) for best in its], rtol=1e-12, atol=1e-13)
    assert ends == {0, 1}    # some were cut off, and none wrote two end symbols


@TWINS
def test_greedy_ends_when_all_have_ended(twin):
    """No column is written after the last end symbol; what has ended is filled with padding."""
    for seed in range(6):
        model = build(twin, seed=seed)
        ids = greedy(twin, model, SOURCE_IDS, max_length=8)
        if (ids == END).any(axis=1).all():
            assert (ids[:, -1] != PADDING).any()
        for row in ids.tolist():
            length = row.index(END) + 1 if END in row else len(row)
            assert not {PADDING, BEGIN} & set(row[:length]) and set(row[length:]) <= {PADDING}


@TWINS
@pytest.mark.parametrize("max_length", [1, 2, 8])
def test_max_length(max_length, twin):
    model = build(twin)
    assert greedy(twin, model, SOURCE_IDS, max_length=max_length).shape[1] <= max_length
    for best in itertools.chain(*beam(twin, model, SOURCE_IDS, max_length=max_length, beam_size=3, n_best=3)):
        assert len(best.ids) + best.finished <= max_length
        assert best.finished or len(best.ids) == max_length


# Beam search

@TWINS
def test_a_beam_of_one_is_greedy(twin):
    for seed in range(4):
        model = build(twin, seed=seed)
        for row, (best,) in zip(greedy(twin, model, SOURCE_IDS, max_length=6),
                                beam(twin, model, SOURCE_IDS, max_length=6, beam_size=1, alpha=0.0)):
            assert best.ids == [symbol for symbol in row.tolist() if symbol not in (END, PADDING)]
            assert best.finished == (END in row)
            assert best.score == best.log_probability


@TWINS
@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_a_wide_beam_finds_every_target_in_order(alpha, twin):
    """Nothing is pruned where the beam holds all targets: what comes back is exhaustive search, sorted by score."""
    max_length = 3
    model, reference = build(twin, TINY), build(NUMPY, TINY)
    found = beam(twin, model, SOURCE_IDS[:3], max_length=max_length, beam_size=20, alpha=alpha, n_best=20)
    for source, hypotheses in zip(SOURCE_IDS, found):
        expected = all_targets(reference, source, max_length, alpha)
        assert len(expected) == 15    # 1 + 2 + 4 that end, 8 that are cut off
        assert [best.ids for best in hypotheses] == [ids for _, _, ids, _ in expected]
        assert [best.finished for best in hypotheses] == [is_finished for *_, is_finished in expected]
        np.testing.assert_allclose([(best.score, best.log_probability) for best in hypotheses],
                                   [row[:2] for row in expected], rtol=1e-12, atol=1e-13)
        assert math.isclose(sum(math.exp(best.log_probability) for best in hypotheses), 1, rel_tol=1e-12)


@TWINS
@pytest.mark.parametrize("beam_size", [2, 3])
@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_a_narrow_beam_prunes_as_documented(alpha, beam_size, twin):
    for seed in range(3):
        model, reference = build(twin, seed=seed), build(NUMPY, seed=seed)
        found = beam(twin, model, SOURCE_IDS, max_length=5, beam_size=beam_size, alpha=alpha, n_best=beam_size)
        for source, hypotheses in zip(SOURCE_IDS, found):
            expected = search_with_loops(reference, source, 5, beam_size, alpha)
            assert [best.ids for best in hypotheses] == [ids for ids, _ in expected]
            np.testing.assert_allclose([best.log_probability for best in hypotheses],
                                       [log_probability for _, log_probability in expected], rtol=1e-12, atol=1e-13)


@TWINS
def test_n_best_are_sorted_and_differ(twin):
    """The first n of the best are the n best; fewer come back where there are no more targets."""
    model = build(twin)
    options = {"max_length": 6, "beam_size": 4}
    four = beam(twin, model, SOURCE_IDS, n_best=4, **options)
    for hypotheses, first_two in zip(four, beam(twin, model, SOURCE_IDS, n_best=2, **options)):
        assert hypotheses[:2] == first_two
        scores = [best.score for best in hypotheses]
        assert scores == sorted(scores, reverse=True) and len({tuple(best.ids) for best in hypotheses}) == 4
        assert not {PADDING, BEGIN, END} & set(itertools.chain(*(best.ids for best in hypotheses)))
    tiny = build(twin, TINY)
    assert [len(row) for row in beam(twin, tiny, SOURCE_IDS, max_length=1, beam_size=5, n_best=5)] == [3] * 5


@TWINS
def test_one_by_one_gives_the_same_as_a_batch(twin):
    model = build(twin)
    ids = greedy(twin, model, SOURCE_IDS, max_length=6)
    found = beam(twin, model, SOURCE_IDS, max_length=6, n_best=4)
    for row, source in enumerate(SOURCE_IDS):
        source = source[None, :max(1, np.count_nonzero(source))]    # without its padding
        alone = greedy(twin, model, source, max_length=6)[0]
        np.testing.assert_array_equal(alone, ids[row, :len(alone)])
        assert set(ids[row, len(alone):]) <= {PADDING}
        (alone_best,) = beam(twin, model, source, max_length=6, n_best=4)
        assert [best.ids for best in alone_best] == [best.ids for best in found[row]]
        np.testing.assert_allclose([best.score for best in alone_best], [best.score for best in found[row]],
                                   rtol=1e-11, atol=1e-13)


@TWINS
def test_empty_batch(twin):
    model = build(twin)
    assert greedy(twin, model, SOURCE_IDS[:0], max_length=6).shape[0] == 0
    assert beam(twin, model, SOURCE_IDS[:0], max_length=6) == []


@TWINS
def test_float32_gives_the_same_tokens(twin):
    """The random models are decided enough."""
    for seed in range(3):
        wide, narrow = build(twin, seed=seed), build(twin, seed=seed, dtype="float32")
        np.testing.assert_array_equal(greedy(twin, wide, SOURCE_IDS, max_length=6),
                                      greedy(twin, narrow, SOURCE_IDS, max_length=6))
        options = {"max_length": 6, "beam_size": 3}
        assert ([best[0].ids for best in beam(twin, wide, SOURCE_IDS, **options)]
                == [best[0].ids for best in beam(twin, narrow, SOURCE_IDS, **options)])


@TWINS
def test_beam_search_computes_in_the_model_s_precision(twin):
    for found in beam(twin, build(twin, dtype="float32"), SOURCE_IDS, max_length=8, n_best=4):
        assert all(hypothesis.log_probability == float(np.float32(hypothesis.log_probability)) for hypothesis in found)


@TWINS
def test_of_equal_symbols_the_first_is_written(twin):
    model = build(twin, TransformerConfig(40, 40, d_model=8, num_heads=2, d_ff=6, max_length=8))
    for array in model.state_dict().values():
        array *= 0
    assert greedy(twin, model, SOURCE_IDS[:1], max_length=3).tolist() == [[END]]
    [found] = beam(twin, model, SOURCE_IDS[:1], max_length=1, beam_size=30, n_best=30)
    assert [hypothesis.ids for hypothesis in found] == [[], *([symbol] for symbol in range(3, 32))]


def test_decoding_keeps_nothing_for_a_backward_pass():
    model = build(NUMPY)
    beam(NUMPY, model, SOURCE_IDS, max_length=3)
    with pytest.raises(RuntimeError, match="outside"):
        model.backward(np.zeros((5, 3, 6)))


def test_length_penalty():
    """Wu et al. (2016), eq. 14."""
    assert length_penalty(7, 0.0) == 1
    assert length_penalty(1, 0.6) == 1
    assert math.isclose(length_penalty(7, 0.5), math.sqrt(2))


# Texts, errors

@TWINS
def test_translate(twin):
    task = make_task("reverse")
    size = len(task.vocabulary)
    length = max(task.max_source_length, task.max_target_length)
    model = build(twin, dataclasses.replace(CONFIG, source_vocabulary_size=size, target_vocabulary_size=size,
                                            max_length=length))
    twin_interface = twin.twin
    texts = [task.example(task.draw(rng), rng).source for rng in (random.Random(0), random.Random(1))]
    greedy_rows = translate(twin_interface, model, task, texts)
    assert [len(row) for row in greedy_rows] == [1, 1] and greedy_rows[0][0][1] is None
    beams = translate(twin_interface, model, task, texts, beam_size=3, n_best=2)
    assert [len(row) for row in beams] == [2, 2] and beams[0][0][1] >= beams[0][1][1]
    unpenalized = translate(twin_interface, model, task, texts, beam_size=3, alpha=0.0)
    found = twin_interface.beam_search(
        model, twin_interface.from_numpy(pad([task.encode_source(text) for text in texts])), begin=task.vocabulary.BOS,
        end=task.vocabulary.EOS, max_length=task.max_target_length, beam_size=3, alpha=0.0)
    assert [row[0][1] for row in unpenalized] == [best[0].score for best in found]
    assert unpenalized[0][0][1] != beams[0][0][1]
    with pytest.raises(ValueError, match="n_best is 2, must be at most beam_size, 1"):
        translate(twin_interface, model, task, texts, n_best=2)


@TWINS
@pytest.mark.parametrize("search", [greedy, beam])
def test_errors_name_the_argument(search, twin):
    model = build(twin)
    with pytest.raises(ValueError, match="max_length is 9, must be at most the model's, 8"):
        search(twin, model, SOURCE_IDS, max_length=9)
    with pytest.raises(ValueError, match="max_length is 0, must be at least 1"):
        search(twin, model, SOURCE_IDS, max_length=0)
    with pytest.raises(ValueError, match="source_ids holds the id 6"):
        search(twin, model, SOURCE_IDS + 2, max_length=4)
    with pytest.raises(ValueError, match="target_ids holds the id 6"):
        search(twin, model, SOURCE_IDS, max_length=4, begin=6)
    with pytest.raises(ValueError, match="model is in training mode"):
        search(twin, model.train(), SOURCE_IDS, max_length=4)


@TWINS
@pytest.mark.parametrize("error, match, options", [
    (ValueError, "beam_size is 0, must be at least 1", {"beam_size": 0}),
    (TypeError, "beam_size is 2.0, must be an int", {"beam_size": 2.0}),
    (ValueError, "n_best is 5, must be at most beam_size, 4", {"n_best": 5}),
    (ValueError, "n_best is 0, must be at least 1", {"n_best": 0}),
    (ValueError, "alpha is -1, must be at least 0", {"alpha": -1}),
    (ValueError, "alpha is nan, must be at least 0", {"alpha": math.nan}),
])
def test_errors_of_beam_search(error, match, options, twin):
    with pytest.raises(error, match=match):
        beam(twin, build(twin), SOURCE_IDS, max_length=4, **options)
