"""Watch a twin run, and keep every array that a statement assigns to a local name. No layer knows of it.

`sys.settrace` calls us at each call, line and return of the functions in the watched folders. When a statement has
been left, the names that it assigned are read from the frame. Function arguments count as the first assignment of their
name. Loop variables, comprehension variables, tuples and caches are not recorded.

torch's `x.grad` sums over all consumers of x, while a hand-written d_x is the share of one call. Therefore each torch
function receives its differentiable arguments through an identity node (`x.view_as(x)`): an argument's gradient is then
that call's share.
"""

import contextlib
import dataclasses
import inspect
import os
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import numpy_impl
import torch_impl
from parity_tests.harness.statements import statements_of

TWINS = (numpy_impl, torch_impl)
FOLDERS = ("layers", "models", "training", "inference")
WATCHED = tuple(str(Path(twin.__file__).parent / folder) + os.sep for twin in TWINS for folder in FOLDERS)
HARMLESS_TRACERS = ("coverage", "hypothesis")    # packages that trace too, and can do without us for a moment


class Key(NamedTuple):
    """Identifies a recorded value: the number-th assignment of `name` in the call-th call of `function` at `path`."""

    path: str
    function: str
    call: int
    name: str
    number: int

    def __str__(self):
        where = f"{self.path}: " if self.path else ""
        call = f"[{self.call}]" if self.call else ""
        return f"{where}{self.function}{call}: {self.name}" + (f" #{self.number}" if self.number else "")


@dataclasses.dataclass
class Local:
    """One assignment. value: a copy of the array as it stood then. source: the object itself, which tells torch's
    gradient after the backward pass. line: where it was assigned.
    """

    value: np.ndarray
    source: object
    line: int

    @property
    def is_differentiable(self):
        return isinstance(self.source, torch.Tensor) and self.source.requires_grad

    @property
    def gradient(self):
        """torch's gradient as an array; None if the loss does not depend on this value."""
        gradient = getattr(self.source, "grad", None)
        return None if gradient is None else gradient.detach().numpy()


@dataclasses.dataclass
class Call:
    """One call of a function. arguments: names of the array arguments, in order. locals: {name: [Local, ...]}.
    returned: the arrays that it returned, as Locals. changed: the arguments whose bytes the call has changed.
    """

    path: str
    function: str
    number: int
    module: object
    arguments: list = dataclasses.field(default_factory=list)
    locals: dict = dataclasses.field(default_factory=dict)
    returned: list = dataclasses.field(default_factory=list)
    changed: list = dataclasses.field(default_factory=list)

    def key(self, name, number=0):
        return Key(self.path, self.function, self.number, name, number)


class Recording:
    """All calls in order. `aside` is True where a debugger was at work and nothing could be recorded."""

    def __init__(self):
        self.calls = []
        self.aside = False

    def __iter__(self):
        """Yield (Key, Local) of every recorded value, call by call."""
        for call in self.calls:
            for name, assignments in call.locals.items():
                for number, local in enumerate(assignments):
                    yield call.key(name, number), local


@contextlib.contextmanager
def record(root=None):
    """Record inside the `with` block; yields the Recording.

    root: the module whose `named_modules()` give each call its path; None where plain functions are recorded.
    Restores the previous tracer. Under a debugger it warns and records nothing.
    """
    recording = Recording()
    previous = sys.gettrace()
    if previous is not None and not _owner(previous).__module__.startswith(HARMLESS_TRACERS):
        warnings.warn("a debugger is at work: locals are not recorded, only results are compared", stacklevel=3)
        recording.aside = True
        yield recording
        return
    tracer = _Tracer(recording, root)
    sys.settrace(tracer.on_call)
    try:
        yield recording
    finally:
        if sys.gettrace() == tracer.on_call:
            sys.settrace(previous)
        else:    # breakpoint() was called inside, and its debugger shall keep on working
            warnings.warn("a debugger was started: what ran under it was not recorded", stacklevel=3)
            recording.aside = True


def _owner(tracer):
    """The class of a tracer object, or of the object whose method it is; a plain function itself."""
    owner = getattr(tracer, "__self__", tracer)
    return owner if inspect.isfunction(owner) else type(owner)


class _Tracer:
    """Decides which calls are watched, and knows their place in the tree of modules."""

    def __init__(self, recording, root):
        self.recording = recording
        self.paths = {id(module): path for path, module in root.named_modules()} if root is not None else {}
        self.running = []       # the calls that are being watched, outermost first
        self.call_counts = {}

    def on_call(self, frame, event, argument):
        code = frame.f_code
        if not code.co_filename.startswith(WATCHED) or code.co_flags & inspect.CO_GENERATOR:
            return None
        statements = statements_of(code)
        if statements is None:    # a lambda, a comprehension, the body of a class or module
            return None
        module = frame.f_locals.get("self")
        path = self.paths.get(id(module), self.running[-1].path if self.running else "")
        number = self.call_counts.get((path, code.co_qualname), 0)
        self.call_counts[path, code.co_qualname] = number + 1
        call = Call(path, code.co_qualname, number, module)
        self.recording.calls.append(call)
        self.running.append(call)
        return _Watch(call, statements, frame, self.running).on_event


class _Watch:
    """Follows one call from line to line, and credits each statement when it has been left.

    Each event reads `frame.f_locals` once: up to Python 3.12 a second look would undo what was set in it.
    """

    def __init__(self, call, statements, frame, running):
        self.call = call
        self.statements = statements
        self.running = running
        self.statement = None
        self.before = []        # (argument, array, its copy)
        code = frame.f_code
        variables = frame.f_locals
        for name in code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]:
            value = variables[name]
            if _needs_gradient(value) and torch.is_grad_enabled():
                variables[name] = value = value.view_as(value)    # what a tracer sets here, the function will see
            if self._record(name, value, frame.f_lineno):
                call.arguments.append(name)
            self.before += [(name, array, array.copy()) for array in _arrays_in(value)]

    def on_event(self, frame, event, argument):
        if event == "return":
            self._credit(frame)
            values = argument if isinstance(argument, tuple) else (argument,)
            self.call.returned = [_local(value, frame.f_lineno) for value in values if _is_array(value)]
            self.call.changed = [name for name, array, copy in self.before if array.tobytes() != copy.tobytes()]
            self.running.pop()
        elif event == "line" and (self.statement is None or frame.f_lineno not in self.statement.lines):
            self._credit(frame)
            self.statement = self.statements.get(frame.f_lineno)
        return self.on_event

    def _credit(self, frame):
        """Record what the statement that has just been left assigned."""
        if self.statement is None:
            return
        variables = frame.f_locals
        for name in self.statement.names:
            if name in variables:
                self._record(name, variables[name], self.statement.lines.start)

    def _record(self, name, value, line):
        """Keep an array; returns False for anything else."""
        if _is_array(value):
            self.call.locals.setdefault(name, []).append(_local(value, line))
        return _is_array(value)


def _is_array(value):
    return isinstance(value, (np.ndarray, np.floating, torch.Tensor))


def _needs_gradient(value):
    return isinstance(value, torch.Tensor) and value.requires_grad


def _local(value, line):
    """Copy the array as it stands now, and make torch keep the gradient, which it drops otherwise unless at a leaf."""
    if _needs_gradient(value) and not value.is_leaf:
        value.retain_grad()
    array = value.detach().numpy() if isinstance(value, torch.Tensor) else value
    return Local(np.array(array), value, line)


def _arrays_in(value):
    """The NumPy arrays in an argument: itself, or those in a cache."""
    if isinstance(value, np.ndarray):
        return [value]
    return [array for part in value for array in _arrays_in(part)] if isinstance(value, (tuple, list)) else []
