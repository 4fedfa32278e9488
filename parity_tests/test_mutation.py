"""mutation/: its list of equivalent mutants, its score, which mutants there are, and a whole run of a toy project."""

import collections
import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from parity_tests import mutation
from parity_tests.mutation import scoring
from parity_tests.mutation.sources import ROOT, SOURCES, Outline, read_source, tidy

TOY, TEST = "numpy_impl/layers/toy.py", "parity_tests/test_toy.py"
TOY_FILES = {
    "setup.cfg": "[tool:pytest]\naddopts = -ra\n", "pyproject.toml": "", "torch_impl/__init__.py": "",
    "numpy_impl/__init__.py": "", "numpy_impl/layers/__init__.py": "", "parity_tests/__init__.py": "",
    TOY: "def same(x):\n    return x + 0\n",
    TEST: "from numpy_impl.layers.toy import same\n\n\ndef test_same():\n    assert same(0) == 0\n",
    # The second one is a mistake.
    "survivors.toml": f"""
        [[equivalent]]
        file = "{TOY}"
        why = "Zero has no sign."
        mutants = [["same", "return x + 0", "return x - 0"], ["same", "return x + 0", "return x + 1"]]
    """,
}
# python -m parity_tests.mutation, in the project that stands in the folder of the first argument.
SCRIPT = textwrap.dedent("""
    import sys
    from pathlib import Path
    from parity_tests.mutation import scoring, sources, warm
    root = Path(sys.argv[1])
    sources.ROOT, sources.SOURCES, warm.SLOW_IMPORTS = root, ("numpy_impl/layers/toy.py",), ("pytest", "hypothesis")
    scoring.SCORE_FILE, scoring.SURVIVORS_FILE = root / "score.json", root / "survivors.toml"
    from parity_tests.mutation.command import main
    sys.exit(main(sys.argv[2:]))
""")


# What is committed


def places(source):
    """How often each (function, line) stands in a source."""
    text = read_source(source)
    outline = Outline(text)
    return collections.Counter((outline.place_of(row), tidy(line)) for row, line in enumerate(text.splitlines(), 1))


@pytest.mark.parametrize("source", SOURCES)
def test_each_explained_survivor_still_has_its_place(source):
    found = places(source)
    for function, line, becomes in scoring.read_explanations().get(source, {}):
        assert found[function, line] == 1, f"{source}: {function} has {line!r} {found[function, line]} times, not once"
        assert becomes != line


def test_the_list_of_survivors_has_no_other_files_and_no_empty_reason():
    explanations = scoring.read_explanations()
    assert explanations.keys() <= set(SOURCES)
    assert all(why.endswith(".") and len(why) > 20 for reasons in explanations.values() for why in reasons.values())


def test_the_score_adds_up_and_every_survivor_is_explained():
    result = mutation.score()
    assert list(result["files"]) == sorted(SOURCES)
    for source, row in result["files"].items():
        assert row["mutants"] == row["killed"] + row["explained"] + row["unexplained"] > 0
        assert row["unexplained"] == 0, source
        assert row["stale"] or row["explained"] == len(row["survivors"]), source
        assert (ROOT / row["test"]).is_file()
    for name in ("mutants", "killed", "explained", "unexplained"):
        assert result["total"][name] == sum(row[name] for row in result["files"].values())


def test_a_changed_source_makes_its_score_stale(monkeypatch):
    monkeypatch.setattr(scoring, "hash_of", lambda text: "another")
    result = mutation.score()
    assert result["total"]["stale"] and all(row["stale"] for row in result["files"].values())
    monkeypatch.setattr(scoring, "hash_of", lambda text: result["files"][SOURCES[0]]["sha256"])
    assert not mutation.score()["files"][SOURCES[0]]["stale"]


# Which mutants there are


def becomes(source):
    """What the lines of a source text are turned into."""
    mutants = pytest.importorskip("parity_tests.mutation.mutants", exc_type=ModuleNotFoundError)
    return [mutant.becomes for mutant in mutants.mutants_of(source)]


@pytest.mark.parametrize("line, expected", [
    ("y = a + b", ["y = a - b", "y = a * b"]),
    ("y = a / b", ["y = a - b", "y = a * b"]),
    ("y = a @ b", ["y = a * b"]),
    ("y = a**-0.5", ["y = a*-0.5", "y = a/-0.5", "y = a**0.5", "y = a**-1.5", "y = a**--0.5"]),
    ("y = f(axis=-1)", ["y = f(axis=1)", "y = f(axis=-2)", "y = f(axis=-0)"]),
    ("y += a", ["y = a", "y -= a"]),
    ("y = a[:, None] == b", ["y = a[:, None] != b"]),
    ("y = a <= b", ["y = a < b", "y = a >= b"]),
    ("y = not a", ["y =  a"]),
    ("y = a if b else c", ["y = a if not b else c"]),
    ("y = a if b > c else d", ["y = a if b >= c else d", "y = a if b < c else d"]),
    ("y = {**a}", ["y = {*a}"]),
    ("y = f(*a, **b)", []),
    ('y = "a + 1"    # a + 1', []),
])
def test_mutants(line, expected):
    assert sorted(becomes(f"{line}\n")) == sorted(expected)


def test_signatures_and_decorators_are_left_out():
    source = """
        @decorated(frozen=True)
        class A(B[1]):
            size: int = 3

            def f(self, *args, eps=1e-5, **kwargs):
                '''1 + 1'''
                return self.size
    """
    assert becomes(textwrap.dedent(source)) == ["size: int = 4", "size: int = 2"]


def test_a_mutant_says_where_it_is():
    mutants = pytest.importorskip("parity_tests.mutation.mutants", exc_type=ModuleNotFoundError)
    source = "class A:\n    def f(self, x):\n        return (x +    # the first\n                self.a)\n"
    found = mutants.mutants_of(source)
    assert [(mutant.row, *mutant.place) for mutant in found] == [
        (3, "A.f", "return (x +", "return (x -"), (3, "A.f", "return (x +", "return (x *")]


# A whole run


@pytest.fixture
def toy(tmp_path):
    """The folder of a project with one function of four mutants: one is equivalent, one survives a weak test."""
    pytest.importorskip("cosmic_ray")
    for name, text in TOY_FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(toy, *arguments):
    """Exit status and output."""
    result = subprocess.run([sys.executable, "-c", SCRIPT, toy, *arguments], cwd=ROOT, text=True, timeout=120,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": ""},
                            # Whoever runs the tests in the background may have had Ctrl-C ignored.
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    return result.returncode, result.stdout


def test_a_survivor_is_found_and_then_killed_by_a_better_test(toy):
    status, output = run(toy, "run")
    assert status == 0 and output.count("becomes: ") == 2
    assert (toy / TOY).read_text() == TOY_FILES[TOY]
    status, output = run(toy, "report")
    assert status == 1 and "not explained, in same: return x + 0  ->  return x * 0" in output
    assert "is in survivors.toml, but did not survive: same | return x + 0 | return x + 1" in output
    assert json.loads((toy / "score.json").read_text())["files"][TOY] | {"sha256": ""} == {
        "test": TEST, "sha256": "", "mutants": 4, "killed": 2, "explained": 1, "unexplained": 1}
    (toy / TEST).write_text(TOY_FILES[TEST].replace("same(0) == 0", "same(3) == 3"))
    (toy / "survivors.toml").write_text(TOY_FILES["survivors.toml"].replace("x + 1", "x - 0"))
    assert "1 to test" in run(toy, "run", "--survivors")[1]
    assert run(toy, "report", "toy")[0] == 0
    assert json.loads((toy / "score.json").read_text())["files"][TOY]["killed"] == 3


def test_an_interrupted_run_goes_on_and_a_changed_source_begins_anew(toy):
    """The fourth run of the tests, which is that of the third mutant, interrupts."""
    (toy / "count").write_text("")
    (toy / TEST).write_text(TOY_FILES[TEST] + textwrap.dedent(f"""
        import os, pathlib, signal
        count = pathlib.Path({str(toy / "count")!r})
        count.write_text(count.read_text() + "|")
        if count.read_text() == "||||":
            os.kill(os.getppid(), signal.SIGINT)
            signal.pause()
    """))
    status, output = run(toy, "run")
    assert status == 130 and output.endswith("the next run goes on from here\n")
    assert "2 of 4 tested" in run(toy, "status")[1]
    assert "2 to test" in run(toy, "run")[1]
    assert "4 of 4 tested" in run(toy, "status")[1]
    (toy / TOY).write_text(TOY_FILES[TOY].replace("0", "0.0"))
    assert "0 of 4 tested" in run(toy, "status")[1]


def test_nothing_is_tested_where_the_tests_fail_already(toy):
    (toy / TEST).write_text("def test_same():\n    assert False\n")
    status, output = run(toy, "run")
    assert status == 1 and f"without a mutation {TEST} fails" in output
    assert "0 of 4 tested" in run(toy, "status")[1]


def test_it_is_no_success_to_run_no_tests(toy):
    (toy / TEST).write_text("")
    status, output = run(toy, "run")
    assert status == 1 and "pytest ended with status 5" in output and "Traceback" not in output


def test_a_test_that_never_ends_is_stopped_with_what_it_started(toy):
    (toy / TEST).write_text(textwrap.dedent("""
        import fcntl, subprocess
        def test_same():
            lock = open("lock", "w")
            fcntl.flock(lock, fcntl.LOCK_EX)
            subprocess.run(["sleep", "60"], pass_fds=[lock.fileno()])    # holds the lock, too
    """))
    code = f"from parity_tests.mutation import warm; warm.SLOW_IMPORTS = ('pytest', 'hypothesis'); import sys; " \
           f"print(warm.WarmTests(sys.argv[1], sys.argv[1] + '/log').run({TEST!r}, 6)[0])"
    result = subprocess.run([sys.executable, "-c", code, toy], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.stdout == "timeout\n", result.stderr
    with open(toy / "lock") as lock:
        assert eventually(lambda: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB))


def eventually(action, seconds=5):
    """Whether the action succeeds within some seconds, without a BlockingIOError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            action()
            return True
        except BlockingIOError:
            time.sleep(0.05)
    return False


def test_bad_arguments_end_with_status_2(toy):
    status, output = run(toy, "run", "nothing")
    assert status == 2 and "file was nothing, must be part of one of: numpy_impl/layers/toy.py" in output


def test_without_cosmic_ray_one_line_says_what_to_install():
    code = "import runpy, sys; sys.modules['cosmic_ray'] = None; runpy.run_module('parity_tests.mutation')"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2 and result.stderr.startswith("cosmic-ray is missing, must be installed: pip install")
    assert result.stderr.count("\n") == 1


def test_help():
    pytest.importorskip("cosmic_ray")
    result = subprocess.run([sys.executable, "-m", "parity_tests.mutation", "--help"], cwd=ROOT, capture_output=True)
    assert result.returncode == 0 and b"run|status|report" in result.stdout
