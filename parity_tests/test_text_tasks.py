"""Tasks: the registry, and splits that never meet."""

import os
import random
import re
import subprocess
import sys

import pytest

from numpy_impl.text.splits import split_of
from numpy_impl.text.tasks import TASKS, make_task

MADE = {name: make_task(name) for name in TASKS}
every_task = pytest.mark.parametrize("task", MADE.values(), ids=MADE)


def test_registry():
    assert list(TASKS) == ["copy", "reverse", "sort", "arithmetic", "dates", "dates-full"]
    assert all(task.name == name for name, task in MADE.items())
    with pytest.raises(ValueError, match="name is 'date', must be one of 'copy', .*'dates-full'"):
        make_task("date")
    with pytest.raises(TypeError, match="colour"):
        make_task("copy", colour=1)


def test_shares_of_the_splits():
    splits = [split_of(f"key {n}") for n in range(20_000)]
    assert splits.count("train") == pytest.approx(18_000, abs=200)
    assert splits.count("validation") == pytest.approx(1000, abs=150)
    assert splits.count("test") == pytest.approx(1000, abs=150)


def test_split_of_known_keys_never_changes():
    # Were these to change, checkpoints would be judged on what they were trained on.
    assert [split_of(key) for key in ("2021-03-03", "1+2")] == ["train", "train"]
    assert [split_of(key) for key in ("2021-02-01", "2021-02-09")] == ["validation", "validation"]
    assert [split_of(key) for key in ("2021-01-02", "2021-01-28")] == ["test", "test"]


@every_task
def test_splits_share_no_source(task):
    train = {task.sample("train", random.Random(seed)).source for seed in range(2000)}
    validation = {example.source for example in task.examples("validation")}
    test = {example.source for example in task.examples("test")}
    assert not train & validation and not train & test and not validation & test


@pytest.mark.parametrize("name", ["dates", "dates-full"])
def test_a_held_out_date_is_held_out_in_every_form(name):
    """Every pair has the date as ISO on one side; that alone decides the split."""
    rng = random.Random(0)
    for split in ("train", "validation", "test"):
        examples = [MADE[name].sample(split, rng) for _ in range(500)]
        for example in examples:
            iso_date, = set(re.findall(r"\d{4}-\d\d-\d\d", f"{example.source} {example.target}"))
            assert split_of(iso_date) == split
        assert {example.form for example in examples} >= {"ISO", "de dd.MM.y"}


@every_task
def test_examples_are_fixed_different_and_prefixes_of_each_other(task):
    many = task.examples("test", 60)
    assert len(many) == len(set(many)) == 60
    task.examples("validation", 5)
    assert task.examples("test", 20) == many[:20]
    assert make_task(task.name).examples("test", 60) == many
    assert task.examples("validation", 60) != many


@every_task
def test_targets_are_correct_and_others_are_not(task):
    for example in task.examples("validation", 50):
        assert task.is_correct(example.source, example.target, example.target)
        for output in ("", example.target + "7", example.target[:-1]):
            assert not task.is_correct(example.source, example.target, output)


@every_task
def test_options_rebuild_the_task(task):
    again = make_task(task.name, **task.options, vocabulary=task.vocabulary)
    assert again.vocabulary == task.vocabulary and again.options == task.options
    assert (again.max_source_length, again.max_target_length) == (task.max_source_length, task.max_target_length)


@every_task
def test_longest_source_fits(task):
    longest = max(task.examples("test", 300), key=lambda example: len(task.vocabulary.encode(example.source)))
    assert len(task.encode_source(longest.source)) <= task.max_source_length


def test_a_task_too_small_says_so():
    task = make_task("copy", alphabet="ab", max_length=1)
    empty = {"train", "validation", "test"} - {split_of("a"), split_of("b")}
    for split in empty:
        with pytest.raises(ValueError, match=f"too small: it has no {split} examples"):
            task.sample(split, random.Random(0))


def test_fewer_examples_than_asked_for_are_all_given():
    assert {example.source for example in make_task("copy", alphabet="ab", max_length=5).examples("train")} == {
        source for n in range(1, 6) for i in range(2**n)
        if split_of(source := f"{i:0{n}b}".replace("0", "a").replace("1", "b")) == "train"}


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="split is 'dev', must be one of 'train', 'validation', 'test'"):
        MADE["copy"].examples("dev")
    with pytest.raises(ValueError, match="limit is 0"):
        MADE["copy"].examples("test", 0)


def test_other_processes_see_the_same():
    program = (
        "from numpy_impl.text.tasks import make_task\n"
        "task = make_task('dates')\n"
        "print(ascii(task.vocabulary.symbols), ascii(task.examples('test', 30)))\n"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
                       capture_output=True, text=True).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{ascii(MADE['dates'].vocabulary.symbols)} {ascii(MADE['dates'].examples('test', 30))}\n"}


def test_import_loads_neither_torch_nor_babel():
    program = "import sys, numpy_impl.text.tasks, numpy_impl.text.batches\nprint({'torch', 'babel'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout == "set()\n"
