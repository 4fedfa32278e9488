"""The exercises: each has a stub that is rejected, three hints and an answer that is accepted."""

import argparse
import ast
import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys

import pytest

import numpy_impl.layers
from parity_tests.exercises import all_exercises, command, exercise
from parity_tests.exercises.sources import WIDTH
from parity_tests.harness.doctor.grade import grade
from parity_tests.harness.doctor.subjects import cases_of, subject_of
from parity_tests.harness.errors import UserError
from parity_tests.harness.runs import run_numpy

EXERCISES = list(all_exercises().values())
each = pytest.mark.parametrize("one", EXERCISES, ids=str)


def primitives():
    """The names of all functions with a backward pass, found in the layers."""
    found = []
    for file in pkgutil.iter_modules(numpy_impl.layers.__path__):
        module = importlib.import_module(f"numpy_impl.layers.{file.name}")
        found += [name for name, value in inspect.getmembers(module, inspect.isfunction)
                  if value.__module__ == module.__name__ and hasattr(module, f"{name}_backward")
                  and not name.endswith("_lean")]
    return found


def verb(*arguments):
    """Run a verb as the command line does; returns the exit status."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(dest="verb"))
    return command.run(parser.parse_args(arguments))


# All of them

def test_every_primitive_has_an_exercise():
    assert len(primitives()) >= 22
    assert set(primitives()) <= set(all_exercises())


def test_easy_ones_come_first():
    seen = []
    for one in EXERCISES:
        assert set(one.after) <= set(seen), one
        seen.append(one.name)
    levels = [one.difficulty for one in EXERCISES]
    assert levels == sorted(levels) and set(levels) <= {1, 2, 3, 4, 5}


@each
def test_grade_accepts_the_answer_and_rejects_the_stub(one, tmp_path):
    verdict = grade_text(one, one.answer, tmp_path / "answer.py")
    assert verdict.passed, verdict
    verdict = grade_text(one, one.stub, tmp_path / "stub.py")
    assert not verdict.passed
    assert "not written yet" in str(verdict)


def grade_text(one, text, path):
    """Grade what a file defines, in a forked child: quicker than a new interpreter."""
    path.write_text(text, encoding="utf-8")
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    found = {name: vars(module)[name] for name in (one.name, f"{one.name}_backward") if name in vars(module)}
    if one.is_class:
        return grade(one.name, module=found[one.name])
    return grade(one.name, forward=found[one.name], backward=found[f"{one.name}_backward"])


@each
def test_hints(one):
    """Three different ones, the first of which is short, and none of which says it in Python."""
    hints = [one.hint(level) for level in (1, 2, 3)]
    assert len(set(hints)) == 3
    assert len(hints[0]) < min(len(hints[1]), len(hints[2])) and len(hints[0]) < 400
    answer = ast.parse(one.answer)
    backward = [node for node in ast.walk(answer) if isinstance(node, ast.FunctionDef) and "backward" in node.name]
    code = {ast.unparse(node.value) for function in backward for node in ast.walk(function)
            if isinstance(node, (ast.Assign, ast.AugAssign)) and not isinstance(node.value, (ast.Name, ast.Constant))}
    assert one.is_class or code - {"cache"}
    for hint in hints:
        assert [line for line in code if without_blanks(line) in without_blanks(hint)] == []


def without_blanks(text):
    return "".join(text.split())


def test_hint_level():
    with pytest.raises(ValueError, match="level is 4, must be 1, 2 or 3"):
        exercise("relu").hint(4)


@each
def test_shapes_are_those_of_a_run(one):
    """A letter stands for the same number in all shapes that an exercise tells."""
    case = cases_of(subject_of(one.name))[0]
    run = run_numpy(case, case.numpy_twin(), case.draw_inputs(), case.upstream, lean=False)
    call = next(call for call in run.recording.calls if call.function == one.asked)
    sizes = {name: int(values[0][1]) for name, values in call.others.items() if values[0][1].isdigit()}
    told = [(dimensions_of(text), call.locals[name][-1].value.shape) for name, text in one.shapes.items()
            if name in call.locals and text.startswith("(")]
    assert len(told) >= 2
    for dimensions, shape in sorted(told, key=lambda pair: any(" " in dimension for dimension in pair[0])):
        if dimensions[:1] == ["..."]:
            leading = len(shape) - len(dimensions) + 1
            assert sizes.setdefault("leading", shape[:leading]) == shape[:leading]
            dimensions, shape = dimensions[1:], shape[leading:]
        assert [value_of(*pair, sizes) for pair in zip(dimensions, shape, strict=True)] == list(shape), dimensions


def dimensions_of(text):
    """["B", "H * Dh"] of the shape "(B, H * Dh), or None"."""
    return [part.strip() for part in re.match(r"\(([^)]*)\)", text)[1].split(",") if part.strip()]


def value_of(dimension, size, sizes):
    """What a dimension such as "B", "1" or "H * Dh" must be. A new letter is noted: it stands for `size`."""
    if dimension.isidentifier():
        return sizes.setdefault(dimension, size)
    return eval(dimension, {}, sizes)


# Files

def test_stub_is_the_source_without_the_backward_pass():
    stub = exercise("layer_norm").stub
    assert inspect.getsource(the_function("layer_norm")) in stub
    assert "centered, std, x_hat, gamma = cache\n    raise NotImplementedError" in stub
    assert "d_std" not in stub and "python -m parity_tests grade layer_norm layer_norm.py" in stub


def the_function(name):
    return getattr(importlib.import_module(exercise(name).module), name)


def test_stub_of_a_module_keeps_its_other_methods():
    stub = exercise("ResidualConnection").stub
    assert "def _sublayer_backward" in stub and "d_x_from_skip" not in stub
    assert stub.count("def backward(self, d_y):") == 1


def test_names_that_the_answer_does_not_need_are_named_all_the_same():
    """log_softmax_backward calls the result that it does not need `_`; a learner may need it."""
    assert "exponentials, total, y, axis = cache" in exercise("log_softmax").stub


def test_answer_shows_the_collapsed_form():
    answer = exercise("layer_norm").answer
    assert answer.index("def layer_norm_backward") < answer.index("# Collapsed") < answer.index("_lean_backward(")
    assert "# Collapsed" not in exercise("rms_norm").answer


def test_files_are_clean(tmp_path):
    for one in EXERCISES:
        (tmp_path / f"{one.name}.py").write_text(one.stub, encoding="utf-8")
        (tmp_path / f"{one.name}_answer.py").write_text(one.answer, encoding="utf-8")
    found = subprocess.run([sys.executable, "-m", "flake8", "--isolated", "-j1", f"--max-line-length={WIDTH}", "."],
                           cwd=tmp_path, capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("", "")


def test_stub_runs_as_it_is(tmp_path):
    """Run as a script, it grades itself."""
    (tmp_path / "relu.py").write_text(exercise("relu").stub, encoding="utf-8")
    found = subprocess.run([sys.executable, "relu.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "relu_backward is not written yet" in found.stdout, found.stderr


# Notebooks

def test_in_a_notebook():
    one = exercise("tanh")
    assert one.title in one._repr_markdown_() and one.task in one._repr_markdown_()
    assert one.stub._repr_markdown_() == f"```python\n{one.stub}```"
    assert one.hint(1)._repr_markdown_() == one.hint(1)
    assert one.answer._repr_markdown_().startswith(f"**tanh_backward.** {one.why}\n\n```python\n")


# The command line

def test_list(capsys):
    assert verb("exercise") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:] if line[:1].strip()][:len(EXERCISES)] == list(all_exercises())


def test_write_a_stub(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert verb("exercise", "relu") == 0
    assert (tmp_path / "relu.py").read_text(encoding="utf-8") == exercise("relu").stub
    assert "python -m parity_tests grade relu relu.py" in capsys.readouterr().out
    assert verb("exercise", "relu", "-o", "mine.py") == 0
    assert "grade relu mine.py" in (tmp_path / "mine.py").read_text(encoding="utf-8")


def test_never_over_a_file_that_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "relu.py").write_text("an hour's work", encoding="utf-8")
    with pytest.raises(UserError, match="-o: relu.py exists"):
        verb("exercise", "relu")
    assert (tmp_path / "relu.py").read_text(encoding="utf-8") == "an hour's work"


def test_folder_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match="-o: was .* must be a file that can be written"):
        verb("exercise", "relu", "-o", str(tmp_path / "no" / "relu.py"))


def test_hint_and_answer(tmp_path, capsys):
    assert verb("exercise", "relu", "--hint", "2") == 0
    assert capsys.readouterr().out == f"{exercise('relu').hint(2)}\n"
    assert verb("exercise", "relu", "--answer") == 0
    assert capsys.readouterr().out == exercise("relu").answer
    assert verb("exercise", "relu", "--answer", "-o", str(tmp_path / "answer.py")) == 0
    assert (tmp_path / "answer.py").read_text(encoding="utf-8") == exercise("relu").answer


@pytest.mark.parametrize("arguments, message", [
    (["layernorm"], "NAME: was 'layernorm', .* is it layer_norm?"),
    (["--hint", "1"], "NAME: was not given"),
])
def test_mistakes(arguments, message):
    with pytest.raises(UserError, match=message):
        verb("exercise", *arguments)
