"""Small models that train while a page is built, and what can be read from them. None of it loads PyTorch."""

import dataclasses
import functools
import hashlib
import json

import numpy as np

import numpy_impl.twin
from book.digest import BUILD, digest
from numpy_impl.inference.translation import translate
from numpy_impl.models.config import TransformerConfig
from numpy_impl.text.batches import pad
from numpy_impl.text.sequences import SOLUTIONS
from numpy_impl.text.tasks import make_task
from numpy_impl.text.vocabulary import Vocabulary
from numpy_impl.training.settings import TrainingSettings
from numpy_impl.training.trainer import CHECKPOINT, Trainer
from parity_tests.harness.bugs.training import EXAMPLES, SETTINGS, SIZES
from parity_tests.harness.small import small_task

NAMES = {Vocabulary.PAD: "pad", Vocabulary.BOS: "begin", Vocabulary.EOS: "end"}
FIELDS = {field.name for field in dataclasses.fields(TransformerConfig)}


@dataclasses.dataclass
class Run:
    """What `small_run` returns.

    trainer: the Trainer, after its last step. records: what `Trainer.train_step` returned, one dictionary a step.
    """

    trainer: Trainer
    records: list

    @property
    def losses(self):
        """[the loss of each training step, in nats a symbol]."""
        return [record["loss"] for record in self.records]

    @functools.cached_property
    def evaluation(self):
        """The Evaluation of the trained model on 200 examples that it has not seen: .loss and .exact_match."""
        return self.trainer.evaluate(limit=EXAMPLES)


def small_trainer(task="reverse", steps=300, **choices):
    """A Trainer of the small model that the book experiments with: two layers on either side, 32 features.

    task: a name for `make_task`, or a Task. The sequence tasks have words of one to six of six letters.
    choices: fields of TransformerConfig (`d_model=64`, `norm_first=True`, ...) or of TrainingSettings.
    """
    if isinstance(task, str):
        task = small_task(task) if task in SOLUTIONS else make_task(task)
    sizes = {name: value for name, value in choices.items() if name in FIELDS}
    settings = {name: value for name, value in choices.items() if name not in FIELDS}
    count = len(task.vocabulary)
    longest = max(task.max_source_length, task.max_target_length)
    config = TransformerConfig(count, count, **{**SIZES, "max_length": max(16, longest + 1), **sizes})
    settings = {**SETTINGS, "steps": steps, "warmup": max(steps // 12, 1), **settings}
    return Trainer(numpy_impl.twin, task, config, TrainingSettings(**settings))


def small_run(task="reverse", steps=300, *, prepare=None, each_step=None, **choices):
    """Train a small model and return the Run: 300 steps take 3 to 5 seconds.

    prepare(trainer): called before the first step, to change the model. each_step(trainer, record): called after each.
    The rest as `small_trainer`.
    """
    trainer, records = small_trainer(task, steps, **choices), []
    if prepare is not None:
        prepare(trainer)
    for _ in range(steps):
        records.append(trainer.train_step())
        if each_step is not None:
            each_step(trainer, records[-1])
    return Run(trainer, records)


def trained(task="reverse", steps=800, **choices):
    """The Trainer of a small model after its training, in evaluation mode; the first caller trains it.

    It is kept on disk until a source of ours changes. 800 steps of a sequence task take about ten seconds and get
    nearly all words right. The arguments are those of `small_trainer`; the task must be a name.
    """
    key = json.dumps([task, steps, choices], sort_keys=True)
    name = f"{task}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    folder = BUILD / "models" / digest(MADE_BY) / name
    if not (folder / CHECKPOINT).exists():
        trainer = small_run(task, steps, **choices).trainer
        trainer.directory = folder
        trainer.save()
    trainer = Trainer.load(numpy_impl.twin, folder / CHECKPOINT)
    trainer.model.eval()
    return trainer


# What a trained model depends on.
MADE_BY = ("numpy_impl", "docs/book/models.py", "parity_tests/harness/bugs/training.py",
           "parity_tests/harness/small.py")


@dataclasses.dataclass
class Attention:
    """The attention weights of one translation, from `attention_of`.

    source, target: the symbols that were read; the target begins with the begin symbol. output: the translation.
    encoder, decoder, cross: for each layer the weights (H, Tq, Tk) of self-attention in the encoder and in the decoder,
    and of the decoder's attention to the source.
    """

    source: list
    target: list
    output: str
    encoder: list
    decoder: list
    cross: list


def attention_of(trainer, text):
    """Let the trained model translate `text`, and return the Attention."""
    model, vocabulary = trainer.model, trainer.task.vocabulary
    training = model.training
    model.eval()
    [[(output, _)]] = translate(trainer.twin, model, trainer.task, [text])
    source = trainer.task.encode_source(text)
    target = [vocabulary.BOS, *vocabulary.encode(output)]
    groups = ([layer.self_attention.sublayer for layer in model.encoder.layers],
              [layer.self_attention.sublayer for layer in model.decoder.layers],
              [layer.cross_attention.sublayer for layer in model.decoder.layers])
    for module in sum(groups, []):
        module.keep_weights = True
    model(pad([source]), pad([target]))
    weights = [[module.kept_weights[0].copy() for module in group] for group in groups]
    for module in sum(groups, []):
        module.keep_weights, module.kept_weights = False, None
    model.train(training)
    return Attention(symbols(vocabulary, source), symbols(vocabulary, target), output, *weights)


def symbols(vocabulary, ids):
    """A readable text for each id: the special symbols as words."""
    return [NAMES.get(i) or vocabulary.symbols[i] for i in np.asarray(ids).tolist()]
