"""Answers that need no arithmetic: the code did not run, returned the wrong things, or changed what it was given."""

import ast
import inspect
import itertools
import linecache
import os
import textwrap

import numpy as np

from parity_tests.harness.doctor.compare import agrees
from parity_tests.harness.doctor.jobs import arrays_in
from parity_tests.harness.doctor.verdict import Finding

ROUNDING = 1e-5    # relative: of values that a wider dtype than asked for may differ by


def of_failure(subject, failure):
    """What to do about code that did not run through; a list of Finding."""
    text = ADVICE[failure.kind](subject, failure)
    if failure.line:
        text += f"\nIt happened in line {failure.line} of {os.path.basename(failure.file)}"
        text += f", in {failure.function}" if failure.function and failure.function != "<module>" else ""
        text += f": {failure.source}" if failure.source else ""
    if failure.shapes:
        text += "\nThere: " + ", ".join(f"{name} {shape}" for name, shape in failure.shapes.items())
    if failure.job and failure.kind not in ("missing", "syntax", "arguments"):
        text += f"\nThe case: {failure.job}"
    return [Finding("structure", text, line=failure.line)]


def _missing(subject, failure):
    return failure.message[0].upper() + failure.message[1:]


def _syntax(subject, failure):
    return f"The file is not valid Python: {failure.message}"


def _stub(subject, failure):
    message = f" ({failure.message})" if failure.message else ""
    return (f"It is not written yet: it raises NotImplementedError{message}. Write "
            f"{subject.name if subject.is_module else subject.signature}; begin with the last line of the forward "
            "pass, and take back one line at a time.")


def _exit(subject, failure):
    return "It ends the program (sys.exit, exit or quit). A backward pass must return."


def _memory(subject, failure):
    return (f"It ran out of memory: {failure.message}. The arrays of the cases are tiny; look for a shape that grows, "
            "such as a broadcast of (N, 1) against (1, N), or a list that is never emptied.")


def _recursion(subject, failure):
    return "It calls itself without end. Does a function here have the name of the one that it means to call?"


def _arguments(subject, failure):
    return failure.message


def _exception(subject, failure):
    text = f"It raises {failure.message}"
    if not failure.line and "__str__" not in failure.message:
        text += ". It happened outside of your file, or where it is loaded: does it change NumPy, or another module?"
    is_tuple_meant = any(text in failure.message for text in ("'tuple'", "inhomogeneous"))
    if ("cache" in failure.source or is_tuple_meant) and not subject.is_module and hasattr(subject, "backward"):
        text += f". The cache holds {', '.join(cache_names(subject))}"
    return text


def _timeout(subject, failure):
    return (f"It did not end: {failure.message}. A case takes a millisecond, so there is a loop that "
            "never ends, or one that does very much more than it must.")


def _killed(subject, failure):
    return f"The interpreter did not survive it: {failure.message}."


ADVICE = {"missing": _missing, "syntax": _syntax, "stub": _stub, "exit": _exit, "memory": _memory, "timeout": _timeout,
          "recursion": _recursion, "arguments": _arguments, "exception": _exception, "killed": _killed,
          "forward": _arguments, "refused": _arguments}


def findings(subject, judged):
    """What is wrong with what was returned, before any arithmetic; a list of Finding, the first of each kind."""
    found = [_count(judged), _not_an_array(judged), *_shapes(judged), _not_finite(judged), _repeated(judged),
             _dtype(judged), _changed(subject, judged), _overwritten(judged)]
    return [finding for finding in found if finding]


def _count(judged):
    if not judged.count_problems:
        return None
    example, problem = judged.count_problems[0]
    result = next(result for other, result, _ in judged.pairs if other is example)
    if result.gradients is None:
        problem += ". Is there a return statement, and is it reached?"
    return Finding("structure", problem[0].upper() + problem[1:] + f" (case: {example.label})")


def _rows(judged):
    return [(example, result, row) for example, result, rows in judged.pairs for row in rows if row.problem]


HINTS = {
    "generator": ": a function with `yield` in it returns a generator; write `return`",
    "coroutine": ": an `async` function returns a coroutine; write a plain `def`",
    "list": ": np.array(...) makes an array of it, but better keep arrays all the way",
    "float": ": float(...) or a sum over everything made one number of it",
    "array of dtype": ": an array of Python objects comes from rows of different lengths, or from None in it",
}


def _not_an_array(judged):
    for example, _, row in _rows(judged):
        if not isinstance(row.actual, np.ndarray):
            hint = (": the gradient must be added to .grad" if row.kind == "parameter gradient" else
                    HINTS.get(getattr(row.actual, "type", ""), ""))
            shape = f"{', must be an array' if row.actual is None else ','} of shape {row.expected.shape}"
            return Finding("structure", f"{row.name} {row.problem}{shape}{hint}", names=(row.name,))
    return None


def _shapes(judged):
    """For each gradient of a wrong shape, which sum or transpose gives the right one."""
    told = {}
    for example, _, row in _rows(judged):
        if isinstance(row.actual, np.ndarray) and row.actual.shape != row.expected.shape and row.name not in told:
            other = next((name for name, truth in example.gradients.items() if agrees(row.actual, truth)
                          and any(name == wrong.name for _, _, wrong in _rows(judged))), None)
            hint = f": it is {other}, so the order is not right" if other else shape_hint(row.actual, row.expected)
            told[row.name] = Finding("structure", f"{row.name} {row.problem}{hint}", names=(row.name,))
    return list(told.values())


def shape_hint(actual, expected):
    """What would turn `actual` into the shape of `expected`, as a sentence to append; "" if nothing does."""
    right = ", and then it is right" if actual.dtype.kind == "f" else ""
    candidates = []
    for count in range(1, actual.ndim + 1):
        for axes in itertools.combinations(range(actual.ndim), count):
            for keepdims in (False, True):
                total = actual.sum(axis=axes, keepdims=keepdims)
                if total.shape == expected.shape:
                    text = f"sum over the axes {axes}" if count > 1 else f"sum over the axis {axes[0]}"
                    candidates.append((total, text + (" and keep them, as axes of length 1" if keepdims else "")
                                       + ": what a broadcast copied in the forward pass collects a sum on the way "
                                         "back"))
    for order in itertools.permutations(range(actual.ndim)):
        turned = actual.transpose(order)
        if turned.shape == expected.shape and actual.ndim > 1:
            name = "transpose it" if actual.ndim == 2 else f"transpose its axes to {order}"
            candidates.append((turned, name))
    if actual.size == expected.size:
        candidates.append((actual.reshape(expected.shape), "reshape it"))
    for array, text in candidates:
        if agrees(array, expected):
            return f": {text}{right}"
    if actual.ndim == expected.ndim and all(mine <= its for mine, its in zip(actual.shape, expected.shape)):
        first = tuple(slice(0, length) for length in actual.shape)
        if agrees(actual, expected[first]) and not np.any(np.delete(expected, first[0], axis=0)):
            return ": it is the first part of it; what took no part in the forward pass has the gradient 0"
    if actual.size == 1 and expected.size > 1:
        return ": it is summed over too many axes"
    if actual.ndim and _broadcasts_to(actual.shape, expected.shape):
        return ": it is summed over too many axes, or what it should be multiplied with is missing"
    return f": {candidates[0][1]}" if candidates else ""


def _broadcasts_to(shape, wanted):
    """True if an array of `shape` broadcasts to `wanted`."""
    try:
        return np.broadcast_shapes(shape, wanted) == wanted
    except ValueError:
        return False


def _not_finite(judged):
    for example, result, row in _rows(judged):
        if isinstance(row.actual, np.ndarray) and row.actual.shape == row.expected.shape and (
                not np.isfinite(row.actual).all() and np.isfinite(row.expected).all()):
            text = f"{row.name} {row.problem}, first at {_first(~np.isfinite(row.actual))} (case: {row.example})"
            origin = next((local for local in result.locals if local.is_assigned and local.value.dtype.kind == "f"
                           and not np.isfinite(local.value).all()), None)
            if origin is not None:
                text += f". The first local that has one is {origin.name}, line {origin.line}"
                text += _why_not_finite(example)
            return Finding("not finite", text, line=origin and origin.line, names=(row.name,))
    return None


def _why_not_finite(example):
    mask = example.inputs.get("mask")
    if isinstance(mask, np.ndarray) and not mask.any(axis=-1).all():
        return ". This case has a query that may attend to nothing: there -inf - -inf or 0 / 0 comes up"
    return ": look for a division by 0, a logarithm of 0, or an exp of something large"


def _first(where):
    return tuple(int(index) for index in np.argwhere(where)[0])


def _dtype(judged):
    for example, result, row in _rows(judged):
        if isinstance(row.actual, np.ndarray) and row.problem.startswith("is ") and "must be float" in row.problem:
            wanted = np.dtype(example.dtype)
            origin = next((local for local in result.locals if local.is_assigned and local.value.dtype.kind == "f"
                           and local.value.dtype != wanted), None)
            is_right = agrees(row.actual, row.expected, ROUNDING)
            start = f"The values of {row.name} are right, but it" if is_right else row.name
            text = f"{start} {row.problem}, as the input is (case: {row.example})"
            if wanted == np.float32:
                text += (". A float64 constant makes the rest float64: np.sqrt(2) and np.zeros(n) are float64, "
                         "math.sqrt(2) and np.zeros(n, x.dtype) take on the array's dtype")
            line = origin.line if origin is not None else None
            return Finding("structure", text + (f". It begins with {origin.name} in line {line}" if line else ""),
                           line=line, names=(row.name,))
    return None


def _changed(subject, judged):
    for example, result, _ in judged.pairs:
        if result.changed:
            names = [_name_of(subject, name) for name in result.changed]
            line = _line_of_change(judged, names)
            text = (f"It changes {', '.join(names)} in place. The caller still needs that array, and a gradient that "
                    "two branches share is spoilt for the other one: write `x = x * ...` for `x *= ...`")
            return Finding("structure", text + (f" in line {line}" if line else ""), line=line)
    return None


def _name_of(subject, name):
    """What the learner calls an argument that the worker numbered."""
    kind, _, number = name.rpartition(" ")
    if subject.is_module or kind not in ("upstream", "cache"):
        return name
    return subject.arguments[int(number)] if kind == "upstream" else _item_of_cache(subject, int(number))


def cache_names(subject):
    """The names that our backward pass gives to the items of the cache."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(subject.backward)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == "cache":
            target = node.targets[0]
            return [ast.unparse(part) for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return []


def _item_of_cache(subject, number):
    names = cache_names(subject)
    return f"{names[number]} (of the cache)" if number < len(names) else f"item {number} of the cache"


def _line_of_change(judged, names):
    """The line of an augmented assignment, or of one to a part, whose target is one of the names; None if unclear."""
    plain = {name.partition(" ")[0] for name in names}
    for file in judged.about.get("files", ()):
        for node in ast.walk(ast.parse("".join(linecache.getlines(file)))):
            if not isinstance(node, (ast.Assign, ast.AugAssign)):
                continue
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                is_part = isinstance(target, ast.Subscript)
                base = target.value if isinstance(target, ast.Subscript) else target
                if (is_part or isinstance(node, ast.AugAssign)) and isinstance(base, ast.Name) and base.id in plain:
                    return node.lineno
    return None


def _repeated(judged):
    """The first case gave something else when it was run again at the end."""
    if not judged.pairs or judged.repeated is None or judged.repeated.failure is not None:
        return None
    first, again = judged.pairs[0][1].gradients, judged.repeated.gradients
    for one, two in zip(arrays_in(first), arrays_in(again)):
        if one.shape != two.shape or not np.array_equal(one, two, equal_nan=True):
            return Finding("structure", "The same call gives another result later: something is kept from call to "
                                        "call (a global, a mutable default argument, an array that was changed in "
                                        "place), or drawn at random")
    return None


def _overwritten(judged):
    """The second pass of a module did not add to the gradients of its parameters."""
    for example, result, rows in judged.pairs:
        right = {row.name for row in rows if not row.problem}
        for path, twice in result.parameters_twice.items():
            once = result.parameters[path]
            is_right = f"d_{path}" in right and once.any() and isinstance(twice, np.ndarray)
            if is_right and not agrees(twice, 2 * once, 1e-6):
                how = "overwritten" if agrees(twice, once, 1e-6) else "not added to"
                return Finding("structure", f"The gradient of {path} is {how} by a second backward pass: it must be "
                                            "added to (`+=`), since a parameter may be used in several places, and a "
                                            "batch may come in parts",
                               names=(f"d_{path}",))
    return None
