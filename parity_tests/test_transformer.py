"""models/transformer.py: parity, oracles, torch's own layers in the same weights, tying, causality, padding, sizes."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_impl.initialization import shapes_only
from numpy_impl.models.config import TransformerConfig
from numpy_impl.module import no_grad
from parity_tests.harness import oracles
from parity_tests.harness.against.transformer import OTHERS
from parity_tests.harness.cases import pairs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.transformer import CASES, CONFIG, SOURCE_IDS, TARGET_IDS, TARGETS, model
from parity_tests.harness.judge import error_in_eps
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize("twin, as_input", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)],
                                ids=["numpy", "torch"])
PLACEMENTS = ("post-norm", "pre-norm")


def named(name):
    return all_cases()[f"transformer: {name}"]


def build(twin, config=CONFIG, **options):
    return twin.models.transformer.Transformer(config, **options)


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("name", ["tied, post-norm", "dropout, untied, pre-norm, GELU"])
def test_empty_batch(name):
    for form in ("plain", "lean", "lean float32"):
        named(name).empty("source_ids", "target_ids").check(form)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_oracles(case):
    oracles.check_adjoint(case)


@pytest.mark.parametrize("form", ["plain", "lean"])
def test_encoder_and_decoder_of_unequal_depth(form):
    model("1 and 2 layers", num_decoder_layers=2).check(form)
    model("2 and 1 layers", num_encoder_layers=2).check(form)


# torch's own layers in the same weights

@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@TWINS
def test_where_dropout_is_active(twin, as_input):
    """Of embeddings with positions, and in the layers, where test_encoder.py and test_decoder.py say."""
    module = build(twin, dataclasses.replace(CONFIG, dropout=0.3))
    active = {path: part.p for path, part in module.named_modules() if getattr(part, "p", 0) > 0}
    in_layers = {path for path in active if path.startswith(("encoder.layers.0.", "decoder.layers.0."))}
    assert active.keys() - in_layers == {"source_dropout", "target_dropout"}
    assert len(in_layers) == 4 + 6 and set(active.values()) == {0.3}


# Tied weights

@TWINS
def test_tied_weights_are_one_parameter(twin, as_input):
    tied, untied = (build(twin, dataclasses.replace(CONFIG, tie_weights=tie)) for tie in (True, False))
    assert tied.source_embedding.weight is tied.target_embedding.weight is tied.output_projection.weight
    names = [name for name, _ in tied.named_parameters()]
    assert "source_embedding.weight" in names
    assert not {"target_embedding.weight", "output_projection.weight"} & set(names)
    assert untied.num_parameters() == tied.num_parameters() + 2 * 9 * 8
    assert {"target_embedding.weight", "output_projection.weight"} < set(tied.state_dict())


def test_a_tied_gradient_is_the_sum_of_its_three_uses():
    tied = named("tied, post-norm").numpy_twin()
    untied = build(NUMPY, dataclasses.replace(CONFIG, tie_weights=False), dtype="float64")
    untied.load_state_dict(tied.state_dict())
    upstream = np.random.default_rng(1).standard_normal((3, 5, 9))
    for module in (tied, untied):
        module(SOURCE_IDS, TARGET_IDS)
        module.backward(upstream)
    uses = [untied.source_embedding, untied.target_embedding, untied.output_projection]
    gradients = [use.weight.grad for use in uses]
    assert all(gradient.any() for gradient in gradients)
    assert error_in_eps(tied.source_embedding.weight.grad, sum(gradients)) <= 8
    # The padding's row learns from the output alone.
    np.testing.assert_array_equal(tied.source_embedding.weight.grad[0], untied.output_projection.weight.grad[0])


# What may have an influence

@TWINS
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_past_does_not_see_the_future(placement, twin, as_input):
    """A change of target symbol t changes the logits from t on, and none before."""
    module = build(twin, dataclasses.replace(CONFIG, norm_first=placement == "pre-norm"), rng=0, dtype="float64")
    target_ids = np.array([[1, 5, 5, 4, 7, 3], [1, 3, 8, 6, 6, 2]])
    source_ids = as_input(SOURCE_IDS[[0, 2]])

    def logits(ids):
        return np.asarray(module(source_ids, as_input(ids)).tolist())

    before = logits(target_ids)
    for t in range(6):
        changed = target_ids.copy()
        changed[:, t] = changed[:, t] % 8 + 1
        differs = (logits(changed) != before).any(axis=(0, 2))
        np.testing.assert_array_equal(differs, np.arange(6) >= t)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_padding_has_no_influence(placement):
    """More padding, or another vector in its place, gives the same logits; so does the row without its neighbours."""
    module = named(f"untied, {placement}").numpy_twin()
    logits = module(SOURCE_IDS, TARGET_IDS)
    counted = TARGET_IDS != 0
    padded = module(np.pad(SOURCE_IDS, ((0, 0), (0, 3))), np.pad(TARGET_IDS, ((0, 0), (0, 2))))
    np.testing.assert_allclose(padded[:, :5][counted], logits[counted], rtol=1e-11, atol=1e-12)
    for row in range(3):
        alone = module(SOURCE_IDS[[row]], TARGET_IDS[[row]])
        np.testing.assert_allclose(alone[0], logits[row], rtol=1e-11, atol=1e-12)
    for embedding in (module.source_embedding, module.target_embedding):
        embedding.weight.data[0] = 100
    np.testing.assert_array_equal(module(SOURCE_IDS, TARGET_IDS)[counted], logits[counted])


def test_padding_gets_no_gradient():
    """Rows of the batch that are cut short get the gradients that they get alone."""
    module = named("with loss").numpy_twin()
    count = int(np.count_nonzero(TARGETS))
    parts = []
    for row in range(3):
        source = SOURCE_IDS[[row]][:, :max(1, np.count_nonzero(SOURCE_IDS[row]))]
        length = np.count_nonzero(TARGET_IDS[row])
        logits = module.transformer(source, TARGET_IDS[[row], :length])
        module.loss(logits, TARGETS[[row], :length], count)
        module.zero_grad()
        module.backward(1.0)
        parts.append({name: parameter.grad.copy() for name, parameter in module.named_parameters()})
    module.zero_grad()
    module(SOURCE_IDS, TARGET_IDS, TARGETS)
    module.backward(1.0)
    for name, parameter in module.named_parameters():
        np.testing.assert_allclose(parameter.grad, sum(part[name] for part in parts), rtol=1e-9, atol=1e-13)


@settings(max_examples=10)
@given(batch=st.integers(1, 3), sources=st.integers(1, 5), targets=st.integers(1, 5),
       num_heads=st.sampled_from([1, 2, 4]), norm_first=st.booleans(), tie_weights=st.booleans(),
       dropout=st.sampled_from([0.0, 0.2]), seed=st.integers(0, 9))
def test_shapes_and_padding(batch, sources, targets, num_heads, norm_first, tie_weights, dropout, seed):
    """Random ids, padding anywhere: at the end, in between, and whole rows of it."""
    rng = np.random.default_rng(seed)
    ids = {"source_ids": rng.integers(0, 9, (batch, sources)), "target_ids": rng.integers(0, 9, (batch, targets))}
    case = dataclasses.replace(
        model("any shape", num_heads=num_heads, norm_first=norm_first, tie_weights=tie_weights, dropout=dropout),
        inputs=lambda rng, dtype: ids)
    case.check("plain")
    case.check("lean")


# Initial values, sizes, types

def test_the_same_seed_gives_the_same_model():
    ours, theirs = (build(twin, dataclasses.replace(CONFIG, tie_weights=False), rng=11) for twin in (NUMPY, TORCH))
    ours_state, state = ours.state_dict(), theirs.state_dict()
    assert list(ours_state) == list(state)
    for name, array in ours_state.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, state[name].numpy())
    other = build(NUMPY, dataclasses.replace(CONFIG, tie_weights=False), rng=12).state_dict()
    assert not np.array_equal(ours_state["encoder.layers.0.feed_forward.sublayer.up.weight"],
                              other["encoder.layers.0.feed_forward.sublayer.up.weight"])
    assert not np.array_equal(ours_state["source_embedding.weight"], ours_state["target_embedding.weight"])


@TWINS
def test_initial_values(twin, as_input):
    """Biases and betas 0, gammas 1, embeddings of deviation 1 / sqrt(d_model), others within Xavier's limit."""
    module = build(twin, dataclasses.replace(CONFIG, d_model=64, d_ff=128, tie_weights=False), rng=0)
    for path, parameter in module.named_parameters():
        values, (part, name) = np.array(parameter.data.tolist()), path.split(".")[-2:]
        if name in ("bias", "beta"):
            assert not values.any(), path
        elif name == "gamma":
            assert (values == 1).all(), path
        elif part.endswith("embedding"):
            assert not values[0].any() and abs(values[1:].std() * 8 - 1) < 0.1, path
        else:
            limit = np.sqrt(6 / sum(values.shape))
            assert 0.98 * limit < abs(values).max() < 1.000001 * limit, path    # float32


def test_float32_stays_float32():
    module = build(NUMPY, dataclasses.replace(CONFIG, dropout=0.2), rng=0)
    logits = module(SOURCE_IDS, TARGET_IDS)
    module.backward(np.ones_like(logits))
    assert logits.dtype == np.float32
    assert {parameter.grad.dtype.name for parameter in module.parameters()} == {"float32"}


@pytest.mark.parametrize("preset, expected", [("base", 63_082_496), ("big", 214_245_376)])
def test_presets_have_the_papers_sizes(preset, expected):
    """The paper rounds them to 65 and 213 million. Counting them needs shapes, not memory."""
    config = TransformerConfig.preset(preset, 37000, 37000)
    tracemalloc.start()
    with shapes_only():
        ours, theirs = build(NUMPY, config), build(TORCH, config)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6    # the tables of positions
    assert ours.num_parameters() == theirs.num_parameters() == expected
    assert {stride for parameter in ours.parameters() for stride in parameter.data.strides} == {0}
    assert {parameter.device.type for parameter in theirs.parameters()} == {"meta"}
    assert ([(name, parameter.shape) for name, parameter in ours.named_parameters()]
            == [(name, tuple(parameter.shape)) for name, parameter in theirs.named_parameters()])


def test_presets_differ_where_the_paper_says_so():
    base, big = (TransformerConfig.preset(name, 100, 100) for name in ("base", "big"))
    assert (base.d_model, base.num_heads, base.d_ff, base.dropout) == (512, 8, 2048, 0.1)
    assert (big.d_model, big.num_heads, big.d_ff, big.dropout) == (1024, 16, 4096, 0.3)
    assert base.num_encoder_layers == big.num_decoder_layers == 6
    assert TransformerConfig.preset("base", 100, 100, dropout=0.0).dropout == 0
    assert TransformerConfig(**base.to_json()) == base


# Errors

@TWINS
@pytest.mark.parametrize("error, match, source_ids, target_ids", [
    (ValueError, "source_ids holds the id 9, must be at least 0 and below 9", [[3, 9]], [[1]]),
    (ValueError, "target_ids holds the id -1, must be at least 0", [[3]], [[1, -1]]),
    (ValueError, r"source_ids has shape \(2,\), must have 2 axes", [3, 4], [[1]]),
    (ValueError, r"target_ids has shape \(1, 0\), only its first axis", [[3]], np.zeros((1, 0), int)),
    (ValueError, "length 9, must be at most max_length, 8", [[3] * 9], [[1]]),
    (ValueError, "length 9, must be at most max_length, 8", [[3]], [[1] * 9]),
    (TypeError, "source_ids has dtype float64, must be int32 or int64", [[3.0]], [[1]]),
    (ValueError, r"target_ids has shape \(2, 1\), its first axis \(the batch\) must be 1, as source_ids'",
     [[3]], [[1], [1]]),
])
def test_errors_name_the_argument(error, match, source_ids, target_ids, twin, as_input):
    with pytest.raises(error, match=match):
        build(twin)(as_input(np.array(source_ids)), as_input(np.array(target_ids)))


@pytest.mark.parametrize("error, match, changes", [
    (ValueError, "d_model is 10, must be divisible by num_heads, 4", {"d_model": 10, "num_heads": 4}),
    (ValueError, "target_vocabulary_size is 10, must be 9 as source", {"target_vocabulary_size": 10}),
    (ValueError, "padding_idx is 9, must be an id of the source vocabulary", {"padding_idx": 9}),
    (ValueError, "num_encoder_layers is 0, must be at least 1", {"num_encoder_layers": 0}),
    (ValueError, "dropout is 1.0, must be at least 0 and below 1", {"dropout": 1.0}),
    (TypeError, "d_ff is '6', must be an int", {"d_ff": "6"}),
    (TypeError, "dropout is '0.1', must be a number", {"dropout": "0.1"}),
    (TypeError, "padding_idx is 0.0, must be an int", {"padding_idx": 0.0}),
    (ValueError, "activation is 'swish', must be one of 'relu'", {"activation": "swish"}),
    (TypeError, "norm_first is 1, must be True or False", {"norm_first": 1}),
    (TypeError, "tie_weights is 'no', must be True or False", {"tie_weights": "no"}),
    (ValueError, "padding_idx is 9, .* target vocabulary",
     {"padding_idx": 9, "source_vocabulary_size": 10, "tie_weights": False}),
])
def test_config_errors_name_the_field(error, match, changes):
    with pytest.raises(error, match=match):
        dataclasses.replace(CONFIG, **changes)


def test_unknown_names():
    with pytest.raises(ValueError, match="name is 'small', must be one of 'base', 'big'"):
        TransformerConfig.preset("small", 9, 9)


def test_a_forward_pass_serves_one_backward_pass():
    module, d_logits = build(NUMPY), np.ones((3, 5, 9), "float32")
    module(SOURCE_IDS, TARGET_IDS)
    module.backward(d_logits)
    with pytest.raises(RuntimeError, match="Linear at 'output_projection': backward needs a forward pass before it"):
        module.backward(d_logits)
    with no_grad():
        module(SOURCE_IDS, TARGET_IDS)
    with pytest.raises(RuntimeError, match="outside no_grad"):
        module.backward(d_logits)
