"""Does the wrong gradient equal something that is known: a part of the truth, another gradient, another function's?"""

import numpy as np

from parity_tests.harness.doctor.catalogue import gradients_of
from parity_tests.harness.doctor.compare import agrees
from parity_tests.harness.doctor.evidence import everywhere, factor_between, meaning, name_of_factor
from parity_tests.harness.doctor.verdict import Finding, names_text

# Functions that are taken for one another.
FAMILIES = {
    "gelu_erf": ("gelu_tanh",), "gelu_tanh": ("gelu_erf", "silu"), "softmax": ("log_softmax",),
    "log_softmax": ("softmax",), "silu": ("sigmoid", "gelu_tanh"), "sigmoid": ("tanh", "silu"), "tanh": ("sigmoid",),
    "layer_norm": ("rms_norm",), "batch_norm_training": ("batch_norm",), "relu": (),
}


ACTIVATIONS = ("relu", "gelu_erf", "gelu_tanh", "sigmoid", "silu", "tanh")
# Slopes in terms of x and y, which belong to other functions or other arguments: (formula, function, whose it is).
_FORMULAS = (
    ("1 - y * y", lambda x, y: 1 - y * y, "tanh has its slope from its output"),
    ("1 - x * x", lambda x, y: 1 - x * x, "tanh has its slope from its output, y, not from x"),
    ("y * (1 - y)", lambda x, y: y * (1 - y), "sigmoid has its slope from its output"),
    ("x * (1 - x)", lambda x, y: x * (1 - x), "sigmoid has its slope from its output, y, not from x"),
    ("s + 1.702 * x * s * (1 - s) with s = sigmoid(1.702 * x)",
     lambda x, y: _quick(x) + 1.702 * x * _quick(x) * (1 - _quick(x)),
     "the quick form of GELU has its slope, x * sigmoid(1.702 * x), which is another function"),
)
SLOPES = tuple((formula, slope) for formula, slope, _ in _FORMULAS)
SLOPE_OF = {f"d_y * ({formula})": told for formula, _, told in _FORMULAS}


def _quick(x):
    return 1 / (1 + np.exp(-1.702 * x))


def find(evidence):
    """Findings about every wrong gradient: permuted outputs first, then gradient by gradient."""
    found = _permuted(evidence)
    if found:
        return found
    if evidence.subject.is_module:
        found = _never_reached(evidence)
    for name, pairs in evidence.pairs.items():
        if name not in pairs[0][0].truth and (evidence.subject.is_module or not name.startswith("d_")):
            continue    # in a module a parameter's gradient is wrong because of what comes in; y is no gradient
        for test in TESTS:
            finding = test(evidence, name, pairs)
            if finding:
                finding.names = (name,)
                found.append(finding)
                break
    return found


def _permuted(evidence):
    """The gradients are all right, but come in another order."""
    swaps = {}
    for name, pairs in evidence.pairs.items():
        for other in pairs[0][0].results:
            if other != name and everywhere(pairs, lambda example, actual, _: agrees(actual, example.results[other])):
                swaps[name] = other
    if not swaps:
        return []
    order = ", ".join(evidence.examples[0].truth)
    told = " and ".join(f"what you return as {name} is {other}" for name, other in swaps.items())
    both = len(swaps) > 1 and set(swaps) == set(swaps.values())
    kind = "The gradients are right, but in the wrong order" if both else "One gradient stands for another"
    return [Finding("order", f"{kind}: {told}. The order is that of the arguments: {order}", names=tuple(swaps))]


def _never_reached(evidence):
    """The parameters of a part of the module have no gradient at all."""
    names = [name for name, pairs in evidence.pairs.items()
             if "." in name and all(not actual.any() for _, actual, _ in pairs)]
    if not names:
        return []
    parts = dict.fromkeys(name.removeprefix("d_").partition(".")[0] for name in names)
    return [Finding("match", f"{names_text(names)} {'is' if len(names) == 1 else 'are'} all zero: does the backward "
                             "pass ever call the backward of "
                             f"{' and '.join(f'`{part}`' for part in parts)}?", names=tuple(names))]


def _all_zero(evidence, name, pairs):
    if all(not actual.any() for _, actual, _ in pairs):
        return Finding("match", f"{name} is all zero. Is it ever assigned, and is it what you return?")
    if all(abs(actual).max() < 1e-9 * abs(truth).max() for _, actual, truth in pairs):
        return Finding("match", f"{name} is zero but for rounding: its terms cancel each other. Something is summed "
                                "that always adds up to 0")
    return None


def _upstream_of_ones(evidence, name, pairs):
    def holds(example, actual, truth):
        ones = [np.ones_like(upstream) for upstream in example.upstreams]
        return agrees(actual, gradients_of(evidence.subject, example, False, upstreams=ones)[name])
    if everywhere(pairs, holds):
        return Finding("match", f"{name} is the gradient for an upstream gradient of all ones: {_upstream(evidence)} "
                                "is not used")
    return None


def _forgotten_upstream(evidence, name, pairs):
    """The local derivative, which has yet to be multiplied with the upstream gradient."""
    def holds(example, actual, truth):
        upstream = example.upstreams[0]
        return upstream.shape == actual.shape and upstream.size > 1 and agrees(actual * upstream, truth)
    if everywhere(pairs, holds):
        return Finding("match", f"{name} is right as soon as it is multiplied by {_upstream(evidence)}: the chain rule "
                                "has that factor in every step")
    return None


def _upstream(evidence):
    return "d_y" if evidence.subject.is_module else evidence.subject.arguments[0]


def _other_function(evidence, name, pairs):
    """The gradient of a sibling function, or of the same one with another option."""
    for text, gradient in _siblings(evidence.subject, name):
        try:
            if everywhere(pairs, lambda example, actual, _: agrees(actual, gradient(example))):
                if text in SLOPE_OF:
                    return Finding("match", f"{name} is exactly {text}: that is how {SLOPE_OF[text]}")
                return Finding("match", f"{name} is exactly the gradient of {text}, which is another function")
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _siblings(subject, name):
    """[(what it is, function of an Example that gives its gradient)]."""
    if subject.is_module:
        return []
    found = [(other, _gradient_of_sibling(subject, other, name)) for other in FAMILIES.get(subject.name, ())]
    if subject.name in ACTIVATIONS:
        found += [(f"d_y * ({text})", _by_slope(slope)) for text, slope in SLOPES]
    if subject.name == "rotate_pairs":
        found.append(("the other layout", lambda example: _with(subject, example, layout=_other(example))[name]))
    if subject.name in ("softmax", "log_softmax"):
        found.append(("the same function along another axis", lambda example: _with(subject, example, axis=0)[name]))
    return found


def _by_slope(slope):
    """The gradient by a formula for the slope, in terms of x and y."""
    return lambda example: example.upstreams[0] * slope(example.inputs["x"], example.outputs[0])


def _other(example):
    return "interleaved" if example.inputs["layout"] == "half" else "half"


def _with(subject, example, **changes):
    return gradients_of(subject, example, False, inputs={**example.inputs, **changes})


def _gradient_of_sibling(subject, other, name):
    import inspect

    namespace = vars(inspect.getmodule(subject.of))

    def gradient(example):
        parameters = inspect.signature(namespace[other]).parameters
        arguments = [value for argument, value in example.inputs.items() if argument in parameters]
        *_, cache = namespace[other](*arguments)
        returned = namespace[f"{other}_backward"](example.upstreams[0], cache)
        returned = returned if isinstance(returned, tuple) else (returned,)
        names = [f"d_{argument}" for argument in parameters]
        return dict(zip(names, returned))[name]
    return gradient


# Parts of the truth

def _by_label(example):
    """{(function, name): array} of all that came up in our run; where something came up several times, the last."""
    return {(known.function, known.name): known for known in example.known}


def _labels(pairs):
    """What came up in every example, gradients first: (function, name)."""
    common = [label for label in _by_label(pairs[0][0])
              if all(label in _by_label(example) for example, _, _ in pairs[1:])]
    return sorted(common, key=lambda label: not label[0].endswith("backward"))


def _array(example, label, like=None):
    """The value; with the leading axes of `like`, where it has them folded into one."""
    value = _by_label(example)[label].value
    if like is not None and value.size == like.size and value.shape[-1:] == like.shape[-1:]:
        return value.reshape(like.shape)
    return value


def _part_of_the_truth(evidence, name, pairs):
    """It equals one of the gradients on the way: the last steps, or a path, are missing."""
    for label in _labels(pairs):
        function, other = label
        if other == name and function.endswith("backward") or not function.endswith("backward"):
            continue
        if everywhere(pairs, lambda example, actual, _: agrees(actual, _array(example, label, actual))):
            path = other.rpartition("_from_")
            if path[1] and path[0] == name:
                others = _other_shares(pairs[0][0], name, other)
                missing = f": the part through {others} is missing" if others else ""
                return Finding("match", f"{name} is only the part that comes through `{path[2]}`{missing}")
            if path[1]:
                rest = _other_shares(pairs[0][0], path[0], other) or "the rest"
                return Finding("match", f"{name} is only what comes through `{path[2]}` to {path[0]}: the part of "
                                        f"{path[0]} through {rest}, and the steps of the forward pass before "
                                        f"`{_what(path[0])}`, are missing")
            return Finding("match", f"{name} is exactly {other}, the gradient of `{_what(other)}`: the steps of the "
                                    f"forward pass before `{_what(other)}` are still to be taken back")
    return None


def _other_shares(example, name, share):
    shares = dict.fromkeys(known.name for known in example.known
                           if known.name.startswith(f"{name}_from_") and known.name != share)
    return " and ".join(f"`{other.rpartition('_from_')[2]}`" for other in shares)


def _what(d_name):
    return d_name.removeprefix("d_")


def _difference(evidence, name, pairs):
    """It is off by a number times something known."""
    for label in _labels(pairs):
        function, other = label
        if not function.endswith("backward") or other == name:
            continue
        if not all(_fits(_array(example, label), truth) for example, _, truth in pairs):
            continue
        factors = [factor_between(actual - truth, _array(example, label)) for example, actual, truth in pairs]
        is_truth = any(_array(example, label).shape == truth.shape and agrees(_array(example, label), truth)
                       for example, _, truth in pairs)
        if None in factors or is_truth:    # the truth itself under another name: that is a ratio
            continue
        text = "1" if np.allclose(factors, 1, rtol=1e-8) else name_of_factor(pairs, factors)
        if text is None:
            continue
        whole, is_share, way = other.rpartition("_from_")
        of = f"`{other}`, the gradient of `{_what(other)}`"
        if is_share:
            of = f"the part through `{way}`" + (f" of {whole}" if whole != name else "")
        if text == "-1":
            return Finding("match", f"What is missing in {name} is exactly {of}")
        if text == "1":
            return Finding("match", f"{name} has {of}, once too often")
        if text == "-2":
            return Finding("match", f"{name} has {of}, with the wrong sign")
        sign, plain = ("missing in", _without_sign(text)) if text.startswith("-") else ("too much in", text)
        return Finding("match", f"What is {sign} {name} is exactly {plain} times {of}{meaning(plain)}")
    return None


def _without_sign(text):
    """"D" for "-D", "1 / D" for "-(1 / D)"."""
    return text[2:-1] if text.startswith("-(") else text[1:]


def _fits(array, truth):
    """Can the array be added to the truth, and does it have more than one number?"""
    try:
        return array.size > 1 and np.broadcast_shapes(array.shape, truth.shape) == truth.shape
    except ValueError:
        return False


def _factor_array(evidence, name, pairs):
    """It is the truth times, or divided by, something known."""
    for label in _labels(pairs):
        function, other = label
        if function.endswith("backward"):
            continue
        if not all(_fits(_array(example, label), truth) for example, _, truth in pairs):
            continue
        if everywhere(pairs, lambda example, actual, truth: _agrees_safely(actual, truth, _array(example, label))):
            return Finding("match", f"{name} has the factor `{other}` too much: multiplied in twice, or never divided "
                                    "out")
        if everywhere(pairs, lambda example, actual, truth: _agrees_safely(truth, actual, _array(example, label))):
            return Finding("match", f"{name} lacks the factor `{other}`")
    return None


def _agrees_safely(product, factor, array):
    return array.dtype.kind == "f" and np.isfinite(array).all() and agrees(product, factor * array)


def _multiple_in_each_row(evidence, name, pairs):
    """The difference is, in each row, a multiple of something known: a projection is wrong or missing."""
    for label in _labels(pairs):
        function, other = label
        if function.endswith("backward"):
            continue
        for what, axes in (("row", (-1,)), ("column", tuple(range(pairs[0][2].ndim - 1)))):
            if everywhere(pairs, lambda example, actual, truth: _parallel(
                    actual - truth, _array(example, label, truth), axes)):
                return Finding("match", f"In each {what}, {name} is off by a multiple of `{other}`: the part of the "
                                        f"gradient that goes back through a sum over the {what} (one number for each "
                                        f"{what}, times `{other}`) is missing or wrong")
    return None


def _product(evidence, name, pairs):
    """It is the upstream gradient times something of the forward pass that is not the slope."""
    for label in _labels(pairs):
        function, other = label
        if not function.endswith("backward") and everywhere(pairs, lambda example, actual, truth: (
                example.upstreams[0].shape == actual.shape == _array(example, label).shape
                and agrees(actual, example.upstreams[0] * _array(example, label)))):
            upstream = _upstream(evidence)
            return Finding("match", f"{name} is {upstream} times `{other}`: it must be {upstream} times the slope of "
                                    "the forward function")
    return None


def _parallel(difference, array, axes):
    """True if along these axes `difference` is a multiple of `array`, by one number for three entries at least."""
    if array.shape != difference.shape or array.ndim < 2 or array.dtype.kind != "f" or not axes:
        return False
    if np.prod([array.shape[axis] for axis in axes]) < 3 or not np.isfinite(array).all() or not difference.any():
        return False
    norm = (array * array).sum(axis=axes, keepdims=True)
    along = (difference * array).sum(axis=axes, keepdims=True) / np.where(norm == 0, 1, norm)
    return agrees(along * array, difference, 1e-8)


TESTS = (_all_zero, _upstream_of_ones, _forgotten_upstream, _other_function, _part_of_the_truth, _difference,
         _factor_array, _multiple_in_each_row, _product)
