"""Which local names does each statement of a function assign? Found in the source, with `ast`."""

import ast
import functools
import linecache
from typing import NamedTuple


class Statement(NamedTuple):
    """A simple statement, or the head of a compound one: the lines that it covers, and what it assigns.

    names: local names. attributes: what is reached through `self`, as text: "self.weight.grad".
    """

    lines: range
    names: tuple
    attributes: tuple = ()


@functools.lru_cache(maxsize=None)
def statements_of(code):
    """{line: Statement} of the function that `code` belongs to; None if it is no function with a source."""
    linecache.checkcache(code.co_filename)    # a notebook may have loaded a file that has changed since
    function = _functions("".join(linecache.getlines(code.co_filename))).get(code.co_qualname)
    if function is None:
        return None
    statements = _statements(function.body)
    return {line: statement for statement in statements for line in statement.lines}


@functools.lru_cache(maxsize=None)
def _functions(text):
    """{qualified name: ast node} of every function in the text of a file."""
    tree = ast.parse(text)
    found = {}

    def visit(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                found[prefix + child.name] = child
                visit(child, f"{prefix}{child.name}.<locals>.")
            elif isinstance(child, ast.ClassDef):
                visit(child, f"{prefix}{child.name}.")
            else:
                visit(child, prefix)

    visit(tree, "")
    return found


def _statements(body):
    """The statements of a block and of the blocks in it, but not of functions and classes defined there."""
    found = []
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        blocks = [block for field in ("body", "orelse", "finalbody") if (block := getattr(node, field, []))]
        blocks += [part.body for part in getattr(node, "handlers", []) + getattr(node, "cases", [])]
        last_line = blocks[0][0].lineno - 1 if blocks else node.end_lineno
        lines = range(node.lineno, max(last_line, node.lineno) + 1)
        targets = _assigned(node, is_compound=bool(blocks))
        names = dict.fromkeys(name for target in targets for name in _names_in(target))
        wholes = [_whole(part) for target in targets for part in getattr(target, "elts", [target])]
        attributes = dict.fromkeys(ast.unparse(whole) for whole in wholes if _is_of_self(whole))
        found.append(Statement(lines, tuple(names), tuple(attributes)))
        for block in blocks:
            found += _statements(block)
    return found


def _assigned(node, is_compound):
    """Targets that a statement assigns to by =, += or := (a compound statement: only by := in its head)."""
    if is_compound:
        heads = [getattr(node, field) for field in ("test", "iter", "subject") if hasattr(node, field)]
        return [inner.target for head in heads for inner in ast.walk(head) if isinstance(inner, ast.NamedExpr)]
    targets = []
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assign):
            targets += inner.targets
        elif isinstance(inner, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)):
            targets.append(inner.target)
    return targets


def _names_in(target):
    """The plain names in an assignment's target, through tuples; not `x[i]` or `self.x`."""
    if isinstance(target, ast.Name):
        return [target.id]
    if isinstance(target, (ast.Tuple, ast.List)):
        return [name for element in target.elts for name in _names_in(element)]
    return _names_in(target.value) if isinstance(target, ast.Starred) else []


def _whole(target):
    """`self.weight.grad` of `self.weight.grad[rows]`."""
    while isinstance(target, ast.Subscript):
        target = target.value
    return target


def _is_of_self(target):
    """True for `self.x` and `self.x.y`."""
    while isinstance(target, ast.Attribute):
        target = target.value
        if isinstance(target, ast.Name):
            return target.id == "self"
    return False
