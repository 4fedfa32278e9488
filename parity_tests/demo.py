"""The demo: train both twins side by side on date translation, and watch them be the same computation.

    python -m parity_tests.demo                           train, translate a few dates, draw the figures
    python -m parity_tests.demo "3rd of March 2021"       translate this; a finished run is used again
    python -m parity_tests.demo --full                    all forms of dates, wareki included: a longer run
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from numpy_impl.inference.translation import translate
from numpy_impl.models.config import TransformerConfig
from numpy_impl.text.tasks import make_task
from numpy_impl.training.checkpoint import CheckpointError
from numpy_impl.training.settings import TrainingSettings
from numpy_impl.training.trainer import CHECKPOINT, Trainer
from parity_tests import figures, side_by_side
from parity_tests.side_by_side import TWINS

EXAMPLES = ("3rd of March 2021", "<en_us>3/4/2021", "sam. 14 juil. 1990", "Mi., 1. Jan. 2025", "2024年2月29日(木)")

HEADINGS = f"""{'':>6} {'loss':>13} {'loss':>14} {'largest difference':>20} {'of gradients,':>15} {'at equal':>11}
{'step':>6} {'NumPy':>14} {'PyTorch':>14} {'of parameters':>18} {'as they run':>16} {'weights':>11}"""
ROW = ("{step:>6} {numpy_loss:>14.10f} {torch_loss:>14.10f} {parameter_difference:>18.1e} "
       "{gradient_difference:>12.0f} eps {gradient_difference_at_equal_weights:>7.0f} eps")


def main(arguments=None):
    """Run the demo. Returns the exit status: 0, 1 if the twins differ, 2 for bad input (a text that can't be read)."""
    options = parse(arguments)
    torch.set_num_threads(1)    # at these sizes a second thread costs more than it gains
    try:
        return 0 if run(options) else 1
    except (ValueError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130


def run(options):
    """Train, or use a finished run; evaluate, translate, draw. Returns whether the twins say the same."""
    task = make_task("dates-full" if options.full else "dates")
    texts = [text for text in options.text if text.strip()]
    for text in texts:
        task.encode_source(text)    # a text that can't be read should not cost a training run
    found = finished(task, options)
    trainers, history = found or train(task, options)
    if not (found and texts):
        evaluate(trainers)
    same = show_translations(trainers, texts or EXAMPLES)
    draw(trainers, history, (texts or EXAMPLES)[0], options.output)
    return same


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m parity_tests.demo", description=__doc__.split("\n")[0])
    parser.add_argument("text", nargs="*", metavar="TEXT", help="a date to translate, as in %r" % EXAMPLES[0])
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="(default: runs/demo, or runs/demo-full)")
    parser.add_argument("--full", action="store_true", help="all forms, wareki and ISO to Japanese included: longer")
    parser.add_argument("--dtype", default="float64", choices=("float64", "float32"), help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, help="optimizer steps (default: 1400; 4000 with --full)")
    options = parser.parse_args(arguments)
    if options.steps is None:
        options.steps = 4000 if options.full else 1400
    options.output = options.output or Path("runs") / ("demo-full" if options.full else "demo")
    return options


def choices(task, options):
    """The model's sizes and the settings of the demo."""
    size = len(task.vocabulary)
    config = TransformerConfig(size, size, d_model=64, num_heads=4, num_encoder_layers=2, num_decoder_layers=2,
                               d_ff=128, dropout=0.0, norm_first=True, max_length=64)
    # A small rate, large batches, norm_first, such betas and eps: they learn as well as the paper's choices and amplify
    # rounding far less. Training at a high rate is chaotic: two runs that differ in the last bit soon part.
    settings = TrainingSettings(steps=options.steps, batch_size=96, seed=0, dtype=options.dtype, schedule="cosine",
                                learning_rate=1.25e-3, warmup=100, adam_beta1=0.95, adam_beta2=0.99, adam_eps=1e-5)
    return config, settings


def finished(task, options):
    """The trainers and the history of a finished run with the same choices; None if there is none."""
    if not any((options.output / name / CHECKPOINT).exists() for name in TWINS):
        return None
    try:
        trainers = load(options)
        history = [json.loads(line) for line in (options.output / "history.jsonl").read_text().splitlines()]
    except (CheckpointError, OSError, ValueError) as error:
        print(f"Training anew, since the run in {options.output} can't be used again: {error}\n")
        return None
    asked = Trainer(TWINS["numpy"], task, *choices(task, options)).choices()
    if any(trainer.choices() != asked or trainer.step != options.steps for trainer in trainers.values()):
        print(f"Training anew, since the run in {options.output} was made with other choices.\n")
        return None
    print(f"Using the finished run in {options.output}.\n")
    return trainers, history


# Training


def train(task, options):
    """Train both twins in step. Prints a table, saves checkpoints and history. Returns the trainers and the history."""
    config, settings = choices(task, options)
    print(f"Two Transformers learn to translate dates, in {settings.dtype}: one by hand in NumPy, one in PyTorch with "
          f"autograd.\nSame seed, same batches.\n\n{HEADINGS}")
    history, began = [], time.perf_counter()
    for row in side_by_side.train(task, config, settings, options.output, is_printed):
        history.append(row)
        if is_printed(row["step"]):
            print(ROW.format(**row), flush=True)
    (options.output / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history))
    seconds = {name: np.median([row[f"{name}_seconds"] for row in history]) for name in TWINS}
    print(f"\n{time.perf_counter() - began:.0f} s; a step took {seconds['numpy'] * 1e3:.0f} ms in NumPy, "
          f"{seconds['torch'] * 1e3:.0f} ms in PyTorch (medians).")
    return load(options), history


def is_printed(step):
    return step in (1, 10) or step % 50 == 0


def load(options):
    """The Trainers of a finished run, {twin: Trainer}."""
    return {name: Trainer.load(twin, options.output / name / CHECKPOINT) for name, twin in TWINS.items()}


# Results


def evaluate(trainers):
    """Print the exact match of both twins on dates that training never saw."""
    print("\nOn 1000 dates that were never seen in training, each in one of the forms:")
    for name, trainer in trainers.items():
        for beam_size, way in ((1, "greedy"), (4, "beam of 4")):
            result = trainer.evaluate("test", 1000, beam_size=beam_size)
            print(f"  {name:<6} {way:<10} {result.exact_match:8.1%} exactly right   loss {result.loss:.12f}")


def show_translations(trainers, texts):
    """Print the translations of `texts`, greedily and with a beam. Returns whether the twins say the same."""
    outputs = {}
    for name, trainer in trainers.items():
        trainer.model.eval()
        outputs[name] = (translate(trainer.twin, trainer.model, trainer.task, texts),
                         translate(trainer.twin, trainer.model, trainer.task, texts, beam_size=4, n_best=2))
    print("\nTranslations (greedy; the two best of a beam of 4, with log-probability / length penalty):")
    for text, [(greedy, _)], beam in zip(texts, *outputs["numpy"]):
        best = ", ".join(f"{translation} ({score:.4f})" for translation, score in beam)
        print(f"  {text} -> {greedy}\n      beam: {best}")
    same = all(ours[0][0] == theirs[0][0]
               for ways in zip(outputs["numpy"], outputs["torch"]) for ours, theirs in zip(*ways))
    print("The twins say the same." if same else "The twins differ!")
    return same


def draw(trainers, history, text, directory):
    """Save the figures: both loss curves, the differences, and the cross-attention of one translation."""
    trainer = trainers["numpy"]
    paths = [figures.losses(history, directory / "loss.png"),
             figures.differences(history, trainer.settings.dtype, directory / "difference.png"),
             figures.cross_attention(trainer, text, directory / "attention.png")]
    print("\nFigures: " + ", ".join(map(str, paths)))


if __name__ == "__main__":
    sys.exit(main())
