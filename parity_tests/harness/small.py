"""Tasks, models and settings so small that a training run takes a second or two."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from numpy_impl.models.config import TransformerConfig
from numpy_impl.text.tasks import make_task
from numpy_impl.training.settings import TrainingSettings
from numpy_impl.training.trainer import Trainer
from parity_tests.harness.judge import ZERO_GRADIENT

PACKAGES = {"numpy": "numpy_impl", "torch": "torch_impl"}
ROOT = Path(__file__).resolve().parents[2]

SIZES = {"d_model": 16, "num_heads": 2, "num_encoder_layers": 1, "num_decoder_layers": 1, "d_ff": 32, "dropout": 0.1}
SETTINGS = {"steps": 40, "batch_size": 16, "dtype": "float64", "adam_beta1": 0.9, "adam_beta2": 0.98,
            "adam_eps": 1e-9, "schedule": "noam", "learning_rate": 6e-3, "warmup": 10,
            "weight_decay": 0.05, "max_norm": 0.7, "label_smoothing": 0.1, "checkpoint_every": 10,
            "evaluate_every": 20, "evaluation_examples": 10}


def small_task(name="reverse"):
    """Words of at most six of six letters."""
    return make_task(name, alphabet="abcdef", max_length=6)


def small_trainer(twin, directory=None, *, task=None, sizes=None, **settings):
    """A Trainer of the twin of this name; `sizes` and `settings` change single fields of the small ones."""
    task = task or small_task()
    count = len(task.vocabulary)
    config = TransformerConfig(count, count, **{**SIZES, "max_length": 16, **(sizes or {})})
    module = importlib.import_module(f"{PACKAGES[twin]}.twin")    # PyTorch is loaded for its own twin alone
    return Trainer(module, task, config, TrainingSettings(**{**SETTINGS, **settings}), directory)


def arguments(sizes=None, **settings):
    """The same sizes and settings as arguments of the command line."""
    options = {**SIZES, **(sizes or {}), **SETTINGS, **settings}
    return [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]


def weights(trainer):
    """Copies of all parameters as {path: array}."""
    return {path: trainer.twin.to_numpy(parameter).copy() for path, parameter in trainer.model.named_parameters()}


def gradients(trainer):
    """Copies of all gradients as {path: array}."""
    return {path: trainer.twin.to_numpy(parameter.grad).copy()
            for path, parameter in trainer.model.named_parameters()}


def moments(trainer):
    """Copies of the optimizer's moments as {name: array}."""
    return {name: array.copy() for name, array in trainer.optimizer.state_dict().items() if name != "step"}


def largest_errors(actual, expected):
    """The largest relative error of two dictionaries of arrays, and the largest absolute error of what is zero by
    analysis. NaN counts as infinity."""
    assert actual.keys() == expected.keys()
    relative, absolute = [0.0], [0.0]
    for name, array in expected.items():
        difference = np.nan_to_num(abs(actual[name] - array).max(initial=0), nan=np.inf)
        if name.endswith(ZERO_GRADIENT):
            absolute.append(difference)
        else:
            relative.append(difference / (abs(array).max(initial=0) or 1))
    return float(max(relative)), float(max(absolute))


def run_python(*args, check=True, **options):
    """Run Python in a new process that finds our packages. Returns the CompletedProcess, its output as text."""
    return subprocess.run([sys.executable, *map(str, args)], cwd=ROOT, check=check, capture_output=True,
                          encoding="utf-8", **options)


def strict_json(text):
    """Read JSON; NaN and Infinity, which Python would accept, are errors."""
    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")
    return json.loads(text, parse_constant=refuse)
