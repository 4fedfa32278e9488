"""Which lines of a function belong together: a statement may take several, and is marked as a whole."""

import ast
import textwrap


def last_lines(function):
    """{first line: last line} of the statements of a trace's Function that take several lines, by their line numbers.

    Of a compound statement, and of the function itself, only the head counts. {} where the source cannot be parsed.
    """
    try:
        tree = ast.parse(textwrap.dedent("\n".join(function.source)))
    except SyntaxError:    # a text over several lines may begin further left than the function
        return {}
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            first = min(part.lineno for part in (node, *getattr(node, "decorator_list", [])))
            last = _last_of_head(node, function.source) if getattr(node, "body", None) else node.end_lineno
            if last > first:
                found[function.first_line + first - 1] = function.first_line + last - 1
    return found


def _last_of_head(node, source):
    """Where the head of a compound statement ends; comments and empty lines below it are not part of it."""
    body = node.body[0]
    last = min(part.lineno for part in (body, *getattr(body, "decorator_list", []))) - 1
    while last > node.lineno and source[last - 1].partition("#")[0].strip() == "":
        last -= 1
    return max(last, node.lineno)


def statement_at(lines, line):
    """The range of lines of the statement that a line belongs to. lines: what `last_lines` returned."""
    first = max((first for first, last in lines.items() if first <= line <= last), default=line)
    return range(first, lines.get(first, line) + 1)
