"""torch's own optimizers."""

import torch

from parity_tests.harness.against import Other, named
from parity_tests.harness.catalog.optimizers import STEPS, rate


def run(optimizer_class, *moments, **options):
    """The parameter after all steps, and its moments under their names in torch's state."""
    def other(values):
        trained = torch.nn.Parameter(values["parameter"])
        optimizer = optimizer_class([trained], **options)
        for step, gradient in enumerate(values["gradients"]):
            optimizer.param_groups[0]["lr"] = rate(step)
            trained.grad = gradient
            optimizer.step()
        return trained.detach(), *(optimizer.state[trained][moment] for moment in moments)
    return other


SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
MOMENTS = ("exp_avg", "exp_avg_sq")

OTHERS = [
    Other("torch.optim.SGD", named(f"optimizers: SGD, {STEPS} steps, momentum and decay"),
          run(SGD, "momentum_buffer", momentum=0.9, weight_decay=0.3)),
    *(Other(f"torch.optim.{optimizer_class.__name__}",
            named(f"optimizers: {optimizer_class.__name__}, {STEPS} steps{description}"),
            run(optimizer_class, *MOMENTS, **options))
      for optimizer_class, description, options in (
          (ADAM, "", {}), (ADAM, ", betas and decay", {"betas": (0.8, 0.98), "weight_decay": 0.3}),
          (ADAMW, "", {}), (ADAMW, ", large eps and decay", {"eps": 0.1, "weight_decay": 0.3}))),
]
