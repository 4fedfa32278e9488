"""Compare what a learner's code gave with what is true: one Row for each array."""

import dataclasses
import linecache

import numpy as np

from parity_tests.harness.doctor.jobs import Other, as_tuple, bare_name, name_gradients, name_outputs

TOLERANCE = {"float64": 1e-9, "float32": 1e-3}    # of the largest entry; formulas may differ, so not in eps
# What learners call a local of ours.
ALIASES = {"xhat": "x_hat", "x_norm": "x_hat", "xnorm": "x_hat", "normalized": "x_hat", "mu": "mean", "var": "variance",
           "sigma": "std", "q": "query", "k": "key", "v": "value", "attn": "weights", "attention": "weights",
           "w": "weight", "b": "bias", "out": "output", "xc": "centered", "x_centered": "centered"}


@dataclasses.dataclass(eq=False)
class Row:
    """One comparison.

    kind: "output", "gradient", "parameter gradient", "buffer" or "local"; the last is evidence only.
    problem: what is wrong, in words, None if nothing is; error: of the largest entry. line, function, time: where a
    local was assigned, and when.
    """

    example: str
    kind: str
    name: str
    actual: object = dataclasses.field(repr=False)
    expected: np.ndarray = dataclasses.field(repr=False)
    dtype: str = "float64"
    error: float = 0.0
    problem: str | None = None
    file: str = ""
    line: int | None = None
    function: str = ""
    time: int | None = None

    @property
    def shape(self):
        return getattr(self.actual, "shape", None)

    @property
    def source(self):
        """The line that assigned it, as it stands in the file."""
        return linecache.getline(self.file, self.line).strip() if self.line else ""


def error_of(actual, expected, scale=None):
    """max |actual - expected| / max |expected|; NaN and misplaced infinities give inf. The shapes are equal."""
    with np.errstate(all="ignore"):
        same = actual == expected    # infinities at the right place
        difference = np.where(same, 0, abs(actual.astype("complex128") - expected))
        largest = abs(expected[np.isfinite(expected)]).max(initial=0)
    if not difference.size:
        return 0.0
    error = float(difference.max()) / (scale or float(largest) or 1.0)
    return error if np.isfinite(error) else float("inf")


def agrees(actual, expected, tolerance=1e-9):
    """True for two arrays of one shape with the same values."""
    return actual.shape == expected.shape and error_of(actual, expected) <= tolerance


def judge(row, scale=None, is_zero=False):
    """Fill in error and problem of a Row. Returns it.

    scale: what the error is relative to where the truth is all zero, or would be without rounding (is_zero).
    """
    actual, expected = row.actual, row.expected
    if actual is None:
        row.problem, row.error = "is None", float("inf")
    elif not isinstance(actual, np.ndarray):
        text = f"{actual.type} {actual.text}" if isinstance(actual, Other) else type(actual).__name__
        row.problem, row.error = f"is {text}, must be an array of floating-point numbers", float("inf")
    elif actual.shape != expected.shape:
        row.problem, row.error = f"has the shape {actual.shape}, must have {expected.shape}", float("inf")
    elif not np.isfinite(actual).all() and np.isfinite(expected).all():
        what = "NaN" if np.isnan(actual).any() else "infinity"
        row.problem = f"has {what} at {np.count_nonzero(~np.isfinite(actual))} of {actual.size} places"
        row.error = float("inf")
    else:
        row.error = error_of(actual, expected, None if expected.any() and not is_zero else scale)
        if not row.error <= TOLERANCE[row.dtype]:
            row.problem = ("is all zero" if not actual.any() else
                           f"is off by up to {row.error:.2g} of the largest entry")
        elif actual.dtype != expected.dtype and row.kind != "local":
            row.problem = f"is {actual.dtype}, must be {expected.dtype}"
    return row


def compare(subject, example, result):
    """(rows of what was returned, what is wrong with the number of gradients or None)."""
    rows, scale = [], max([float(abs(truth).max(initial=0)) for truth in example.gradients.values()], default=1.0)

    def add(kind, name, actual, expected):
        row = Row(example.label, kind, name, actual, expected, example.dtype)
        rows.append(judge(row, scale, is_zero="gradient" in kind and example.is_zero(name)))

    if result.outputs is not None:
        outputs = as_tuple(result.outputs)
        if len(outputs) < len(example.outputs):
            return rows, (f"forward returned {len(outputs)} outputs, must return {len(example.outputs)}"
                          + ("" if subject.is_module else " and the cache"))
        for (name, expected), actual in zip(name_outputs(example.outputs).items(), outputs):
            add("output", name, actual, expected)
    gradients, problem = name_gradients(result.gradients, tuple(example.truth), example.everything)
    for name, expected in example.truth.items() if gradients is not None else ():
        add("gradient", name, gradients[name], expected)
    for path, expected in example.parameters.items():
        add("parameter gradient", f"d_{path}", result.parameters.get(path), expected)
    for path, expected in example.buffers.items():
        add("buffer", path, result.buffers.get(path), expected)
    return rows, problem


def compare_locals(subject, example, result, about, right=()):
    """Rows of the learner's locals that have the name of one of ours, in the order of execution.

    Left out are those that are called as a result that is `right`: they are a step towards it.
    """
    rows, last = [], {}
    for local in result.locals:
        last[local.path, local.function, local.name] = local.number
    for local in result.locals:
        is_step = f"d_{bare_name(local.name)}" in right or local.name in right
        if not local.is_assigned or is_step:
            continue
        function = local.function if subject.is_module else (
            "backward" if local.function == about["name"] else "forward" if local.function == subject.name else "?")
        expected = counterpart(example, local, function, last[local.path, local.function, local.name])
        if _is_right_gradient(local, example):
            continue    # whatever it is called
        if expected is not None and expected.shape == local.value.shape:
            row = Row(example.label, "local", local.name, local.value, expected, example.dtype, file=about["files"][0],
                      line=local.line, function=local.function, time=local.time)
            rows.append(judge(row))
    return rows


def _is_right_gradient(local, example):
    """Does a local of several numbers equal one of our gradients?"""
    gradients = [known.value for known in example.known if known.is_backward]
    return local.value.size > 1 and any(agrees(local.value, gradient) for gradient in gradients)


def counterpart(example, local, function, last):
    """Our array of a learner's local, or None: d_x_hat (also dx_hat, grad_x_hat), x_hat."""
    bare, lower = bare_name(local.name), local.name.lower()
    names = [local.name, f"d_{ALIASES.get(bare, bare)}" if bare != lower else ALIASES.get(lower, lower)]
    functions = [function, "forward"] if function == "backward" else [function]
    for name in names:
        for where in functions:
            values = example.locals.get((local.path, where, name))
            if values and (len(values) == 1 or len(values) == last + 1):
                # built in steps where ours is assigned once: the finished value counts
                if len(values) == 1 and local.number != last:
                    return None
                return values[local.number if len(values) > 1 else 0]
    return None


def place_of(row, result, about):
    """Fill in where a returned array was assigned: by the last local of the learner's that is equal to it.

    For an output by the first: the backward pass has it too.
    """
    if not isinstance(row.actual, np.ndarray):
        return row
    named = [local for local in result.locals if not local.is_argument]
    named.sort(key=lambda local: (bool(local.name), -local.time if row.kind == "output" else local.time))
    for local in reversed(named):
        if local.value.shape == row.actual.shape and np.array_equal(local.value, row.actual, equal_nan=True):
            row.file, row.line, row.function, row.time = about["files"][0], local.line, local.function, local.time
            break
    return row
