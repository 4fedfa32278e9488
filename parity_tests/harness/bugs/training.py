"""What a bug does to training: the same small model trained from the same seed, without the bug and with it."""

import contextlib
import dataclasses
import io

import numpy as np

from numpy_impl.training.files import write_atomically
from parity_tests.harness.small import small_trainer

STEPS = 800
PARTS = 8    # the curve is shown as the mean losses of so many stretches of the run
LEAST_STEPS = 5 * PARTS
EXAMPLES = 200    # of the validation split: the accuracy is a multiple of 0.5 %
# Words of six letters are turned round by two layers on either side. Without a bug nearly all come out right.
SIZES = {"d_model": 32, "num_heads": 4, "num_encoder_layers": 2, "num_decoder_layers": 2, "d_ff": 64, "dropout": 0.1}
SETTINGS = {"batch_size": 64, "dtype": "float32", "schedule": "cosine", "learning_rate": 6e-3, "max_norm": 1.0,
            "weight_decay": 0.01, "label_smoothing": 0.1}
# What else the small model can be made of, so that it calls the function that has the bug.
ACTIVATIONS = {"gelu_erf": "gelu", "gelu_tanh": "gelu_tanh", "silu": "silu", "sigmoid": "sigmoid", "tanh": "tanh"}
OPTIMIZERS = {"sgd_update": "sgd", "SGD": "sgd", "adam_update": "adam", "Adam": "adam"}
SCHEDULES = {"NoamSchedule": "noam", "LinearSchedule": "linear"}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """losses: of each training step. loss, accuracy: after training, on the validation split, of words translated
    right. stopped: why the run ended before its last step; then loss and accuracy are NaN."""

    losses: tuple
    loss: float = float("nan")
    accuracy: float = float("nan")
    stopped: str | None = None

    def parts(self, steps):
        """[mean loss] of each of the PARTS stretches of a run of `steps` steps; NaN where it did not come."""
        ends = [steps * part // PARTS for part in range(PARTS + 1)]
        return [float(np.mean(self.losses[begin:end])) if len(self.losses) >= end else float("nan")
                for begin, end in zip(ends, ends[1:])]


def compare(bug, steps=STEPS, seed=0):
    """Train without the bug and with it. Returns two Outcomes; equal ones mean that this model never notices."""
    return train(bug, False, steps, seed), train(bug, True, steps, seed)


def train(bug, planted, steps=STEPS, seed=0):
    """Train the small model that calls the bug's function, with the bug if `planted`. Returns an Outcome."""
    sizes, settings = choices(bug)
    losses = []
    # Values that overflow are what some bugs lead to; the loss tells it.
    with bug.planted() if planted else contextlib.nullcontext(), np.errstate(all="ignore"):
        try:
            trainer = small_trainer("numpy", sizes=sizes, steps=steps, seed=seed, warmup=max(steps // 12, 1),
                                    **settings)
            # The book's forms where the bug stands in one of them.
            for module in (trainer.model, trainer.criterion):
                module.use_plain("_lean" not in bug.function)
            losses.extend(trainer.train_step()["loss"] for _ in range(steps))
            evaluation = trainer.evaluate(limit=EXAMPLES)
        except Exception as error:    # a bug may break anything
            return Outcome(tuple(losses), stopped=f"{type(error).__name__}: {error}")
    return Outcome(tuple(losses), evaluation.loss, evaluation.exact_match)


def choices(bug):
    """The sizes and settings of a model and a training run that call the bug's function."""
    primitive = bug.qualified_name.partition(".")[0].removesuffix("_backward").removesuffix("_lean")
    sizes = {**SIZES, "norm_first": "pre-norm" in bug.case, "tie_weights": "untied" not in bug.case,
             "activation": ACTIVATIONS.get(primitive, "relu")}
    return sizes, {**SETTINGS, "optimizer": OPTIMIZERS.get(primitive, "adamw"),
                   "schedule": SCHEDULES.get(primitive, "cosine")}


def table(bug, steps, right, wrong):
    """The two Outcomes as lines of text."""
    ends = [steps * part // PARTS for part in range(PARTS + 1)]
    rows = [(f"{begin + 1} to {end}", f"{first:.3f}", f"{second:.3f}")
            for begin, end, first, second in zip(ends, ends[1:], right.parts(steps), wrong.parts(steps))]
    rows += [("validation", f"{right.loss:.3f}", f"{wrong.loss:.3f}"),
             ("words right", f"{right.accuracy:.1%}", f"{wrong.accuracy:.1%}")]
    lines = [f"{bug.name}: {bug.title}", "", f"{'loss in steps':>14}{'without':>10}{'with it':>10}",
             *(f"{name:>14}{first:>10}{second:>10}" for name, first, second in rows)]
    if wrong.stopped:
        lines += ["", f"With the bug the run stopped after {len(wrong.losses)} steps: {wrong.stopped}"]
    elif wrong == right:
        lines += ["", f"The runs are equal: training this model does not call {bug.qualified_name}, "
                  "or what it does there is the same."]
    return "\n".join(lines)


def plot(bug, right, wrong, path):
    """Save both loss curves as PNG. path: a Path. Raises OSError if it can't be written."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for outcome, label in ((right, "without the bug"), (wrong, "with the bug")):
        axes.plot(range(1, len(outcome.losses) + 1), outcome.losses, linewidth=1, label=label)
    axes.set(xlabel="step", ylabel="training loss (nats per symbol)", title=bug.title)
    axes.legend()
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150)
    plt.close(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, image.getvalue())
