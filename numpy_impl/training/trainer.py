"""The training loop, for both twins: steps, a log, checkpoints, and going on where a killed run stopped."""

import math
import time
from dataclasses import replace
from pathlib import Path

from numpy_impl import checks
from numpy_impl.models.config import TransformerConfig
from numpy_impl.text.batches import TrainingBatches
from numpy_impl.text.tasks import make_task
from numpy_impl.text.vocabulary import Vocabulary
from numpy_impl.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from numpy_impl.training.evaluation import evaluate
from numpy_impl.training.log import TrainingLog
from numpy_impl.training.schedules import make_schedule
from numpy_impl.training.settings import TrainingSettings

CHECKPOINT, LOG = "checkpoint.safetensors", "log.jsonl"


class Trainer:
    """Trains one twin on a task.

    All that is random (initial weights, batches, dropout) is drawn from the settings' seed, the step and the place,
    never from what was drawn before. So the state of a run is its weights, its optimizer's moments and its step, and
    one that goes on from a checkpoint ends with the same bits as one that was never interrupted.

    twin: numpy_impl.twin or torch_impl.twin. task: a Task. config: TransformerConfig. settings: TrainingSettings.
    directory: where checkpoint.safetensors and log.jsonl go; None keeps nothing.
    """

    def __init__(self, twin, task, config, settings, directory=None):
        self.twin, self.task, self.config, self.settings = twin, task, config, settings
        self.directory = None if directory is None else Path(directory)
        self.model = twin.Transformer(config, rng=settings.seed, dtype=settings.dtype).train()
        self.criterion = twin.CrossEntropyLoss(config.padding_idx, settings.label_smoothing)
        self.optimizer = make_optimizer(twin, self.model, settings)
        self.schedule = make_schedule(settings.schedule, peak=settings.learning_rate, warmup=settings.warmup,
                                      steps=settings.steps, d_model=config.d_model)
        self.batches = TrainingBatches(task, settings.batch_size, settings.seed)
        self.step = 0    # optimizer steps done

    # Training

    def train_step(self):
        """One optimizer step. Returns a dictionary: step (from 1), loss, learning_rate, gradient_norm, target tokens.

        Errors: FloatingPointError if a gradient is not finite; then no parameter has changed.
        """
        batch = self.batches.batch_at(self.step)
        self.optimizer.zero_grad()
        loss = 0.0
        for first_row, part in micro_batches(batch, self.settings.micro_batches):
            self.model.set_dropout(self.settings.seed, self.step, first_row)
            loss += self.twin.accumulate_gradients(self.model, self.criterion, part, batch.target_count)
        gradient_norm = self.twin.clip_gradients(self.model.named_parameters(), self.settings.max_norm)
        self.optimizer.lr = self.schedule(self.step + 1)
        self.optimizer.step()
        self.step += 1
        return {"step": self.step, "loss": loss, "learning_rate": self.optimizer.lr, "gradient_norm": gradient_norm,
                "tokens": batch.target_count}

    def train(self, progress=True):
        """Train until settings.steps, from where the run stands. Returns the last Evaluation.

        progress: show a bar. In between it evaluates, writes the log and saves checkpoints, if there is a directory.
        Errors: FloatingPointError if a gradient is not finite; the checkpoint before it stays.
        """
        from tqdm import tqdm

        settings, evaluation = self.settings, None
        with (TrainingLog(self.directory and self.directory / LOG, self.step) as log,
              tqdm(total=settings.steps, initial=self.step, unit="step", disable=not progress) as bar):
            while self.step < settings.steps:
                began = time.perf_counter()
                record = self.train_step()
                log.write({**record, "tokens_per_second": record["tokens"] / (time.perf_counter() - began)})
                bar.set_postfix(loss=f"{record['loss']:.4f}", refresh=False)
                bar.update()
                done = self.step == settings.steps
                if done or self.step % settings.evaluate_every == 0:
                    evaluation = self.evaluate("validation", settings.evaluation_examples)
                    log.write({"step": self.step, **evaluation.to_json()})
                if done or self.step % settings.checkpoint_every == 0:
                    self.save()
        return evaluation or self.evaluate("validation", settings.evaluation_examples)

    def evaluate(self, split="validation", limit=None, **decoding):
        """The model's loss and exact match on the first `limit` examples of a split: an Evaluation."""
        return evaluate(self.twin, self.model, self.task, split, limit=limit, **decoding)

    # State

    def save(self):
        """Write the whole state of the run to the directory's checkpoint, atomically; nothing without a directory."""
        if self.directory is None:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        tensors = {f"model/{path}": self.twin.to_numpy(parameter) for path, parameter in self.model.named_parameters()}
        tensors |= {f"optimizer/{name}": array for name, array in self.optimizer.state_dict().items()}
        save_checkpoint(self.directory / CHECKPOINT, tensors, {
            "step": self.step, "settings": self.settings.to_json(), "config": self.config.to_json(),
            "task": {"name": self.task.name, "options": self.task.options,
                     "vocabulary": self.task.vocabulary.to_json()}})

    @classmethod
    def load(cls, twin, path, directory=None):
        """The Trainer that a checkpoint holds, as it was; either twin can load either's.

        Errors: CheckpointError that names the file, if it is missing, truncated, foreign or does not fit.
        """
        tensors, metadata = load_checkpoint(path)
        try:
            stored = metadata["task"]
            vocabulary = Vocabulary.from_json(stored["vocabulary"])
            task = make_task(stored["name"], **stored["options"], vocabulary=vocabulary)
            trainer = cls(twin, task, TransformerConfig(**metadata["config"]),
                          TrainingSettings(**metadata["settings"]), directory)
            parameters = {path: twin.to_numpy(parameter) for path, parameter in trainer.model.named_parameters()}
            copy_into(parameters, {name.removeprefix("model/"): array for name, array in tensors.items()
                                   if name.startswith("model/")})
            trainer.optimizer.load_state_dict({name.removeprefix("optimizer/"): array
                                               for name, array in tensors.items() if name.startswith("optimizer/")})
            trainer.step = int(metadata["step"])
        except KeyError as error:
            raise CheckpointError(f"{path} is a checkpoint of something else: it has no {error}") from error
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is a checkpoint that this version can't use: {error}") from error
        return trainer

    @classmethod
    def start_or_resume(cls, twin, task, config, settings, directory):
        """The Trainer of the run in `directory`: at its last checkpoint, or at step 0 if there is none.

        Errors: ValueError if the checkpoint there belongs to a run with other choices; CheckpointError if it can't be
        read.
        """
        path = Path(directory) / CHECKPOINT
        if not path.exists():
            return cls(twin, task, config, settings, directory)
        trainer = cls.load(twin, path, directory)
        found, asked = trainer.choices(), choices(task, config, settings)
        different = [f"{name} {found.get(name)!r} (asked for: {asked.get(name)!r})"
                     for name in sorted(found.keys() | asked.keys()) if found.get(name) != asked.get(name)]
        if different:
            raise ValueError(f"{path} belongs to a run with other choices: {', '.join(different)}; choose another "
                             "directory, or the same choices to go on with that run")
        return trainer

    def choices(self):
        """All choices that decide the run, as one dictionary."""
        return choices(self.task, self.config, self.settings)


def choices(task, config, settings):
    """All choices that decide a run, as one dictionary."""
    return {"task": task.name, **task.options, **config.to_json(), **settings.to_json()}


def make_optimizer(twin, model, settings):
    """The optimizer that the settings name; matrices decay, biases and norms do not."""
    groups = twin.parameter_groups(model, settings.weight_decay)
    if settings.optimizer == "sgd":
        return twin.SGD(groups, lr=0.0, momentum=0.9)
    optimizer = {"adam": twin.Adam, "adamw": twin.AdamW}[settings.optimizer]
    return optimizer(groups, lr=0.0, betas=(settings.adam_beta1, settings.adam_beta2), eps=settings.adam_eps)


def micro_batches(batch, count):
    """Cut a batch into at most `count` parts of like size. Yields (index of the part's first row, part)."""
    rows = len(batch.examples)
    size = math.ceil(rows / count)
    for first_row in range(0, rows, size):
        part = slice(first_row, first_row + size)
        yield first_row, replace(batch, source_ids=batch.source_ids[part], target_in_ids=batch.target_in_ids[part],
                                 target_out_ids=batch.target_out_ids[part], examples=batch.examples[part])


def copy_into(arrays, values):
    """Copy `values` into `arrays`, both {name: array}. Raises ValueError, and changes nothing, if they do not fit."""
    checks.state("the model's state", values, arrays)
    for name, array in arrays.items():
        array[...] = values[name]
