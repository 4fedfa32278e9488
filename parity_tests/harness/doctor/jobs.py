"""What the doctor and the process that runs a learner's code tell each other: plain data that can be pickled."""

import dataclasses
import re
from typing import NamedTuple

import numpy as np


@dataclasses.dataclass
class Job:
    """One run of the learner's code.

    inputs: positional arguments of the forward pass; by_name: those that are keyword-only. upstreams: the gradients
    that the backward pass starts from. cache: what our forward pass kept (primitives). record: keep the locals.
    constructor: pickled (args, kwargs) of a module; state: its parameters and buffers by path; training: its mode;
    options: {"parameters": paths, "dropout": whether masks are drawn}.
    """

    label: str
    inputs: list
    by_name: dict
    upstreams: list
    cache: object = None
    record: bool = True
    constructor: bytes | None = None
    state: dict = dataclasses.field(default_factory=dict)
    training: bool = True
    options: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Search:
    """What an edit of the learner's code must reach in the first jobs.

    truths: for each of these jobs {name: array} of all that it gives. names: those names; wrong: those that are wrong
    now. returned, everything: for each job, the gradients that backward returns, in order, see `name_gradients`.
    factors: for each job {text: number}, what something may have to be multiplied with; terms, arrays, values: likewise
    {text: array}, what may have to be added, what may be meant by a variable, and true gradients that a local of
    backward may have to be. same_sizes: True where all jobs have the same, so that equal numbers cannot be told apart.
    """

    truths: list
    names: tuple
    wrong: frozenset
    returned: list
    everything: list
    factors: list
    terms: list
    arrays: list
    values: list
    same_sizes: bool = False
    seconds: float = 3.0
    tolerance: float = 1e-9


@dataclasses.dataclass
class Claims:
    """Locals that seem to be wrong, by their name: with the true gradient in its place nothing right may become wrong.

    job: the index of the job that they are from. returned, everything: as in a Search. right: {name: array} of what is
    right in that job. locals: [(line, name, true gradient)].
    """

    job: int
    returned: tuple
    everything: tuple
    right: dict
    locals: list


@dataclasses.dataclass
class Request:
    """Everything that a process needs. kind: "primitive", "module" or "check".

    file, wanted: where the code is, and the name that was asked for (or None). objects: {"backward": function, ...}
    where they are at hand. signature, arguments: what the function must look like, as text and as names. program: the
    module that a fresh interpreter runs.
    """

    kind: str
    name: str
    jobs: list
    signature: str = ""
    arguments: tuple = ()
    file: str | None = None
    wanted: str | None = None
    objects: dict = dataclasses.field(default_factory=dict)
    search: Search | None = None
    claims: Claims | None = None
    repeat: bool = True
    time_limit: float = 10.0
    options: dict = dataclasses.field(default_factory=dict)
    program: str = "parity_tests.harness.doctor.worker"


@dataclasses.dataclass
class Failure:
    """Why a run gave no result.

    kind: "missing", "syntax", "stub", "exit", "memory", "recursion", "arguments", "exception", "timeout", "killed",
    "refused" or "forward". shapes: {local: dtype and shape} at that line.
    """

    kind: str
    message: str
    file: str = ""
    line: int | None = None
    function: str = ""
    source: str = ""
    shapes: dict = dataclasses.field(default_factory=dict)
    job: str = ""


@dataclasses.dataclass
class Result:
    """What one job gave.

    gradients, outputs: `portable` values. parameters: {path: gradient}, parameters_twice: the same after a second pass.
    changed: names of arguments that were changed in place. locals: list of Watched. measured: see `derivatives`.
    """

    gradients: object = None
    outputs: object = None
    parameters: dict = dataclasses.field(default_factory=dict)
    parameters_twice: dict = dataclasses.field(default_factory=dict)
    buffers: dict = dataclasses.field(default_factory=dict)
    changed: list = dataclasses.field(default_factory=list)
    locals: list = dataclasses.field(default_factory=list)
    failure: Failure | None = None
    skipped: str = ""
    measured: dict = dataclasses.field(default_factory=dict)


class Watched(NamedTuple):
    """A local array of the learner's code, in the order of execution; what is returned has no name."""

    time: int
    path: str
    function: str
    name: str
    number: int
    line: int
    value: np.ndarray
    is_argument: bool

    @property
    def is_assigned(self):
        """True for what a statement gave a name."""
        return bool(self.name) and not self.is_argument


@dataclasses.dataclass(frozen=True)
class Other:
    """A value that is no array."""

    type: str
    text: str


def portable(value):
    """An array as a plain NumPy array, None as it is, tuples, lists and dicts of such; the rest as an Other."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc":
        return np.array(value)
    if value is None:
        return None
    if isinstance(value, tuple) or type(value) is list and any(isinstance(part, np.ndarray) for part in value):
        return tuple(portable(part) for part in value)
    if type(value) is dict:
        return {str(key): portable(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return Other("array of dtype", str(value.dtype))
    try:
        text = re.sub(r" at 0x[0-9a-fA-F]+|\s+(?=\s)", "", repr(value)).replace("\n", " ")
    except Exception as error:    # the learner's own __repr__
        text = f"<{type(error).__name__} in its repr>"
    return Other(type(value).__name__, text if len(text) <= 80 else text[:77] + "...")


def arrays_in(value):
    """The arrays in nested tuples, lists and dicts, in their order."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [array for part in value for array in arrays_in(part)] if isinstance(value, (tuple, list)) else []


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def bare_name(name):
    """What `name`, a learner's name of a gradient, is the gradient of: "x_hat" for d_x_hat, dx_hat, grad_x_hat."""
    lower = name.lower()
    for prefix in ("d_", "grad_", "g_", "d"):
        if lower.startswith(prefix) and len(lower) > len(prefix):
            return lower.removeprefix(prefix)
    return lower


def name_gradients(returned, names, everything=()):
    """(gradients by name, None), or (None, what is wrong with what the backward pass returned).

    returned: portable. names: the gradients that are wanted, in order. everything: the same with the gradients of
    floating arguments that need none; a learner may return those too, or None for each.
    """
    if not names:
        return {}, None
    if isinstance(returned, dict):
        by_name = {bare_name(key): value for key, value in returned.items()}
        missing = [name for name in names if bare_name(name) not in by_name]
        if missing:
            return None, f"returned a dict with {_listed(returned)}; missing: {_listed(missing)}"
        return {name: by_name[bare_name(name)] for name in names}, None
    values = as_tuple(returned)
    present = [value for value in values if value is not None]
    if not present:
        return None, f"returned None, must return {_listed(names)}"
    for chosen, order in ((present, names), (values, names), (values, everything)):
        if len(chosen) == len(order):
            by_name = dict(zip(order, chosen))
            return {name: by_name[name] for name in names}, None
    word = "gradient" if len(present) == 1 else "gradients"
    return None, (f"returned {len(present)} {word}, must return {len(names)}: {_listed(names)}"
                  + (", in this order" if len(names) > 1 else ""))


def name_outputs(outputs):
    """{name: array} of one output, "y", or several."""
    return {"y": outputs[0]} if len(outputs) == 1 else {f"y[{index}]": array for index, array in enumerate(outputs)}


def _listed(names):
    return ", ".join(names)
