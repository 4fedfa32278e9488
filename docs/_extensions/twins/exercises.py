"""`exercise` with `hint` and `answer`, which stay folded until the reader opens them; `graded` for those of the lab.

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

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from parity_tests.exercises import exercise as find
from parity_tests.harness.errors import UserError
from twins.code import escaped
from twins.listing import parsed

EXERCISE, HINT, ANSWER = "Exercise", "Hint", "Answer"


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
        hints = "\n".join(f":::{{hint}} {HINT} {level}\n{escaped(one.hint(level))}\n:::" for level in (1, 2, 3))
        text = (f"::::{{exercise}} `{one.asked}`, {one.title}\n"
                f"*{one.level.capitalize()}.* {escaped(one.task)}\n\n"
                f"This writes `{one.file_name}` for you to fill in, and grades it:\n"
                f"```sh\npython -m parity_tests exercise {one.name}\n"
                f"python -m parity_tests grade {one.name} {one.file_name}\n```\n"
                f"{hints}\n:::{{answer}} Why it is so\n{escaped(one.why)}\n\n"
                f"`python -m parity_tests exercise {one.name} --answer` prints the code.\n:::\n::::")
        return parsed(self, text)


def visit_folded_html(self, node):
    self.body.append(self.starttag(node, "details", CLASS=f"folded folded-{node['kind']}"))
    self.body.append(f"<summary>{self.encode(node['title'])}</summary>\n")


def depart_folded_html(self, node):
    self.body.append("</details>\n")


def visit_folded_latex(self, node):
    self.body.append(f"\n\n\\textbf{{{self.encode(node['title'])}.}} ")


def visit_exercise_html(self, node):
    self.body.append(self.starttag(node, "div", CLASS="admonition"))


def visit_exercise_latex(self, node):
    self.body.append("\n\\begin{sphinxadmonition}{note}{")
    self.body.append(self.encode(node[0].astext()) + "}\n")
    del node[0]


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
