"""What comes back through each use of a variable in somebody's forward pass, measured.

A copy of the forward pass adds a small number to one entry of one local, or of one use of a variable. How the loss then
moves is the gradient of that local, or the share of the variable's gradient that comes back through that use: the
gradient of `x` in `x * gate(x)` is the sum of two shares. Runs beside the learner's code.
"""

import ast
import copy
import dataclasses
import inspect
import time

import numpy as np

from parity_tests.harness.doctor.source import DOCTOR, edited, node_of

COMPLEX_STEP = 1e-30
STEP = float(np.cbrt(np.finfo("float64").eps))
MOST_ELEMENTS = 2000       # of a local that is moved number by number
MOST_OF_JACOBIAN = 200_000
MOST_TEXT = 50
SUM_AGREES = 1e-5          # of the largest entry: so well must the shares of a variable add up to its gradient


@dataclasses.dataclass
class Variable:
    """An argument or a local of the forward pass. line: where it is assigned, 0 for an argument. uses: [Use]."""

    line: int
    value: np.ndarray
    gradient: np.ndarray | None = None
    uses: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Use:
    """One place that reads a variable, in the expression `text`, and what comes back through it.

    narrow: the variable with its indices alone.
    """

    line: int
    text: str
    share: np.ndarray
    narrow: str = ""


class Measure:
    """How the loss of a forward pass moves, by the method that fits its inputs ("complex step" or differences)."""

    def __init__(self, function, upstreams, method, seconds):
        self.function, self.upstreams, self.method = function, upstreams, method
        self.until = time.process_time() + seconds

    @property
    def is_over(self):
        return time.process_time() > self.until

    def slope(self, run, value):
        """{entry: d run / d entry} as an array; run(moved) is a number or an array, for a small `moved`."""
        found = None
        for index in np.ndindex(value.shape):
            if self.method == "complex step":
                moved = np.zeros(value.shape, "complex128")
                moved[index] = 1j * COMPLEX_STEP
                slope = np.imag(run(moved)) / COMPLEX_STEP
            else:
                moved = np.zeros(value.shape)
                moved[index] = STEP * max(1.0, abs(value[index]))
                slope = (run(moved) - run(-moved)) / (2 * moved[index])
            found = np.zeros(value.shape + np.shape(slope)) if found is None else found
            found[index] = slope
        return found

    def of_loss(self, node, value):
        """The gradient of the loss by what an edited forward pass adds."""
        forward, table = self.function.target.forward, {}
        with edited(forward, node, table):
            def run(moved):
                table["moved"] = moved
                return self.function.loss(self.function.inputs, self.upstreams)
            return self.slope(run, value)

    def jacobian(self, name):
        """d outputs / d input, of the shape (numbers of the input, numbers of all outputs)."""
        value = self.function.inputs[name]

        def run(moved):
            outputs = self.function.outputs({**self.function.inputs, name: value + moved})
            return np.concatenate([output.reshape(-1) for output in outputs])
        return self.slope(run, value).reshape(value.size, -1)


def explain(function, upstreams, method, wrong, seconds):
    """{"variables": {name: Variable}, "jacobians": {name: array of each wrong gradient}}, so far as time allows."""
    measure = Measure(function, upstreams, method, seconds)
    jacobians = {}
    outputs = sum(upstream.size for upstream in upstreams)
    for name in wrong:
        if function.inputs[name].size * outputs <= MOST_OF_JACOBIAN and not measure.is_over:
            jacobians[name] = measure.jacobian(name)
    return {"variables": _variables(measure, wrong), "jacobians": jacobians}


def _variables(measure, wrong):
    forward = measure.function.target.forward
    node = node_of(forward) if inspect.isfunction(forward) else None
    if node is None:
        return {}
    try:
        found = _values(measure.function, node)
        # What is wrong comes first, if time should run out.
        for name, variable in sorted(found.items(), key=lambda pair: (pair[0] not in wrong, pair[1].line)):
            if measure.is_over:
                break
            _measure(measure, node, name, variable)
    except Exception:    # a forward pass that cannot be edited, such as a closure, or that refuses what is added
        return {}
    return {name: variable for name, variable in found.items() if variable.gradient is not None}


def _measure(measure, node, name, variable):
    """Fill in the gradient of a variable and its uses; they stay out where they do not add up."""
    places = [index for index, inner in enumerate(ast.walk(node)) if _reads(inner, name)]
    uses = []
    for place in places:
        if measure.is_over:
            return
        changed = copy.deepcopy(node)
        inner = list(ast.walk(changed))[place]
        text, narrow = _texts_around(changed, inner)
        line = getattr(inner, "lineno", 0)
        _replace(changed, inner, _moved(name))
        share = measure.of_loss(changed, variable.value)
        if share.any():
            uses.append(Use(line, text, share, narrow))
    uses.sort(key=lambda use: use.line)
    _tell_apart(uses)
    if variable.line:
        gradient = measure.of_loss(_with_local_moved(node, name, variable.line), variable.value)
    else:
        gradient = sum((use.share for use in uses), np.zeros(variable.value.shape))
    scale = abs(gradient).max(initial=0)
    if np.isfinite(gradient).all() and scale:
        variable.gradient = gradient
        total = sum((use.share for use in uses), np.zeros(gradient.shape))
        variable.uses = uses if abs(total - gradient).max() <= SUM_AGREES * scale else []


def _reads(node, name):
    return isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)


def _moved(name):
    return ast.parse(f"({name} + {DOCTOR}['moved'])", mode="eval").body


def _parents(tree):
    return {child: (parent, field, index) for parent in ast.walk(tree) for field, value in ast.iter_fields(parent)
            for index, child in (enumerate(value) if isinstance(value, list) else [(None, value)])
            if isinstance(child, ast.AST)}


def _replace(tree, old, new):
    parent, field, index = _parents(tree)[old]
    ast.copy_location(new, old)
    if index is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[index] = new
    ast.fix_missing_locations(tree)


def _tell_apart(uses):
    """Two uses in one expression are quoted with what is around each of them, where that differs."""
    for use in uses:
        same = [other for other in uses if (other.line, other.text) == (use.line, use.text)]
        if len({other.narrow for other in same}) > 1:
            for other in same:
                other.text = other.narrow


def _texts_around(tree, node):
    """The smallest operation or call that a use stands in, as it may be quoted; and the same with indices alone."""
    parents, inner = _parents(tree), node
    narrow = node
    while isinstance(parents[narrow][0], (ast.Subscript, ast.Attribute)) and parents[narrow][1] == "value":
        narrow = parents[narrow][0]
    while node in parents and not isinstance(node, (ast.BinOp, ast.Call, ast.Compare, ast.stmt)):
        node = parents[node][0]
    while isinstance(node, ast.Call) and isinstance(parents[node][0], ast.Attribute):    # np.exp(x).sum(): all of it
        node = parents[parents[node][0]][0]
    node = node.value if isinstance(node, (ast.Assign, ast.Return, ast.AugAssign)) else node
    text = ast.unparse(node)
    return text if len(text) <= MOST_TEXT else ast.unparse(inner), ast.unparse(narrow)


# Locals

def _values(function, node):
    """{name: Variable} of the floating arguments, and of the arrays that are assigned once and stay as they are."""
    stored = [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)]
    arguments = {name: Variable(0, function.inputs[name]) for name in function.floating if name not in stored}
    notes = {}
    candidates = {name: statement.lineno for statement in _statements(node.body) for name in _assigned(statement)
                  if stored.count(name) == 1}
    changed = copy.deepcopy(node)
    for name, line in candidates.items():
        after(changed, line, name, f"{DOCTOR}['note']({name!r}, {name})")

    def note(name, value):
        if isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f":
            notes[name] = Variable(candidates[name], np.array(value, "float64"))
    with edited(function.target.forward, ast.fix_missing_locations(changed), {"note": note}):
        function.forward(function.inputs)
    return {**arguments, **{name: variable for name, variable in notes.items()
                            if 0 < variable.value.size <= MOST_ELEMENTS and np.isfinite(variable.value).all()}}


def _statements(body):
    """The assignments of a function that run at most once: those in loops are left out."""
    for statement in body:
        if isinstance(statement, ast.Assign):
            yield statement
        for block in ("body", "orelse"):
            if isinstance(statement, (ast.If, ast.With)):
                yield from _statements(getattr(statement, block, []))


def _assigned(statement):
    return [node.id for target in statement.targets for node in ast.walk(target)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def after(tree, line, name, source):
    """Put a statement after the one that assigns `name` in this line."""
    for parent in ast.walk(tree):
        for block in ("body", "orelse"):
            body = getattr(parent, block, None)
            for index, statement in enumerate(body if isinstance(body, list) else []):
                if isinstance(statement, ast.Assign) and statement.lineno == line and name in _assigned(statement):
                    body.insert(index + 1, ast.copy_location(ast.parse(source).body[0], statement))
                    return


def _with_local_moved(node, name, line):
    changed = copy.deepcopy(node)
    after(changed, line, name, f"{name} = {name} + {DOCTOR}['moved']")
    return ast.fix_missing_locations(changed)
