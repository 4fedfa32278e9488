"""The demo, with a tiny model and few steps; its real run is a long test."""

import json
import re

import numpy as np
import pytest
from matplotlib.image import imread

from numpy_impl.models.config import TransformerConfig
from numpy_impl.text.tasks import make_task
from numpy_impl.training.checkpoint import load_checkpoint
from numpy_impl.training.settings import TrainingSettings
from numpy_impl.training.trainer import CHECKPOINT, Trainer
from parity_tests import demo
from parity_tests.harness.small import SIZES, run_python, strict_json
from parity_tests.side_by_side import TWINS

STEPS = 12
COLUMNS = {"step", "numpy_loss", "torch_loss", "numpy_seconds", "torch_seconds", "parameter_difference",
           "gradient_difference"}
FIGURES = ("loss.png", "difference.png", "attention.png")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A tiny model instead of the demo's, and few dates to judge it."""
    def choices(task, options):
        size = len(task.vocabulary)
        config = TransformerConfig(size, size, **SIZES, max_length=64)
        return config, TrainingSettings(steps=options.steps, batch_size=4, dtype=options.dtype, warmup=5)

    evaluate = Trainer.evaluate
    monkeypatch.setattr(demo, "choices", choices)
    monkeypatch.setattr(Trainer, "evaluate", lambda self, split, limit, **how: evaluate(self, split, 10, **how))


def run(directory, *args):
    return demo.main(["-o", str(directory), "--steps", str(STEPS), *args])


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*_):
        pytest.fail("the demo trains")

    monkeypatch.setattr(Trainer, "train_step", refuse)


def rows(output):
    """The numbers of the table: lines of step, both losses, and differences."""
    return [line.split() for line in output.splitlines() if re.match(r" +\d+ +\d+\.\d+ +\d+\.\d+ ", line)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_demo(dtype, tmp_path, capsys):
    assert run(tmp_path, "--dtype", dtype) == 0
    output = capsys.readouterr().out
    table = rows(output)
    assert [row[0] for row in table] == ["1", "10"]
    for row in table:
        assert float(row[1]) == pytest.approx(float(row[2]), abs=1e-9 if dtype == "float64" else 1e-5)
    history = [strict_json(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in history] == list(range(1, STEPS + 1))
    assert all(row.keys() >= COLUMNS and all(np.isfinite(list(row.values()))) for row in history)
    for twin in TWINS:
        assert load_checkpoint(tmp_path / twin / CHECKPOINT)[1]["step"] == STEPS
    assert len(re.findall(r"(?:numpy|torch) +(?:greedy|beam of 4) +\d+\.\d% exactly right", output)) == 4
    for text in demo.EXAMPLES:
        assert f"  {text} -> " in output
    if dtype == "float64":
        assert "The twins say the same." in output
        assert max(row["gradient_difference"] for row in history) <= 1e5    # in eps, after 12 steps of two runs


def test_the_figures_show_something(tmp_path):
    assert run(tmp_path) == 0
    for name in FIGURES:
        image = imread(tmp_path / name)
        height, width, _ = image.shape
        assert height > 200 and width > 200
        colours = {tuple(pixel) for pixel in image[::3, ::3, :3].reshape(-1, 3)}
        assert len(colours) > 20
        assert image[..., :3].std() > 0.05
        # Each quarter of the picture holds something.
        for half in (image[:height // 2], image[height // 2:]):
            assert half[:, :width // 2, :3].std() > 0.01 and half[:, width // 2:, :3].std() > 0.01


def test_a_finished_run_is_used_again(tmp_path, capsys, request):
    assert run(tmp_path) == 0
    capsys.readouterr()
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.suffix != ".png" and path.is_file()}
    request.getfixturevalue("no_training")
    assert run(tmp_path, "3rd of March 2021") == 0
    output = capsys.readouterr().out
    assert "  3rd of March 2021 -> " in output and demo.EXAMPLES[1] not in output
    assert rows(output) == []
    assert {path: path.read_bytes() for path in files} == files


def test_an_unfinished_run_is_not_used(tmp_path):
    task = make_task("dates")
    options = demo.parse(["-o", str(tmp_path), "--steps", "6"])
    trainers, history = demo.train(task, options)
    found, rows_ = demo.finished(task, options)
    assert found.keys() == trainers.keys() and rows_ == json.loads(json.dumps(history))
    assert demo.finished(task, demo.parse(["-o", str(tmp_path), "--steps", "7"])) is None
    assert demo.finished(task, demo.parse(["-o", str(tmp_path), "--steps", "6", "--dtype", "float32"])) is None
    for name in ("torch/checkpoint.safetensors", "numpy/checkpoint.safetensors", "history.jsonl"):
        path = tmp_path / name
        content = path.read_bytes()
        for damage in (path.unlink, lambda: path.write_bytes(content[:-20])):
            damage()
            assert demo.finished(task, options) is None
        path.write_bytes(content)
    assert demo.finished(task, options) is not None


@pytest.mark.parametrize("text, message", [("3rd of März 2021 ☃", "unknown symbol '☃' (U+2603)"),
                                           ("1" * 100, "100 symbols long, must have at most")])
def test_a_text_that_cannot_be_read_costs_no_training(text, message, tmp_path, capsys, no_training):
    assert run(tmp_path, text) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("demo: ") and message in captured.err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_text_means_the_examples(tmp_path, capsys):
    assert run(tmp_path, "") == 0    # what `make demo TEXT=` hands over
    assert f"  {demo.EXAMPLES[0]} -> " in capsys.readouterr().out


@pytest.mark.long
def test_the_real_demo_learns_dates(tmp_path):
    ran = run_python("-m", "parity_tests.demo", "-o", tmp_path, "3rd of March 2021")
    shares = re.findall(r"(numpy|torch) +greedy +(\d+\.\d)% exactly right", ran.stdout)
    assert [twin for twin, _ in shares] == ["numpy", "torch"]
    assert all(float(share) >= 99 for _, share in shares)
    assert "3rd of March 2021 -> 2021-03-03\n" in ran.stdout
    assert all((tmp_path / name).exists() for name in FIGURES)
