"""Other ways to a gradient than a backward pass, so that the twins cannot be wrong together.

complex step          f'(x) = Im f(x + ih) / h: exact to rounding, as nothing is subtracted; f must be analytic.
                      Source: Squire and Trapp (1998), "Using Complex Variables to Estimate Derivatives of Real
                      Functions".
central differences   f'(x) = (f(x + h) - f(x - h)) / 2h: some ten digits, for any smooth f.
adjoint identity      <J v, u> = <v, Jᵀ u>: the left side steps forward along v, the right side is the backward pass.
another's function    torch's own modules, or another library's, with autograd.
higher precision      the same function on wider numbers, where inputs are extreme and rounding errors large.

They judge the NumPy twin, and ask nothing of the torch twin.
"""

import dataclasses
import functools
from typing import Callable

import numpy as np
import torch

from numpy_impl.module import no_grad
from parity_tests.harness.cases import compare_results, state_of
from parity_tests.harness.comparator import is_listed
from parity_tests.harness.judge import EXTREME_BOUND, LAYER_BOUND, judge
from parity_tests.harness.runs import (
    as_tuple, differentiable_inputs, is_module, name_gradients, numpy_forms, run_numpy, run_torch,
    to_precision, upstream_gradients)

COMPLEX_STEP = 1e-30
DIFFERENCE_STEP = np.cbrt(np.finfo("float64").eps)
COMPLEX_STEP_BOUND = LAYER_BOUND * np.finfo("float64").eps
DIFFERENCE_BOUND = 1e-7


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


def complex_step(problem):
    """{name: gradient}, one forward pass for each element."""
    def derivative(name, direction):
        stepped = problem.values[name] + 1j * COMPLEX_STEP * direction
        return problem.loss({**problem.values, name: stepped}).imag / COMPLEX_STEP
    return _element_by_element(problem, derivative)


def central_differences(problem):
    """{name: gradient}, two forward passes for each element."""
    def derivative(name, direction):
        array = problem.values[name]
        above = problem.loss({**problem.values, name: array + DIFFERENCE_STEP * direction})
        below = problem.loss({**problem.values, name: array - DIFFERENCE_STEP * direction})
        return (above - below) / (2 * DIFFERENCE_STEP)
    return _element_by_element(problem, derivative)


def adjoint_error(problem, rng, analytic):
    """|<J v, u> - <v, Jᵀ u>| for a random v, relative to what the sums add up.

    analytic: J v by complex step, else by central differences.
    """
    size = np.sqrt(sum(array.size for array in problem.values.values()) or 1)    # v of length about 1: few kinks near
    along = {name: rng.standard_normal(array.shape) / size for name, array in problem.values.items()}

    def step(size):
        return problem.loss({name: array + size * along[name] for name, array in problem.values.items()})

    if analytic:
        forward = step(1j * COMPLEX_STEP).imag / COMPLEX_STEP
    else:
        forward = (step(DIFFERENCE_STEP) - step(-DIFFERENCE_STEP)) / (2 * DIFFERENCE_STEP)
    terms = [along[name] * problem.gradients[name] for name in along]
    return abs(forward - sum(term.sum() for term in terms)) / (sum(abs(term).sum() for term in terms) or 1)


def check(case):
    """Judge a case's backward passes, plain and lean, by derivatives and by the adjoint identity.

    Complex steps serve analytic primitives; modules, which check that their arguments are real, and functions with
    kinks (case.analytic False) get central differences. AssertionError if a gradient is off.
    """
    analytic = case.analytic and not is_module(case.numpy_twin())
    bound = COMPLEX_STEP_BOUND if analytic else DIFFERENCE_BOUND
    for lean in (False, True):
        problem = problem_of(case, lean)
        true_gradients = (complex_step if analytic else central_differences)(problem)
        for name, expected in true_gradients.items():
            is_zero = is_listed("", name, case.zero_gradients) or not problem.gradients[name].any()
            error = relative_error(problem.gradients[name], expected, is_zero)
            assert error <= bound, f"{case}: the gradient of {name} is off by {error:.3g} (lean: {lean})"
        error = adjoint_error(problem, np.random.default_rng([case.seed, 4]), analytic)
        assert error <= bound, f"{case}: <J v, u> and <v, Jᵀ u> differ by {error:.3g} (lean: {lean})"


def check_adjoint(case):
    """Judge the backward passes of a large module by the adjoint identity alone: two forward passes, not thousands."""
    for lean in (False, True):
        error = adjoint_error(problem_of(case, lean), np.random.default_rng([case.seed, 4]), analytic=False)
        assert error <= DIFFERENCE_BOUND, f"{case}: <J v, u> and <v, Jᵀ u> differ by {error:.3g} (lean: {lean})"


def check_against(case, other, bound=LAYER_BOUND):
    """Judge a case's outputs and gradients, plain and lean, by somebody else's function; AssertionError if they differ.

    other(values) -> one tensor or several. values: {name: tensor} of all inputs and parameters (a module's under their
    paths), those that get gradients being leaves.
    """
    for lean in (False, True):
        problem = problem_of(case, lean)
        values = {name: torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
                  for name, value in {**case.draw_inputs(), **problem.values}.items()}
        leaves = [values[name].requires_grad_() for name in problem.values]
        outputs = as_tuple(other(values))
        gradients = torch.autograd.grad(outputs, leaves, [torch.as_tensor(upstream) for upstream in problem.upstreams],
                                        materialize_grads=True)
        rows = [judge(index, "output", ours, theirs.detach(), bound)
                for index, (ours, theirs) in enumerate(zip(problem.outputs(problem.values), outputs))]
        rows += [judge(name, "gradient", problem.gradients[name], gradient, bound,
                       is_zero=is_listed("", name, case.zero_gradients))
                 for name, gradient in zip(problem.values, gradients)]
        _no_problems(case, rows)


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
            _no_problems(case, compare_results(run, twin, EXTREME_BOUND, reference, case.zero_gradients))


def _no_problems(case, rows):
    problems = [str(row) for row in rows if row.problem]
    assert not problems, "\n".join([f"{case}: {len(problems)} of {len(rows)} comparisons fail", *problems])


def relative_error(actual, expected, is_zero=False):
    """max |actual - expected| / max |expected|; absolute where the gradient is zero by analysis."""
    scale = 1 if is_zero else abs(expected).max(initial=0) or 1
    return abs(actual - expected).max(initial=0) / scale


def _element_by_element(problem, derivative):
    gradients = {}
    for name, array in problem.values.items():
        gradients[name] = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            direction = np.zeros(array.shape)
            direction[index] = 1
            gradients[name][index] = derivative(name, direction)
    return gradients
