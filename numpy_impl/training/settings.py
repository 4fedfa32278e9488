"""How to train, for both twins."""

from dataclasses import asdict, dataclass

from numpy_impl import checks


DTYPES = ("float64", "float32")
OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("noam", "cosine", "linear")


@dataclass(frozen=True)
class TrainingSettings:
    """The choices of a training run; together with the task and the model's sizes they decide every bit of it.

    steps: optimizer steps. batch_size: examples a step. micro_batches: parts in which a batch is computed, to save
    memory; the gradient is the whole batch's (to rounding). seed: of initial weights, batches and dropout.
    dtype: "float64" or "float32". optimizer: "adamw", "adam" or "sgd" (with momentum 0.9). adam_beta1, adam_beta2,
    adam_eps: the paper has 0.9, 0.98 and 1e-9; the defaults amplify rounding less. schedule: "noam", "cosine" or
    "linear", each with `warmup` steps. learning_rate: its peak; None with "noam" means the paper's. weight_decay: of
    matrices only. max_norm: of the gradient, before it is clipped. label_smoothing: in training only. checkpoint_every,
    evaluate_every: in steps. evaluation_examples: of the validation split, in training.
    Errors: TypeError or ValueError that names the field.
    """

    steps: int = 1400
    batch_size: int = 96
    micro_batches: int = 1
    seed: int = 0
    dtype: str = "float64"
    optimizer: str = "adamw"
    adam_beta1: float = 0.95
    adam_beta2: float = 0.99
    adam_eps: float = 1e-5
    schedule: str = "cosine"
    learning_rate: float | None = 1.25e-3
    warmup: int = 100
    weight_decay: float = 0.01
    max_norm: float = 1.0
    label_smoothing: float = 0.0
    checkpoint_every: int = 200
    evaluate_every: int = 500
    evaluation_examples: int = 500

    def __post_init__(self):
        for name in ("steps", "batch_size", "micro_batches", "warmup", "checkpoint_every", "evaluate_every",
                     "evaluation_examples"):
            checks.positive_int(name, getattr(self, name))
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed is {self.seed!r}, must be an int, at least 0")
        if self.micro_batches > self.batch_size:
            raise ValueError(f"micro_batches is {self.micro_batches}, must be at most batch_size, {self.batch_size}")
        checks.choice("dtype", self.dtype, DTYPES)
        checks.choice("optimizer", self.optimizer, OPTIMIZERS)
        checks.choice("schedule", self.schedule, SCHEDULES)
        checks.probability("label_smoothing", self.label_smoothing)
        checks.probability("adam_beta1", self.adam_beta1)
        checks.probability("adam_beta2", self.adam_beta2)
        if self.schedule != "noam" and self.warmup >= self.steps:
            raise ValueError(f"warmup is {self.warmup}, must be below steps, {self.steps}, unless schedule is 'noam'")
        if self.learning_rate is None and self.schedule != "noam":
            raise ValueError("learning_rate is None, must be a number unless schedule is 'noam'")
        for name in ("learning_rate", "max_norm", "adam_eps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}, must be above 0")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay is {self.weight_decay}, must be at least 0")

    def to_json(self):
        """The fields as a dictionary, for a checkpoint; TrainingSettings(**fields) is the way back."""
        return asdict(self)
