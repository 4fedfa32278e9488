"""The twins' source as the book shows it: files, functions, statements, and the labels that lines carry."""

import ast
import functools
import re
from pathlib import Path
from typing import NamedTuple

from parity_tests.harness.equations import label_of

ROOT = Path(__file__).resolve().parents[3]
TWINS = {"numpy_impl": "NumPy", "torch_impl": "PyTorch"}
SHAPE = re.compile(r"^\([^()]*\)")


class Definition(NamedTuple):
    """A function, method or class. lines: all of its lines as they stand in the file. first_line: counted from 1."""

    path: str
    name: str
    node: ast.AST
    first_line: int
    lines: tuple


class Statement(NamedTuple):
    """An assignment. code: the statement without its comment, on one line. shape: what the comment begins with."""

    name: str
    code: str
    line: int
    shape: str
    label: str | None


@functools.cache
def text_of(path):
    """The text of a file, by its path from the top of the project."""
    return (ROOT / path).read_text(encoding="utf-8")


@functools.cache
def definitions(path):
    """{qualified name: Definition} of a file; empty where there is no such file."""
    if not (ROOT / path).is_file():
        return {}
    lines = text_of(path).splitlines()
    found = {}

    def visit(body, prefix):
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                name = prefix + node.name
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                found[name] = Definition(path, name, node, first, tuple(lines[first - 1:node.end_lineno]))
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{name}.")

    visit(ast.parse(text_of(path)).body, "")
    return found


def path_of(twin, file):
    """The path of a twin's file: ("numpy_impl", "softmax") -> "numpy_impl/layers/softmax.py".

    file: the name alone, if no other folder has such a file, or with its folder ("training/optimizers").
    Raises LookupError unless there is exactly one.
    """
    found = [path for path in sorted((ROOT / twin).rglob("*.py"))
             if path.relative_to(ROOT / twin).with_suffix("").as_posix().endswith(file)
             and path.stem == file.rpartition("/")[2]]
    if len(found) != 1:
        raise LookupError(f"{twin} has {len(found)} files {file}.py")
    return found[0].relative_to(ROOT).as_posix()


@functools.cache
def labelled_lines():
    """{label: [(path, line), ...]} of every `# eq: label` in both twins."""
    found = {}
    for twin in TWINS:
        for path in sorted((ROOT / twin).rglob("*.py")):
            relative = path.relative_to(ROOT).as_posix()
            for number, line in enumerate(text_of(relative).splitlines(), 1):
                if label := label_of(line):
                    found.setdefault(label, []).append((relative, number))
    return found


def function_at(path, line):
    """The qualified name of the innermost function that has this line; "" outside of functions."""
    around = [one for one in definitions(path).values()
              if one.first_line <= line < one.first_line + len(one.lines)]
    return max(around, key=lambda one: one.first_line).name if around else ""


def statements(definition):
    """{local name: [Statement, ...]} of the assignments to plain names in a function, in the order of the source."""
    found = {}
    for node in ast.walk(definition.node):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        else:
            continue
        last = definition.lines[node.end_lineno - definition.first_line]
        comment = last[node.end_col_offset:].partition("#")[2].strip()
        shape = SHAPE.match(comment)
        found.setdefault(name, []).append(Statement(
            name, _on_one_line(definition, node), node.lineno, shape[0] if shape else "", label_of(last)))
    return {name: sorted(those, key=lambda one: one.line) for name, those in found.items()}


def _on_one_line(definition, node):
    """The statement as it is written, with its line breaks taken out."""
    begin, end = node.lineno - definition.first_line, node.end_lineno - definition.first_line
    lines = list(definition.lines[begin:end + 1])
    lines[-1] = lines[-1].encode()[:node.end_col_offset].decode()
    return " ".join(re.sub(r"\s+#.*", "", line).strip() for line in lines)


def escaped(text):
    """A plain text as MyST: what stands between backticks stays, all else means only itself."""
    parts = text.split("`")
    for index in range(0, len(parts), 2):
        parts[index] = "".join(f"\\{letter}" if letter in r"\*_<>[]$#|~^{}" else letter for letter in parts[index])
    return "`".join(parts)
