"""torch's own clipping."""

import torch

from parity_tests.harness.against import Other
from parity_tests.harness.catalog.gradients import CASES, SHAPES


def clipped(max_norm):
    def other(values):
        parameters = [torch.nn.Parameter(torch.zeros_like(values[name])) for name in SHAPES]
        for parameter, name in zip(parameters, SHAPES):
            parameter.grad = values[name]
        torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        return tuple(parameter.grad for parameter in parameters)
    return other


OTHERS = [Other("torch.nn.utils.clip_grad_norm_", case, clipped(max_norm))
          for case, max_norm in zip(CASES, (0.5, 50.0), strict=True)]
