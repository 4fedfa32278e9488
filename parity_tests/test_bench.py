"""bench/: what is compared is the same computation. How fast it is, is no matter of tests."""

import pytest
import torch
from torch.nn import functional as F

from numpy_impl.models.config import TransformerConfig
from numpy_impl.text.batches import TrainingBatches
from parity_tests.bench.__main__ import main
from parity_tests.bench.idiomatic import IdiomaticTransformer
from parity_tests.harness.judge import MODEL_BOUND, error_in_eps
from parity_tests.harness.small import SIZES, small_task
from torch_impl.layers.losses import CrossEntropyLoss
from torch_impl.models.transformer import Transformer


@pytest.fixture
def in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def idiomatic_state(model):
    """The weights of our twin under the idiomatic model's names; fused projections are stacked."""
    ours = {path: tensor.detach() for path, tensor in model.state_dict().items()}
    state = {"embedding.weight": ours["source_embedding.weight"]}
    for coder in ("encoder", "decoder"):
        for index in range(len(getattr(model, coder).layers)):
            old, new = f"{coder}.layers.{index}", f"{coder}.{index}"
            blocks = ["self_attention", *(["cross_attention"] if coder == "decoder" else []), "feed_forward"]
            for number, block in enumerate(blocks):
                state[f"{new}.norms.{number}.weight"] = ours[f"{old}.{block}.norm.gamma"]
                state[f"{new}.norms.{number}.bias"] = ours[f"{old}.{block}.norm.beta"]
            for kind in ("weight", "bias"):
                def projections(block, *names):
                    return torch.cat([ours[f"{old}.{block}.sublayer.{name}_projection.{kind}"] for name in names])

                state[f"{new}.self_attention.query_key_value.{kind}"] = projections(
                    "self_attention", "query", "key", "value")
                state[f"{new}.self_attention.output.{kind}"] = projections("self_attention", "output")
                if coder == "decoder":
                    state[f"{new}.cross_attention.query.{kind}"] = projections("cross_attention", "query")
                    state[f"{new}.cross_attention.key_value.{kind}"] = projections("cross_attention", "key", "value")
                    state[f"{new}.cross_attention.output.{kind}"] = projections("cross_attention", "output")
                for name in ("up", "down"):
                    state[f"{new}.{name}.{kind}"] = ours[f"{old}.feed_forward.sublayer.{name}.{kind}"]
        if model.config.norm_first:
            state[f"{coder}_norm.weight"] = ours[f"{coder}.norm.gamma"]
            state[f"{coder}_norm.bias"] = ours[f"{coder}.norm.beta"]
    return state


@pytest.mark.parametrize("norm_first", [False, True])
def test_idiomatic_torch_computes_the_same(norm_first, in_float64):
    task = small_task()
    count = len(task.vocabulary)
    config = TransformerConfig(count, count, **{**SIZES, "num_encoder_layers": 2, "dropout": 0.0}, max_length=16,
                               norm_first=norm_first)
    ours = Transformer(config, rng=0, dtype="float64")
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for parameter in ours.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    theirs = IdiomaticTransformer(config)
    loaded = theirs.load_state_dict(idiomatic_state(ours), strict=False)
    assert not loaded.unexpected_keys and all(name.startswith("position.") for name in loaded.missing_keys)
    assert sum(parameter.numel() for parameter in theirs.parameters()) == ours.num_parameters()

    batch = TrainingBatches(task, 8).batch_at(0)
    source, target_in, target_out = map(torch.from_numpy, (batch.source_ids, batch.target_in_ids,
                                                           batch.target_out_ids))
    CrossEntropyLoss(0)(ours(source, target_in), target_out, batch.target_count).backward()
    F.cross_entropy(theirs(source, target_in).flatten(0, 1), target_out.flatten(), ignore_index=0).backward()
    for ours_grad, theirs_grad in (
            (ours.source_embedding.weight.grad, theirs.embedding.weight.grad),
            (ours.encoder.layers[0].feed_forward.sublayer.up.weight.grad, theirs.encoder[0].up.weight.grad)):
        assert error_in_eps(theirs_grad.numpy(), ours_grad.numpy()) <= MODEL_BOUND


@pytest.mark.long
def test_the_benchmarks_run(capsys):
    main(["import", "--launches", "1"])
    main(["step", "--launches", "1", "--steps", "2", "--pause", "0", "--dtype", "float32"])
    output = capsys.readouterr().out
    assert output.count("NumPy takes") == 2 and "all of numpy_impl" in output


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["steps"])
    assert "there is no benchmark 'steps'" in capsys.readouterr().err
