"""The command lines of both twins: the same arguments, the same results, and errors in one line."""

import io
import json
import sys

import pytest

from numpy_impl.cli import SETTINGS_HELP, main
from numpy_impl.training.checkpoint import load_checkpoint
from numpy_impl.training.evaluation import Evaluation
from numpy_impl.training.settings import TrainingSettings
from numpy_impl.training.trainer import CHECKPOINT, LOG
from parity_tests.harness.small import PACKAGES, arguments, run_python, strict_json
from parity_tests.side_by_side import TWINS

each_twin = pytest.mark.parametrize("twin", TWINS)
TEXTS = ["abc", "j", "hgfedcba", "aaaabbbb"]


def run(twin, *args):
    """Run the command line in this process. Returns the exit status."""
    return main(TWINS[twin], PACKAGES[twin], [str(arg) for arg in args])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The directory of the same run of each twin, on the task copy."""
    directories = {twin: tmp_path_factory.mktemp(twin) for twin in TWINS}
    for twin, directory in directories.items():
        assert run(twin, "train", "--task", "copy", "--quiet", "-o", directory, *arguments(steps=60)) == 0
    return directories


# The same in both


@pytest.mark.parametrize("verb", [[], ["train"], ["evaluate"], ["translate"]], ids=str)
def test_the_help_is_the_same_but_for_the_name(verb, capsys):
    pages = []
    for twin in TWINS:
        with pytest.raises(SystemExit) as exit_:
            run(twin, *verb, "--help")
        assert exit_.value.code == 0
        pages.append(capsys.readouterr().out)
    ours, theirs = pages
    assert f"usage: python -m numpy_impl {' '.join(verb)}" in ours
    shared = "Both twins (python -m numpy_impl, python -m torch_impl)"    # names both, in both
    renamed = ours.replace(shared, "").replace("numpy_impl", "torch_impl").replace("by hand in NumPy", "in PyTorch")
    assert renamed == theirs.replace(shared, "")


def test_every_setting_is_an_option_with_its_help(capsys):
    assert SETTINGS_HELP.keys() == TrainingSettings().to_json().keys()
    with pytest.raises(SystemExit):
        run("numpy", "train", "--help")
    text = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')}" in text for name in SETTINGS_HELP)


def test_training_ends_alike(runs, capsys):
    tensors, metadata = zip(*[load_checkpoint(directory / CHECKPOINT) for directory in runs.values()])
    assert metadata[0] == metadata[1] and tensors[0].keys() == tensors[1].keys()
    logs = [[strict_json(line) for line in (directory / LOG).read_text().splitlines()] for directory in runs.values()]
    assert len(logs[0]) == len(logs[1]) == 63
    for ours, theirs in zip(*logs):
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - {"tokens_per_second"}:
            close = theirs[name] if isinstance(ours[name], str) else pytest.approx(theirs[name], rel=0, abs=1e-9)
            assert ours[name] == close


@pytest.mark.parametrize("options", [[], ["--split", "validation"], ["--beam", "3", "--alpha", "1"]], ids=str)
def test_evaluation_is_the_same(options, runs, capsys):
    found = []
    for twin, directory in runs.items():
        assert run(twin, "evaluate", directory, "--limit", 40, "--show-wrong", 40, *options) == 0
        numbers, *wrong = capsys.readouterr().out.splitlines()
        found.append((strict_json(numbers), wrong))
    (ours, our_wrong), (theirs, their_wrong) = found
    assert ours.keys() == theirs.keys() == {"step", "split", "examples", "loss", "exact_match"}
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=0, abs=1e-9)
    assert all(ours[name] == theirs[name] for name in ours.keys() - {"loss"})
    assert our_wrong == their_wrong and len(our_wrong) == round(40 * (1 - ours["exact_match"]))


@pytest.mark.parametrize("options, lines", [([], 4), (["--beam", "3"], 4), (["--beam", "3", "--n-best", "2"], 8)],
                         ids=str)
def test_translations_are_the_same(options, lines, runs, capsys):
    outputs = []
    for reader in TWINS:
        for directory in runs.values():    # each twin reads either's checkpoint
            assert run(reader, "translate", directory, *options, *TEXTS) == 0
            outputs.append(capsys.readouterr().out)
    assert len(set(outputs)) == 1
    assert len(outputs[0].splitlines()) == lines
    if options:
        scores = [float(line.partition("\t")[0]) for line in outputs[0].splitlines()]
        assert all(score < 0 for score in scores)


def test_the_options_of_the_beam_arrive(runs, capsys, monkeypatch):
    given = []

    def translate(*_, **decoding):
        given.append(decoding)
        return []

    def evaluate(*_, **decoding):
        given.append(decoding)
        return Evaluation("test")

    monkeypatch.setattr("numpy_impl.cli.translate", translate)
    monkeypatch.setattr("numpy_impl.cli.Trainer.evaluate", evaluate)
    beam = ["--beam", "3", "--alpha", "0.25"]
    assert run("numpy", "evaluate", runs["numpy"], *beam) == 0
    assert run("numpy", "translate", runs["numpy"], "abc", "--n-best", "2", *beam) == 0
    assert given == [{"beam_size": 3, "alpha": 0.25}, {"beam_size": 3, "alpha": 0.25, "n_best": 2}]


@each_twin
def test_options_and_texts_in_any_order(twin, runs, capsys):
    outputs = set()
    for order in (["--beam", "2", runs[twin], "abc", "fgh"], [runs[twin], "--beam", "2", "abc", "fgh"],
                  [runs[twin], "abc", "--beam", "2", "fgh"], [runs[twin], "abc", "fgh", "--beam", "2"],
                  [runs[twin] / CHECKPOINT, "abc", "fgh", "--beam", "2"]):
        assert run(twin, "translate", *order) == 0
        outputs.add(capsys.readouterr().out)
    assert len(outputs) == 1


@each_twin
def test_texts_come_from_standard_input(twin, runs, capsys, monkeypatch):
    assert run(twin, "translate", runs[twin], *TEXTS) == 0
    expected = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(TEXTS) + "\n"))
    assert run(twin, "translate", runs[twin]) == 0
    assert capsys.readouterr().out == expected


# In a process of its own


@each_twin
def test_as_a_program(twin, runs, capsys):
    assert run(twin, "translate", runs[twin], *TEXTS) == 0
    expected = capsys.readouterr().out
    ran = run_python("-m", PACKAGES[twin], "translate", runs[twin], input="\n".join(TEXTS))
    assert (ran.stdout, ran.stderr) == (expected, "")
    ran = run_python("-m", PACKAGES[twin], "translate", runs[twin], "xyz", check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"{PACKAGES[twin]} translate: unknown symbol 'x'") and ran.stderr.count("\n") == 1


def test_the_numpy_twin_needs_no_torch(tmp_path):
    program = """
import runpy, sys
sys.modules["torch"] = None    # an import of it fails
def run(*args):
    sys.argv = ["numpy_impl", *args]
    try:
        runpy.run_module("numpy_impl", run_name="__main__")
    except SystemExit as error:
        assert not error.code, error.code
*training, directory = sys.argv[1:]
run("train", *training, "-o", directory)
run("evaluate", directory, "--limit", "5")
run("translate", directory, "abc", "--beam", "2")
print(sorted({name.partition(".")[0] for name in sys.modules} & {"torch_impl", "parity_tests"}))
"""
    ran = run_python("-c", program, "--task", "copy", *arguments(steps=12), tmp_path)
    assert ran.stdout.endswith("[]\n")
    assert "12/12" in ran.stderr    # the progress bar


def test_importing_loads_numpy_alone():
    program = ("import sys; old = set(sys.modules); import {}; "
               "new = {{name.partition('.')[0] for name in set(sys.modules) - old}}; "
               "print(sorted(new - sys.stdlib_module_names - {{'numpy_impl'}}))")
    for modules, allowed in (("numpy_impl", ("[]\n", "['numpy']\n")),
                             ("numpy_impl.cli, numpy_impl.twin", ("['numpy']\n",))):
        assert run_python("-c", program.format(modules)).stdout in allowed


# Bad input


@each_twin
@pytest.mark.parametrize("args, message", [
    (["train", "--task", "copy", "--d-model", "15"], "d_model is 15, must be divisible by num_heads, 4"),
    (["train", "--task", "copy", "--steps", "10"], "warmup is 100, must be below steps, 10, unless schedule is 'noam'"),
    (["train", "--task", "copy", "--micro-batches", "97"], "micro_batches is 97, must be at most batch_size, 96"),
    (["train", "--task", "copy", "--seed", "-1"], "seed is -1, must be an int, at least 0"),
    (["train", "--task", "copy", "--dropout", "1"], "dropout is 1.0, must be at least 0 and below 1"),
    (["train", "--task", "copy", "--learning-rate", "paper"], "learning_rate is None, must be a number unless"),
    (["evaluate", "nowhere"], "nowhere does not exist"),
    (["evaluate", "RUN", "--limit", "0"], "limit is 0, must be at least 1"),
    (["evaluate", "RUN", "--show-wrong", "-1"], "show_wrong is -1, must be at least 0"),
    (["translate", "nowhere", "abc"], "nowhere does not exist"),
    (["translate", "RUN", "abü"], "unknown symbol 'ü' (U+00FC) at position 2 of 'abü'"),
    (["translate", "RUN", "abc" * 5], "text is 'abcabcabcabcabc', 15 symbols long, must have at most 12"),
    (["translate", "RUN", ""], "text is empty"),
    (["translate", "RUN"], "there is no text to translate: give TEXT, or lines on standard input"),
    (["translate", "RUN", "abc", "--n-best", "2"], "n_best is 2, must be at most beam_size, 1"),
    (["translate", "RUN", "abc", "--n-best", "0"], "n_best is 0, must be at least 1"),
    (["translate", "RUN", "abc", "--n-best", "4", "--beam", "3"], "n_best is 4, must be at most beam_size, 3"),
    (["translate", "RUN", "abc", "--beam", "0"], "beam_size is 0, must be at least 1"),
    (["translate", "RUN", "abc", "--beam", "2", "--alpha", "-1"], "alpha is -1.0, must be at least 0"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_an_error_is_one_line_and_status_2(twin, args, message, runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert run(twin, *[runs[twin] if arg == "RUN" else arg for arg in args]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith(f"{PACKAGES[twin]} {args[0]}: {message}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("args, message", [
    ([], "required: train | evaluate | translate"), (["teach"], "invalid choice: 'teach'"),
    (["train", "--task", "dance"], "invalid choice: 'dance'"),
    (["train", "--steps", "many"], "invalid int value: 'many'"),
    (["train", "--learning-rate", "fast"], "invalid rate value: 'fast'"),
    (["train", "abc"], "unrecognized arguments: abc"),
    (["translate"], "required: checkpoint"),
    (["translate", "run", "abc", "--bean", "2"], "unrecognized arguments: --bean"),
    (["evaluate", "run", "more"], "unrecognized arguments: more"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_arguments_that_argparse_refuses(args, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        run("numpy", *args)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_an_interrupted_run_says_how_to_go_on(capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("numpy_impl.cli.make_task", interrupt)
    assert run("numpy", "train") == 130
    assert "goes on from the last checkpoint" in capsys.readouterr().err


def test_a_finished_run_prints_its_result_again(runs, capsys):
    for _ in range(2):
        assert run("numpy", "train", "--task", "copy", "--quiet", "-o", runs["numpy"], *arguments(steps=60)) == 0
        captured = capsys.readouterr()
        assert json.loads(captured.out)["step"] == 60
        assert "goes on at step 60" in captured.err
