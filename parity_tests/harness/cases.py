"""A case: one layer, model or primitive with its inputs, run in both twins and compared tensor by tensor."""

import dataclasses
import functools
from typing import Callable

import numpy as np
import torch

from numpy_impl.module import no_grad
from parity_tests.harness.comparator import bound_at, compare, is_listed, twin_of
from parity_tests.harness.judge import (
    FLOAT32_BOUND, LARGEST_FLOAT32_BOUND, LAYER_BOUND, OWN_ERROR_FACTOR, Row, error_in_eps, first_wrong, judge)
from parity_tests.harness.runs import (
    NUMPY, TORCH, as_array, copied, has_lean_form, is_floating, is_module, numpy_forms, run_numpy, run_torch,
    to_precision, upstream_gradients)

TABLE_BOUND = 8    # eps
FORMS = ("plain", "lean", "plain float32", "lean float32", "contract")


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """What to build, and what to feed it.

    name: unique; it starts with the name of the layer's file.
    build(twin, dtype, rng): a module, or a plain function, of `twin` (as in `twin.layers.linear.Linear`).
    inputs(rng, dtype): {argument: value} in the order of the arguments: arrays, None or constants.
    bound: in eps of float64; LAYER_BOUND or MODEL_BOUND.
    training: False runs in evaluation mode.
    prepare(module, rng): changes the NumPy module after its parameters have been drawn (buffers, for instance).
    frozen: floating inputs that get no gradient. outputs_without_gradient: indices of outputs that carry none.
    analytic: False for a primitive that the complex-step oracle cannot differentiate (kinks, comparisons).
    zero_gradients: "path.name" (* is a wildcard) of inputs, parameters and locals whose gradient is zero by analysis.
    omitted: {NumPy function: (names,)} that the lean forms leave out, see `compare`.
    cut_rows: {name: row} of an input or parameter whose gradient is cut off by design, as that of padding is: there no
    derivative can judge it.
    extreme: True where torch's float32 may be far off, so that its error tells little; elsewhere that is a failure.
    """

    name: str
    build: Callable
    inputs: Callable
    bound: float = LAYER_BOUND
    training: bool = True
    prepare: Callable | None = None
    frozen: tuple = ()
    outputs_without_gradient: tuple = ()
    analytic: bool = True
    zero_gradients: tuple = ()
    omitted: dict = dataclasses.field(default_factory=dict)
    cut_rows: dict = dataclasses.field(default_factory=dict)
    extreme: bool = False
    seed: int = 0

    def __str__(self):
        return self.name

    def empty(self, *names):
        """This case with an empty batch: the first axis of the named inputs has length 0."""
        def inputs(rng, dtype):
            return {name: value[:0] if name in names else value for name, value in self.inputs(rng, dtype).items()}
        return dataclasses.replace(self, name=f"{self.name}, empty batch", inputs=inputs)

    # What a test calls

    def forms(self):
        """The forms that `check` takes: a primitive may have no lean form, and only a module has a contract."""
        built = self._build(NUMPY, "float64")
        if is_module(built):
            return FORMS
        return tuple(form for form in FORMS[:4] if "lean" not in form or has_lean_form(built))

    def check(self, form="plain"):
        """Raise AssertionError, with a line for each difference, unless the twins agree in this form."""
        if form == "contract":
            self._check_contract()
            return
        rows = self.rows(form)
        problems = [str(row) for row in rows if row.problem]
        assert rows, f"{self}: nothing was compared"
        summary = f"{self}, {form}: {len(problems)} of {len(rows)} comparisons fail"
        assert not problems, "\n".join([summary, *problems[:30]])
        if form.endswith("float32") and not self.extreme:
            loosest = max(rows, key=lambda row: row.bound)
            assert loosest.bound <= LARGEST_FLOAT32_BOUND, f"{self}: too loose: {loosest}"

    def rows(self, form="plain"):
        """Run both twins in one of the first four forms, and compare; returns a list of Row."""
        return self.compared(form)[1]

    def compared(self, form="plain"):
        """As `rows`, and the Run of the NumPy twin before them."""
        lean, dtype = form.startswith("lean"), "float32" if form.endswith("float32") else "float64"
        ours, theirs = self._build(NUMPY, dtype), self._build(TORCH, dtype)
        initial_rows = _compare_initial(ours, theirs)
        self._randomize(ours)
        inputs, state = self.draw_inputs(dtype), state_of(ours)
        # A copy: what our run does to its arguments is our fault alone.
        our_run = run_numpy(self, ours, copied(inputs), self.upstream, lean)
        their_run = run_torch(self, self._load(theirs, state), inputs, self.upstream)
        reference = None
        if dtype == "float32":
            reference = self.run_float64_reference(state, inputs)
        return our_run, initial_rows + self._compare(our_run, their_run, reference, self.omitted if lean else {})

    def first_wrong_before(self, error, form):
        """The Row of what was wrong first in a run of `compared` that raised this; None if there is none, or no run.

        A bug often raises in a later statement than its own, one that cannot take its shape.
        """
        dtype = "float32" if form.endswith("float32") else "float64"
        ours, inputs = self._build(NUMPY, dtype), self.draw_inputs(dtype)
        rows = _compare_initial(ours, self._build(TORCH, dtype))
        if first_wrong(rows) or not hasattr(error, "recording"):
            return first_wrong(rows)
        state = state_of(self._randomize(ours))
        theirs = run_torch(self, self.torch_twin(state, dtype), inputs, self.upstream)
        reference = self.run_float64_reference(state, inputs) if dtype == "float32" else None
        bound = self._float32_bounds(theirs, reference) if reference else self.bound
        return first_wrong(compare(error.recording, theirs.recording, bound=bound, zero_gradients=self.zero_gradients,
                                   reference=reference and reference.recording,
                                   omitted=self.omitted if form.startswith("lean") else {}))

    # What the runs are fed with

    def numpy_twin(self, dtype="float64"):
        """The NumPy module with its parameters drawn, or the function."""
        return self._randomize(self._build(NUMPY, dtype))

    def torch_twin(self, state, dtype="float64"):
        """The torch module with the parameters and buffers of `state`, or the function."""
        return self._load(self._build(TORCH, dtype), state)

    def draw_inputs(self, dtype="float64"):
        """{argument: value}, the same at each call."""
        return self.inputs(np.random.default_rng([self.seed, 1]), dtype)

    def upstream(self, index, output, drawn_in=None):
        """A random gradient of the index-th output, the same at each call; None if it has none.

        drawn_in: the dtype whose values it takes (default: the output's); a float32 run and its float64 reference get
        the same values.
        """
        if not is_floating(output) or index in self.outputs_without_gradient:
            return None
        gradient = np.random.default_rng([self.seed, 2, index]).standard_normal(output.shape)
        return np.asarray(gradient, drawn_in or output.dtype).astype(output.dtype)

    def run_float64_reference(self, state, inputs):
        """torch's Run in float64, on the values of a float32 run."""
        upstream = functools.partial(self.upstream, drawn_in="float32")
        twin = self.torch_twin(to_precision(state, "float64"))
        return run_torch(self, twin, to_precision(inputs, "float64"), upstream)

    def _build(self, twin, dtype):
        return self.build(twin, dtype, np.random.default_rng([self.seed, 0]))

    def _randomize(self, built):
        """Draw every parameter of a NumPy module, of order one, so that activations stay of order one. Returns it."""
        if is_module(built):
            rng = np.random.default_rng([self.seed, 3])
            for parameter in built.parameters():
                fan_in = parameter.shape[-1] if len(parameter.shape) > 1 else 1
                parameter.data[...] = rng.standard_normal(parameter.shape) / np.sqrt(fan_in)
            if self.prepare:
                self.prepare(built, rng)
            built.train(self.training)
        return built

    def _load(self, built, state):
        """Give a torch module the state of the NumPy one. Returns it."""
        if is_module(built):
            built.load_state_dict({path: torch.from_numpy(array) for path, array in state.items()})
            built.train(self.training)
        return built

    # What is checked

    def _compare(self, ours, theirs, reference, omitted):
        """Every local and its gradient, and the results."""
        rows = []
        bound = self._float32_bounds(theirs, reference) if reference else self.bound
        if not ours.recording.aside and not theirs.recording.aside:
            rows += compare(ours.recording, theirs.recording, bound=bound, omitted=omitted,
                            reference=reference and reference.recording, zero_gradients=self.zero_gradients)
        return rows + compare_results(ours, theirs, bound, reference, self.zero_gradients)

    def _float32_bounds(self, theirs, reference):
        """A function of a module's path: 8 eps, or 4 times the largest error among gradients of torch's locals near.

        Near is what stands within the module two levels above. One local alone may be exact by luck; the largest error
        of the whole run would excuse too much elsewhere.
        """
        errors = {}
        for (key, local), (_, exact) in zip(theirs.recording, reference.recording):
            if local.gradient is not None and not is_listed(key.path, key.name, self.zero_gradients):
                error = error_in_eps(local.gradient, exact.gradient, np.finfo("float32").eps)
                errors.setdefault(key.path, []).append(error if np.isfinite(error) else 0)

        @functools.cache
        def bound(path):
            above = "".join(f"{part}." for part in path.split(".")[:-2])
            near = [error for place in errors if f"{place}.".startswith(above) for error in errors[place]]
            return max([FLOAT32_BOUND, *(OWN_ERROR_FACTOR * error for error in near)])

        return bound

    def _check_contract(self):
        """A module adds to its gradients, a forward pass serves one backward pass, and no_grad() keeps nothing."""
        module, inputs = self.numpy_twin(), self.draw_inputs()
        forward, backward = numpy_forms(module, lean=True)

        def run():
            outputs, _ = forward(inputs)
            upstreams = list(upstream_gradients(self.upstream, outputs).values())
            backward(upstreams, None)
            return upstreams

        upstreams = run()
        once = {path: parameter.grad.copy() for path, parameter in module.named_parameters()}
        run()
        for path, parameter in module.named_parameters():
            error = error_in_eps(parameter.grad, 2 * once[path])    # a shared parameter sums in another order
            assert error <= LAYER_BOUND, f"{self}: the gradient of {path} is not added to"
        _must_raise(RuntimeError, lambda: backward(upstreams, None), f"{self}: a second backward pass")
        with no_grad():
            forward(inputs)
        _must_raise(RuntimeError, lambda: backward(upstreams, None), f"{self}: a backward pass after no_grad()")


def state_of(built):
    """{path: array} of a module of either twin, copied; nothing for a function."""
    if not is_module(built):
        return {}
    return {path: np.array(as_array(value)) for path, value in built.state_dict().items()}


def pairs(cases):
    """(case, form) of every form of the cases, for pytest.mark.parametrize with ids=str."""
    return [(case, form) for case in cases for form in case.forms()]


def compare_results(ours, theirs, bound, reference=None, zero_gradients=()):
    """Compare what two Runs return: outputs, gradients of inputs and parameters, buffers; a list of Row."""
    rows = [Row(name, "argument", problem="the run changed it") for name in ours.changed]
    for part in ("outputs", "input_gradients", "parameter_gradients", "buffers"):
        kind = part.replace("_", " ").removesuffix("s")
        found = _compare_named(kind, getattr(ours, part), getattr(theirs, part), bound,
                               reference and getattr(reference, part), zero_gradients if "gradient" in kind else ())
        rows += [dataclasses.replace(row, **_written(ours.recording, row.key, kind)) for row in found]
    return rows


def _written(recording, name, kind):
    """"where" and "line" of what writes a parameter's gradient or a buffer; of another result, the outermost call.

    Not when: the gradient of a shared parameter is complete only at the end.
    """
    method = {"parameter gradient": ".backward", "buffer": ".forward"}.get(kind)
    if method is None:
        return {"where": _outermost(recording, "gradient" in kind)}
    path, _, attribute = str(name).rpartition(".")
    calls = [call for call in recording.calls if call.path == path and call.function.endswith(method)]
    if not calls:
        return {}
    written = calls[-1].attributes.get(f"self.{attribute}" + (".grad" if method == ".backward" else ""))
    return {"where": calls[-1].function, "line": written[-1].line if written else None}


def _outermost(recording, is_backward):
    """The last function that was called from outside and did something; "" if there is none."""
    busy = {id(call.parent) for call in recording.calls} | {id(call) for call in recording.calls if call.locals}
    functions = [call.function for call in recording.calls
                 if call.parent is None and id(call) in busy and twin_of(call.function)[1] == is_backward]
    return functions[-1] if functions else ""


def _compare_initial(ours, theirs):
    """Rows of the initial values of two modules, and of the modules and the numbers in them that differ.

    Their time is before that of all that is recorded.
    """
    rows = _compare_named("initial value", state_of(ours), state_of(theirs), 0)
    if not is_module(ours):
        return rows
    twins = dict(theirs.named_modules())
    for path, module in ours.named_modules():
        twin = twins.get(path)
        if twin is None:
            continue
        if type(module).__name__ != type(twin).__name__:
            rows.append(Row(path or "the module", "initial value",
                            problem=f"is a {type(module).__name__}, torch's is a {type(twin).__name__}"))
        rows += [Row(f"{path}.{name}".lstrip("."), "initial value",
                     problem=f"is {value!r}, torch's is {vars(twin)[name]!r}")
                 for name, value in vars(module).items() if name in vars(twin) and not name.startswith("_")
                 and isinstance(value, (bool, int, float, str)) and repr(value) != repr(vars(twin)[name])]
        # Tables, which are no part of the state: each twin has a sine of its own.
        tables = {f"{path}.{name}".lstrip("."): (value, as_array(getattr(twin, name)))
                  for name, value in vars(module).items() if isinstance(value, np.ndarray) and hasattr(twin, name)}
        rows += [judge(name, "initial value", mine, its, TABLE_BOUND) for name, (mine, its) in tables.items()]
    return [dataclasses.replace(row, time=-1) for row in rows]


def _compare_named(kind, ours, theirs, bound, references=None, zero_gradients=()):
    """A Row for each array of two dicts (None: no gradient, which must be zero or absent on our side)."""
    rows = []
    rows += [Row(name, kind, problem="only one twin has it") for name in sorted(ours.keys() ^ theirs.keys(), key=str)]
    for name in [name for name in ours if name in theirs]:
        if ours[name] is not None and theirs[name] is not None:
            path = name.rpartition(".")[0] if isinstance(name, str) else ""
            rows.append(judge(name, kind, ours[name], theirs[name], bound_at(path, bound),
                              reference=references and references[name], is_zero=is_listed("", name, zero_gradients)))
        elif ours[name] is not None and np.any(ours[name]) or theirs[name] is not None and np.any(theirs[name]):
            rows.append(Row(name, kind, problem="only one twin has it"))
    return rows


def _must_raise(error, function, what):
    try:
        function()
    except error:
        return
    raise AssertionError(f"{what} does not raise {error.__name__}")
