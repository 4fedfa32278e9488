"""The schedules against torch.optim.lr_scheduler and the paper's formula."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import torch_impl.training.schedules
from numpy_impl.training.schedules import CosineSchedule, LinearSchedule, NoamSchedule, make_schedule

EPS = 2.0**-52
# FINAL + (PEAK - FINAL) is not quite PEAK: the step `warmup` belongs to the warm-up, which gives it exactly.
PEAK, WARMUP, TOTAL, FINAL = 0.3, 7, 40, 0.03


def torch_rates(peak, make_scheduler, steps):
    """The rates of a torch scheduler; its epoch 0 is our step 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    scheduler = make_scheduler(optimizer)
    for _ in range(steps):
        yield optimizer.param_groups[0]["lr"]
        optimizer.step()
        scheduler.step()


def with_warmup(optimizer, decay, warmup):
    """torch's linear warm-up to the peak at step `warmup`, then `decay`, which begins there."""
    if warmup == 1:
        return decay
    rise = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / warmup, end_factor=1.0, total_iters=warmup - 1)
    return torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, decay], milestones=[warmup - 1])


@pytest.mark.parametrize("d_model, warmup, factor", [(512, 4000, 1.0), (64, 10, 2.5), (1, 1, 1.0)])
def test_noam_is_equation_3_of_the_paper(d_model, warmup, factor):
    schedule = NoamSchedule(d_model, warmup, factor)
    by_hand = torch_rates(factor, lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: (
        1 / math.sqrt(d_model) * min(1 / math.sqrt(epoch + 1), (epoch + 1) / (warmup * math.sqrt(warmup))))), 60)
    for step, rate in enumerate(by_hand, start=1):
        assert schedule(step) == pytest.approx(rate, rel=8 * EPS, abs=0)


def test_noam_peaks_at_warmup():
    schedule = NoamSchedule(d_model=512, warmup=4000)
    assert schedule(4000) == pytest.approx(1 / math.sqrt(512 * 4000), rel=8 * EPS, abs=0)
    assert schedule(3999) < schedule(4000) > schedule(4001)
    assert schedule(16000) == pytest.approx(schedule(4000) / 2, rel=8 * EPS, abs=0)
    assert schedule(1) == pytest.approx(schedule(4000) / 4000, rel=8 * EPS, abs=0)


@pytest.mark.parametrize("warmup", [1, 2, WARMUP, TOTAL - 1])
@pytest.mark.parametrize("final", [0.0, FINAL])
def test_cosine_as_torch(warmup, final):
    schedule = CosineSchedule(PEAK, warmup, TOTAL, final)
    expected = torch_rates(PEAK, lambda optimizer: with_warmup(optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, T_max=TOTAL - warmup, eta_min=final), warmup), TOTAL)
    for step, rate in enumerate(expected, start=1):
        # torch computes each rate from the one before, so that its rounding piles up: an eps a step, of the peak.
        assert schedule(step) == pytest.approx(rate, rel=0, abs=step * EPS * PEAK), step


@pytest.mark.parametrize("warmup", [1, 2, WARMUP, TOTAL - 1])
@pytest.mark.parametrize("final", [0.0, FINAL])
def test_linear_as_torch(warmup, final):
    schedule = LinearSchedule(PEAK, warmup, TOTAL, final)
    expected = torch_rates(PEAK, lambda optimizer: with_warmup(optimizer, torch.optim.lr_scheduler.LinearLR(
        optimizer, start_factor=1.0, end_factor=final / PEAK, total_iters=TOTAL - warmup), warmup), TOTAL + 5)
    for step, rate in enumerate(expected, start=1):
        assert schedule(step) == pytest.approx(rate, rel=0, abs=step * EPS * PEAK), step


@pytest.mark.parametrize("make", [CosineSchedule, LinearSchedule])
def test_corners(make):
    schedule = make(PEAK, WARMUP, TOTAL, FINAL)
    assert schedule(1) == PEAK / WARMUP
    assert schedule(WARMUP) == PEAK
    assert schedule(TOTAL) == schedule(TOTAL + 1) == schedule(10**9) == FINAL
    assert make(PEAK, 1, 2)(1) == PEAK
    assert make(PEAK, 1, 3, PEAK)(2) == PEAK    # falls by nothing
    middle = make(PEAK, 10, 20, FINAL)(15)
    assert middle == pytest.approx((PEAK + FINAL) / 2, rel=8 * EPS, abs=0)


@given(name=st.sampled_from(["noam", "cosine", "linear"]), peak=st.floats(1e-6, 10), warmup=st.integers(1, 50),
       more=st.integers(1, 50), d_model=st.integers(1, 1024))
def test_rises_to_its_peak_then_falls(name, peak, warmup, more, d_model):
    schedule = make_schedule(name, peak=peak, warmup=warmup, steps=warmup + more, d_model=d_model)
    rates = [schedule(step) for step in range(1, warmup + more + 1)]
    assert rates[warmup - 1] == pytest.approx(peak, rel=8 * EPS, abs=0) and max(rates) <= peak * (1 + 8 * EPS)
    assert all(a < b for a, b in zip(rates[:warmup], rates[1:warmup]))
    assert all(a > b or b == 0 for a, b in zip(rates[warmup - 1:], rates[warmup:]))
    assert all(type(rate) is float and rate >= 0 for rate in rates)


@pytest.mark.parametrize("name, kind", [("cosine", CosineSchedule), ("linear", LinearSchedule)])
def test_make_schedule_ends_with_the_run(name, kind):
    schedule = make_schedule(name, peak=0.3, warmup=7, steps=40, d_model=512)
    assert schedule == kind(0.3, warmup=7, total=40, final=0.0) and schedule(40) == pytest.approx(0, abs=EPS)


def test_make_schedule_without_a_peak_is_the_papers():
    assert make_schedule("noam", peak=None, warmup=4000, steps=10, d_model=512) == NoamSchedule(512, 4000)
    with pytest.raises(ValueError, match="schedule is 'cosin', must be one of 'noam', 'cosine', 'linear'"):
        make_schedule("cosin", peak=0.1, warmup=1, steps=10, d_model=512)


@pytest.mark.parametrize("make, message", [
    (lambda: NoamSchedule(0, 4), "d_model is 0"),
    (lambda: NoamSchedule(4, 0), "warmup is 0"),
    (lambda: NoamSchedule(4, 4, -1.0), "factor is -1.0"),
    (lambda: CosineSchedule(-0.1, 1, 2), "peak is -0.1"),
    (lambda: CosineSchedule(math.inf, 1, 2), "peak is inf"),
    (lambda: LinearSchedule(0.1, 0, 2), "warmup is 0"),
    (lambda: LinearSchedule(0.1, 5, 5), "total is 5, must be above warmup, 5"),
    (lambda: LinearSchedule(0.1, 5, 9, 0.2), "final is 0.2, must be at most peak, 0.1"),
    (lambda: LinearSchedule(0.1, 5, 9)(0), "step is 0, must be at least 1"),
    (lambda: NoamSchedule(4, 4)(0), "step is 0"),
])
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_both_twins_have_them():
    assert torch_impl.training.schedules.CosineSchedule is CosineSchedule
