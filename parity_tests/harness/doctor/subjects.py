"""What can be graded: each primitive with a backward pass, each module; and the examples that it is graded on."""

import dataclasses
import difflib
import functools
import importlib
import inspect
import pickle
import pkgutil
import types
from fnmatch import fnmatch

import numpy as np

import numpy_impl.layers
import numpy_impl.models
from numpy_impl.module import Module
from parity_tests.harness.doctor import recipes
from parity_tests.harness.doctor.jobs import Job, name_outputs
from parity_tests.harness.doctor.modules import has_dropout
from parity_tests.harness.errors import UserError


@dataclasses.dataclass(frozen=True)
class Subject:
    """A primitive (`of` is its forward function) or a module (`of` is the class). file: "normalization"."""

    name: str
    of: object
    file: str

    @property
    def is_module(self):
        return inspect.isclass(self.of)

    @functools.cached_property
    def backward(self):
        """Our backward function of a primitive."""
        return getattr(inspect.getmodule(self.of), f"{self.name}_backward")

    @property
    def arguments(self):
        """The names of the backward function's arguments."""
        return tuple(inspect.signature(self.backward).parameters)

    @property
    def signature(self):
        return f"{self.name}_backward({', '.join(self.arguments)})"


@functools.cache
def all_subjects():
    """{name: Subject} of every primitive and every module."""
    found = {}
    for package in (numpy_impl.layers, numpy_impl.models):
        for file in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{file.name}")
            for name, value in vars(module).items():
                if getattr(value, "__module__", None) != module.__name__:
                    continue
                is_primitive = inspect.isfunction(value) and f"{name}_backward" in vars(module)
                is_module = inspect.isclass(value) and issubclass(value, Module)
                if is_module or is_primitive and not name.endswith("_lean"):
                    found[name] = Subject(name, value, file.name)
    return found


def subject_of(name):
    """The Subject of this name. Raises UserError with those that are near."""
    subjects = all_subjects()
    if name in subjects:
        return subjects[name]
    plain = str(name).lower().replace("_", "").replace("-", "")
    texts = {known: known.lower().replace("_", "") for known in subjects}
    close = difflib.get_close_matches(plain, set(texts.values()), 3, 0.6)
    near = [known for wanted in close for known, text in texts.items() if text == wanted]
    near += [known for known, text in texts.items() if len(plain) > 2 and plain in text and known not in near]
    hint = f", such as {', '.join(near[:4])}" if near else f": {', '.join(subjects)}"
    raise UserError(f"name: was {name!r}, must be a primitive or a module{hint}")


@dataclasses.dataclass
class Example:
    """One run that a learner's code is graded on, with all that is known about it.

    truth: {gradient: array} in the order in which backward returns them; parameters: {path: gradient}; outputs,
    buffers: after the forward pass. locals: {(function, name): [arrays]} of the run of ours, functions as the learner
    would call them. known: [Known]. sizes: {name: number}. loose: what float32 may be off by. zero: gradients that are
    zero by analysis. everything: names of the gradients of all floating arguments. """

    label: str
    dtype: str
    job: Job
    inputs: dict
    outputs: list
    truth: dict
    everything: tuple
    upstreams: list
    parameters: dict = dataclasses.field(default_factory=dict)
    buffers: dict = dataclasses.field(default_factory=dict)
    locals: dict = dataclasses.field(default_factory=dict)
    known: list = dataclasses.field(default_factory=list)
    sizes: dict = dataclasses.field(default_factory=dict)
    zero: tuple = ()
    case: object = None

    @property
    def gradients(self):
        """{name: truth} of all gradients: of the arguments and of the parameters."""
        return {**self.truth, **{f"d_{path}": array for path, array in self.parameters.items()}}

    def is_zero(self, name):
        """True for a gradient that is zero by analysis, so that all its digits are rounding."""
        return any(fnmatch(name.removeprefix("d_"), pattern) for pattern in self.zero)

    @property
    def results(self):
        """{name: truth} of the outputs ("y", or "y[0]" and so on) and of all gradients."""
        return {**name_outputs(self.outputs), **self.gradients}


@dataclasses.dataclass
class Known:
    """An array that came up in our own run. function, name: where and as what; line: where it was assigned."""

    function: str
    name: str
    value: np.ndarray
    line: int
    is_backward: bool


def cases_of(subject):
    """The catalog's cases of this primitive or module. Raises UserError if there is none."""
    from parity_tests.harness.catalog import all_cases
    from parity_tests.harness.runs import NUMPY

    found = []
    for case in all_cases().values():
        if case.name.startswith(f"{subject.file}:"):
            built = case.build(NUMPY, "float64", np.random.default_rng(0))
            if built is subject.of or type(built) is subject.of:
                found.append(case)
    if not found:
        raise UserError(f"name: was {subject.name!r}, of which the catalog has no case to grade it on")
    return found


def variants_of(subject, cases):
    """Cases of a primitive in two other sets of sizes, so that a number that happens to fit is noticed."""
    if subject.is_module or subject.name not in recipes.RECIPES:
        return []
    return [variant(subject, cases[0], index, sizes) for index, sizes in enumerate(recipes.SIZES)]


def variant(subject, case, index, sizes, change=None):
    """A case in these sizes. change(inputs): simplifies them; returns None where it does not apply, as this does."""
    drawn = recipes.draw(subject.name, np.random.default_rng([index, 11]), sizes)
    if change and change(drawn) is None:
        return None

    def inputs(rng, dtype):
        values = recipes.draw(subject.name, np.random.default_rng([index, 11]), sizes, dtype)
        return change(values) if change else values
    return dataclasses.replace(case, name=f"{subject.name}, sizes {index + 1}", inputs=inputs, seed=index)


def example_of(subject, case, dtype="float64", independent=True, upstream=None):
    """The Example of a case. independent: the truth is torch's, else that of our own plain backward pass.

    upstream(index, output) replaces the case's.
    """
    from parity_tests.harness import runs

    built, inputs = case.numpy_twin(dtype), case.draw_inputs(dtype)
    upstream = upstream or case.upstream
    floating = tuple(f"d_{name}" for name, value in inputs.items() if runs.is_floating(value))
    state = {path: array.copy() for path, array in built.state_dict().items()} if subject.is_module else {}
    ours = runs.run_numpy(case, built, inputs, upstream, lean=False)
    outputs = [output for _, output in sorted(ours.outputs.items())]
    truth = ours
    if independent:
        truth = runs.run_torch(case, case.torch_twin(state, dtype), inputs, upstream)
    upstreams = list(runs.upstream_gradients(upstream, outputs).values())
    positional, by_name = runs.bind(built.forward if subject.is_module else built, inputs)
    job = Job(case.name, positional, by_name, upstreams, state=state, training=case.training)
    if subject.is_module:
        parameters = [path for path, _ in built.named_parameters()]
        job.options = {"parameters": parameters, "dropout": has_dropout(built)}
        job.constructor = pickle.dumps(constructor_of(subject, case, dtype, built))
    else:
        *_, job.cache = runs.numpy_forms(built, lean=False)[0](inputs)
    return Example(
        case.name, dtype, job, inputs, outputs,
        truth={f"d_{name}": _or_zeros(gradient, inputs[name]) for name, gradient in truth.input_gradients.items()},
        everything=floating, upstreams=upstreams,
        parameters={path: _or_zeros(gradient, state[path]) for path, gradient in truth.parameter_gradients.items()},
        buffers=ours.buffers, locals=_locals_of(subject, ours.recording), known=_known(ours.recording),
        sizes=recipes.sizes_of(subject.name, inputs), zero=case.zero_gradients, case=case)


def _or_zeros(gradient, value):
    """A gradient as an array of its own; zeros where the loss does not depend on the value."""
    return np.zeros_like(value) if gradient is None else np.array(gradient)


def _known(recording):
    found = []
    for key, local in recording:
        is_backward = key.function.endswith("backward")
        if not is_backward or key.name.startswith("d_"):
            found.append(Known(key.function, key.name, local.value, local.line, is_backward))
    return found


def _locals_of(subject, recording):
    """{(path, function, name): [arrays]}; the primitive's own two functions are called "forward" and "backward"."""
    roles = {} if subject.is_module else {subject.name: "forward", f"{subject.name}_backward": "backward"}
    found = {}
    for call in recording.calls:
        function = roles.get(call.function, call.function)
        if call.parent is None or subject.is_module:
            for name, assignments in call.locals.items():
                values = [local.value for local in assignments]
                found.setdefault((call.path, function, name), []).extend(values)
    return found


# How a case builds a module: which arguments

def constructor_of(subject, case, dtype, built):
    """(args, kwargs) with which the case builds the module."""
    from parity_tests.harness.runs import NUMPY

    seen = []
    case.build(_Spy(NUMPY, subject.of, seen), dtype, np.random.default_rng([case.seed, 0]))
    if seen:
        return seen[-1]
    names = [name for name in inspect.signature(subject.of).parameters if hasattr(built, name)]
    return tuple(getattr(built, name) for name in names), {}    # built by a helper, as activation("gelu") does


class _Spy:
    """A twin that notes with what arguments one of its classes is called."""

    def __init__(self, inner, wanted, seen):
        self._inner, self._wanted, self._seen = inner, wanted, seen

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        if value is self._wanted:
            return self._note
        is_container = isinstance(value, (type(self._inner), types.ModuleType))
        return _Spy(value, self._wanted, self._seen) if is_container else value

    def _note(self, *args, **kwargs):
        self._seen.append((args, kwargs))
        return self._wanted(*args, **kwargs)
