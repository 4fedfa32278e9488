"""A run that can be gone through again, step by step: what the steppers show.

Built from a recording and from the comparison with torch. It holds no live object, so that it can be written as JSON.
"""

import base64
import dataclasses
import inspect
import math
from pathlib import Path

import numpy as np

from parity_tests.harness.comparator import pair_calls
from parity_tests.harness.equations import equations, label_of
from parity_tests.harness.judge import first_wrong

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("call", "line", "return")
CHANGED = 1_000_000     # the numbers of a name's values that were changed in place begin here
# How the numbers of an array are written, by the kind of its dtype: in the first type that holds them.
STORED = {"f": ("float32", "float64"), "c": ("complex64", "complex128"), "i": ("int32", "float64"),
          "u": ("int32", "float64"), "b": ("uint8",)}


@dataclasses.dataclass
class Function:
    """A function that ran. first_line: of `source`, a list of lines, in its file. labels: {line: label of equation}."""

    name: str
    file: str
    first_line: int
    source: list
    labels: dict


@dataclasses.dataclass
class TracedCall:
    """One call. function, parent and reverses are indices: of the function, of the call that it was made in, and of
    the forward call that this backward call reverses (None where there is none). line: where the parent makes the call.
    notes: {name: [[time, text], ...]} of numbers, texts and shapes.
    """

    function: int
    path: str
    number: int
    parent: int | None
    line: int | None
    reverses: int | None
    notes: dict


@dataclasses.dataclass
class Value:
    """One assignment of an array. call, array: indices. time: the step that assigned it.

    name: a local's, an attribute's ("self.weight.grad"), or "return" or "return[1]" for a result that
    has no name in the call.
    error: of the value, or of the gradient if that is what it is, against torch in eps; None where torch has no such
    thing. bound: what error is allowed. difference: max |ours - torch's|. problem: what is wrong with it, in words.
    gradient: the index of the Value that is this one's gradient; of: the other way. Shares of a fork have `of` too.
    """

    call: int
    name: str
    number: int
    array: int
    time: int
    error: float | None = None
    bound: float | None = None
    difference: float | None = None
    problem: str | None = None
    gradient: int | None = None
    of: int | None = None


@dataclasses.dataclass
class Trace:
    """A whole run. steps: (call, kind, line, indices of the values that it assigned). arrays: each different one once.

    equations: {label: LaTeX}. first_wrong: the index of the Value that was wrong first, None if all is right.
    stopped: what ended the run before its time, None if nothing did. remark: what else is to be said of it, or None.
    reference: what the errors are measured against.
    input_gradients: {argument: index of the Value that is its gradient}, where a function has been traced.
    """

    title: str
    functions: list = dataclasses.field(default_factory=list)
    calls: list = dataclasses.field(default_factory=list)
    steps: list = dataclasses.field(default_factory=list)
    values: list = dataclasses.field(default_factory=list)
    arrays: list = dataclasses.field(default_factory=list)
    equations: dict = dataclasses.field(default_factory=dict)
    first_wrong: int | None = None
    stopped: str | None = None
    remark: str | None = None
    reference: str = "torch"
    input_gradients: dict = dataclasses.field(default_factory=dict)

    def as_json(self):
        """The same as dicts and lists; an array as its dtype, shape, and base64 of its numbers in the type `stored`.

        Floats keep seven digits at least. NaN and infinity among the errors, which JSON lacks, are texts.
        """
        data = dataclasses.asdict(dataclasses.replace(self, arrays=[]))
        for value in data["values"]:
            for name in ("error", "bound", "difference"):
                if value[name] is not None and not math.isfinite(value[name]):
                    value[name] = "NaN" if math.isnan(value[name]) else "Infinity"
        return {**data, "arrays": [_packed(array) for array in self.arrays]}


def trace_case(case, form="plain"):
    """The Trace of a case in one of its forms, forward and backward, compared with torch."""
    run, rows = case.compared(form)
    trace = Builder(f"{case}, {form}", run.recording).build()
    _add_comparison(trace, rows)
    return trace


class Builder:
    """Turns the objects of a Recording into the lists of a Trace, which refer to each other by index."""

    def __init__(self, title, recording):
        self.recording = recording
        self.trace = Trace(title)
        self.call_index = {id(call): index for index, call in enumerate(recording.calls)}
        self.reversed_calls = pair_calls(recording)
        self.function_index, self.array_index, self.value_index = {}, {}, {}
        self.index_of_local = {}    # {id of a Local: index of its Value}
        self.paired = []            # (forward call, backward call), see `pair`

    def pair(self, forward, backward):
        """Let the calls of one code object reverse those of another, whatever they are called."""
        self.paired = list(zip(*[[call for call in self.recording.calls if call.code is code]
                                 for code in (forward, backward)]))
        self.reversed_calls |= {id(reverse): call for call, reverse in self.paired}

    def build(self):
        for call in self.recording.calls:
            self.trace.calls.append(TracedCall(
                self._function(call.code), call.path, call.number, self._index_of(call.parent), call.called_from,
                self._index_of(self.reversed_calls.get(id(call))), call.others))
        for time, step in enumerate(self.recording.steps):
            values = [self._value(step.call, name, number, step.call.locals[name][number], time)
                      for name, number in step.names]
            values += [self._value(step.call, name, number, step.call.attributes[name][number], time)
                       for name, number in step.attributes]
            values += [self._value(step.call, name, CHANGED + number, step.call.in_place[name][number], time)
                       for name, number in step.changes]
            if step.kind == "return":
                values += self._unnamed_results(step.call, time)
            self.trace.steps.append((self.call_index[id(step.call)], KINDS.index(step.kind), step.line, values))
        for call in self.recording.calls:
            self._link_gradients(call)
        labels = {label for function in self.trace.functions for label in function.labels.values()}
        self.trace.equations = {label: latex for label, latex in equations().items() if label in labels}
        return self.trace

    def link_results(self, inputs, count, gradients):
        """Link what the first paired forward call takes and returns with what its backward call returns and takes,
        whatever their names are. count: of the outputs that have a gradient. gradients: what backward returned.
        Returns {argument: index of its gradient's Value}.
        """
        if not self.paired:
            return {}
        forward, backward = self.paired[0]
        given = [backward.locals[name][0] for name in backward.arguments[:count]]
        self._link(given, [local for local in forward.returned if local.value.dtype.kind == "f"])
        names = [name for name in forward.arguments
                 if isinstance(inputs.get(name), np.ndarray) and inputs[name].dtype.kind == "f"]
        gradients = [part for part in (gradients if isinstance(gradients, tuple) else (gradients,)) if part is not None]
        returned = {id(local.source): local for local in backward.returned}
        if len(gradients) != len(names) or not all(id(gradient) in returned for gradient in gradients):
            return {}
        found = [returned[id(gradient)] for gradient in gradients]
        self._link(found, [forward.locals[name][0] for name in names])
        return {name: self.index_of_local[id(local)] for name, local in zip(names, found)}

    def _link(self, gradients, locals_):
        """Link Locals of gradients with those that they are the gradients of, unless their names have done so."""
        for gradient, local in zip(gradients, locals_):
            mine, its = self.index_of_local[id(gradient)], self.index_of_local[id(local)]
            if self.trace.values[mine].of is None and self.trace.values[its].gradient is None:
                self.trace.values[mine].of, self.trace.values[its].gradient = its, mine

    def _index_of(self, call):
        return None if call is None else self.call_index[id(call)]

    def _function(self, code):
        if code not in self.function_index:
            lines, first_line = inspect.getsourcelines(code)
            labels = {first_line + offset: label for offset, line in enumerate(lines) if (label := label_of(line))}
            self.function_index[code] = len(self.trace.functions)
            self.trace.functions.append(Function(
                code.co_qualname, shown_path(code.co_filename), first_line,
                [line.rstrip("\n") for line in lines], labels))
        return self.function_index[code]

    def _value(self, call, name, number, local, time):
        index = len(self.trace.values)
        self.value_index[id(call), name, number] = self.index_of_local[id(local)] = index
        self.trace.values.append(Value(self.call_index[id(call)], name, number, self._array(local.value), time))
        return index

    def _unnamed_results(self, call, time):
        """The Values of what a call returned and no name in it stands for."""
        named = {id(local.source): local for name in call.locals for local in call.versions(name)}
        values = []
        for number, local in enumerate(call.returned):
            if id(local.source) in named:
                self.index_of_local[id(local)] = self.index_of_local[id(named[id(local.source)])]
            else:
                name = "return" if len(call.returned) == 1 else f"return[{number}]"
                values.append(self._value(call, name, 0, local, time))
        return values

    def _array(self, array):
        """The index of an array; equal ones, as a caller's local and the callee's argument, are kept once."""
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self.array_index:
            self.array_index[key] = len(self.trace.arrays)
            self.trace.arrays.append(array)
        return self.array_index[key]

    def _link_gradients(self, call):
        """Link d_x in a backward call with x in the forward call that it reverses: the last d_x with the first x; if it
        is given d_x, the first d_x with the last x.
        """
        forward = self.reversed_calls.get(id(call))
        if forward is None:
            return
        for d_name in call.locals:
            gradients = call.versions(d_name)
            name, _, share = d_name.removeprefix("d_").partition("_from_")
            assignments = forward.versions(name) if d_name.startswith("d_") else []
            for number, gradient in enumerate(gradients) if assignments else ():
                mirrored = len(gradients) - 1 - number
                if d_name in call.arguments:    # the gradient of what the forward call has made of x in the end
                    mirrored = max(len(assignments) - 1 - number, 0)
                its = self.index_of_local[id(assignments[min(mirrored, len(assignments) - 1)])]
                mine = self.index_of_local[id(gradient)]
                self.trace.values[mine].of = its
                if not share:
                    self.trace.values[its].gradient = mine


def _add_comparison(trace, rows):
    """Give each value its error against torch."""
    places = {(call.path, trace.functions[call.function].name, call.number): index
              for index, call in enumerate(trace.calls)}
    values = {(value.call, value.name, value.number): index for index, value in enumerate(trace.values)}

    def index_of(row):
        key = row.key if isinstance(row.key, tuple) else (None,) * 5
        return values.get((places.get(key[:3]), *key[3:]))

    for row in rows:
        index = index_of(row)
        if index is not None and row.problem:
            trace.values[index].problem = row.problem
        if index is not None and row.kind in ("value", "gradient"):
            value = trace.values[index]
            if row.expected is not None:
                value.error, value.bound = row.error, row.bound
                value.difference = _largest_difference(row.actual, row.expected)
    wrong = first_wrong(rows)
    trace.first_wrong = index_of(wrong) if wrong else None


def _largest_difference(actual, expected):
    """max |actual - expected|; None where they cannot be compared."""
    if actual.shape != expected.shape or actual.dtype.kind not in "fc":
        return None
    with np.errstate(invalid="ignore"):
        difference = abs(actual - expected)
    return float(np.nanmax(np.where(actual == expected, 0, difference), initial=0))


def _packed(array):
    about = {"dtype": array.dtype.name, "shape": list(array.shape)}
    if array.dtype.kind not in STORED:    # an array of texts or objects, which somebody's function may use
        return {**about, "stored": "text", "data": [str(item) for item in array.ravel().tolist()]}
    for stored in STORED[array.dtype.kind]:
        with np.errstate(all="ignore"):
            kept = np.ascontiguousarray(array, stored)
        if np.allclose(kept, array, rtol=1e-6, atol=0, equal_nan=True):
            break
    return {**about, "stored": stored, "data": base64.b64encode(kept.tobytes()).decode()}


def shown_path(filename):
    """Relative to the project, or only the name of somebody else's file."""
    path = Path(filename)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
