"""Other ways to a gradient than a backward pass, so that the twins cannot be wrong together.

complex step          f'(x) = Im f(x + ih) / h: exact to rounding, as nothing is subtracted; f must be analytic.
                      Source: Squire and Trapp (1998), "Using Complex Variables to Estimate Derivatives of Real
                      Functions".
central differences   f'(x) = (f(x + h) - f(x - h)) / 2h: some ten digits, for any smooth f.
adjoint identity      <J v, u> = <v, Jᵀ u>: the left side steps forward along v, the right side is the backward pass.
another's function    torch's own modules, or another library's, with autograd.
higher precision      the same function on wider numbers, where inputs are extreme and rounding errors large.

They judge the NumPy twin, and ask nothing of the torch twin. Each has a function that returns a Row for each comparison
and form, which the report shows, and one that raises AssertionError, for tests.
"""

import dataclasses
import functools
from typing import Callable

import numpy as np
import torch

from numpy_impl.module import no_grad
from parity_tests.harness.cases import compare_results, state_of
from parity_tests.harness.comparator import is_listed
from parity_tests.harness.judge import EXTREME_BOUND, LAYER_BOUND, Row, judge
from parity_tests.harness.runs import (
    as_tuple, differentiable_inputs, is_module, name_gradients, numpy_forms, run_numpy, run_torch,
    to_precision, upstream_gradients)

EPS = np.finfo("float64").eps
COMPLEX_STEP = 1e-30
DIFFERENCE_STEP = np.cbrt(EPS)
COMPLEX_STEP_BOUND = LAYER_BOUND            # in eps, as all bounds
DIFFERENCE_BOUND = 1e-7 / EPS


@dataclasses.dataclass
class Problem:
    """A function of named arrays, and the gradients of sum(upstream * output) that a backward pass claims.

    outputs(values): the differentiable outputs. values: {name: array}, inputs and parameters. upstreams: one for each
    output. gradients: {name: array}.
    """

    outputs: Callable
    values: dict
    upstreams: list
    gradients: dict

    def loss(self, values):
        """sum(upstream * output) over all outputs."""
        return sum((upstream * output).sum() for upstream, output in zip(self.upstreams, self.outputs(values)))


def problem_of(case, lean=True):
    """The Problem of a case in float64: the plain forward pass, with the gradients of the form that is asked for."""
    built, inputs = case.numpy_twin(), case.draw_inputs()
    parameters = dict(built.named_parameters()) if is_module(built) else {}
    forward, backward = numpy_forms(built, lean)
    all_outputs, cache = forward(inputs)
    upstreams = upstream_gradients(case.upstream, all_outputs)
    gradients = name_gradients(case, inputs, backward(list(upstreams.values()), cache))
    gradients |= {path: parameter.grad for path, parameter in parameters.items()}

    def outputs(values):
        for path, parameter in parameters.items():
            parameter.data = values[path]
        with no_grad():
            results, _ = numpy_forms(built, lean=False)[0]({**inputs, **{name: values[name] for name in names}})
        return [results[index] for index in upstreams]

    names = differentiable_inputs(case, inputs)
    values = {name: inputs[name] for name in names} | {path: parameter.data for path, parameter in parameters.items()}
    return Problem(outputs, values, list(upstreams.values()), gradients)


def complex_step(problem, places=None):
    """{name: gradient}, one forward pass for each element. places: {name: booleans}, where it is asked for; else 0."""
    def derivative(name, direction):
        stepped = problem.values[name] + 1j * COMPLEX_STEP * direction
        return problem.loss({**problem.values, name: stepped}).imag / COMPLEX_STEP
    return _element_by_element(problem, derivative, places)


def central_differences(problem, places=None):
    """{name: gradient}, two forward passes for each element. places: as in `complex_step`."""
    def derivative(name, direction):
        array = problem.values[name]
        above = problem.loss({**problem.values, name: array + DIFFERENCE_STEP * direction})
        below = problem.loss({**problem.values, name: array - DIFFERENCE_STEP * direction})
        return (above - below) / (2 * DIFFERENCE_STEP)
    return _element_by_element(problem, derivative, places)


def adjoint_error(problem, rng, analytic, places=None):
    """|<J v, u> - <v, Jᵀ u>| for a random v, relative to what the sums add up.

    analytic: J v by complex step, else by central differences. places: {name: booleans}, where v is not 0.
    """
    size = np.sqrt(sum(array.size for array in problem.values.values()) or 1)    # v of length about 1: few kinks near
    along = {name: rng.standard_normal(array.shape) / size * (1 if places is None else places[name])
             for name, array in problem.values.items()}

    def step(size):
        return problem.loss({name: array + size * along[name] for name, array in problem.values.items()})

    if analytic:
        forward = step(1j * COMPLEX_STEP).imag / COMPLEX_STEP
    else:
        forward = (step(DIFFERENCE_STEP) - step(-DIFFERENCE_STEP)) / (2 * DIFFERENCE_STEP)
    terms = [along[name] * problem.gradients[name] for name in along]
    return abs(forward - sum(term.sum() for term in terms)) / (sum(abs(term).sum() for term in terms) or 1)


# Rows for the report


def has_gradient(case):
    """False for a function without a backward pass, such as a mask."""
    return numpy_forms(case.numpy_twin(), lean=False)[1] is not None


def is_analytic(case):
    """True where complex steps serve: not for modules, which check that their arguments are real, nor at kinks."""
    return case.analytic and not is_module(case.numpy_twin())


def derivative_rows(case, most=None):
    """{form: [Row, ...]}: each gradient against complex steps, or central differences where those do not serve.

    most: so many elements of each array are looked at, drawn at random; None: all of them.
    """
    by_steps = is_analytic(case)
    bound = COMPLEX_STEP_BOUND if by_steps else DIFFERENCE_BOUND
    problems = _problems(case)
    any_problem = problems["plain"]
    places = _places(case, any_problem, most)
    expected = (complex_step if by_steps else central_differences)(any_problem, places)
    rows = {}
    for form, problem in problems.items():
        rows[form] = []
        for name, derivatives in expected.items():
            claimed, where = problem.gradients[name], places[name]
            is_zero = is_listed("", name, case.zero_gradients) or not claimed.any()
            error = relative_error(claimed[where], derivatives[where], is_zero) / EPS
            rows[form].append(_row(name, "gradient", claimed.shape, error, bound, "differs from the derivative"))
    return rows


def adjoint_rows(case):
    """{form: [Row]}: the adjoint identity."""
    by_steps = is_analytic(case)
    bound = COMPLEX_STEP_BOUND if by_steps else DIFFERENCE_BOUND
    rows = {}
    for form, problem in _problems(case).items():
        error = adjoint_error(problem, np.random.default_rng([case.seed, 4]), by_steps, _places(case, problem)) / EPS
        rows[form] = [_row("<v, Jᵀ u>", "product", (), error, bound, "differs from <J v, u>")]
    return rows


def against_rows(case, other):
    """{form: [Row, ...]}: outputs and gradients against somebody else's function.

    other(values) -> one tensor or several. values: {name: tensor} of all inputs and parameters (a module's under their
    paths), those that get gradients being leaves.
    """
    if not has_gradient(case):
        return {form: _against_outputs(case, other, form) for form in _forms(case)}
    return {form: _against_gradients(case, other, problem) for form, problem in _problems(case).items()}


def _against_outputs(case, other, form):
    inputs = case.draw_inputs()
    outputs, _ = numpy_forms(case.numpy_twin(), form == "lean")[0](inputs)
    return [judge(index, "output", ours, np.asarray(theirs), case.bound)
            for index, (ours, theirs) in enumerate(zip(outputs, as_tuple(other(_as_tensors(inputs))), strict=True))]


def _against_gradients(case, other, problem):
    values = _as_tensors({**case.draw_inputs(), **problem.values})
    leaves = [values[name].requires_grad_() for name in problem.values]
    outputs = as_tuple(other(values))
    gradients = torch.autograd.grad(outputs, leaves, [torch.as_tensor(upstream) for upstream in problem.upstreams],
                                    materialize_grads=True)
    rows = [judge(index, "output", ours, theirs.detach(), case.bound)
            for index, (ours, theirs) in enumerate(zip(problem.outputs(problem.values), outputs))]
    return rows + [judge(name, "gradient", problem.gradients[name], gradient, case.bound,
                         is_zero=is_listed("", name, case.zero_gradients))
                   for name, gradient in zip(problem.values, gradients)]


def _as_tensors(values):
    return {name: torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
            for name, value in values.items()}


def _forms(case):
    return [form for form in ("plain", "lean") if form in case.forms()]


def _problems(case):
    return {form: problem_of(case, lean=form == "lean") for form in _forms(case)}


def _places(case, problem, most=None):
    """{name: booleans}: the elements that a derivative can judge, at most so many of them, drawn at random."""
    rng = np.random.default_rng([case.seed, 5])
    places = {}
    for name, array in problem.values.items():
        judged = np.ones(array.shape, dtype=bool)
        if name in case.cut_rows:
            judged[case.cut_rows[name]] = False
        candidates = np.flatnonzero(judged)
        if most is not None and len(candidates) > most:
            judged[...] = False
            judged.flat[rng.choice(candidates, most, replace=False)] = True
        places[name] = judged
    return places


def relative_error(actual, expected, is_zero=False):
    """max |actual - expected| / max |expected|; absolute where the gradient is zero by analysis."""
    scale = 1 if is_zero else abs(expected).max(initial=0) or 1
    return abs(actual - expected).max(initial=0) / scale


def _row(key, kind, shape, error, bound, problem):
    return Row(key, kind, shape, "float64", float(error), float(bound), None if error <= bound else problem)


# What tests call


def check(case):
    """Judge a case's backward passes, plain and lean, by derivatives and by the adjoint identity.

    AssertionError if a gradient is off.
    """
    _no_problems(case, derivative_rows(case))
    check_adjoint(case)


def check_adjoint(case):
    """Judge the backward passes of a large module by the adjoint identity alone: two forward passes, not thousands."""
    _no_problems(case, adjoint_rows(case))


def check_against(case, other):
    """Judge a case's outputs and gradients, plain and lean, by somebody else's function, see `against_rows`."""
    _no_problems(case, against_rows(case, other))


def check_extreme(case):
    """Judge the outputs and gradients of a case with extreme inputs by a higher precision.

    float32 is judged by the torch twin in float64, float64 by the plain NumPy function in longdouble (only primitives
    take that). AssertionError if an error is above 128 eps and above 4 times the torch twin's.
    """
    for dtype in ("float32", "float64"):
        for lean in (False, True):
            ours, inputs = case.numpy_twin(dtype), case.draw_inputs(dtype)
            state = state_of(ours)
            run = run_numpy(case, ours, inputs, case.upstream, lean)
            twin = run_torch(case, case.torch_twin(state, dtype), inputs, case.upstream)
            if dtype == "float32":
                reference = case.run_float64_reference(state, inputs)
            elif is_module(ours):
                continue
            else:
                wide = to_precision(inputs, "longdouble")
                upstream = functools.partial(case.upstream, drawn_in="float64")
                reference = run_numpy(case, ours, wide, upstream, lean=False)
            rows = compare_results(run, twin, EXTREME_BOUND, reference, case.zero_gradients)
            _no_problems(case, {"lean" if lean else "plain": rows})


def _no_problems(case, rows_by_form):
    compared = sum(map(len, rows_by_form.values()))
    problems = [f"{form}: {row}" for form, rows in rows_by_form.items() for row in rows if row.problem]
    assert compared, f"{case}: nothing was compared"
    assert not problems, "\n".join([f"{case}: {len(problems)} of {compared} comparisons fail", *problems])


def _element_by_element(problem, derivative, places):
    gradients = {}
    for name, array in problem.values.items():
        gradients[name] = np.zeros(array.shape)
        for index in np.argwhere(np.ones(array.shape, dtype=bool) if places is None else places[name]):
            direction = np.zeros(array.shape)
            direction[tuple(index)] = 1
            gradients[name][tuple(index)] = derivative(name, direction)
    return gradients
