"""The command line of both twins: python -m numpy_impl ..., python -m torch_impl ..., with the same arguments."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from numpy_impl import checks
from numpy_impl.inference.translation import translate
from numpy_impl.models.config import PRESETS, TransformerConfig
from numpy_impl.text.splits import SPLITS
from numpy_impl.text.tasks import TASKS, make_task
from numpy_impl.training.settings import DTYPES, OPTIMIZERS, SCHEDULES, TrainingSettings
from numpy_impl.training.trainer import CHECKPOINT, Trainer

# Sizes that learn these tasks on a laptop in minutes; "base" and "big" are the paper's.
SMALL = {"d_model": 64, "num_heads": 4, "num_encoder_layers": 2, "num_decoder_layers": 2, "d_ff": 128, "dropout": 0.0,
         "norm_first": True, "max_length": 128}
CONFIGS = {"small": SMALL, **PRESETS}

DESCRIPTION = """\
Train a Transformer ({twin}), evaluate it, translate with it.

  python -m {package} train --task dates -o runs/dates
  python -m {package} evaluate runs/dates
  python -m {package} translate runs/dates "3rd of March 2021" "3. März 2021"

Both twins (python -m numpy_impl, python -m torch_impl) take the same arguments, read each other's checkpoints and, in
float64, give the same results. They use one thread; OMP_NUM_THREADS=2 in the environment gives them two, which pays
for models as wide as the paper's."""


def main(twin, package, arguments=None):
    """Run the command line. twin: numpy_impl.twin or torch_impl.twin. Returns the exit status, 2 for bad input."""
    options = parse(package, arguments)
    try:
        options.command(twin, options)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"{package} {options.verb}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{package} {options.verb}: interrupted (train goes on from the last checkpoint)", file=sys.stderr)
        return 130
    return 0


def parse(package, arguments):
    """The parsed command line. Options may stand before, between and after the TEXTs, which argparse alone refuses."""
    parser = make_parser(package)
    options, rest = parser.parse_known_args(arguments)
    if rest and (options.verb != "translate" or any(text.startswith("-") for text in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.text += rest
    return options


def make_parser(package):
    """The argument parser of `python -m package`."""
    twin = {"numpy_impl": "by hand in NumPy", "torch_impl": "in PyTorch"}[package]
    description = DESCRIPTION.format(twin=twin, package=package)
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="train | evaluate | translate")
    add_train(verbs)
    add_evaluate(verbs)
    add_translate(verbs)
    return parser


def add_train(verbs):
    """The verb `train` and its options."""
    parser = verbs.add_parser(
        "train", help="train a model, or go on with a run that was stopped",
        description="Train a model on a task. If the directory holds a checkpoint of the same run, training goes on "
                    "from there, bit for bit as if it had never stopped.")
    parser.set_defaults(command=train)
    parser.add_argument("-o", "--output", type=Path, metavar="DIR",
                        help="where checkpoint.safetensors and log.jsonl go (default: runs/TASK)")
    parser.add_argument("--task", default="dates", choices=TASKS, help="what to learn (default: %(default)s)")
    sizes = parser.add_argument_group("sizes of the model", "A preset, and changes to it.")
    sizes.add_argument("--preset", default="small", choices=CONFIGS,
                       help="small learns the tasks in minutes; base and big are the paper's (default: %(default)s)")
    for name, (kind, meaning) in SIZES.items():
        sizes.add_argument(option(name), type=kind, metavar="N" if kind is int else "P", help=meaning)
    sizes.add_argument("--activation", choices=("relu", "gelu", "gelu_tanh"), help="of the feed-forward layers")
    sizes.add_argument("--norm-first", action=argparse.BooleanOptionalAction,
                       help="normalize before each sublayer instead of after it")
    sizes.add_argument("--tie-weights", action=argparse.BooleanOptionalAction,
                       help="one matrix for both embeddings and the output projection")
    training = parser.add_argument_group("training")
    for field in dataclasses.fields(TrainingSettings):
        choices = CHOICES.get(field.name)
        training.add_argument(option(field.name), type=kind_of(field), default=field.default, choices=choices,
                              metavar=None if choices else "N" if field.type is int else "X",
                              help=f"{SETTINGS_HELP[field.name]} (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


SIZES = {
    "d_model": (int, "features of a token"), "num_heads": (int, "attention heads; they divide d_model"),
    "num_encoder_layers": (int, "layers that read"), "num_decoder_layers": (int, "layers that write"),
    "d_ff": (int, "features inside the feed-forward layers"),
    "dropout": (float, "the probability of dropping a value in training, from 0 to below 1"),
}
CHOICES = {"dtype": DTYPES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}
SETTINGS_HELP = {
    "steps": "optimizer steps", "batch_size": "examples a step",
    "micro_batches": "parts in which a batch is computed, to save memory",
    "seed": "of initial weights, batches and dropout", "dtype": "of all that is computed",
    "optimizer": "the update rule", "adam_beta1": "how long Adam remembers gradients; 0.9 in the paper",
    "adam_beta2": "and their squares; 0.98 in the paper",
    "adam_eps": "gradients below it make small steps; 1e-9 in the paper",
    "schedule": "how the learning rate falls after the warm-up",
    "learning_rate": "its peak; 'paper' with noam: as in the paper", "warmup": "steps until the peak",
    "weight_decay": "of matrices",
    "max_norm": "at which the gradient is clipped", "label_smoothing": "of the training loss",
    "checkpoint_every": "steps between checkpoints", "evaluate_every": "steps between evaluations",
    "evaluation_examples": "of the validation split, while training",
}


def option(name):
    """The option of a setting: --batch-size of batch_size."""
    return "--" + name.replace("_", "-")


def kind_of(field):
    """What makes the value of a setting from its text."""
    return {int: int, float: float, str: str}.get(field.type, rate)


def rate(text):
    """A learning rate; "paper" stands for the one that the paper's formula (schedule noam) has by itself."""
    return None if text == "paper" else float(text)


def add_evaluate(verbs):
    """The verb `evaluate` and its options."""
    parser = verbs.add_parser(
        "evaluate", help="measure loss and exact match on a split",
        description="Measure the loss (a mean over target symbols, without label smoothing) and the part of exactly "
                    "right translations. Prints one line of JSON.")
    parser.set_defaults(command=evaluate)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint, or the directory of a run")
    parser.add_argument("--split", default="test", choices=SPLITS, help="(default: %(default)s)")
    parser.add_argument("--limit", type=int, default=1000, metavar="N", help="so many examples (default: %(default)s)")
    parser.add_argument("--show-wrong", type=int, default=0, metavar="N", help="print N wrong translations, too")
    add_beam(parser)


def add_translate(verbs):
    """The verb `translate` and its options."""
    parser = verbs.add_parser(
        "translate", help="translate texts",
        description="Translate each TEXT, or each line of standard input. With a beam, each translation comes with its "
                    "score: the log-probability divided by the length penalty.")
    parser.set_defaults(command=translate_texts)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint, or the directory of a run")
    parser.add_argument("text", nargs="*", metavar="TEXT")
    parser.add_argument("--n-best", type=int, default=1, metavar="N", help="print the N best; the beam must hold them")
    add_beam(parser)


def add_beam(parser):
    """The options of beam search."""
    parser.add_argument("--beam", type=int, default=1, metavar="K", help="its size; 1 is greedy (default: %(default)s)")
    parser.add_argument("--alpha", type=float, default=0.6, help="of the beam's length penalty (default: %(default)s)")


def train(twin, options):
    """Run the verb `train`."""
    task = make_task(options.task)
    size = len(task.vocabulary)
    changes = {field.name: getattr(options, field.name) for field in dataclasses.fields(TransformerConfig)
               if getattr(options, field.name, None) is not None}
    config = TransformerConfig(size, size, **{**CONFIGS[options.preset], **changes})
    settings = TrainingSettings(**{field.name: getattr(options, field.name)
                                   for field in dataclasses.fields(TrainingSettings)})
    directory = options.output or Path("runs") / options.task
    trainer = Trainer.start_or_resume(twin, task, config, settings, directory)
    print(f"{trainer.model.num_parameters()} parameters; {directory / CHECKPOINT}: "
          f"{f'goes on at step {trainer.step}' if trainer.step else 'a new run'}", file=sys.stderr)
    evaluation = trainer.train(progress=not options.quiet)
    print(json.dumps({"step": trainer.step, **evaluation.to_json()}))


def evaluate(twin, options):
    """Run the verb `evaluate`."""
    checks.not_negative("show_wrong", options.show_wrong)
    trainer = load(twin, options.checkpoint)
    evaluation = trainer.evaluate(options.split, options.limit, beam_size=options.beam, alpha=options.alpha)
    print(json.dumps({"step": trainer.step, **evaluation.to_json()}))
    for example, output in evaluation.wrong[:options.show_wrong]:
        print(f"{example.source}\t{output}\tmust be: {example.target}")


def translate_texts(twin, options):
    """Run the verb `translate`."""
    trainer = load(twin, options.checkpoint)
    texts = options.text or [line.rstrip("\n") for line in sys.stdin]
    if not texts:
        raise ValueError("there is no text to translate: give TEXT, or lines on standard input")
    trainer.model.eval()
    found = translate(twin, trainer.model, trainer.task, texts, beam_size=options.beam, alpha=options.alpha,
                      n_best=options.n_best)
    for best in found:
        for translation, score in best:
            print(translation if score is None else f"{score:.6f}\t{translation}")


def load(twin, path):
    """The Trainer of a checkpoint, or of the one in a directory."""
    return Trainer.load(twin, path / CHECKPOINT if path.is_dir() else path)
