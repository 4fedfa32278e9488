"""harness/recorder.py: what is recorded, under which key, and what the recorder leaves as it was."""

import sys

import numpy as np
import pytest
import torch

from numpy_impl.module import Module
from parity_tests.harness.recorder import record
from parity_tests.harness.runs import NUMPY, TORCH
from parity_tests.harness.sample import define
from parity_tests.harness.small import run_python


def recorded(function, *arguments, root=None):
    """{key as text: value} of one call."""
    with record(root) as recording:
        function(*arguments)
    return {str(key): local.value.tolist() for key, local in recording}


def test_records_assignments_of_arrays_and_nothing_else():
    f = define("""
        def f(x, scale, cache):
            a = x * scale
            count = 3
            pair = (a, a)
            b, (c, *d) = a + 1, (a + 2, a + 3)
            e: object = np.float64(7)
            if (w := a + 4) is not None:
                total = sum([part for part in (a, b)])
            for row in x:
                pass
            return total
    """, np=np)["f"]
    assert recorded(f, np.array([1.0]), 2, (np.array([5.0]),)) == {
        "f: x": [1], "f: a": [2], "f: b": [3], "f: c": [4], "f: e": 7, "f: w": [6], "f: total": [5]}


def test_counts_assignments_and_calls():
    f = define("""
        def f(x):
            for _ in range(2):
                x = x + 1
            x += 10
            return x

        def g(x):
            y = f(f(x))
            return y
    """)["g"]
    assert recorded(f, np.zeros(1)) == {
        "g: x": [0], "g: y": [24],
        "f: x": [0], "f: x #1": [1], "f: x #2": [2], "f: x #3": [12],
        "f[1]: x": [12], "f[1]: x #1": [13], "f[1]: x #2": [14], "f[1]: x #3": [24]}


def test_an_assignment_of_the_same_object_counts():
    """Dropout that is off returns its argument: `x = dropout(x)` is an assignment all the same."""
    f = define("""
        def f(x):
            y = x
            y = y
            return y
    """)["f"]
    assert list(recorded(f, np.zeros(1))) == ["f: x", "f: y", "f: y #1"]


def test_a_statement_may_span_lines_and_call_others():
    f = define("""
        def inner(x):
            inside = x + 1
            return inside

        def f(x):
            y = (
                inner(x)
                + inner(
                    x)
            )
            z = [
                y
                for _ in range(2)
            ][0]
            with context():
                try:
                    u = z + 1
                    raise ValueError
                except ValueError:
                    v = z + 2
            return v
    """, context=lambda: np.errstate())["f"]
    values = recorded(f, np.zeros(1))
    assert values == {"f: x": [0], "f: y": [2], "f: z": [2], "f: u": [3], "f: v": [4],
                      "inner: x": [0], "inner: inside": [1], "inner[1]: x": [0], "inner[1]: inside": [1]}


def test_values_are_those_of_the_moment():
    f = define("""
        def f(x):
            y = x + 1
            y[0] = 9
            return y
    """)["f"]
    assert recorded(f, np.zeros(2))["f: y"] == [1, 1]


def test_a_changed_argument_is_noticed():
    f = define("""
        def f(x, cache):
            x[0] = 9
            cache[1][0] = 9
            cache = x = None
    """)["f"]
    with record() as recording:
        f(np.zeros(2), (1, np.zeros(2)))
    assert recording.calls[0].changed == {"x": (1, 3), "cache": (2, 4)}


def test_path_is_that_of_the_nearest_module():
    names = define("""
        def double(x):
            y = x + x
            return y

        class Inner(Module):
            def forward(self, x):
                return double(x)

        class Outer(Module):
            def __init__(self):
                super().__init__()
                self.first = Inner()
                self.second = Inner()

            def forward(self, x):
                y = double(self.second(self.first(x)))
                return y
    """, Module=Module)
    outer = names["Outer"]()
    assert recorded(outer, np.ones(1), root=outer) == {
        "Outer.forward: x": [1], "Outer.forward: y": [8], "double: x": [4], "double: y": [8],
        "first: Inner.forward: x": [1], "first: double: x": [1], "first: double: y": [2],
        "second: Inner.forward: x": [2], "second: double: x": [2], "second: double: y": [4]}


def test_an_argument_has_the_gradient_of_its_call():
    """x goes three ways: the caller's x.grad is the sum, each call's is its share, through super() and a table too."""
    names = define("""
        def times(x, factor):
            y = x * factor
            return y

        class Base(torch.nn.Module):
            def forward(self, query, key):
                y = query + 4 * key
                return y

        class Child(Base):
            def forward(self, x):
                table = {"times": times}
                z = times(x, 2) + table["times"](x, 3) + super().forward(x, x)
                return z
    """, torch=torch)
    with record() as recording:
        z = names["Child"]()(torch.ones(1, requires_grad=True))
    z.backward()
    gradients = {str(key): local.gradient.item() for key, local in recording if key.name in ("x", "query", "key", "z")}
    assert gradients == {"Child.forward: x": 10, "Child.forward: z": 1, "times: x": 2, "times[1]: x": 3,
                         "Base.forward: query": 1, "Base.forward: key": 4}


def test_a_parameter_that_is_shared_has_a_gradient_for_each_use():
    linear = TORCH.layers.linear.linear
    weight = torch.nn.Parameter(torch.ones(1, 1, dtype=torch.float64))
    with record() as recording:
        y = linear(torch.ones(1, 1, dtype=torch.float64), weight, None)
        z = linear(y, weight, None)
    z.sum().backward()
    shares = [local.gradient.item() for key, local in recording if key.name == "weight"]
    assert shares == [1, 1]
    assert weight.grad.item() == 2


def test_nothing_is_recorded_outside_of_the_watched_folders():
    def f(x):
        y = x + 1
        return y
    assert recorded(f, np.zeros(1)) == {}


def test_the_tracer_before_is_restored(monkeypatch):
    class Coverage:
        def __call__(self, frame, event, argument):
            return None
    Coverage.__module__ = "coverage.tracer"
    before, coverage = sys.gettrace(), Coverage()
    try:
        sys.settrace(coverage)
        with record() as recording:
            NUMPY.layers.linear.linear(np.ones((1, 1)), np.ones((1, 1)), None)
        assert sys.gettrace() is coverage
        assert len(recording.calls) == 1
        with pytest.raises(ZeroDivisionError), record():
            1 / 0
        assert sys.gettrace() is coverage
    finally:
        sys.settrace(before)


def test_under_a_debugger_it_says_so_and_steps_aside():
    def debugger(frame, event, argument):
        return None
    before = sys.gettrace()
    try:
        sys.settrace(debugger)
        with pytest.warns(UserWarning, match="a debugger is at work"), record() as recording:
            NUMPY.layers.linear.linear(np.ones((1, 1)), np.ones((1, 1)), None)
        assert sys.gettrace() is debugger
    finally:
        sys.settrace(before)
    assert recording.aside and not recording.calls


def test_a_debugger_that_is_started_inside_keeps_its_tracer():
    def debugger(frame, event, argument):
        return None
    before = sys.gettrace()
    try:
        with pytest.warns(UserWarning, match="a debugger was started"), record() as recording:
            sys.settrace(debugger)
        assert sys.gettrace() is debugger
    finally:
        sys.settrace(before)
    assert recording.aside


def test_a_case_under_a_debugger_still_compares_results():
    from parity_tests.harness.catalog.linear import CASES

    def debugger(frame, event, argument):
        return None
    before = sys.gettrace()
    try:
        sys.settrace(debugger)
        with pytest.warns(UserWarning):
            rows = CASES[0].rows()
    finally:
        sys.settrace(before)
    assert {row.kind for row in rows} == {"output", "input gradient"}


# Steps

def steps_of(recording):
    """(function, kind, line in the sample, [names]) of each step."""
    return [(step.call.function, step.kind, step.line, [*(name for name, _ in step.names), *(
        name for name, _ in step.attributes)]) for step in recording.steps]


def test_steps_are_in_the_order_of_execution():
    f = define("""
        def inner(x):
            y = x + 1
            return y

        def f(x):
            if len(x):
                a, b = inner(
                    x), 2
            return a
    """)["f"]
    with record() as recording:
        f(np.zeros(1))
    assert steps_of(recording) == [
        ("f", "call", 6, ["x"]), ("f", "line", 7, []),
        ("inner", "call", 2, ["x"]), ("inner", "line", 3, ["y"]), ("inner", "line", 4, []), ("inner", "return", 4, []),
        ("f", "line", 8, ["a"]), ("f", "line", 10, []), ("f", "return", 10, [])]
    outer, inner = recording.calls
    assert inner.parent is outer and inner.called_from == 8 and outer.parent is None
    assert (outer.time, inner.time) == (0, 2)
    assert [local.time for _, local in recording] == [0, 6, 2, 3]
    assert outer.others == {"b": [(6, "2")]}


def test_numbers_and_shapes_are_kept_as_text():
    f = define("""
        def f(x, scale, name=None):
            shape = x.shape
            pair = (x, 1)
            scale = 2 * scale
            return shape
    """)["f"]
    with record() as recording:
        f(np.zeros((2, 3)), 0.5)
    assert recording.calls[0].others == {
        "scale": [(0, "0.5"), (3, "1.0")], "name": [(0, "None")], "shape": [(1, "(2, 3)")],
        "returned": [(5, "(2, 3)")]}


def test_what_is_assigned_below_self_is_recorded_apart():
    names = define("""
        class Counter:
            def forward(self, x):
                self.total.data += x
                self.last = x
                self.count = 1
                self.cells[0] = x
                other.value = x
    """, other=type("Other", (), {}))
    counter = names["Counter"]()
    counter.total, counter.cells = type("Box", (), {"data": np.zeros(1)})(), [0]
    with record() as recording:
        counter.forward(np.ones(1))
        counter.forward(np.ones(1))
    assert [{name: [local.value.tolist() for local in assignments] for name, assignments in call.attributes.items()}
            for call in recording.calls] == [{"self.total.data": [[1]], "self.last": [[1]]},
                                             {"self.total.data": [[2]], "self.last": [[1]]}]
    assert steps_of(recording)[1] == ("Counter.forward", "line", 4, ["self.total.data"])


def test_a_statement_that_raises_assigns_nothing():
    f = define("""
        def f(x):
            self.y = x
            try:
                x = x / fail()
            except ZeroDivisionError:
                self.x = x / fail()
            return x
    """, self=type("Outside", (), {}), fail=lambda: 1 / 0)["f"]
    with pytest.raises(ZeroDivisionError), record() as recording:
        f(np.zeros(1))
    assert [str(key) for key, _ in recording] == ["f: x"]
    assert [step.line for step in recording.steps] == [2, 3, 4, 5, 7, 7]


def test_other_files_are_watched_where_they_are_asked_for():
    def f(x):
        y = x + 1
        return y
    with record(also=[f.__code__.co_filename]) as recording:
        f(np.zeros(1))
    name = "test_other_files_are_watched_where_they_are_asked_for.<locals>.f"
    assert [str(key) for key, _ in recording] == [f"{name}: x", f"{name}: y"]


def test_recording_numpy_alone_needs_no_torch():
    run_python("-c", """
import sys
import numpy as np
from numpy_impl.layers.linear import linear
from parity_tests.harness.recorder import record
with record() as recording:
    linear(np.ones((1, 1)), np.ones((1, 1)), None)
assert len(recording.calls) == 1 and "torch" not in sys.modules
""")
