"""How long a training step of the demo's model takes: the NumPy twin, the torch twin, and idiomatic PyTorch.

All three have the same sizes, the same batches (drawn beforehand) and the same dtype.
"""

import dataclasses
import importlib
import json
import statistics
import sys
import time

from numpy_impl.models.config import TransformerConfig
from numpy_impl.text.batches import TrainingBatches
from numpy_impl.text.tasks import make_task
from numpy_impl.training.settings import TrainingSettings
from numpy_impl.training.trainer import Trainer
from parity_tests.bench.launch import in_turns, libraries, machine, table

SIDES = {"NumPy": "numpy_impl", "torch twin": "torch_impl", "idiomatic torch": None}
WARM_UP = 5


def compare(options):
    """Measure all sides in turns and print the table."""
    from parity_tests import demo

    task = make_task("dates")
    print(machine(options.threads))
    for dtype in options.dtype:
        config, settings = demo.choices(task, demo.parse(["--dtype", dtype]))
        job = {"config": config.to_json(), "settings": settings.to_json(), "steps": options.steps}
        commands = {side: (["-m", "parity_tests.bench.step"], json.dumps({"side": side, **job})) for side in SIDES}
        printed = in_turns(commands, options.launches, options.threads, options.pause)
        print(f"\nA training step in {dtype} (batch {settings.batch_size}, d_model {config.d_model}): medians of "
              f"{options.steps} steps in {options.launches} launches a side, in turns")
        seconds = {side: [statistics.median(launch["seconds"]) for launch in launches]
                   for side, launches in printed.items()}
        print("\n".join(table(seconds, "NumPy")))
        for side, launches in printed.items():
            print(f"  {side}: {'; '.join(launches[0]['libraries']) or 'install threadpoolctl to see its BLAS'}")


def measure(job):
    """Run one side's steps. Returns the seconds of each, and the libraries that it ran on."""
    task = make_task("dates")
    config, settings = TransformerConfig(**job["config"]), TrainingSettings(**job["settings"])
    batches = Drawn(TrainingBatches(task, settings.batch_size, settings.seed), WARM_UP + job["steps"])
    trainer, names = make_trainer(job["side"], task, config, settings, batches)
    seconds = []
    for _ in range(WARM_UP + job["steps"]):
        began = time.perf_counter()
        trainer.train_step()
        seconds.append(time.perf_counter() - began)
    return {"seconds": seconds[WARM_UP:], "libraries": names + libraries()}


def make_trainer(side, task, config, settings, batches):
    """What trains on this side, and the texts that say on which libraries. Only torch's sides load torch."""
    package = SIDES[side]
    if package == "numpy_impl":
        names = [f"numpy {importlib.import_module('numpy').__version__}"]
    else:
        torch = importlib.import_module("torch")
        names = [f"torch {torch.__version__}", f"{torch.get_num_threads()} thread(s)",
                 f"MKL {'yes' if torch.backends.mkl.is_available() else 'no'}",
                 torch.backends.cpu.get_cpu_capability()]
    if package is None:
        idiomatic = importlib.import_module("parity_tests.bench.idiomatic")
        return idiomatic.IdiomaticTrainer(config, settings, batches), names
    trainer = Trainer(importlib.import_module(f"{package}.twin"), task, config, settings)
    trainer.batches = batches
    return trainer, names


@dataclasses.dataclass
class Drawn:
    """The first `count` batches, made beforehand, so that drawing them is not measured."""

    batches: TrainingBatches
    count: int

    def __post_init__(self):
        self.drawn = [self.batches.batch_at(step) for step in range(self.count)]

    def batch_at(self, step):
        return self.drawn[step]


if __name__ == "__main__":
    print(json.dumps(measure(json.load(sys.stdin))))
