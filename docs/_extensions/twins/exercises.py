"""`exercise` with `hint` and `answer`, which stay folded until the reader opens them; `graded` for those of the lab.

`exercise-table` lists those of the lab by difficulty, with their pages; `hunt-table` lists the layers to hunt in.

```
::::{exercise} Two equal scores
What is the gradient?
:::{hint}
:::
:::{answer}
:::
::::

:::{graded} softmax
:::
```
"""

import collections
import os
import re
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from parity_tests.exercises import all_exercises
from parity_tests.exercises import exercise as find
from parity_tests.harness.errors import UserError
from twins.code import escaped
from twins.listing import parsed, parsed_sections
from twins.texts import GRADED, HINT, exercise_text

EXERCISE, ANSWER = "Exercise", "Answer"
LEVEL, NAME, ABOUT, AFTER, PAGES = "Difficulty {}", "Exercise", "About", "{}; after {}", "Pages"
LAYER, DERIVATION, BUGS = "Layer", "Derivation", "Bugs"
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


class folded(nodes.General, nodes.Element):
    """Content behind a line that opens it. title: that line. kind: "hint", "answer" or "bug"."""


class exercise(nodes.Admonition, nodes.Element):
    """A numbered exercise; its first child is the title."""


class Folded(SphinxDirective):
    """`hint` and `answer`; the argument is a title of its own."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self):
        self.assert_has_content()
        title = self.arguments[0] if self.arguments else {"hint": HINT, "answer": ANSWER}[self.name]
        node = folded(title=title, kind=self.name)
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


class ExerciseDirective(SphinxDirective):
    """`exercise`: numbered within its page; the argument is its title."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self):
        self.assert_has_content()
        node = exercise(classes=["exercise"])
        number = self.env.new_serialno("exercise") + 1
        node["ids"] = [f"exercise-{number}"]
        text, _ = self.state.inline_text(self.arguments[0], self.lineno)
        node += nodes.title("", f"{EXERCISE} {number}: ", *text)
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


class Graded(SphinxDirective):
    """An exercise of the lab: its task, hints and explanation, and the commands that hand it out and grade it."""

    required_arguments = 1

    def run(self):
        try:
            one = find(self.arguments[0])
        except UserError as error:
            raise self.error(f"{self.name}: {error}") from None
        return parsed(self, exercise_text(one))


class Table(SphinxDirective):
    """Base class: a table that links to pages of the book."""

    def page_texts(self):
        """Yield (name of the page, its text) of all pages of the book, in their order."""
        for docname in sorted(self.env.found_docs):
            path = Path(self.env.doc2path(docname))
            if path.suffix == ".md":
                self.env.note_dependency(str(path))
                yield docname, path.read_text(encoding="utf-8")

    def link(self, docname, text):
        """A link to a page, under its title. text: that of the page."""
        here = Path(self.env.doc2path(self.env.docname)).parent
        path = os.path.relpath(self.env.doc2path(docname), here)
        return f"[{TITLE.search(text)[1]}]({Path(path).as_posix()})"


class ExerciseTable(Table):
    """`exercise-table`: all exercises of the lab, a heading and a table for each difficulty."""

    def run(self):
        pages, levels = collections.defaultdict(list), collections.defaultdict(list)
        for docname, text in self.page_texts():
            for name in dict.fromkeys(GRADED.findall(text)):
                pages[name].append(self.link(docname, text))
        for one in all_exercises().values():
            levels[one.difficulty].append(one)
        lines = []
        for difficulty, found in levels.items():
            lines += [f"## {LEVEL.format(difficulty)}", "", *_heading(NAME, ABOUT, PAGES)]
            lines += [_row(f"`{one.name}`", _about(one), ", ".join(pages[one.name])) for one in found]
            lines.append("")
        return parsed_sections(self, "\n".join(lines))


class HuntTable(Table):
    """`hunt-table`: the layers in which a bug can be hunted, and of how many it is drawn."""

    def run(self):
        from parity_tests.exercises.hunting import quarry    # loads PyTorch

        counts = collections.Counter(bug.file for bug in quarry().values())
        texts = dict(self.page_texts())
        lines = _heading(LAYER, DERIVATION, BUGS)
        for file, count in sorted(counts.items()):
            docname = f"derivations/{file}"
            derivation = self.link(docname, texts[docname]) if docname in texts else ""
            lines.append(_row(f"`{file}`", derivation, str(count)))
        return parsed(self, "\n".join(lines))


def _about(one):
    """What an exercise is about, and what it builds on."""
    title = escaped(one.title)
    return AFTER.format(title, ", ".join(f"`{name}`" for name in one.after)) if one.after else title


def _row(*cells):
    return f"| {' | '.join(cells)} |"


def _heading(*cells):
    return [_row(*cells), _row(*["---"] * len(cells))]


def visit_folded_html(self, node):
    self.body.append(self.starttag(node, "details", CLASS=f"folded folded-{node['kind']}"))
    self.body.append(f"<summary>{self.encode(node['title'])}</summary>\n")


def depart_folded_html(self, node):
    self.body.append("</details>\n")


def visit_folded_latex(self, node):
    stop = "" if node["title"][-1] in ".?!" else "."
    self.body.append(f"\n\n\\textbf{{{self.encode(node['title'])}{stop}}} ")


def visit_exercise_html(self, node):
    self.body.append(self.starttag(node, "div", CLASS="admonition"))


def visit_exercise_latex(self, node):
    self.body.append("\n\\begin{sphinxadmonition}{note}{")
    for part in node.pop(0):
        part.walkabout(self)
    self.body.append("}\n")


def leave(close):
    """A function that ends a node with this text."""
    def depart(self, node):
        self.body.append(close)
    return depart


def setup(app):
    app.add_node(folded, html=(visit_folded_html, depart_folded_html), latex=(visit_folded_latex, leave("\n")))
    app.add_node(exercise, html=(visit_exercise_html, leave("</div>\n")),
                 latex=(visit_exercise_latex, leave("\\end{sphinxadmonition}\n")))
    app.add_directive("exercise", ExerciseDirective)
    app.add_directive("hint", Folded, override=True)    # docutils has an admonition of this name
    app.add_directive("answer", Folded)
    app.add_directive("graded", Graded)
    app.add_directive("exercise-table", ExerciseTable)
    app.add_directive("hunt-table", HuntTable)
