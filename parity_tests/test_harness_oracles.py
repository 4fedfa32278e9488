"""harness/oracles.py: the oracles notice a wrong gradient by themselves, and twins that are wrong together."""

import dataclasses

import numpy as np
import pytest
from torch.nn import functional as F

import numpy_impl.layers.normalization as ours
import torch_impl.layers.normalization as theirs
from parity_tests.harness import oracles
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.planted import planted

FUNCTION, MODULE = (all_cases()[f"normalization: {name}"] for name in ("layer_norm", "LayerNorm"))
LOST_TERM = (ours.layer_norm_backward, "d_centered + d_mean / d_y.shape[-1]", "d_centered")
LOST_TERM_LEAN = (ours.layer_norm_lean_backward, " - x_hat * along_x_hat", "")


def torch_layer_norm(values):
    return F.layer_norm(values["x"], values["x"].shape[-1:], values["gamma"], values["beta"], 1e-5)


def test_complex_steps_are_exact_to_rounding():
    problem = oracles.problem_of(FUNCTION)
    for name, gradient in oracles.complex_step(problem).items():
        assert oracles.relative_error(problem.gradients[name], gradient) <= 16 * np.finfo("float64").eps


def test_central_differences_have_ten_digits():
    problem = oracles.problem_of(FUNCTION)
    for name, gradient in oracles.central_differences(problem).items():
        assert oracles.relative_error(problem.gradients[name], gradient) <= 1e-9


@pytest.mark.parametrize("case", [FUNCTION, MODULE], ids=str)
@pytest.mark.parametrize("bug", [LOST_TERM, LOST_TERM_LEAN], ids=["plain", "lean"])
def test_a_wrong_gradient_is_noticed(case, bug):
    with planted(*bug):
        with pytest.raises(AssertionError, match="the gradient of x is off"):
            oracles.check(case)
        with pytest.raises(AssertionError, match="gradient of x"):
            oracles.check_against(case, torch_layer_norm)


@pytest.mark.parametrize("analytic", [True, False])
def test_the_adjoint_identity_notices_a_wrong_gradient(analytic):
    right = oracles.problem_of(FUNCTION, lean=False)
    assert oracles.adjoint_error(right, np.random.default_rng(0), analytic) <= 1e-9
    with planted(*LOST_TERM):
        wrong = oracles.problem_of(FUNCTION, lean=False)
        assert oracles.adjoint_error(wrong, np.random.default_rng(0), analytic) >= 1e-5


def test_twins_that_are_wrong_together_are_noticed():
    """eps outside of the root, forward and backward, in both: only somebody else's function can tell."""
    with (planted(ours.layer_norm, "np.sqrt(variance + eps)", "np.sqrt(variance) + eps"),
          planted(theirs.layer_norm, "torch.sqrt(variance + eps)", "torch.sqrt(variance) + eps"),
          planted(ours.layer_norm_backward, "d_std / (2 * std)", "d_std / (2 * (std - 1e-5))")):
        FUNCTION.check("plain")
        with pytest.raises(AssertionError, match="output of 0"):
            oracles.check_against(FUNCTION, torch_layer_norm)


def test_lost_digits_are_noticed_at_extreme_inputs():
    """The variance as mean square minus squared mean: two large numbers that cancel."""
    def inputs(rng, dtype):
        values = FUNCTION.inputs(rng, dtype)
        return {**values, "x": values["x"] + np.asarray(1e4, dtype)}
    case = dataclasses.replace(FUNCTION, inputs=inputs)
    oracles.check_extreme(case)
    with planted(ours.layer_norm, "variance = squared.mean(axis=-1, keepdims=True)",
                 "variance = np.maximum((x * x).mean(axis=-1, keepdims=True) - mean * mean, 0)"):
        with pytest.raises(AssertionError, match="too far"):
            oracles.check_extreme(case)


def test_nan_is_noticed():
    with planted(ours.layer_norm_lean_backward, "d_gamma = (d_y * x_hat)", "d_gamma = (d_y * x_hat * np.nan)"):
        with pytest.raises(AssertionError, match="the gradient of gamma is off by nan"):
            oracles.check(FUNCTION)
