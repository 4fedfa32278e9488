"""The trainer: steps of both twins, gradient accumulation, log, checkpoints, and runs that go on where they stopped."""

import ast
import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from numpy_impl.cli import main
from numpy_impl.text.tasks import make_task
from numpy_impl.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from numpy_impl.training.log import read_log
from numpy_impl.training.settings import TrainingSettings
from numpy_impl.training.trainer import CHECKPOINT, LOG, Trainer, copy_into, micro_batches
from parity_tests.harness.small import (PACKAGES, ROOT, arguments, gradients, largest_errors,
                                        moments, run_python, small_task, small_trainer, strict_json, weights)
from parity_tests.side_by_side import TWINS

EPS = np.finfo("float64").eps
each_twin = pytest.mark.parametrize("twin", TWINS)


def timeless(records):
    """The records of a log without what differs from run to run."""
    return [{name: value for name, value in record.items() if name != "tokens_per_second"} for record in records]


def assert_same_run(one, other):
    """Two directories hold the same run, bit for bit: weights, moments, step, choices and log."""
    tensors, metadata = zip(*[load_checkpoint(directory / CHECKPOINT) for directory in (one, other)])
    assert metadata[0] == metadata[1] and tensors[0].keys() == tensors[1].keys()
    for name, array in tensors[0].items():
        assert array.dtype == tensors[1][name].dtype and array.tobytes() == tensors[1][name].tobytes(), name
    assert timeless(read_log(one / LOG)) == timeless(read_log(other / LOG))


def assert_close(ours, theirs, relative, absolute=1e-7):
    found_relative, found_absolute = largest_errors(ours, theirs)
    assert found_relative <= relative
    assert found_absolute <= absolute


# Steps


@each_twin
@pytest.mark.parametrize("optimizer, rate", [("adamw", 6e-3), ("adam", 6e-3), ("sgd", 0.1)])
def test_the_loss_goes_down(twin, optimizer, rate):
    trainer = small_trainer(twin, optimizer=optimizer, learning_rate=rate)
    losses = [trainer.train_step()["loss"] for _ in range(40)]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:5])


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("schedule", ["noam", "cosine", "linear"])
def test_a_step_is_the_same_in_both_twins(optimizer, schedule):
    ours, theirs = [small_trainer(twin, optimizer=optimizer, schedule=schedule, micro_batches=2) for twin in TWINS]
    for _ in range(3):
        one, other = ours.train_step(), theirs.train_step()
        assert one.keys() == other.keys()
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-12)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], abs=1e-12)
        assert all(one[name] == other[name] for name in ("step", "learning_rate", "tokens"))
    assert_close(weights(ours), weights(theirs), 1e-12)
    assert_close(moments(ours), moments(theirs), 1e-12)


@pytest.mark.parametrize("sizes", [{"norm_first": True}, {"tie_weights": False}, {"activation": "gelu_tanh"},
                                   {"dropout": 0.0}], ids=str)
def test_other_models_step_alike(sizes):
    ours, theirs = [[trainer.train_step()["loss"] for _ in range(3)]
                    for trainer in (small_trainer(name, sizes=sizes) for name in TWINS)]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@each_twin
def test_a_step_has_the_gradients_of_its_own_batch_alone(twin, monkeypatch):
    after_another, alone = small_trainer(twin), small_trainer(twin)
    for trainer in (after_another, alone):
        monkeypatch.setattr(trainer.optimizer, "step", lambda: None)    # the weights stay
    after_another.train_step()
    alone.step = 1
    assert after_another.train_step() == alone.train_step()
    assert largest_errors(gradients(after_another), gradients(alone)) == (0, 0)


@each_twin
def test_each_step_draws_its_own_dropout_masks(twin, monkeypatch):
    def loss_at(step):
        """Of new weights on the first batch, with the masks of this step."""
        trainer = small_trainer(twin)
        batch = trainer.batches.batch_at(0)
        monkeypatch.setattr(trainer.batches, "batch_at", lambda _: batch)
        trainer.step = step
        return trainer.train_step()["loss"]

    assert loss_at(3) == loss_at(3) != loss_at(4)


# Gradient accumulation


@each_twin
@pytest.mark.parametrize("count", [1, 2, 3, 64])
def test_parts_give_the_gradient_of_the_batch(twin, count):
    """Dropout masks included: a part redraws its part of the batch's masks."""
    whole, parts = [small_trainer(twin, batch_size=64, micro_batches=n, max_norm=1e9) for n in (1, count)]
    for trainer in (whole, parts):
        trainer.step = 5
    one, other = whole.train_step(), parts.train_step()
    assert abs(one["loss"] - other["loss"]) <= 64 * EPS * one["loss"]
    assert abs(one["gradient_norm"] - other["gradient_norm"]) <= 64 * EPS * one["gradient_norm"]
    relative, absolute = largest_errors(gradients(parts), gradients(whole))
    assert relative <= 2048 * EPS
    assert absolute <= 2048 * EPS    # what is zero by analysis


@each_twin
def test_accumulation_can_fail(twin, monkeypatch):
    """Without the index of its first row, a part draws the masks of other rows."""
    whole, parts = [small_trainer(twin, batch_size=16, micro_batches=n) for n in (1, 2)]
    set_dropout = parts.model.set_dropout
    monkeypatch.setattr(parts.model, "set_dropout", lambda seed, step, first_row: set_dropout(seed, step))
    for trainer in (whole, parts):
        trainer.train_step()
    assert largest_errors(gradients(parts), gradients(whole))[0] > 1e-3


def test_micro_batches_cut_the_whole_batch():
    batch = small_trainer("numpy", batch_size=10).batches.batch_at(0)
    for count, sizes in ((1, [10]), (3, [4, 4, 2]), (4, [3, 3, 3, 1]), (10, [1] * 10), (99, [1] * 10)):
        found = list(micro_batches(batch, count))
        assert [len(part.examples) for _, part in found] == sizes
        assert [first_row for first_row, _ in found] == list(np.cumsum([0, *sizes[:-1]]))
        for name in ("source_ids", "target_in_ids", "target_out_ids"):
            np.testing.assert_array_equal(np.concatenate([getattr(part, name) for _, part in found]),
                                          getattr(batch, name))


@each_twin
def test_a_gradient_that_is_not_finite_changes_nothing(twin):
    trainer = small_trainer(twin)
    trainer.train_step()
    before, state = weights(trainer), moments(trainer)
    parameter = dict(trainer.model.named_parameters())["encoder.layers.0.feed_forward.norm.gamma"]
    array = trainer.twin.to_numpy(parameter)
    array[0] = np.nan
    before["encoder.layers.0.feed_forward.norm.gamma"][0] = np.nan
    with pytest.raises(FloatingPointError, match="the gradient of 'source_embedding.weight' holds"):
        trainer.train_step()
    assert trainer.step == 1
    for path, values in weights(trainer).items():
        np.testing.assert_array_equal(values, before[path])
    for name, values in moments(trainer).items():
        np.testing.assert_array_equal(values, state[name])


# The log


@each_twin
def test_the_log_holds_every_step_and_every_evaluation(twin, tmp_path):
    trainer = small_trainer(twin, tmp_path)
    evaluation = trainer.train(progress=False)
    records = [strict_json(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert records == read_log(tmp_path / LOG)
    steps = [record for record in records if "split" not in record]
    assert [record["step"] for record in steps] == list(range(1, 41))
    for record in steps:
        assert record.keys() == {"step", "loss", "learning_rate", "gradient_norm", "tokens", "tokens_per_second"}
        assert record["learning_rate"] == trainer.schedule(record["step"])
        assert record["loss"] > 0 and record["gradient_norm"] > 0 and record["tokens_per_second"] > 0
        assert record["tokens"] == trainer.batches.batch_at(record["step"] - 1).target_count
    evaluations = [record for record in records if "split" in record]
    assert [record["step"] for record in evaluations] == [20, 40]
    assert evaluations[-1] == {"step": 40, "split": "validation", "examples": 10, "loss": evaluation.loss,
                               "exact_match": evaluation.exact_match}
    assert all(0 <= record["exact_match"] <= 1 for record in evaluations)


def test_without_a_directory_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_trainer("numpy", steps=12).train(progress=False)
    assert list(tmp_path.iterdir()) == []


def test_evaluation_puts_the_mode_back_and_leaves_training_alone():
    quiet, watched = small_trainer("numpy"), small_trainer("numpy")
    for _ in range(3):
        quiet.train_step()
        watched.train_step()
        watched.evaluate("validation", 5)
        assert watched.model.training
    assert all((array == weights(watched)[path]).all() for path, array in weights(quiet).items())
    quiet.model.eval()
    quiet.evaluate("test", 5)
    assert not quiet.model.training


def test_evaluation_judges_every_example():
    trainer = small_trainer("numpy")
    result = trainer.evaluate("test", 7)
    assert (result.split, result.examples) == ("test", 7)
    assert result.exact_match == 1 - len(result.wrong) / 7
    with pytest.raises(ValueError, match="limit is 0"):
        trainer.evaluate("test", 0)


def test_evaluation_in_batches_is_evaluation_at_once():
    trainer = small_trainer("numpy")
    whole, parts = (trainer.evaluate("test", 7, batch_size=size) for size in (7, 2))
    assert parts.loss == pytest.approx(whole.loss, rel=1e-12)
    assert (parts.examples, parts.exact_match, parts.wrong) == (whole.examples, whole.exact_match, whole.wrong)


# Going on where a run stopped


class Stopped(Exception):
    """Stands for whatever ends a run."""


def train_until(trainer, step):
    """Train, and stop in the midst of the step after `step`."""
    train_step = trainer.train_step

    def stop():
        if trainer.step == step:
            raise Stopped
        return train_step()

    trainer.train_step = stop
    with pytest.raises(Stopped):
        trainer.train(progress=False)


def command(twin, directory, **settings):
    """The command line of a run: the task copy in the small sizes."""
    return ["-m", PACKAGES[twin], "train", "--task", "copy", "--quiet", "-o", str(directory),
            *arguments(**settings)]


@each_twin
def test_a_run_that_goes_on_in_a_new_process_ends_with_the_same_bits(twin, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(TWINS[twin], PACKAGES[twin], command(twin, whole)[2:]) == 0
    begun = Trainer.load(TWINS[twin], whole / CHECKPOINT)
    fresh = Trainer(TWINS[twin], make_task("copy"), begun.config, begun.settings, stopped)
    train_until(fresh, 27)    # the last checkpoint is of step 20, the log's last record of step 27
    assert load_checkpoint(stopped / CHECKPOINT)[1]["step"] == 20
    assert read_log(stopped / LOG)[-1]["step"] == 27
    ran = run_python(*command(twin, stopped))
    assert "goes on at step 20" in ran.stderr
    assert_same_run(whole, stopped)


@pytest.mark.parametrize("twin, kill_after", [("numpy", (8, 24, 40)), ("torch", (8, 30))], ids=TWINS)
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bits(twin, kill_after, tmp_path):
    """kill -9 at random moments, between two records of the log or while a checkpoint is written."""
    settings = {"steps": 80, "checkpoint_every": 2, "dtype": "float32"}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(TWINS[twin], PACKAGES[twin], command(twin, whole, **settings)[2:]) == 0
    rng, kills = random.Random(0), 0
    for records in kill_after:
        process = subprocess.Popen([sys.executable, *command(twin, killed, **settings)], cwd=ROOT,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log = killed / LOG
        while process.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < records):
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.02))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
    assert kills > 0    # on a busy machine a process may end before it is killed
    assert main(TWINS[twin], PACKAGES[twin], command(twin, killed, **settings)[2:]) == 0
    assert_same_run(whole, killed)


def test_a_finished_run_is_only_evaluated(tmp_path):
    first = small_trainer("numpy", tmp_path)
    evaluation = first.train(progress=False)
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    again = Trainer.start_or_resume(first.twin, first.task, first.config, first.settings, tmp_path)
    assert again.train(progress=False).to_json() == evaluation.to_json()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files


@pytest.mark.parametrize("first, second", [("numpy", "torch"), ("torch", "numpy")])
def test_either_twin_goes_on_from_the_checkpoint_of_either(first, second, tmp_path):
    """To the end of the run, in one process; the checkpoint itself is loaded bit for bit."""
    one = small_trainer(first, tmp_path)
    for _ in range(20):
        one.train_step()
    one.save()
    other = Trainer.load(TWINS[second], tmp_path / CHECKPOINT)
    assert other.step == 20 and other.choices() == one.choices()
    assert largest_errors(weights(other), weights(one)) == (0, 0)
    assert largest_errors(moments(other), moments(one)) == (0, 0)
    losses, other_losses = [[trainer.train_step()["loss"] for _ in range(20)] for trainer in (one, other)]
    np.testing.assert_allclose(losses, other_losses, rtol=0, atol=1e-9)
    assert_close(weights(one), weights(other), 1e-8)


def test_a_checkpoint_holds_the_whole_run(tmp_path):
    trainer = small_trainer("numpy", tmp_path)
    trainer.train_step()
    trainer.save()
    tensors, metadata = load_checkpoint(tmp_path / CHECKPOINT)
    assert metadata == {"step": 1, "settings": trainer.settings.to_json(), "config": trainer.config.to_json(),
                        "task": {"name": "reverse", "options": trainer.task.options,
                                 "vocabulary": trainer.task.vocabulary.to_json()}}
    kinds = {name.partition("/")[0] for name in tensors}
    assert kinds == {"model", "optimizer"}
    assert "model/source_embedding.weight" in tensors and "model/output_projection.weight" not in tensors


# Files that can't be used


def truncate(directory):
    path = directory / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])


def empty(directory):
    (directory / CHECKPOINT).write_bytes(b"")


def flip_one_bit(directory):
    content = bytearray((directory / CHECKPOINT).read_bytes())
    content[-1000] ^= 1
    (directory / CHECKPOINT).write_bytes(content)


def replace_by_text(directory):
    (directory / CHECKPOINT).write_text("not a checkpoint\n" * 100)


def replace_by_another_programs(directory):
    from safetensors.numpy import save_file
    save_file({"model/weight": np.ones(3)}, directory / CHECKPOINT)


def replace_by_another_kind(directory):
    save_checkpoint(directory / CHECKPOINT, {"weight": np.ones(3)}, {"kind": "something else"})


def rename_a_parameter(directory):
    tensors, metadata = load_checkpoint(directory / CHECKPOINT)
    tensors["model/other.weight"] = tensors.pop("model/source_embedding.weight")
    save_checkpoint(directory / CHECKPOINT, tensors, metadata)


def change_a_shape(directory):
    tensors, metadata = load_checkpoint(directory / CHECKPOINT)
    tensors["model/source_embedding.weight"] = tensors["model/source_embedding.weight"][:-1]
    save_checkpoint(directory / CHECKPOINT, tensors, metadata)


def drop_a_moment(directory):
    tensors, metadata = load_checkpoint(directory / CHECKPOINT)
    del tensors["optimizer/first_moment/source_embedding.weight"]
    save_checkpoint(directory / CHECKPOINT, tensors, metadata)


def add_an_unknown_setting(directory):
    tensors, metadata = load_checkpoint(directory / CHECKPOINT)
    metadata["settings"]["colour"] = "red"
    save_checkpoint(directory / CHECKPOINT, tensors, metadata)


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    """A finished run of the task copy."""
    directory = tmp_path_factory.mktemp("run")
    assert main(TWINS["numpy"], "numpy_impl", command("numpy", directory, steps=12, warmup=5)[2:]) == 0
    return directory


@each_twin
@pytest.mark.parametrize("damage, message", [
    (truncate, "truncated or damaged"), (empty, "truncated or damaged"), (flip_one_bit, "damaged checkpoint"),
    (replace_by_text, "is no checkpoint"), (replace_by_another_programs, "of another program"),
    (replace_by_another_kind, "a checkpoint of something else: it has no 'task'"),
    (rename_a_parameter, "the model's state has missing names"),
    (change_a_shape, r"state\[.source_embedding.weight.\] is float64\[12, 16\], must be float64\[13, 16\]"),
    (drop_a_moment, "missing names .*first_moment/source_embedding.weight"), (add_an_unknown_setting, "colour"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_an_unusable_checkpoint_is_named_and_nothing_is_harmed(damage, message, twin, run_directory, tmp_path,
                                                               capsys):
    for name in (CHECKPOINT, LOG):
        (tmp_path / name).write_bytes((run_directory / name).read_bytes())
    damage(tmp_path)
    path = tmp_path / CHECKPOINT
    files = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(CheckpointError, match=f"^{path} .*{message}"):
        Trainer.load(TWINS[twin], path)
    for arguments_ in (command(twin, tmp_path, steps=12, warmup=5)[2:], ["evaluate", str(tmp_path)],
                       ["translate", str(path), "abc"]):
        assert main(TWINS[twin], PACKAGES[twin], arguments_) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith(f"{PACKAGES[twin]} {arguments_[0]}: {path} ") and captured.err.count("\n") == 1
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == files


def test_copy_into_changes_nothing_unless_all_fits():
    arrays = {"a": np.zeros(2), "b": np.zeros(3)}
    for values in ({"a": np.ones(2)}, {"a": np.ones(2), "b": np.ones(3), "c": np.ones(1)},
                   {"a": np.ones(2), "b": np.ones(4)}, {"a": np.ones(2), "b": np.ones(3, "float32")}):
        with pytest.raises(ValueError):
            copy_into(arrays, values)
        assert not arrays["a"].any() and not arrays["b"].any()


@pytest.mark.parametrize("changes, message", [
    ({"seed": 3}, r"seed 0 \(asked for: 3\)"),
    ({"d_ff": 64, "steps": 41}, r"d_ff 32 \(asked for: 64\), steps 40 \(asked for: 41\)"),
    ({"task": "sort"}, r"task 'reverse' \(asked for: 'sort'\)"),
    ({"max_length": 5}, r"max_length 16 \(asked for: 20\)"),
])
def test_a_run_with_other_choices_does_not_go_on(changes, message, tmp_path):
    trainer = small_trainer("numpy", tmp_path)
    trainer.save()
    before = (tmp_path / CHECKPOINT).read_bytes()
    settings = {name: value for name, value in changes.items() if name in ("seed", "steps")}
    sizes = {"d_ff": changes.get("d_ff", 32), "max_length": 20 if "max_length" in changes else 16}
    other = small_trainer("numpy", task=small_task(changes.get("task", "reverse")), sizes=sizes, **settings)
    with pytest.raises(ValueError, match=f"^{tmp_path / CHECKPOINT} belongs to a run with other choices: {message};"):
        Trainer.start_or_resume(other.twin, other.task, other.config, other.settings, tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


# Settings


@pytest.mark.parametrize("field, value, exception, message", [
    ("steps", 0, ValueError, "steps is 0"), ("steps", 2.5, TypeError, "steps is 2.5, must be an int"),
    ("seed", -1, ValueError, "seed is -1, must be an int, at least 0"), ("seed", 0.5, ValueError, "seed is 0.5"),
    ("batch_size", -1, ValueError, "batch_size is -1"), ("micro_batches", 97, ValueError, "at most batch_size, 96"),
    ("dtype", "float16", ValueError, "dtype is 'float16'"), ("optimizer", "lion", ValueError, "optimizer is 'lion'"),
    ("schedule", "step", ValueError, "schedule is 'step'"), ("label_smoothing", 1.0, ValueError, "label_smoothing is"),
    ("warmup", 9999, ValueError, "warmup is 9999, must be below steps, "),
    ("adam_beta1", 1.0, ValueError, "adam_beta1 is"),
    ("adam_eps", 0.0, ValueError, "adam_eps is 0.0"),
    ("learning_rate", None, ValueError, "learning_rate is None, must be a number unless schedule is 'noam'"),
    ("learning_rate", float("nan"), ValueError, "learning_rate is nan"), ("max_norm", 0.0, ValueError, "max_norm is 0"),
    ("weight_decay", -0.1, ValueError, "weight_decay is -0.1"),
])
def test_settings_name_what_is_wrong(field, value, exception, message):
    with pytest.raises(exception, match=message):
        TrainingSettings(**{field: value})


def test_settings_survive_json():
    settings = TrainingSettings(schedule="noam", learning_rate=None, seed=5)
    assert TrainingSettings(**json.loads(json.dumps(settings.to_json()))) == settings


# No pickle


def test_nothing_is_ever_unpickled():
    """No module of ours imports pickle or what is built on it, nor calls a loader that unpickles.

    But for the doctor: it pickles what goes between it and its own child process, which runs the learner's code anyway.
    """
    unpicklers = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    paths = {path for package in (*PACKAGES.values(), "parity_tests") for path in (ROOT / package).rglob("*.py")}
    paths -= {ROOT / "parity_tests" / "test_checkpoint.py"}    # makes a pickle, to see it refused
    for path in sorted(path for path in paths if path.parent.name != "doctor"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not {alias.name.partition(".")[0] for alias in node.names} & unpicklers, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in unpicklers, path
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                assert (owner, node.func.attr) != ("torch", "load"), path
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                is_load = (owner, node.func.attr) in {("np", "load"), ("numpy", "load")}
                assert options.get("allow_pickle", None if is_load else "False") == "False", path
