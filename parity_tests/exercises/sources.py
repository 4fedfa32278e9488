"""Take a function or a class out of its file, with what it needs, so that it can stand in a file of its own."""

import ast
import functools
import importlib
import inspect
import symtable
import sys
import textwrap

WIDTH = 120
NOT_USED_YET = "    # noqa: F401 (for you to use)"


class File:
    """The source of a module. definitions: {name: node} of functions, classes and constants, in order.

    imports: {name: module that it is imported from, or the whole statement "import numpy as np"}.
    """

    def __init__(self, module):
        self.module = module
        self.lines = inspect.getsource(importlib.import_module(module)).splitlines()
        self.definitions = {}
        self.imports = {}
        for node in ast.parse("\n".join(self.lines)).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                self.definitions[node.name] = node
            elif isinstance(node, ast.Assign):
                self.definitions |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.Import):
                self.imports |= {alias.asname or alias.name: ast.unparse(node) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                self.imports |= {alias.asname or alias.name: node.module for alias in node.names}

    def source(self, name):
        """The source of a function, class or constant, with its comments."""
        return self.text(self.definitions[name])

    def text(self, node):
        """The lines of a node."""
        return "\n".join(self.lines[node.lineno - 1:node.end_lineno])

    def complete(self, docstring, body, lent=()):
        """A whole file: docstring, imports, what else `body` uses of this file, and `body`.

        Constants and functions that begin with an underscore are copied, others are imported.
        lent: names of this file that are imported though `body` does not use them yet.
        """
        helpers = []
        while True:
            text = "\n\n\n".join([*map(self.source, helpers), body])
            free = free_names(text)
            more = [name for name in self.definitions if name in free and self._is_helper(name)]
            if not more:
                break
            helpers = [name for name in self.definitions if name in {*helpers, *more}]
        imports = self._import_lines(free, set(lent) - free - defined_names(text))
        constants = [self.source(name) for name in helpers if isinstance(self.definitions[name], ast.Assign)]
        functions = [self.source(name) for name in helpers if not isinstance(self.definitions[name], ast.Assign)]
        head = "\n\n".join(filter(None, [f'"""{docstring}"""', imports, "\n".join(constants)]))
        return "\n\n\n".join([head, *functions, body]) + "\n"

    def _is_helper(self, name):
        return name.startswith("_") or isinstance(self.definitions[name], ast.Assign)

    def _import_lines(self, used, lent):
        """Import statements, grouped and sorted."""
        origins = {**{name: self.module for name in self.definitions}, **self.imports}
        names_of = {}
        for name in sorted((used | lent) & origins.keys()):
            names_of.setdefault(origins[name], []).append(name)
        groups = [], [], []
        for origin in sorted(names_of, key=lambda origin: origin.removeprefix("import ")):
            names = names_of[origin]
            statement = origin if origin.startswith("import ") else _import_from(origin, names)
            if not used.issuperset(names):
                head, newline, rest = statement.partition("\n")
                statement = f"{head}{NOT_USED_YET}{newline}{rest}"
            groups[_group(statement)].append(statement)
        return "\n\n".join("\n".join(group) for group in groups if group)


@functools.cache
def file_of(module):
    """The File of the module of this name."""
    return File(module)


def free_names(source):
    """The names that a piece of source uses and does not define."""
    top = symtable.symtable(source, "source", "exec")
    tables, found = [top], set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        found |= {symbol.get_name() for symbol in table.get_symbols()
                  if symbol.is_referenced() and (table is top or symbol.is_global())}
    return found - defined_names(source)


def defined_names(source):
    """The names that a piece of source defines at its top."""
    return {symbol.get_name() for symbol in symtable.symtable(source, "source", "exec").get_symbols()
            if symbol.is_assigned() or symbol.is_imported()}


def wrapped(text, indent=""):
    """A paragraph in lines that are not too long."""
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False,
                         break_on_hyphens=False)


def _import_from(module, names):
    line = f"from {module} import {', '.join(names)}"
    if len(line + NOT_USED_YET) <= WIDTH:
        return line
    return f"from {module} import (\n{wrapped(', '.join(names), '    ')})"


def _group(statement):
    """The standard library comes first, then other libraries, then this project."""
    top = statement.split()[1].partition(".")[0]
    if top in sys.stdlib_module_names:
        return 0
    return 2 if top == "numpy_impl" else 1
