"""Where things stand in numpy_impl: the order of its files, and the source of a function."""

import ast
import inspect
import linecache
import sys
import textwrap
import traceback
from pathlib import Path

import numpy_impl
from parity_tests.harness.recorder import FOLDERS, TWINS, WATCHED
from parity_tests.harness.statements import statements_of

ROOT = Path(numpy_impl.__file__).parents[1]


def in_order(cases):
    """The cases from primitives to models: by file, each after the files that it imports; else as they come."""
    files = file_order()
    places = {name: place for place, name in enumerate(files)}
    return sorted(cases, key=lambda case: places.get(file_of(case), len(files)))


def file_of(case):
    """The name of the layer's file, with which that of the case begins."""
    return case.name.partition(":")[0]


def file_order():
    """Names of the files of layers, models and training, each after all that it imports."""
    folder = Path(numpy_impl.__file__).parent
    paths = {path.stem: path for part in FOLDERS for path in sorted((folder / part).glob("[!_]*.py"))}
    order = {}

    def visit(name):
        if name not in order:
            for imported in sorted(_imports(paths[name]) & paths.keys() - {name}):
                visit(imported)
            order.setdefault(name)

    for name in paths:
        visit(name)
    return list(order)


def _imports(path):
    """The last parts of the names of what a file imports; nothing of a file that is no Python."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError:
        return set()
    names = [name for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
             for name in [getattr(node, "module", None), *(alias.name for alias in node.names)] if name]
    return {name.rpartition(".")[2] for name in names}


def source_of(function, line=None):
    """{"function", "file", "line", "source"} of a function of numpy_impl, by its qualified name, and a statement in it.

    line: where the statement begins; None: of the statement is nothing known, and "line" is that of the function.
    """
    place = {"function": function, "file": "", "line": line, "source": ""}
    module, code = _find(function)
    if code is None:
        return place
    place["file"] = module.replace(".", "/") + ".py"
    if line is None:
        return {**place, "line": code.co_firstlineno}
    statement = (statements_of(code) or {}).get(line)
    last = statement.lines.stop if statement else line + 1
    lines = linecache.getlines(code.co_filename)[line - 1:last - 1]
    return {**place, "source": textwrap.dedent("".join(lines)).rstrip()}


def constructor_of(root, path, name, file):
    """As `source_of`, of the statement that gave the module at `path` in `root` its attribute `name`.

    file: that of the case. A class of another file has cases of its own, which come before: if those agree, it is what
    is built of it that is wrong, and so the innermost module on the way to `path` whose class stands in this file.
    """
    parts, modules = [*path.split("."), name] if path else [name], dict(root.named_modules())
    ways = [(modules.get(".".join(parts[:depth])), parts[depth]) for depth in reversed(range(len(parts)))]
    ways = [way for way in ways if way[0] is not None] or [(root, name)]
    module, attribute = next((way for way in ways if type(way[0]).__module__.rpartition(".")[2] == file), ways[0])
    function = next(vars(base)["__init__"] for base in type(module).__mro__ if "__init__" in vars(base))
    statements = (statements_of(function.__code__) or {}).values()
    lines = [statement.lines.start for statement in statements if f"self.{attribute}" in statement.attributes]
    return source_of(function.__qualname__, lines[0] if lines else None)


def _find(qualified_name):
    """The name of the module that defines a function, and its code; (None, None) if none does."""
    for name in sorted(sys.modules):
        if not name.startswith(f"{numpy_impl.__name__}."):
            continue
        found = sys.modules[name]
        for part in qualified_name.split("."):
            found = vars(found).get(part) if hasattr(found, "__dict__") else None
        function = inspect.unwrap(found) if inspect.isfunction(found) else None
        if function is not None and function.__module__ == name:
            return name, function.__code__
    return None, None


def where_it_was_raised(error):
    """As `source_of`, of the statement in one of the twins that an exception came out of; None if there is none.

    That is the innermost, but a check of an argument tells of whoever passed the argument on.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return {"function": "", "file": without_folders(error.filename), "line": error.lineno,
                "source": (error.text or "").strip()}
    folders = tuple(str(Path(twin.__file__).parent) for twin in TWINS)
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)
              if frame.f_code.co_filename.startswith(folders)]
    if not frames:
        return None
    layers = [(code, line) for code, line in frames if code.co_filename.startswith(WATCHED)]
    is_check = layers and frames[-1] != layers[-1]
    code, line = layers[-2 if is_check and len(layers) > 1 else -1] if layers else frames[-1]
    return {"function": code.co_qualname, "file": without_folders(code.co_filename.partition(" (planted ")[0]),
            "line": line, "source": linecache.getline(code.co_filename, line).strip()}


def without_folders(text):
    """The text without the folder that this project lies in."""
    return text.replace(f"{ROOT}/", "")
