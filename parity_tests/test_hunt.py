"""Bug hunts: a fresh file is "not yet", a mended one is "found", and what else was broken is told."""

import argparse
import re
import subprocess
import sys

import pytest

from parity_tests.exercises import command, examination, hunting
from parity_tests.exercises.hunting import Hunt, file_text, hunt, quarry, shows_at_once
from parity_tests.exercises.sources import WIDTH
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.doctor import isolation
from parity_tests.harness.errors import UserError

BUGS = quarry()
SAMPLE = list({bug.file: bug for bug in BUGS.values()}.values())    # one bug of each layer
BUG = BUGS["layer-norm-mean-divisor-forgotten"]
WRONG, RIGHT = BUG.new, BUG.old


def verb(*arguments):
    """Run a verb as the command line does; returns the exit status."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(dest="verb"))
    return command.run(parser.parse_args(list(map(str, arguments))))


@pytest.fixture
def quickly(monkeypatch):
    """Files are examined in this process, and on the one case that notices the bug."""
    def run(request):
        outcome = isolation.Outcome()
        examination.serve(request, lambda message: isolation._note(outcome, *message))
        return outcome
    monkeypatch.setattr(isolation, "run", run)
    monkeypatch.setattr(hunting, "case_names", lambda bug: [bug.case])


@pytest.fixture
def path(tmp_path):
    """The file of a hunt for BUG."""
    return hunt("normalization", bug=BUG.name, output=tmp_path / "copy.py").path


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


# Which bugs, and what their files say

def test_only_bugs_of_layers_that_a_case_notices():
    assert len(BUGS) >= 60
    assert all(bug.path.startswith("numpy_impl/layers/") and bug.case in all_cases() for bug in BUGS.values())


@pytest.mark.parametrize("bug", BUGS.values(), ids=str)
def test_every_bug_goes_wrong(bug):
    """The run that a bug's story names is wrong by what counts in a hunt."""
    case = all_cases()[bug.case]
    with bug.planted():
        assert examination._first_wrong(case, bug.form, "") is not None


@pytest.mark.parametrize("bug", BUGS.values(), ids=str)
def test_file_does_not_give_the_bug_away(bug, tmp_path):
    path = tmp_path / "copy.py"
    path.write_text(file_text(bug, path, "0123abcd"), encoding="utf-8")
    header = path.read_text(encoding="utf-8").partition('"""')[0]
    assert bug.name not in header and bug.title not in header
    assert Hunt.of(path).bug is bug


def test_comments_stay_in_their_column(tmp_path):
    """Where the code of a line becomes shorter, its comment does not show it."""
    bug = BUGS["merge-heads-by-view"]
    lines = hunt(bug=bug.name, output=tmp_path / "copy.py").path.read_text(encoding="utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if line.strip().startswith(f"by_token = {bug.new} "))
    assert lines[place].index("#") == lines[place + 1].index("#")


def test_tokens_of_one_bug_differ(tmp_path):
    files = [hunt(bug=BUG.name, output=tmp_path / f"{number}.py").path for number in range(2)]
    tokens = [re.search("# hunt: (.*)-(.*)", path.read_text(encoding="utf-8")).groups() for path in files]
    assert not set(tokens[0]) & set(tokens[1])


def test_drawn_bugs_do_not_show_at_once(tmp_path):
    """What is drawn has nothing that a linter points at; some bugs of the catalogue have."""
    (tmp_path / "drawn").mkdir()
    drawn = {hunt(output=tmp_path / "drawn" / f"{seed}.py", seed=seed).bug for seed in range(6)}
    assert not any(shows_at_once(bug) for bug in drawn) and len(drawn) > 3
    found = subprocess.run([sys.executable, "-m", "flake8", "--isolated", "-j1", f"--max-line-length={WIDTH}", "."],
                           cwd=tmp_path / "drawn", capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("", "")
    assert shows_at_once(BUGS["layer-norm-mean-constant"])       # leaves d_mean without a reader
    assert shows_at_once(BUGS["linear-gradient-averaged-in-place"])    # two statements on a line


def test_seed(tmp_path):
    first, second = (hunt(seed=7, output=tmp_path / name) for name in ("a.py", "b.py"))
    assert first.path.read_text(encoding="utf-8").replace("a.py", "b.py") == second.path.read_text(encoding="utf-8")
    assert len({hunt("softmax", seed=seed, output=tmp_path / f"{seed}.py").bug.name for seed in range(8)}) > 1


# The check

@pytest.mark.parametrize("bug", SAMPLE, ids=str)
def test_fresh_file_is_not_yet_and_the_original_is_found(bug, tmp_path, quickly):
    one = hunt(bug=bug.name, output=tmp_path / "copy.py")
    check = one.check()
    assert not check.found and str(check).startswith("Not yet: ") and bug.title not in str(check)
    right, wrong = hunting._texts(bug)
    replace(one.path, wrong, right)
    assert one.check().found


def test_trace(path, quickly):
    """The first wrong tensor: which, in which function, how wrong."""
    lines = str(Hunt.of(path).check()).splitlines()
    assert lines[0].startswith("Not yet: ") and lines[0].endswith(" runs go wrong.")
    assert lines[2] == ("First wrong tensor: d_squared in layer_norm_backward: too far from torch's "
                        "(case 'normalization: LayerNorm', plain)")
    assert lines[3].split() == ["yours[0,", ":,", ":]", "expected[0,", ":,", ":]"]


def test_found(path, quickly):
    replace(path, WRONG, RIGHT)
    check = Hunt.of(path).check()
    assert check.found
    assert str(check).startswith(f"Found: {BUG.title}\n\n{BUG.story()}") and "All " in str(check)


def test_mended_in_other_words(path, quickly):
    """Locals may have other names: what counts is what comes out."""
    replace(path, f"    d_squared = {WRONG}", f"    share = {RIGHT}")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("d_squared * (2 * centered)", "share * (2 * centered)", 1), encoding="utf-8")
    assert Hunt.of(path).check().found


def test_something_else_was_broken(path, quickly):
    """What the planted bug has nothing to do with is told; that it's gone, only if that is sure."""
    replace(path, "mean = x.mean(axis=-1, keepdims=True) ", "mean = x.sum(axis=-1, keepdims=True)")
    text = str(Hunt.of(path).check())
    assert text.splitlines()[0].endswith(
        "runs go wrong. Something is wrong that the planted bug has nothing to do with: layer_norm.")
    assert "First wrong tensor: mean in layer_norm: " in text


def test_something_else_was_broken_and_the_bug_mended(path, quickly):
    replace(path, WRONG, RIGHT)
    replace(path, "along_ones = d_x_hat.mean(axis=-1, keepdims=True)", "along_ones = 0")
    assert ("The planted bug is gone, but something is wrong that it has nothing to do with: layer_norm_lean_backward."
            in str(Hunt.of(path).check()))


def test_wrong_fix(tmp_path, quickly):
    """A mistake in the function of the bug is no new one, though it makes more runs go wrong."""
    bug = BUGS["attention-scale-a-float64"]    # only float32 runs notice
    path = hunt(bug=bug.name, output=tmp_path / "copy.py").path
    replace(path, bug.new, bug.old.replace("1 /", "2 /"))
    lines = str(Hunt.of(path).check()).splitlines()
    assert lines[0] == "Not yet: 2 of 4 runs go wrong."
    assert lines[2].startswith("First wrong tensor: scores in scaled_dot_product_attention: too far from torch's")


def test_exception(path, quickly):
    replace(path, WRONG, "np.broadcast_to(d_variance / no_such_name, d_y.shape)")
    text = str(Hunt.of(path).check())
    assert re.search(r"In layer_norm_backward, line \d+: NameError: name 'no_such_name' is not defined \(case", text)


def test_what_only_the_contract_shows(tmp_path, quickly):
    one = hunt(bug="linear-gradient-overwritten", output=tmp_path / "copy.py")
    assert "In Linear: the gradient of weight is not added to (case 'linear: Linear', contract)" in str(one.check())


@pytest.mark.parametrize("change, said", [
    ("d_mean = (", "Not yet: the file does not run. SyntaxError: .* \\(line 1: d_mean = \\("),
    ("import no_such", "Not yet: the file does not run. ModuleNotFoundError: .* \\(line 1: import no_such\\)"),
])
def test_file_that_does_not_run(path, quickly, change, said):
    path.write_text(f"{change}\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    assert re.match(said, str(Hunt.of(path).check()))


def test_project_is_as_it_was(path, quickly):
    """An examination imports the project anew; afterwards nothing of that is left."""
    before = dict(sys.modules)
    Hunt.of(path).check()
    assert all(sys.modules[name] is module for name, module in before.items())
    assert sys.modules["parity_tests.exercises.hunting"] is hunting


# Hints

def test_hints(path, quickly):
    one = Hunt.of(path)
    assert one.check(1).text.endswith("\n\nHint 1: the bug is in layer_norm_backward.")
    assert one.check(3).text.endswith(f"\n\nHint 3: {BUG.looks}")
    with pytest.raises(ValueError, match="hint is 4, must be 0, 1, 2 or 3"):
        one.check(4)


def test_lines_of_the_second_hint(path):
    """Seven lines around the bug, wherever its function now is."""
    def told():
        return [int(number) for number in re.search(r"between lines (\d+) and (\d+)", Hunt.of(path).hint(2)).groups()]

    lines = path.read_text(encoding="utf-8").splitlines()
    number = next(number for number, line in enumerate(lines, 1) if WRONG in line)
    assert told() == [number - 3, number + 3]
    path.write_text("# a note\n\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert told() == [number - 1, number + 5]
    replace(path, "def layer_norm_backward(", "def renamed(")
    assert "which the file does not have now" in Hunt.of(path).hint(2)


def test_reveal(path):
    text = Hunt.of(path).reveal()
    assert BUG.title in text and BUG.story() in text
    assert f"-    d_squared = {RIGHT}\n+    d_squared = {WRONG}\n" in text


# The command line

def test_commands(path, quickly, capsys):
    assert verb("hunt", path) == 1
    assert "Hint" not in capsys.readouterr().out
    assert verb("hunt", path, "--hint", 1) == 1
    assert "Hint 1" in capsys.readouterr().out
    assert verb("hunt", path, "--reveal") == 0
    assert BUG.title in capsys.readouterr().out
    replace(path, WRONG, RIGHT)
    assert verb("hunt", path) == 0
    assert capsys.readouterr().out.startswith("Found: ")


def test_default_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert verb("hunt", "softmax", "--seed", 1) == 0
    assert "python -m parity_tests hunt hunt_softmax.py" in capsys.readouterr().out
    with pytest.raises(UserError, match="-o: hunt_softmax.py exists"):
        verb("hunt", "softmax")


@pytest.mark.parametrize("arguments, message", [
    (["normalisation"], "LAYER: was 'normalisation', must be one of .*normalization"),
    (["softmax", "--bug", BUG.name], f"--bug: was '{BUG.name}', must be a bug of softmax"),
    (["--bug", "no-such-bug"], "--bug: was 'no-such-bug', must be a bug of a layer"),
    (["no_such_file.py"], "FILE: was 'no_such_file.py', must be a file that exists"),
    ([__file__], "FILE: was .*, must have the line `# hunt: ...`"),
    ([__file__, "--seed", "1"], "hunt: was given the file .* and what only a new hunt needs"),
    (["softmax", "--hint", "1"], "FILE: was 'softmax', must be a file that a hunt has written"),
    (["-o", "no/such/folder.py"], "-o: was 'no/such/folder.py', must be a file that can be written"),
])
def test_mistakes(arguments, message):
    with pytest.raises(UserError, match=message):
        verb("hunt", *arguments)


def test_token_of_another_version(path):
    token = re.search("# hunt: .*", path.read_text(encoding="utf-8"))[0]
    replace(path, token, "# hunt: 01234567-0123456789abcdef")
    with pytest.raises(UserError, match="the catalogue has no bug of that token"):
        Hunt.of(path)


# The real process

def test_in_a_process_of_its_own(path, monkeypatch):
    monkeypatch.setattr(hunting, "case_names", lambda bug: [bug.case])
    assert "First wrong tensor: d_squared in layer_norm_backward" in str(Hunt.of(path).check())


def test_time_limit(path):
    replace(path, "import numpy as np\n", "import time\nimport numpy as np\ntime.sleep(100)\n")
    check = Hunt.of(path).check(time_limit=1)
    assert "the file does not run. still running after 1 seconds" in str(check) and "time.sleep(100)" in str(check)


def test_in_a_notebook(path, quickly):
    check = Hunt.of(path).check()
    assert check._repr_markdown_() == f"```text\n{check.text}\n```"
    assert Hunt.of(path).reveal()._repr_markdown_() == Hunt.of(path).reveal()
