"""A run line by line: each statement with what it assigned, as the recorder of the tests saw it."""

import ast
import html
import inspect
import textwrap

from book.numbers import array_text, shape_text
from parity_tests.harness.trace import KINDS
from parity_tests.harness.trace_function import trace_function


class Walk:
    """What `walk` returns. A notebook shows it as a table; `run["exponentials"]` is an array of it.

    rows: [(code, name, array)], in the order in which they ran.
    """

    def __init__(self, rows, fractions, digits):
        self.rows, self.fractions, self.digits = rows, fractions, digits

    def __getitem__(self, name):
        """The last array that was assigned to this name. KeyError if there was none."""
        found = [array for _, assigned, array in self.rows if assigned == name]
        if not found:
            raise KeyError(name)
        return found[-1]

    def only(self, *names):
        """The same without what is called otherwise."""
        missing = set(names) - {name for _, name, _ in self.rows}
        if missing:
            raise KeyError(f"nothing is called {', '.join(sorted(missing))}")
        return Walk([row for row in self.rows if row[1] in names], self.fractions, self.digits)

    def _text(self, array):
        return array_text(array, self.fractions, self.digits)

    def __repr__(self):
        return "\n".join(f"{code}\n{textwrap.indent(self._text(array), '    ')}" for code, _, array in self.rows)

    def _repr_html_(self):
        rows = "".join(f"<tr><td><code>{html.escape(code)}</code></td><td>{shape_text(array)}</td>"
                       f"<td><pre>{html.escape(self._text(array))}</pre></td></tr>" for code, _, array in self.rows)
        return f'<div class="wide"><table class="walk"><tbody>{rows}</tbody></table></div>'


def walk(function, *, backward=None, fractions=False, digits=4, d_y=None, **inputs):
    """Run a primitive of ours, and its backward pass if d_y is given, and return the Walk.

    inputs: the arguments. d_y: the upstream gradient, or a list of them. backward: the function that takes
    (d_y, cache), by default the one of the same file called <function>_backward.
    """
    if d_y is not None and backward is None:
        backward = inspect.getmodule(function).__dict__[f"{function.__name__}_backward"]
    upstream = None if d_y is None else lambda index, output: (d_y if isinstance(d_y, list) else [d_y])[index]
    trace = trace_function(function, inputs, backward if d_y is not None else None, upstream)
    if trace.stopped:
        raise RuntimeError(trace.stopped)
    rows = []
    for call, kind, line, indices in trace.steps:
        if trace.calls[call].parent is not None:
            continue
        source = trace.functions[trace.calls[call].function]
        for value in (trace.values[index] for index in indices):
            code = statement(source, line) if KINDS[kind] == "line" else value.name
            if code.endswith("= cache") or "= self.saved(" in code:    # they have been seen when they were made
                continue
            rows.append((code, value.name, trace.arrays[value.array]))
    return Walk(rows, fractions, digits)


def statement(source, line):
    """The innermost statement of a traced Function that has this line, as it is written, on one line."""
    text = textwrap.dedent("\n".join(source.source))
    place = line - source.first_line + 1
    around = [node for node in ast.walk(ast.parse(text))
              if isinstance(node, ast.stmt) and node.lineno <= place <= node.end_lineno]
    return " ".join(ast.get_source_segment(text, max(around, key=lambda node: node.lineno)).split())
