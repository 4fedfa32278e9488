"""python -m parity_tests: its verbs, its help, and how it ends; and the names that notebooks import."""

import os
import re
import subprocess
import sys

import pytest

import parity_tests
from parity_tests import __main__ as lab
from parity_tests.harness.small import ROOT, run_python
from parity_tests.harness.stepper import command


def said(capsys, *words):
    """(status, stdout, stderr) of a command line."""
    status = lab.main(list(words))
    return status, *capsys.readouterr()


def test_nothing_large_is_imported_for_help():
    found = run_python("-c", "import sys, parity_tests; from parity_tests.__main__ import make_parser; "
                             "print(make_parser(None).format_help()); "
                             "print([name for name in ('numpy', 'torch', 'textual') if name in sys.modules])")
    *text, modules = found.stdout.splitlines()
    assert modules == "[]"
    for verb in lab.VERBS:
        assert any(re.match(rf" +{verb}  +\w", line) for line in text)


@pytest.mark.parametrize("verb", lab.VERBS)
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        lab.main([verb, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: python -m parity_tests {verb}") and len(text.splitlines()) > 5


@pytest.mark.parametrize("words, message", [(["sptep"], "invalid choice: 'sptep'"), ([], "required: VERB")])
def test_a_wrong_verb_is_refused(words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        lab.main(words)
    assert ended.value.code == 2 and message in capsys.readouterr().err


def test_an_interrupted_verb_ends_quietly(monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt
    monkeypatch.setattr(command, "run", interrupted)
    assert said(capsys, "step", "layer_norm") == (130, "", "\n")


def test_a_package_that_is_missing_is_named(monkeypatch, capsys):
    monkeypatch.setattr(command, "is_terminal", lambda: True)
    monkeypatch.setitem(sys.modules, "textual", None)
    for name in ("terminal", "screens"):
        monkeypatch.delitem(sys.modules, f"parity_tests.harness.stepper.{name}", raising=False)
    for name in [name for name in sys.modules if name.startswith("textual.")]:
        monkeypatch.delitem(sys.modules, name)
    status, out, err = said(capsys, "step", "relu")
    assert (status, out) == (2, "") and err == "step: this needs the package textual: pip install textual\n"


def test_a_closed_pipe_ends_quietly():
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen([sys.executable, "-m", "parity_tests", "step", "relu"], cwd=ROOT, env=buffered,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


def test_names_of_the_package_are_loaded_when_asked_for():
    for name in parity_tests.EXPORTS:
        assert callable(getattr(parity_tests, name)) and name in dir(parity_tests)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        parity_tests.nothing    # noqa: B018
