"""harness/oracles.py: the oracles notice a wrong gradient by themselves, and twins that are wrong together."""

import dataclasses

import numpy as np
import pytest
from torch.nn import functional as F

import numpy_impl.layers.normalization as ours
import torch_impl.layers.normalization as theirs
from parity_tests.harness import oracles
from parity_tests.harness.against import all_others
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
        with pytest.raises(AssertionError, match="gradient of x .*differs from the derivative"):
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


def test_what_others_compute_belongs_to_cases_of_the_catalog():
    """Each layer and model has somebody else's function for some of its cases; masks are tested by their definition."""
    judged = all_others()
    assert judged.keys() <= all_cases().keys()
    files = {name.partition(":")[0] for name in all_cases()}
    assert files - {name.partition(":")[0] for name in judged} == {"masks"}


@pytest.mark.parametrize("most", [None, 4])
def test_some_elements_of_each_array_are_enough_to_notice(most):
    rows = oracles.derivative_rows(MODULE, most)
    assert [row.problem for form in rows.values() for row in form] == [None] * 6
    with planted(*LOST_TERM):
        rows = oracles.derivative_rows(MODULE, most)
    assert [row.key for row in rows["plain"] if row.problem] == ["x"] and not any(row.problem for row in rows["lean"])


def test_a_row_without_gradient_by_design_is_left_out():
    """The padding's row of an embedding has none, though the output depends on it."""
    case = all_cases()["embedding: Embedding, padding_idx=2, scale=True, int64"]
    oracles.check(case)
    with pytest.raises(AssertionError, match="gradient of weight .*differs from the derivative"):
        oracles.check(dataclasses.replace(case, cut_rows={}))
    with pytest.raises(AssertionError, match="<v, Jᵀ u>"):
        oracles.check_adjoint(dataclasses.replace(case, cut_rows={"weight": 1}))


def test_nan_is_noticed():
    with planted(ours.layer_norm_lean_backward, "d_gamma = (d_y * x_hat)", "d_gamma = (d_y * x_hat * np.nan)"):
        with pytest.raises(AssertionError, match="gradient of gamma .*error nan eps"):
            oracles.check(FUNCTION)
