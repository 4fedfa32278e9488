"""The bug catalogue: its stories, its commands, the scoreboard, and what a bug does to training."""

import argparse
import dataclasses
import importlib
import inspect
import json
import pkgutil
import re
import time

import numpy as np
import pytest

import numpy_impl.layers
import numpy_impl.models
from parity_tests.harness.bugs import Bug, all_bugs, command, scoreboard, suite, training
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.errors import UserError
from parity_tests.harness.small import ROOT

BUGS = list(all_bugs().values())
STORY = ("title", "looks", "why", "training")
# What the catalogue must not be without, and the bugs that are it.
REQUIRED = {
    "gamma outside of LayerNorm's means": ["layer-norm-gamma-outside-the-means"],
    "variance term dropped": ["layer-norm-variance-constant", "layer-norm-projection-on-x-hat-lost"],
    "softmax backward without the row sum": ["softmax-row-sum-missing", "softmax-divisor-constant"],
    "... or over the wrong axis": ["softmax-row-sum-over-the-wrong-axis", "softmax-axis-ignored"],
    "missing 1/sqrt(d_k)": ["attention-scale-missing", "attention-scale-missing-in-the-gradient"],
    "doubled 1/sqrt(d_k)": ["attention-scale-doubled", "attention-scale-twice-in-the-query-gradient"],
    "K not transposed": ["attention-key-not-transposed", "attention-key-gradient-not-transposed"],
    "heads split by view": ["split-heads-by-view", "merge-heads-by-view", "merge-heads-gradient-not-transposed"],
    "dV from the weights before dropout": ["attention-value-gradient-before-dropout"],
    "bias gradient over the wrong axes": ["linear-bias-gradient-over-all-axes",
                                          "linear-bias-gradient-over-the-batch-alone"],
    "mask after the softmax": ["attention-mask-after-the-softmax"],
    "causal mask off by one": ["causal-mask-hides-the-token-itself", "causal-mask-shows-the-next-token"],
    "grouped heads averaged": ["repeat-heads-gradient-averaged"],
    "RoPE rotated the wrong way back": ["rotate-pairs-gradient-turned-forwards"],
    "dropout mask reused": ["dropout-mask-reused", "trainer-same-dropout-masks-at-each-step"],
    "dropout unscaled": ["dropout-kept-values-unscaled", "dropout-gradient-unscaled"],
    "dropout active in evaluation": ["dropout-active-in-evaluation", "module-eval-stops-at-the-first-level"],
    "= for += on a fork": ["decoder-memory-gradient-overwritten", "residual-skip-gradient-forgotten"],
    "= for += on a tied weight": ["embedding-tied-gradient-overwritten"],
    "repeated ids dropped": ["embedding-repeated-ids-dropped"],
    "GELU forms mixed": ["gelu-tanh-with-the-density-of-erf", "gelu-by-name-is-the-other-form"],
    "divided by B, not by B*T": ["cross-entropy-divided-by-the-batch-size"],
    "ignored tokens counted": ["cross-entropy-divided-by-ignored-positions-too",
                               "cross-entropy-ignored-targets-in-the-loss",
                               "cross-entropy-ignored-positions-have-a-gradient"],
    "smoothing applied to ignored rows": ["cross-entropy-smoothing-of-ignored-positions"],
    "residual gradient overwritten in place": ["dropout-skip-gradient-overwritten-in-place",
                                               "residual-gradient-added-in-place"],
    "Adam without bias correction": ["adam-without-bias-correction"],
    "decay order": ["adamw-decays-last", "adamw-with-l2-decay", "adam-with-decoupled-decay"],
    "Noam from step 0": ["noam-from-step-0"],
}
LINEAR = "numpy_impl.layers.linear:linear_backward"


def made_up(name, old, new, function=LINEAR, case="linear: linear"):
    """A Bug that is not in the catalogue."""
    return Bug(name, "A <title>.", function, old, new, "Looks.", "Why & how.", "Training.", case=case)


HARMLESS = made_up("linear-harmless", "d_product.T @ rows", "(d_product.T @ rows)")
FATAL = made_up("linear-fatal", "d_product = d_y_rows", "d_product = __import__('os')._exit(3)", case="")


PLANTED = {bug.name: bug for bug in (all_bugs()["linear-weight-gradient-transposed"], all_bugs()["linear-cache-kept"],
                                     HARMLESS, FATAL)}


def verb(*arguments):
    """Run `bugs` with these arguments; returns the status."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return command.run(parser.parse_args(["bugs", *arguments]))


# The catalogue


def test_there_are_enough_bugs_and_the_required_ones():
    assert len(BUGS) >= 60
    assert [(item, name) for item, names in REQUIRED.items() for name in names if name not in all_bugs()] == []


def test_every_backward_function_has_a_bug():
    functions = {f"{module.__name__}:{name}" for package in (numpy_impl.layers, numpy_impl.models)
                 for module in (importlib.import_module(f"{package.__name__}.{file.name}")
                                for file in pkgutil.iter_modules(package.__path__))
                 for name, function in inspect.getmembers(module, inspect.isfunction)
                 if name.endswith("_backward") and function.__module__ == module.__name__}
    assert len(functions) > 20
    assert sorted(functions - {bug.function for bug in BUGS}) == []


@pytest.mark.parametrize("bug", BUGS, ids=str)
def test_the_bug_is_well_formed(bug):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", bug.name)
    assert all(getattr(bug, field).endswith(".") and "TRAIN" not in getattr(bug, field) for field in STORY)
    assert len(bug.title) <= 105
    assert bug.old != bug.new and bug.function.startswith("numpy_impl.")
    assert (ROOT / bug.path).is_file() and (ROOT / "parity_tests" / f"test_{bug.file}.py").is_file()
    assert not bug.case or bug.case in all_cases()
    assert all(url.startswith("https://") and what.endswith(".") for url, what in bug.seen)
    diff = bug.diff()    # raises unless `old` occurs once
    assert diff.startswith(f"--- a/{bug.path}\n+++ b/{bug.path}\n@@ -") and "\n+" in diff


@pytest.mark.parametrize("field", STORY)
def test_no_story_is_told_twice(field):
    texts = [getattr(bug, field) for bug in BUGS]
    assert sorted({text for text in texts if texts.count(text) > 1}) == []


def test_many_bugs_were_seen_in_public():
    assert sum(bool(bug.seen) for bug in BUGS) >= 12


def test_the_diff_shows_the_lines_of_the_file():
    bug = all_bugs()["linear-bias-gradient-over-all-axes"]
    [removed] = re.findall(r"^-( .*)$", bug.diff(), re.M)
    first, length = map(int, re.search(r"@@ -(\d+),(\d+)", bug.diff()).groups())
    assert removed in (ROOT / bug.path).read_text().splitlines()[first - 1:first - 1 + length]


# list and show


def test_list(capsys):
    assert verb("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{len(BUGS)} bugs"
    assert [line.split()[0] for line in lines if line.startswith("  ")] == [bug.name for bug in BUGS]
    assert verb("list", "CAUSAL", "off by one", "--layer", "masks") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")] == [
        "causal-mask-hides-the-token-itself", "causal-mask-shows-the-next-token"]
    assert verb("list", "no such words") == 0
    assert capsys.readouterr().out == "0 bugs\n"


def test_show(capsys):
    assert verb("show", "attention-mask-of-a-tiny-number") == 0
    text = capsys.readouterr().out
    bug = all_bugs()["attention-mask-of-a-tiny-number"]
    assert bug.story() in text.replace("\n", " ") and bug.diff().rstrip() in text
    assert "numpy_impl/layers/attention.py" in text and bug.case in text and "test_attention.py" in text
    assert all(url in text for url, _ in bug.seen)


@pytest.mark.parametrize("arguments, message", [
    (["show", "causal-mask-hide-the-past"], "was 'causal-mask-hide-the-past'.*did you mean causal-mask-hides-the-past"),
    (["show", "mask-of-zeros"], "did you mean attention-mask-of-zeros"),
    (["run", "nothing"], "was 'nothing', must be one that `bugs list` shows$"),
    (["list", "--layer", "conv"], "--layer: was 'conv', must be one of activations, "),
    (["train", "linear-cache-kept", "--steps", "3"], "--steps: was 3, must be at least 40"),
    (["train", "linear-cache-kept", "--seed", "-1"], "--seed: was -1, must be at least 0"),
])
def test_mistakes_are_told_in_one_line(arguments, message):
    with pytest.raises(UserError, match=message):
        verb(*arguments)


# The scoreboard


@pytest.fixture(scope="module")
def result():
    return scoreboard.run([*PLANTED.values()],
                          own=lambda bug: ["parity_tests/test_linear.py::test_parity"],
                          other=lambda bug: ["parity_tests/test_linear.py::test_oracles"])


def test_the_scoreboard_says_what_kills_a_bug_and_where_it_shows(result):
    killed, contract, _, fatal = result["bugs"]
    assert killed["killed_by"].startswith("parity_tests/test_linear.py::test_parity[linear: linear-plain")
    assert killed["failures"] == suite.MOST_FAILURES
    assert killed["first"] == {"name": "d_weight", "kind": "gradient", "function": "linear_backward",
                               "problem": "too far from torch's"}
    assert killed["first_is_planted_place"]
    assert contract["killed_by"].endswith("[linear: Linear-contract]") and not contract["first_is_planted_place"]
    assert contract["first"] == {"error": "AssertionError: linear: Linear: a second backward pass does not raise "
                                          "RuntimeError"}
    assert fatal["killed_by"] == "the process ended with status 3" and fatal["first"] is None


def test_a_bug_that_no_test_notices_survives(result):
    assert result["survivors"] == ["linear-harmless"]
    assert result["total"] == 4 and result["killed"] == 3
    assert not result["bugs"][2]["killed"] and result["bugs"][2]["first"] is None
    assert "linear-harmless                    SURVIVES" in scoreboard.summary(result)
    assert "d_weight in linear_backward" in scoreboard.summary(result)


def test_a_bug_that_never_ends_is_ended():
    endless = made_up("linear-endless", "d_product = d_y_rows", "d_product = __import__('time').sleep(1000)")
    began = time.monotonic()
    [(_, outcome)] = scoreboard._run_tasks([(endless, ("parity_tests/test_linear.py",), False)], seconds=2)
    assert outcome == {"failed": ["no end within 2 seconds"], "first": None}
    assert time.monotonic() - began < 60


def test_a_suite_that_fails_without_any_bug_says_nothing():
    with pytest.raises(RuntimeError, match="without any bug a test fails: RuntimeError: pytest ended with status 4"):
        scoreboard.run([HARMLESS], own=lambda bug: ["parity_tests/test_linear.py::test_of_nothing"])


def test_the_page_is_whole_and_the_same_each_time(result):
    page = scoreboard.html(result, PLANTED)
    assert page == scoreboard.html(result, PLANTED)
    assert "A &lt;title&gt;." in page and "Why &amp; how." in page and "<title>Bug" in page
    assert all(f'id="{name}"' in page for name in PLANTED)
    assert '<strong class="bad">3 were killed, 1 lived:</strong>' in page.replace("\n", " ")
    assert "default-src 'none'" in page
    assert not re.search(r"(src|srcset|data|action)=[\"']?(https?:)?//|@import|url\(", page)


def test_the_scoreboard_is_written(result, tmp_path):
    result = {**result, "bugs": result["bugs"][:1], "survivors": [], "killed": 1, "total": 1}
    paths = scoreboard.write(result, tmp_path / "new")
    assert [path.name for path in paths] == ["scoreboard.json", "scoreboard.html"]
    assert json.loads(paths[0].read_text()) == result
    assert "All were killed." in paths[1].read_text()


@pytest.mark.parametrize("survivors, status", [([], 0), (["linear-cache-kept"], 1)])
def test_the_status_of_run_tells_of_survivors(survivors, status, monkeypatch, tmp_path, capsys):
    entry = {"name": "linear-cache-kept", "killed_by": None if survivors else "a test", "first": None}
    outcome = {"bugs": [entry], "total": 1, "killed": 1 - len(survivors), "survivors": survivors}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scoreboard, "run", lambda bugs, progress: outcome)
    assert verb("run", "linear-cache-kept") == status
    assert f"{outcome['killed']} of 1 bugs killed" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())    # a part of the catalogue does not replace the scoreboard of all


def test_run_tells_when_the_suite_fails_by_itself(monkeypatch, capsys):
    def fail(bugs, progress):
        raise RuntimeError("without any bug a test fails: test_x")
    monkeypatch.setattr(scoreboard, "run", fail)
    assert verb("run", "linear-cache-kept") == 1
    assert capsys.readouterr().err == "bugs: without any bug a test fails: test_x\n"


# What a bug does to training


def test_training_shows_a_bug(tmp_path, capsys):
    picture = tmp_path / "new" / "losses.png"
    assert verb("train", "layer-norm-mean-divisor-forgotten", "--steps", "40", "-o", str(picture)) == 0
    text = capsys.readouterr().out
    rows = [line.split()[-2:] for line in text.splitlines() if " to " in line]
    assert len(rows) == training.PARTS
    without, with_it = np.array(rows, float).T
    assert without[-1] < 0.8 * without[0] and with_it[-1] > without[-1] + 0.3
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_training_says_when_the_model_never_calls_the_function():
    bug = all_bugs()["rotate-pairs-one-sign-wrong"]
    right, wrong = training.compare(bug, steps=40)
    assert right == wrong and len(right.losses) == 40
    assert "does not call rotate_pairs_backward" in training.table(bug, 40, right, wrong)


def test_training_says_when_a_bug_stops_it():
    bug = all_bugs()["linear-bias-gradient-over-the-batch-alone"]
    right, wrong = training.compare(bug, steps=40)
    assert wrong.losses == () and wrong.stopped.startswith("ValueError: ")
    assert "stopped after 0 steps: ValueError" in training.table(bug, 40, right, wrong)
    assert right.parts(40)[0] == pytest.approx(np.mean(right.losses[:5]))


@pytest.mark.parametrize("function, case, size, setting", [
    ("numpy_impl.layers.activations:gelu_tanh_backward", "", {"activation": "gelu_tanh"}, {}),
    ("numpy_impl.layers.residual:ResidualConnection.backward", "residual: pre-norm", {"norm_first": True}, {}),
    ("numpy_impl.models.transformer:Transformer.forward", "transformer: untied", {"tie_weights": False}, {}),
    ("numpy_impl.training.optimizers:Adam.update", "", {"activation": "relu"}, {"optimizer": "adam"}),
    ("numpy_impl.training.schedules:NoamSchedule.__call__", "", {"tie_weights": True}, {"schedule": "noam"}),
])
def test_the_model_is_made_of_what_the_bug_stands_in(function, case, size, setting):
    bug = dataclasses.replace(HARMLESS, function=function, case=case)
    sizes, settings = training.choices(bug)
    assert sizes.items() >= size.items() and settings.items() >= setting.items()
