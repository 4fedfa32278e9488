"""Pages of the lab within the book: `lab` shows one in a frame; they are made when the build begins.

They come from `parity_tests`: the parity report, the stepper of each showcase, and, where `make bugs` has been run, its
scoreboard. Each is one file that asks nothing of the network. What has been made is kept until a source changes.
"""

import json
import os
import shutil

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util import logging
from sphinx.util.display import status_iterator
from sphinx.util.docutils import SphinxDirective

from parity_tests.harness.bugs.catalogue import all_bugs
from twins.code import ROOT
from book.digest import BUILD, digest
from twins.listing import parsed

logger = logging.getLogger(__name__)
KEPT = BUILD / "lab"
SCOREBOARD = ROOT / "runs" / "bugs" / "scoreboard.json"
FOLDER = "lab"    # within the built pages


class frame(nodes.General, nodes.Element):
    """A page in a frame. path: from the top of the built pages; title; height in pixels."""


def make_pages(app):
    """Make the pages, unless those of the same sources are there, and put them beside the book's."""
    if app.builder.format != "html" or os.environ.get("BOOK_ONLY"):
        return
    made = KEPT / digest()
    if not (made / "made").is_file():
        shutil.rmtree(KEPT, ignore_errors=True)
        problems = _make_report(made) + _make_steppers(made)
        for problem in problems:
            logger.warning(problem, type="twins")
        if not problems:
            (made / "made").touch()
    target = app.outdir / FOLDER
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(made, target, ignore=shutil.ignore_patterns("made", "report.json"))
    _make_scoreboard(target)


def _make_report(folder):
    """Write the report. Returns what is wrong, in words."""
    from parity_tests.harness.report.build import report
    logger.info("examining the cases for the parity report ...")
    return [f"the parity report: {case['name']} fails: {case['first_wrong']}"
            for case in report(folder=folder)["cases"] if case["failing"]]


def _make_steppers(folder):
    """Write the stepper of each showcase. Returns what is wrong, in words."""
    from parity_tests.harness.stepper.page import write_page
    from parity_tests.harness.stepper.showcases import showcases
    from parity_tests.harness.trace import trace_case
    problems = []
    for name, case in status_iterator(showcases().items(), "stepping... ", length=len(showcases()),
                                      stringify_func=lambda item: item[0]):
        trace = trace_case(case)
        if trace.stopped or trace.first_wrong is not None:
            problems.append(f"the stepper of {name}: the run is wrong or was stopped")
        write_page(trace, folder / "step" / f"{name}.html")
    return problems


def scoreboard():
    """The last result of `make bugs`, if it is of the catalogue as it stands; else None."""
    try:
        result = json.loads(SCOREBOARD.read_text(encoding="utf-8"))
        return result if [entry["name"] for entry in result["bugs"]] == list(all_bugs()) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _make_scoreboard(folder):
    result = scoreboard()
    if result:
        from parity_tests.harness.bugs.scoreboard import html
        from parity_tests.harness.pages.page import write
        write(folder / "scoreboard.html", html(result))


class Lab(SphinxDirective):
    """`lab` PATH: a page of the lab in a frame, and a link to it alone. The content is the frame's title."""

    required_arguments = 1
    option_spec = {"height": directives.positive_int}
    has_content = True

    def run(self):
        self.assert_has_content()
        return [frame(path=f"{FOLDER}/{self.arguments[0]}", title=" ".join(self.content),
                      height=self.options.get("height", 760))]


class Steppers(SphinxDirective):
    """`steppers`: a link to the stepper of each showcase."""

    def run(self):
        from parity_tests.harness.stepper.showcases import showcases
        up = "../" * self.env.docname.count("/")
        items = nodes.bullet_list(classes=["steppers"])
        for name in showcases():
            link = nodes.reference("", "", nodes.literal(name, name), refuri=f"{up}{FOLDER}/step/{name}.html",
                                   internal=True)
            items += nodes.list_item("", nodes.paragraph("", "", link))
        return [items]


class Scoreboard(SphinxDirective):
    """`scoreboard`: the result of `make bugs` in a frame, or how to get it."""

    def run(self):
        if SCOREBOARD.is_file():
            self.env.note_dependency(str(SCOREBOARD))
        result = scoreboard()
        if result is None:
            return parsed(self, "`make bugs` plants each bug and runs the tests against it, which takes minutes. Its "
                                "scoreboard stands here in books that are built after it.")
        text = f"{result['killed']} of {result['total']} bugs are noticed by the tests."
        return [*parsed(self, text), frame(path=f"{FOLDER}/scoreboard.html", title="Bug scoreboard", height=760)]


def visit_html(self, node):
    up = "../" * self.builder.current_docname.count("/")
    address, title = up + node["path"], self.encode(node["title"])
    self.body.append(f'<div class="lab"><p><a href="{address}">{title}, in a page of its own</a></p>'
                     f'<iframe src="{address}" title="{title}" loading="lazy" style="height: {node["height"]}px">'
                     "</iframe></div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_node(frame, html=(visit_html, None))    # on paper a sentence takes its place, see paper.py
    app.add_directive("lab", Lab)
    app.add_directive("steppers", Steppers)
    app.add_directive("scoreboard", Scoreboard)
    app.connect("builder-inited", make_pages)
