"""Watch a twin run, and keep every array that a statement assigns to a local name. No layer knows of it.

`sys.settrace` calls us at each call, line and return of the functions in the watched folders. When a statement has
been left, the names that it assigned are read from the frame. Function arguments count as the first assignment of their
name. Loop variables, comprehension variables, tuples and caches are not recorded. The steps of the run are kept in
their order, so that one can go through it again: statement by statement, in the stepper.

torch's `x.grad` sums over all consumers of x, while a hand-written d_x is the share of one call. Therefore each torch
function receives its differentiable arguments through an identity node (`x.view_as(x)`): an argument's gradient is then
that call's share.
"""

import contextlib
import dataclasses
import functools
import inspect
import os
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

import numpy_impl
import torch_impl
from parity_tests.harness.statements import statements_of

TWINS = (numpy_impl, torch_impl)
FOLDERS = ("layers", "models", "training", "inference")
WATCHED = tuple(str(Path(twin.__file__).parent / folder) + os.sep for twin in TWINS for folder in FOLDERS)
LARGE = 1 << 16    # bytes; whether a larger argument is changed is only looked at when the call returns
HARMLESS_TRACERS = ("coverage", "hypothesis")    # packages that trace too, and can do without us for a moment


class Step(NamedTuple):
    """One step of a run. kind: "call" (the arguments are there), "line" (a statement has been left) or "return".

    names: ((name, number), ...) of the arrays that it assigned; attributes: the same for `self.weight.grad`; changes:
    the same for arrays that it wrote into, as in `x[i] = y` or `np.exp(x, out=x)`.
    """

    call: "Call"
    kind: str
    line: int
    names: tuple = ()
    attributes: tuple = ()
    changes: tuple = ()


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
    gradient after the backward pass. line: where it was assigned. time: in which of the recording's steps.
    """

    value: np.ndarray
    source: object
    line: int
    time: int

    @property
    def is_differentiable(self):
        return _needs_gradient(self.source)

    @property
    def gradient(self):
        """torch's gradient as an array; None if the loss does not depend on this value."""
        gradient = getattr(self.source, "grad", None)
        return None if gradient is None else gradient.detach().numpy()


@dataclasses.dataclass
class Call:
    """One call of a function.

    module: the object that `self` is in it. code: the function's code object. parent, called_from: the watched call
    that it was made in (None for the outermost), and the line there. time: which of the recording's steps it begins
    with. arguments: names of the array arguments, in order. locals: {name: [Local, ...]}. attributes: the same for what
    is assigned below `self`; and in_place for local names, where a statement has changed what an array holds. others:
    {name: [(time, text), ...]} of numbers, texts, None and shapes.
    returned: the arrays that it returned, as Locals. changed: {argument: (time, line)} of those whose bytes the call
    has changed, with the statement that did it. end: the time and the line of its return; None where it raised.
    cache: what a forward function returned last or a forward method saved, and what a backward function was given.
    """

    path: str
    function: str
    number: int
    module: object
    code: object = None
    parent: "Call | None" = None
    called_from: int | None = None
    time: int = 0
    arguments: list = dataclasses.field(default_factory=list)
    locals: dict = dataclasses.field(default_factory=dict)
    attributes: dict = dataclasses.field(default_factory=dict)
    in_place: dict = dataclasses.field(default_factory=dict)
    others: dict = dataclasses.field(default_factory=dict)
    returned: list = dataclasses.field(default_factory=list)
    changed: dict = dataclasses.field(default_factory=dict)
    end: tuple | None = None
    cache: object = None

    def key(self, name, number=0):
        return Key(self.path, self.function, self.number, name, number)

    def versions(self, name):
        """All Locals of a name, assigned or changed in place, in their order."""
        return sorted(self.locals.get(name, []) + self.in_place.get(name, []), key=lambda local: local.time)


class Recording:
    """All calls in order, and all steps: `most` of them, if that is a number, and nothing of what comes later.

    `aside` is True where a debugger was at work and nothing could be recorded.
    """

    def __init__(self, most=None):
        self.calls = []
        self.steps = []
        self.most = most
        self.aside = False

    def __iter__(self):
        """Yield (Key, Local) of every recorded value, call by call."""
        for call in self.calls:
            for name, assignments in call.locals.items():
                for number, local in enumerate(assignments):
                    yield call.key(name, number), local

    @property
    def is_full(self):
        """True when nothing more is recorded."""
        return self.most is not None and len(self.steps) >= self.most


@contextlib.contextmanager
def record(root=None, also=(), most=None):
    """Record inside the `with` block; yields the Recording.

    root: the module whose `named_modules()` give each call its path; None where plain functions are recorded.
    also: more files to watch, as their code objects call them: somebody's own layer, or the cell of a notebook.
    most: so many steps are recorded, and what comes later runs unwatched; None for all.
    Restores the previous tracer. Under a debugger it warns and records nothing.
    """
    recording = Recording(most)
    previous = sys.gettrace()
    if previous is not None and not _owner(previous).__module__.startswith(HARMLESS_TRACERS):
        warnings.warn("a debugger is at work: locals are not recorded, only results are compared", stacklevel=3)
        recording.aside = True
        yield recording
        return
    tracer = _Tracer(recording, root, also)
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

    def __init__(self, recording, root, also):
        self.recording = recording
        self.also = frozenset(also)
        self.paths = {id(module): path for path, module in root.named_modules()} if root is not None else {}
        self.running = []       # a _Watch for each call that is being watched, outermost first
        self.call_counts = {}

    def on_call(self, frame, event, argument):
        code = frame.f_code
        is_watched = code.co_filename.startswith(WATCHED) or code.co_filename in self.also
        if not is_watched or self.recording.is_full or code.co_flags & inspect.CO_GENERATOR:
            return None
        statements = statements_of(code)
        if statements is None:    # a lambda, a comprehension, the body of a class or module
            return None
        module = frame.f_locals.get("self")
        outer = self.running[-1] if self.running else None
        path = self.paths.get(id(module), outer.call.path if outer else "")
        number = self.call_counts.get((path, code.co_qualname), 0)
        self.call_counts[path, code.co_qualname] = number + 1
        call = Call(path, code.co_qualname, number, module, code, time=len(self.recording.steps))
        if outer:
            call.parent, call.called_from = outer.call, outer.line
        self.recording.calls.append(call)
        watch = _Watch(call, statements, frame, self.recording, self.running)
        self.running.append(watch)
        return watch.on_event


class _Watch:
    """Follows one call from line to line, and credits each statement when it has been left.

    Each event reads `frame.f_locals` once: up to Python 3.12 a second look would undo what was set in it.
    """

    def __init__(self, call, statements, frame, recording, running):
        self.call = call
        self.statements = statements
        self.recording = recording
        self.steps = recording.steps
        self.running = running
        self.statement = None
        self.is_raising = False
        self.before = []        # (argument, array, its bytes)
        code = frame.f_code
        variables = frame.f_locals
        call.cache = variables.get("cache")
        for name in code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]:
            value = variables[name]
            if _needs_gradient(value) and sys.modules["torch"].is_grad_enabled():
                variables[name] = value = value.view_as(value)    # what a tracer sets here, the function will see
            if self._record(name, value, frame.f_lineno):
                call.arguments.append(name)
            self.before += [(name, array, array.tobytes()) for array in _arrays_in(value)]
        if code.co_flags & inspect.CO_VARARGS:    # by names of their own; they are nothing that one steps to
            name = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]
            for place, value in enumerate(variables[name]):
                self._record(f"{name}[{place}]", value, frame.f_lineno)
        self._step("call", frame.f_lineno, [(name, 0) for name in call.arguments])

    @property
    def line(self):
        """The first line of the statement that is being executed."""
        return self.statement.lines.start if self.statement else self.call.code.co_firstlineno

    def on_event(self, frame, event, argument):
        if self.recording.is_full:
            frame.f_trace_lines = False
            if event == "return":
                self.running.pop()
            return self.on_event
        if event == "return":
            self._credit(frame)
            self._note_changes(self.line, most=None)
            values = argument if isinstance(argument, tuple) else (argument,)
            self.call.returned = [self._local(value, frame.f_lineno) for value in values if _is_array(value)]
            if argument is not None and not _is_array(argument):
                self._record("returned", argument, self.line)
            if not self.is_raising:
                self.call.end = len(self.steps), self.line
                self._keep_cache(argument)
            self._step("return", frame.f_lineno)
            self.running.pop()
        elif event == "exception":
            self.is_raising = True
            if self.statement is not None:
                self._step("line", self.line)    # what raises assigns nothing
                self.statement = None
        elif event == "line":
            self.is_raising = False
            if self.statement is None or frame.f_lineno not in self.statement.lines:
                self._credit(frame)
                self.statement = self.statements.get(frame.f_lineno)
        return self.on_event

    def _keep_cache(self, returned):
        """What a forward function returns last, or a forward method saves; a backward function has its already."""
        saved = getattr(self.call.module, "_saved", None)
        if saved:
            self.call.cache = saved[0]
        elif self.call.cache is None and isinstance(returned, tuple) and returned:
            self.call.cache = returned[-1]

    def _credit(self, frame):
        """Record what the statement that has just been left assigned."""
        if self.statement is None:
            return
        variables, line = frame.f_locals, self.line
        names = [name for name in self.statement.names
                 if name in variables and self._record(name, variables[name], line)]
        attributes = [name for name in self.statement.attributes
                      if self._record_attribute(name, variables.get("self"), line)]
        self._note_changes(line)
        changes = [name for name in self.call.locals
                   if name not in names and self._record_change(name, variables, line)]
        self._step("line", line, *([(name, len(kept[name]) - 1) for name in found] for found, kept in (
            (names, self.call.locals), (attributes, self.call.attributes), (changes, self.call.in_place))))

    def _note_changes(self, line, most=LARGE):
        """Find the arguments, of at most so many bytes, that the statement has changed."""
        for name, array, before in self.before:
            if name not in self.call.changed and (most is None or len(before) <= most) and array.tobytes() != before:
                self.call.changed[name] = len(self.steps), line

    def _step(self, kind, line, names=(), attributes=(), changes=()):
        self.steps.append(Step(self.call, kind, line, tuple(names), tuple(attributes), tuple(changes)))

    def _record(self, name, value, line):
        """Keep an array, or the text of a number and the like; returns True for an array."""
        if _is_array(value):
            self.call.locals.setdefault(name, []).append(self._local(value, line))
        elif _is_plain(value):
            text = repr(tuple(value) if isinstance(value, tuple) else value)    # torch.Size is a tuple of its own kind
            self.call.others.setdefault(name, []).append((len(self.steps), text))
        return _is_array(value)

    def _record_attribute(self, name, owner, line):
        """Keep the array that "self.weight.grad" is now; returns False where it is no array."""
        value = functools.reduce(lambda part, attribute: getattr(part, attribute, None), name.split(".")[1:], owner)
        if _is_array(value):
            self.call.attributes.setdefault(name, []).append(self._local(value, line))
        return _is_array(value)

    def _record_change(self, name, variables, line):
        """Keep a NumPy array that holds other numbers than before; returns True if it does."""
        value, known = variables.get(name), self.call.in_place.get(name, []) + self.call.locals[name][-1:]
        newest = max(known, key=lambda local: local.time)
        is_changed = (isinstance(value, np.ndarray) and value is newest.source
                      and value.tobytes() != newest.value.tobytes())
        if is_changed:
            self.call.in_place.setdefault(name, []).append(self._local(value, line))
        return is_changed

    def _local(self, value, line):
        """Copy the array as it stands now, and make torch keep the gradient, which it drops unless at a leaf."""
        if _needs_gradient(value) and not value.is_leaf:
            value.retain_grad()
        array = value.detach().numpy() if _is_tensor(value) else value
        return Local(np.array(array), value, line, len(self.steps))


def _is_array(value):
    return isinstance(value, (np.ndarray, np.floating)) or _is_tensor(value)


def _is_tensor(value):
    """True for a torch tensor. Where only NumPy runs, torch, which is slow to load, need not be there."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _needs_gradient(value):
    return _is_tensor(value) and value.requires_grad


def _is_plain(value):
    """A number, a text, True, None, or a shape."""
    if isinstance(value, tuple):
        return all(isinstance(part, (int, np.integer)) for part in value)
    return value is None or isinstance(value, (bool, int, float, str, np.integer, np.bool_))


def _arrays_in(value):
    """The NumPy arrays in an argument: itself, or those in a cache."""
    if isinstance(value, np.ndarray):
        return [value]
    return [array for part in value for array in _arrays_in(part)] if isinstance(value, (tuple, list)) else []
