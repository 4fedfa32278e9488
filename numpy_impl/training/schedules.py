"""Schedules of the learning rate: each is called with the number of a step, from 1, and returns its rate.

There are no arrays here, so torch_impl.training.schedules offers these same classes.
"""

import math
from dataclasses import dataclass

from numpy_impl import checks


@dataclass(frozen=True)
class NoamSchedule:
    """Rises linearly for `warmup` steps, then falls with the root of the step.

    d_model: the model's width; wider models get smaller rates. factor: multiplies every rate.
    Errors: d_model or warmup below 1, a factor that is negative or not finite: ValueError.
    Source: Vaswani et al. (2017), "Attention Is All You Need", section 5.3, eq. 3.
    """

    d_model: int
    warmup: int
    factor: float = 1.0

    def __post_init__(self):
        checks.positive_int("d_model", self.d_model)
        checks.positive_int("warmup", self.warmup)
        checks.not_negative("factor", self.factor)

    def __call__(self, step):
        """The rate of `step`, from 1."""
        checks.positive_int("step", step)
        return self.factor * self.d_model**-0.5 * min(step**-0.5, step * self.warmup**-1.5)    # eq: schedules-noam


@dataclass(frozen=True)
class WarmupSchedule:
    """Base class: rises linearly to `peak` at step `warmup`, then falls to `final` at step `total`, and stays there.

    warmup: at least 1 (then the first step has the peak), below total. peak, final: rates; final is at most peak.
    Errors: ValueError that names the number.
    """

    peak: float
    warmup: int
    total: int
    final: float = 0.0

    def __post_init__(self):
        checks.not_negative("peak", self.peak)
        checks.not_negative("final", self.final)
        checks.positive_int("warmup", self.warmup)
        checks.positive_int("total", self.total)
        if self.total <= self.warmup:
            raise ValueError(f"total is {self.total}, must be above warmup, {self.warmup}")
        if self.final > self.peak:
            raise ValueError(f"final is {self.final}, must be at most peak, {self.peak}")

    def __call__(self, step):
        """The rate of `step`, from 1."""
        checks.positive_int("step", step)
        if step <= self.warmup:
            return self.peak * step / self.warmup                                   # eq: schedules-warmup
        progress = min((step - self.warmup) / (self.total - self.warmup), 1.0)      # eq: schedules-progress
        return self.final + (self.peak - self.final) * self.remaining(progress)     # eq: schedules-decay


class CosineSchedule(WarmupSchedule):
    """Falls along half a cosine wave: slowly, fast in the middle, slowly. Sizes and errors as WarmupSchedule.

    Source: Loshchilov and Hutter (2017), "SGDR: Stochastic Gradient Descent with Warm Restarts", eq. 5.
    Departures: a linear warm-up, and no restarts.
    """

    def remaining(self, progress):
        """How much of the way from final to peak is left: 1 at progress 0, 0 at progress 1."""
        return (1 + math.cos(math.pi * progress)) / 2                               # eq: schedules-cosine


class LinearSchedule(WarmupSchedule):
    """Falls along a straight line. Sizes and errors as WarmupSchedule.

    Source: Devlin et al. (2019), "BERT", appendix A.2: linear warm-up and linear decay.
    """

    def remaining(self, progress):
        """How much of the way from final to peak is left: 1 at progress 0, 0 at progress 1."""
        return 1 - progress                                                         # eq: schedules-linear


def make_schedule(name, *, peak, warmup, steps, d_model):
    """The schedule called "noam", "cosine" or "linear" for a run of `steps` steps.

    peak: its highest rate, at step `warmup`; None, with "noam", means the paper's. Raises ValueError for another name,
    or for a number that the schedule refuses.
    """
    checks.choice("schedule", name, ("noam", "cosine", "linear"))
    if name == "noam":
        paper = NoamSchedule(d_model, warmup)
        return paper if peak is None else NoamSchedule(d_model, warmup, factor=peak / paper(warmup))
    return {"cosine": CosineSchedule, "linear": LinearSchedule}[name](peak, warmup, steps)
