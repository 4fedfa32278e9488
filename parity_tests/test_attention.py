"""layers/attention.py: parity, oracles, torch's own attention, masks, groups, shapes, extreme inputs, errors."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from parity_tests.harness import oracles
from parity_tests.harness.against.attention import OTHERS
from parity_tests.harness.cases import pairs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.attention import (
    ATTENTION, CASES, MASKED_ROW, MASKS, PADDED_AWAY, heads, multi_head, normal, sequences)
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize("twin, as_input", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)],
                                ids=["numpy", "torch"])
FUNCTIONS = [case for case in CASES if ATTENTION in case.name]
REARRANGEMENTS = [case for case in CASES if "_heads" in case.name]


def named(name):
    return all_cases()[f"attention: {name}"]


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("name, inputs", [
    ("MultiHeadAttention, causal", ("query", "key", "value")),
    ("SelfAttention, dropout", ("x",)),
    (f"{ATTENTION}, causal", ("query", "key", "value")),
])
def test_empty_batch(name, inputs):
    for form in named(name).forms():
        named(name).empty(*inputs).check(form)


@pytest.mark.parametrize("case", FUNCTIONS + REARRANGEMENTS + [
    named("MultiHeadAttention, one group of heads"), named("MultiHeadAttention, two groups of heads"),
    named("SelfAttention, dropout"), named("CrossAttention, dropout")], ids=str)
def test_oracles(case):
    oracles.check(case)


# torch's own attention

@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@pytest.mark.parametrize("group_size", [1, 2, 4])
def test_groups_share_heads_as_torch_does(group_size, rng):
    """Query heads 0 .. group_size - 1 use the first key/value head, the next ones the second, and so on."""
    query = torch.tensor(rng.standard_normal((2, 4, 3, 5)))
    kept = [torch.tensor(rng.standard_normal((2, 4 // group_size, 6, 5)), requires_grad=True) for _ in range(2)]
    expected = F.scaled_dot_product_attention(query, *kept, enable_gqa=True)
    upstream = torch.tensor(rng.standard_normal(expected.shape))
    expected.backward(upstream)
    attention = NUMPY.layers.attention
    (keys, cache), (values, _) = (attention.repeat_heads(x.detach().numpy(), group_size) for x in kept)
    output, _, attention_cache = attention.scaled_dot_product_attention(query.numpy(), keys, values)
    _, d_keys, d_values = attention.scaled_dot_product_attention_backward(upstream.numpy(), attention_cache)
    np.testing.assert_allclose(output, expected.detach(), rtol=1e-13, atol=1e-13)
    for gradient, x in zip((d_keys, d_values), kept):
        np.testing.assert_allclose(attention.repeat_heads_backward(gradient, cache), x.grad, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("training", [False, True])
def test_returned_weights_are_those_of_torch_before_dropout(training, rng):
    case = named("MultiHeadAttention, returns weights")
    ours = case.numpy_twin().train(training)
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    state = {name: torch.from_numpy(array) for name, array in ours.state_dict().items()}
    parts = ("query", "key", "value")
    theirs.load_state_dict({
        "in_proj_weight": torch.cat([state[f"{part}_projection.weight"] for part in parts]),
        "in_proj_bias": torch.cat([state[f"{part}_projection.bias"] for part in parts]),
        "out_proj.weight": state["output_projection.weight"], "out_proj.bias": state["output_projection.bias"]})
    query, key, value = (rng.standard_normal((2, length, 8)) for length in (3, 4, 4))
    mask = MASKS["padding"]
    output, weights = ours(query, key, value, mask, return_weights=True)
    their_output, their_weights = theirs(*(torch.from_numpy(x) for x in (query, key, value)),
                                         key_padding_mask=~torch.as_tensor(mask[:, 0, 0]), average_attn_weights=False)
    np.testing.assert_allclose(weights, their_weights.detach(), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-14)
    # Dropout changed the output alone.
    assert np.allclose(output, their_output.detach(), rtol=1e-12) is not training


@TWINS
def test_weights_are_kept_where_asked_for(twin, as_input, rng):
    """Those that `return_weights` gives, before dropout."""
    attention = twin.layers.attention.MultiHeadAttention(8, 2, dropout=0.4, rng=0, dtype="float64")
    x = as_input(rng.standard_normal((2, 3, 8)))
    attention(x, x, x)
    np.testing.assert_equal(attention.kept_weights, None)
    attention.keep_weights = True
    _, weights = attention(x, x, x, return_weights=True)
    kept = np.array(attention.kept_weights.tolist())
    np.testing.assert_array_equal(kept, np.array(weights.tolist()))
    np.testing.assert_allclose(kept.sum(axis=-1), 1, rtol=1e-14)
    attention(2 * x, x, x)
    assert not np.allclose(attention.kept_weights.tolist(), kept)    # those of the last pass


# Masks

@pytest.mark.parametrize("lean", [False, True])
def test_a_fully_masked_row_gives_zero(lean, rng):
    """Output, weights and gradient of that row are 0, and it takes no part in the gradients of keys and values."""
    attention = NUMPY.layers.attention
    forward, backward = (getattr(attention, ATTENTION + suffix) for suffix in (
        ("_lean", "_lean_backward") if lean else ("", "_backward")))
    hidden = ~MASKED_ROW.any(axis=-1)[:, 0]                      # (B, Tq)
    inputs = heads(MASKED_ROW)(rng, "float64")
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        output, weights, cache = forward(**inputs)
        d_output = rng.standard_normal(output.shape)
        d_query, d_key, d_value = backward(d_output, cache)
    for array in (output, weights, d_query):
        assert not array.transpose(0, 2, 1, 3)[hidden].any()
        assert array.transpose(0, 2, 1, 3)[~hidden].any(axis=-1).all()
    d_output.transpose(0, 2, 1, 3)[hidden] = 1e6
    _, d_key_again, d_value_again = backward(d_output, forward(**inputs)[-1])
    np.testing.assert_array_equal(d_key_again, d_key)
    np.testing.assert_array_equal(d_value_again, d_value)


def test_a_sequence_of_padding_gets_the_output_bias(rng):
    """With nothing to attend to, a module says the same to each query."""
    module = named("MultiHeadAttention, a sequence of padding").numpy_twin()
    output = module(*sequences(PADDED_AWAY, "query", "key", "value")(rng, "float64").values())
    np.testing.assert_array_equal(output[1], np.tile(module.output_projection.bias.data, (3, 1)))


@pytest.mark.parametrize("mask_name", [name for name in MASKS if MASKS[name] is not None])
def test_what_is_masked_has_no_influence(mask_name, rng):
    """Other keys and values in the hidden places give the same bytes."""
    attention = NUMPY.layers.attention.scaled_dot_product_attention
    inputs = heads(MASKS[mask_name])(rng, "float64")
    output = attention(**inputs)[0]
    visible = np.broadcast_to(MASKS[mask_name], (2, 2, 3, 4))
    for batch, head, query in np.ndindex(2, 2, 3):
        changed = {**inputs, "key": inputs["key"].copy(), "value": inputs["value"].copy()}
        for name in ("key", "value"):
            changed[name][batch, head][~visible[batch, head, query]] = 1e3 * rng.standard_normal()
        np.testing.assert_array_equal(attention(**changed)[0][batch, head, query], output[batch, head, query])


# Shapes and sizes

@given(num_heads=st.sampled_from([1, 2, 3, 4, 6]), group_size=st.sampled_from([1, 2, 3]), d_head=st.integers(1, 4),
       batch=st.integers(0, 3), queries=st.integers(1, 5), keys=st.integers(1, 5), p=st.sampled_from([0.0, 0.5]),
       bias=st.booleans(), seed=st.integers(0, 99))
def test_shapes_and_masks(num_heads, group_size, d_head, batch, queries, keys, p, bias, seed):
    groups = num_heads // group_size if num_heads % group_size == 0 else num_heads
    mask = np.random.default_rng(seed).random((batch, num_heads, queries, keys)) < 0.6

    def inputs(rng, dtype):
        shapes = {"query": (batch, queries, num_heads * d_head), "key": (batch, keys, num_heads * d_head)}
        return {**normal(rng, dtype, **shapes, value=shapes["key"]), "mask": mask}

    case = dataclasses.replace(
        multi_head("any shape", None), inputs=inputs, seed=seed,
        build=lambda twin, dtype, rng: twin.layers.attention.MultiHeadAttention(
            num_heads * d_head, num_heads, groups, bias, p, rng=rng, dtype=dtype))
    case.check("plain")
    case.check("lean")


def scaled(inputs, **factors):
    """The same inputs, the named ones multiplied."""
    def scaled_inputs(rng, dtype):
        values = inputs(rng, dtype)
        return {**values, **{name: values[name] * np.asarray(factor, dtype) for name, factor in factors.items()}}
    return scaled_inputs


def equal_rows(rng, dtype):
    """All keys are equal, and all values."""
    values = heads(PADDED_AWAY)(rng, dtype)
    return values | {name: np.repeat(values[name][:, :, :1], 4, axis=2) for name in ("key", "value")}


@pytest.mark.parametrize("inputs", [
    scaled(heads(), query=1e4), scaled(heads(MASKED_ROW), query=1e4, key=1e4), scaled(heads(), query=1e-4),
    scaled(heads(), value=1e4), equal_rows, heads(queries=1), heads(keys=1), heads(queries=1, keys=1),
    heads(MASKED_ROW, d_head=1, d_value=1), heads(~np.ones((1, 1, 3, 4), dtype=bool)),
], ids=["large", "huge", "small", "large values", "equal rows", "one query", "one key", "one token", "width 1",
        "all masked"])
def test_extreme_inputs(inputs):
    # Where all keys are equal, and all values, the scores have no influence.
    zero_gradients = ("query", "key") if inputs is equal_rows else ()
    oracles.check_extreme(dataclasses.replace(FUNCTIONS[0], inputs=inputs, zero_gradients=zero_gradients))


def test_extreme_inputs_of_a_module():
    case = named("CrossAttention, fully masked rows")
    oracles.check_extreme(dataclasses.replace(case, inputs=scaled(case.inputs, x=1e4, memory=1e4)))


# Construction and errors

def test_the_same_seed_gives_the_same_weights():
    ours, theirs = (twin.layers.attention.MultiHeadAttention(8, 4, 2, rng=3) for twin in (NUMPY, TORCH))
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    for name, array in ours.state_dict().items():
        np.testing.assert_array_equal(array, state[name].numpy())
    assert not np.array_equal(state["query_projection.weight"], state["output_projection.weight"])


@TWINS
def test_construction_errors_name_the_argument(twin, as_input):
    build = twin.layers.attention.MultiHeadAttention
    with pytest.raises(ValueError, match="d_model is 8, must be divisible by num_heads, 3"):
        build(8, 3)
    with pytest.raises(ValueError, match="num_heads is 4, must be divisible by num_key_value_heads, 3"):
        build(8, 4, 3)
    with pytest.raises(ValueError, match="num_key_value_heads is 0, must be at least 1"):
        build(8, 4, 0)
    with pytest.raises(TypeError, match="num_heads is 2.0, must be an int"):
        build(8, 2.0)
    with pytest.raises(ValueError, match="dropout is 1.0, must be at least 0 and below 1"):
        build(8, 2, dropout=1.0)
    with pytest.raises(ValueError, match="dtype is 'int64', must be"):
        build(8, 2, dtype="int64")


@TWINS
@pytest.mark.parametrize("error, match, change", [
    (ValueError, r"query has shape \(2, 3, 7\), its last axis must be 8", {"query": np.zeros((2, 3, 7))}),
    (ValueError, r"query has shape \(3, 8\), must have 3 axes", {"query": np.zeros((3, 8))}),
    (ValueError, r"query has shape \(2, 0, 8\), only its first axis", {"query": np.zeros((2, 0, 8))}),
    (TypeError, "query has dtype float32, must be float64", {"query": np.zeros((2, 3, 8), "float32")}),
    (ValueError, r"key has shape \(1, 4, 8\), its first axis \(the batch\) must be 2", {"key": np.zeros((1, 4, 8))}),
    (ValueError, r"value has shape \(2, 5, 8\), must be \(2, 4, 8\)", {"value": np.zeros((2, 5, 8))}),
    (TypeError, "key has dtype float32, must be float64", {"key": np.zeros((2, 4, 8), "float32")}),
    (TypeError, "value has dtype int64", {"value": np.zeros((2, 4, 8), "int64")}),
    (TypeError, "mask has dtype float64, must be bool", {"mask": np.zeros((3, 4))}),
    (TypeError, "mask has dtype int64, must be bool", {"mask": np.ones((2, 1, 1, 4), "int64")}),
    (ValueError, r"mask has shape \(2, 1, 1, 3\), must broadcast to \(2, 2, 3, 4\)",
     {"mask": np.ones((2, 1, 1, 3), bool)}),
    (ValueError, r"mask has shape \(1, 2, 2, 3, 4\), must broadcast", {"mask": np.ones((1, 2, 2, 3, 4), bool)}),
    (ValueError, r"mask has shape \(3, 3, 4\), must broadcast to \(2, 2, 3, 4\)", {"mask": np.ones((3, 3, 4), bool)}),
])
def test_errors_name_the_argument(error, match, change, twin, as_input):
    attention = twin.layers.attention.MultiHeadAttention(8, 2, dtype="float64")
    arguments = {"query": np.zeros((2, 3, 8)), "key": np.zeros((2, 4, 8)), "value": np.zeros((2, 4, 8)), **change}
    with pytest.raises(error, match=match):
        attention(**{name: as_input(array) for name, array in arguments.items()})


@TWINS
def test_errors_of_what_is_no_array(twin, as_input):
    attention = twin.layers.attention.SelfAttention(8, 2, dtype="float64")
    with pytest.raises(TypeError, match="x is a list"):
        attention([[[0.0] * 8]])
    with pytest.raises(TypeError, match="mask is a list"):
        attention(as_input(np.zeros((2, 3, 8))), [[True]])


@TWINS
def test_errors_of_self_and_cross_attention_name_their_own_arguments(twin, as_input):
    attention = twin.layers.attention
    with pytest.raises(ValueError, match=r"^x has shape \(2, 3, 7\)"):
        attention.SelfAttention(8, 2, dtype="float64")(as_input(np.zeros((2, 3, 7))))
    cross, x = attention.CrossAttention(8, 2, dtype="float64"), as_input(np.zeros((2, 3, 8)))
    with pytest.raises(ValueError, match=r"^memory has shape \(1, 4, 8\), its first axis .* must be 2, as x's"):
        cross(x, as_input(np.zeros((1, 4, 8))))
    with pytest.raises(TypeError, match="^memory_mask has dtype float64"):
        cross(x, x, as_input(np.ones((3, 3))))


@TWINS
def test_self_and_cross_attention_return_weights_too(twin, as_input, rng):
    x, memory = as_input(rng.standard_normal((2, 3, 8))), as_input(rng.standard_normal((2, 4, 8)))
    _, weights = twin.layers.attention.SelfAttention(8, 2, dtype="float64")(x, return_weights=True)
    assert tuple(weights.shape) == (2, 2, 3, 3)
    _, weights = twin.layers.attention.CrossAttention(8, 2, dtype="float64")(x, memory, return_weights=True)
    assert tuple(weights.shape) == (2, 2, 3, 4)
