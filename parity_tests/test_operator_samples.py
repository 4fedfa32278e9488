"""Primitives on torch's own samples of its operators (OpInfo): values and gradients, plain and lean.

The samples are among torch's internals, which need the package expecttest; without them this file is skipped.
"""

import functools
import itertools
import pkgutil
import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from parity_tests.harness.cases import Case
from parity_tests.harness.judge import LAYER_BOUND, error_in_eps, judge
from parity_tests.harness.runs import differentiable_inputs, run_numpy, to_precision

pytestmark = pytest.mark.long

# Each function takes a sample's arguments and returns the name of our primitive, our arguments by name, and torch's
# operator as a function of them; or None where ours does not take the sample, with the reason beside it.


def activation(name, operator):
    return lambda x: (f"activations:{name}", {"x": x}, lambda v: operator(v["x"]))


def gelu(x, approximate):
    name = {"none": "gelu_erf", "tanh": "gelu_tanh"}[approximate]
    return f"activations:{name}", {"x": x}, lambda v: F.gelu(v["x"], approximate=approximate)


def softmax(name, operator):
    def translate(x, axis, dtype=None):
        if x.ndim == 0 or 0 in x.shape:          # ours wants an axis with something along it
            return None
        return f"softmax:{name}", {"x": x, "axis": axis}, lambda v: operator(v["x"], v["axis"])
    return translate


def linear(x, weight, bias=None):
    return "linear:linear", {"x": x, "weight": weight, "bias": bias}, lambda v: F.linear(*v.values())


def norm(name, operator, *vectors):
    def translate(x, shape, *values, eps=1e-5):
        if len(shape) > 1 or not values:         # ours normalizes one axis, and always scales
            return None
        return (f"normalization:{name}", {"x": x, **dict(zip(vectors, values)), "eps": eps},
                lambda v: operator(v["x"], shape, *(v[vector] for vector in vectors), eps=v["eps"]))
    return translate


def batch_norm(x, mean, variance, gamma=None, beta=None, training=False, momentum=0.1, eps=1e-5):
    if gamma is None:                            # ours always scales
        return None
    name, given = ("_training", {}) if training else ("", {"mean": mean, "variance": variance})
    inputs = {"x": x.moveaxis(1, -1), "gamma": gamma, "beta": beta, **given, "eps": eps}
    return f"normalization:batch_norm{name}", inputs, lambda v: F.batch_norm(
        v["x"].moveaxis(-1, 1), v.get("mean"), v.get("variance"), v["gamma"], v["beta"], training, 0.1, eps
    ).moveaxis(1, -1)


def embedding(weight, ids, padding_idx=None, **others):
    if others.keys() - {"sparse"}:               # ours neither bounds norms nor counts ids
        return None
    padding_idx = None if padding_idx is None else padding_idx % len(weight)
    return ("embedding:embedding", {"ids": ids, "weight": weight, "padding_idx": padding_idx, "scale": 1.0},
            lambda v: F.embedding(v["ids"], v["weight"], padding_idx))


def cross_entropy(logits, targets, weight=None, reduction="mean", ignore_index=-100, label_smoothing=0.0):
    if targets.is_floating_point() or weight is not None or reduction == "none":    # ours: one class each, one sum
        return None
    inputs = {"logits": logits.moveaxis(1, -1), "targets": targets, "ignore_index": ignore_index,
              "label_smoothing": label_smoothing, "target_count": 1 if reduction == "sum" else None}
    return ("losses:cross_entropy", inputs, lambda v: F.cross_entropy(
        v["logits"].moveaxis(-1, 1), v["targets"], None, None, ignore_index, None, reduction, label_smoothing))


def attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False):
    if dropout_p or attn_mask is not None or query.ndim != key.ndim:    # torch's own mask; added scores; broadcasting
        return None
    mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril() if is_causal else None
    return ("attention:scaled_dot_product_attention", {"query": query, "key": key, "value": value, "mask": mask},
            lambda v: F.scaled_dot_product_attention(v["query"], v["key"], v["value"], v["mask"]))


OPERATORS = {
    "softmax": softmax("softmax", torch.softmax), "log_softmax": softmax("log_softmax", torch.log_softmax),
    "sigmoid": activation("sigmoid", torch.sigmoid), "tanh": activation("tanh", torch.tanh),
    "nn.functional.relu": activation("relu", F.relu), "nn.functional.silu": activation("silu", F.silu),
    "nn.functional.gelu": gelu, "nn.functional.linear": linear, "nn.functional.batch_norm": batch_norm,
    "nn.functional.layer_norm": norm("layer_norm", F.layer_norm, "gamma", "beta"),
    "nn.functional.rms_norm": norm("rms_norm", F.rms_norm, "gamma"), "nn.functional.embedding": embedding,
    "nn.functional.cross_entropy": cross_entropy, "nn.functional.scaled_dot_product_attention": attention}


@pytest.fixture(scope="module")
def operators():
    """{name: OpInfo}."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        internals = pytest.importorskip("torch.testing._internal.common_methods_invocations", exc_type=ImportError,
                                        reason="torch's operator samples need expecttest (pip install expecttest)")
    return {operator.name: operator for operator in reversed(internals.op_db)}


@pytest.mark.parametrize("contiguous", [True, False], ids=["contiguous", "strided"])
@pytest.mark.parametrize("name", OPERATORS)
def test_samples(operators, name, contiguous):
    samples = operators[name].sample_inputs("cpu", torch.float32)
    samples = [sample if contiguous else sample.noncontiguous() for sample in samples]
    translated = [OPERATORS[name](sample.input, *sample.args, **sample.kwargs) for sample in samples]
    assert any(translated)
    for function, inputs, operator in filter(None, translated):
        check(function, inputs, operator)


def check(function, inputs, operator):
    """Judge our primitive, plain and lean, by torch's operator.

    Some samples cancel almost wholly: how far rounding leads there, in eps of either precision, is measured on torch's
    own float32. 16 times that, since one error alone may be small by luck.
    """
    text = f"{function} of { {key: getattr(value, 'shape', value) for key, value in inputs.items()} }"
    inputs = {key: value.numpy() if isinstance(value, torch.Tensor) else value for key, value in inputs.items()}
    case = Case(text, None, None, frozen=("mean", "variance"), outputs_without_gradient=(1, 2))
    upstream = functools.partial(case.upstream, drawn_in="float32")
    wide = to_precision(inputs, "float64")
    theirs, exact = (run_operator(case, operator, values, upstream) for values in (inputs, wide))
    for (values, expected), lean in itertools.product([(inputs, theirs), (wide, exact)], (False, True)):
        run = run_numpy(case, pkgutil.resolve_name(f"numpy_impl.layers.{function}"), values, upstream, lean)
        assert not run.changed, f"{text}: changed {run.changed}"
        for key, actual in {"output": run.outputs[0], **run.input_gradients}.items():
            rounding = error_in_eps(theirs[key], exact[key], np.finfo("float32").eps)
            row = judge(key, f"{text}, lean {lean},", actual, expected[key], max(LAYER_BOUND, 16 * rounding),
                        reference=exact[key])
            assert row.problem is None, row


def run_operator(case, operator, inputs, upstream):
    """{"output": torch's, input: its gradient}."""
    values = {key: torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
              for key, value in inputs.items()}
    leaves = {key: values[key].requires_grad_() for key in differentiable_inputs(case, inputs)}
    output = operator(values)
    result = output.detach().numpy()
    gradients = torch.autograd.grad(output, list(leaves.values()), torch.as_tensor(upstream(0, result)))
    return {"output": result, **{key: gradient.numpy() for key, gradient in zip(leaves, gradients)}}
