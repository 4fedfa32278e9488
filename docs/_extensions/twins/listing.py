"""Code of the twins on a page: `source` shows functions of both, `listing` one, `lines` statements by their names.

```
:::{source} softmax softmax              file, then one function or several; tabs where both twins have it
:::

:::{lines} softmax softmax_backward      formula, NumPy line and PyTorch line side by side
d_shifted: \\bar{e}_j \\, e_j            a local name, and its formula; without one, that of the line's equation
d_x:
:::
```
Lines are read from the files when the book is built: a name or a function that is gone is an error.
"""

import re

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

from parity_tests.harness.equations import LABEL, equations
from twins.code import ROOT, TWINS, definitions, path_of, statements

HEADINGS = ("Formula", "NumPy", "PyTorch")
A_PART_OF = "a part of "


class listing(nodes.General, nodes.Element):
    """Lines of a file. path, name, first_line; its text is the code; targets: {label: URL}, filled in at the end."""


def line_id(path, line):
    """The anchor of a line: the same on each page that shows it."""
    twin, _, rest = path.partition("_")
    return f"{twin}-{nodes.make_id(rest.partition('/')[2].removesuffix('.py'))}-{line}"


class CodeDirective(SphinxDirective):
    """Finds functions, and tells Sphinx that the page depends on their files."""

    def find(self, twin, file, name):
        """The Definition of a function or class in one twin; None if the twin has none."""
        try:
            path = path_of(twin, file)
        except LookupError:
            return None
        self.env.note_dependency(str(ROOT / path))
        return definitions(path).get(name)

    def find_both(self, file, name):
        """{twin: Definition}; a directive error if neither has it."""
        found = {twin: one for twin in TWINS if (one := self.find(twin, file, name))}
        if not found:
            raise self.error(f"{self.name}: no twin has {name} in {file}.py")
        return found

    def note_line(self, path, line, kind):
        """Remember that this page shows a line, so that equations can link to it."""
        shown = getattr(self.env, "twins_lines", None)
        if shown is None:
            shown = self.env.twins_lines = {}
        shown.setdefault((path, line), set()).add((self.env.docname, kind))


class Listing(CodeDirective):
    """One function or class of one twin."""

    required_arguments = 3

    def run(self):
        twin, file, name = self.arguments
        found = self.find(twin, file, name)
        if found is None:
            raise self.error(f"{self.name}: {twin} has no {name} in {file}.py")
        for line in range(found.first_line, found.first_line + len(found.lines)):
            self.note_line(found.path, line, "listing")
        text = "\n".join(found.lines)
        return [listing(text, path=found.path, name=name, first_line=found.first_line, targets={})]


class Source(CodeDirective):
    """Functions in both twins, in tabs; what only one has, without."""

    required_arguments = 2
    optional_arguments = 20
    option_spec = {"numpy-only": directives.flag}

    def run(self):
        file, *names = self.arguments
        lines = []
        for name in names:
            found = self.find_both(file, name)
            if "numpy-only" in self.options:
                found = {"numpy_impl": found["numpy_impl"]}
            if len(found) == 1:
                lines += [f"```{{listing}} {twin} {file} {name}\n```" for twin in found]
                continue
            lines.append("::::{tab-set}\n:sync-group: twin")
            for twin in found:
                lines.append(f":::{{tab-item}} {TWINS[twin]}\n:sync: {twin}\n"
                             f"```{{listing}} {twin} {file} {name}\n```\n:::")
            lines.append("::::")
        return parsed(self, "\n".join(lines))


def parsed(directive, text):
    """The nodes of a MyST text."""
    holder = nodes.Element()
    source = directive.get_source_info()[0]
    directive.state.nested_parse(StringList(text.splitlines(), source), directive.content_offset, holder)
    return holder.children


def parsed_sections(directive, text):
    """The same of a text that has headings."""
    holder = nodes.section()
    holder.document = directive.state.document
    source = directive.get_source_info()[0]
    directive.state.nested_parse(StringList(text.splitlines(), source), directive.content_offset, holder,
                                 match_titles=True)
    return holder.children


class Lines(CodeDirective):
    """Statements by the names that they assign: formula, NumPy, PyTorch."""

    required_arguments = 2
    optional_arguments = 5
    has_content = True

    def run(self):
        file, *names = self.arguments
        functions = [self.find_both(file, name) for name in names]
        rows = [self._row(functions, line) for line in self.content if line.strip()]
        table = nodes.table("", nodes.tgroup(
            "", *[nodes.colspec(colwidth=width) for width in (30, 38, 32)],
            nodes.thead("", nodes.row("", *[nodes.entry("", nodes.paragraph("", text)) for text in HEADINGS])),
            nodes.tbody("", *rows), cols=3), classes=["lines", "colwidths-given"])
        return [table]

    def _row(self, functions, line):
        name, _, formula = (part.strip() for part in line.partition(":"))
        ours = next((found for both in functions if "numpy_impl" in both
                     and (found := _first(both["numpy_impl"], name))), None)
        if ours is None:
            raise self.error(f"{self.name}: no statement assigns {name}")
        place = next(both for both in functions if "numpy_impl" in both and _first(both["numpy_impl"], name))
        theirs = _first(place["torch_impl"], name) if "torch_impl" in place else None
        cells = [self._formula(name, formula, ours), code(ours.code, ours.shape),
                 code(theirs.code, theirs.shape) if theirs else self._gradient(place, name)]
        row = nodes.row("", *[nodes.entry("", cell, classes=[heading.lower()])
                              for heading, cell in zip(HEADINGS, cells)])
        self.note_line(place["numpy_impl"].path, ours.line, "lines")
        row["ids"] = [f"lines-{line_id(place['numpy_impl'].path, ours.line)}"]
        return row

    def _formula(self, name, formula, statement):
        paragraph = nodes.paragraph()
        latex = formula or _squeezed(equations().get(statement.label, ""))
        if not latex:
            raise self.error(f"{self.name}: {name} has neither a formula nor an equation")
        paragraph += nodes.math(latex, latex)
        if statement.label:
            paragraph += nodes.Text(" ")
            paragraph += addnodes.pending_xref(
                "", nodes.literal(statement.label, statement.label), refdomain="math", reftype="eq",
                reftarget=statement.label, refdoc=self.env.docname, refexplicit=False, refwarn=True)
        return paragraph

    def _gradient(self, both, name):
        """What torch calls the gradient: d_shifted is shifted.grad, d_x_from_y a part of x.grad. Empty if nothing."""
        base, _, share = name.removeprefix("d_").partition("_from_")
        forward = re.sub(r"(_lean)?_backward$", "", both["numpy_impl"].name)
        file = both["numpy_impl"].path.partition("/")[2].removesuffix(".py")
        twin = self.find("torch_impl", file, forward)
        if not name.startswith("d_") or twin is None:
            return nodes.paragraph()
        arguments = [argument.arg for argument in twin.node.args.args]
        if base not in arguments and not _first(twin, base):
            return nodes.paragraph()
        paragraph = code(f"{base}.grad")
        if share:
            paragraph.insert(0, nodes.Text(A_PART_OF))
        return paragraph


def _first(definition, name):
    return statements(definition).get(name, [None])[0]


def _squeezed(latex):
    return " ".join(latex.split())


def code(text, shape=""):
    """A paragraph with a line of Python, and the shape of what it assigns."""
    paragraph = nodes.paragraph()
    paragraph += nodes.literal(text, text, classes=["code", "highlight", "python"], language="python")
    if shape:
        paragraph += nodes.Text(" ")
        paragraph += nodes.inline(shape, shape, classes=["shape"])
    return paragraph


# HTML


def visit_html(self, node):
    """The lines, each with its anchor; the comment `# eq: label` is a link to the equation."""
    path, first = node["path"], node["first_line"]
    rows = []
    for number, html in enumerate(highlighted(node.rawsource), first):
        rows.append(f'<span class="line" id="{line_id(path, number)}">{_linked(html, node["targets"])}</span>')
    self.body.append(f'<div class="listing"><p class="listing-title">{path}, line {first}</p>'
                     '<div class="highlight"><pre>' + "\n".join(rows) + "\n</pre></div></div>\n")
    raise nodes.SkipNode


def highlighted(text):
    """Lines of Python as HTML, each whole in itself: a docstring's lines too."""
    html = highlight(text, PythonLexer(stripnl=False, ensurenl=False), HtmlFormatter(nowrap=True))
    return html.rstrip("\n").split("\n")


def _linked(html, targets):
    return LABEL.sub(lambda found: f'<a class="to-equation" href="{targets[found[1]]}">{found[0]}</a>'
                     if found[1] in targets else found[0], html)


def setup(app):
    app.add_node(listing, html=(visit_html, None))    # on paper a plain block takes its place, see paper.py
    app.add_directive("listing", Listing)
    app.add_directive("source", Source)
    app.add_directive("lines", Lines)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)


def purge(app, env, docname):
    """Forget what a page showed, before it is read again."""
    for places in getattr(env, "twins_lines", {}).values():
        places.difference_update([place for place in places if place[0] == docname])


def merge(app, env, docnames, other):
    """Take over what another process has read."""
    shown = getattr(env, "twins_lines", None)
    if shown is None:
        shown = env.twins_lines = {}
    for line, places in getattr(other, "twins_lines", {}).items():
        shown.setdefault(line, set()).update(place for place in places if place[0] in docnames)
