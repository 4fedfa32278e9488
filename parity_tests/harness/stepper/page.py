"""The stepper as a web page in one file: goes through a Trace step by step, forward and then backward."""

import textwrap
from pathlib import Path
from xml.etree import ElementTree

from latex2mathml.converter import convert
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from parity_tests.harness.errors import UserError
from parity_tests.harness.pages import page as pages
from parity_tests.harness.stepper.statement_lines import last_lines

MATHML = "http://www.w3.org/1998/Math/MathML"
OVERLINE = "\u2015"    # what latex2mathml puts over an \overline{...}
MOST_BYTES = 2_000_000
FOLDER = Path(__file__).parent
STYLES = ("stepper.css",)
# In this order: each uses only what stands before it.
SCRIPTS = ("theme.js", "run.js", "numbers.js", "heatmap.js", "panel.js", "locals.js", "source.js", "calls.js",
           "timeline.js", "find.js", "stepper.js")

ElementTree.register_namespace("", MATHML)


def page(trace):
    """Return the HTML of a page that goes through a Trace."""
    body = pages.render(FOLDER / "stepper.html", title=trace.title, reference=trace.reference)
    return pages.page(f"{trace.title}: step by step", body,
                      styles=[pages.text_of(FOLDER / name) for name in STYLES],
                      scripts=[pages.text_of(FOLDER / name) for name in SCRIPTS], data=data_of(trace))


def write_page(trace, path):
    """Write the page to a file, whole or not at all. UserError if it would be too large to answer at once."""
    text = page(trace)
    size = len(text.encode("utf-8"))
    if size > MOST_BYTES:
        raise UserError(f"--output: the page would have {size / 1e6:.1f} MB, must have at most {MOST_BYTES / 1e6:g}: "
                        "make the inputs smaller, a few rows show as much; or leave out -o")
    pages.write(path, text)


def data_of(trace):
    """What the page's scripts get: the trace as JSON, source as HTML, the last line of each statement that takes
    several, equations as MathML, and which calls go backward.
    """
    data = trace.as_json()
    for function, known in zip(data["functions"], trace.functions):
        function["source"] = highlighted(function["source"])
        function["last_lines"] = last_lines(known)
    return {**data, "equations": {label: mathml(latex) for label, latex in data["equations"].items()},
            "backward": backward_calls(trace)}


def highlighted(lines):
    """The lines of a function as HTML, without the indentation that they share."""
    text = textwrap.dedent("\n".join(lines))
    html = highlight(text, PythonLexer(stripnl=False, ensurenl=False), HtmlFormatter(nowrap=True))
    return html.rstrip("\n").split("\n")


def mathml(latex):
    """An equation as MathML, which browsers set without any script."""
    math = ElementTree.fromstring(convert(latex, display="block"))
    for element in math.iter(f"{{{MATHML}}}mover"):
        if element[1].text == OVERLINE:    # few fonts have a bar that grows: the style sheet draws it
            element.tag = f"{{{MATHML}}}mrow"
            element.set("class", "overline")
            element.remove(element[1])
    return ElementTree.tostring(math, encoding="unicode")


def backward_calls(trace):
    """For each call whether it belongs to the backward pass: it reverses a call, or was made in one that does."""
    found = []
    for call in trace.calls:
        found.append(call.reverses is not None or (call.parent is not None and found[call.parent]))
    return found
