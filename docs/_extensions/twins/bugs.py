"""The bug catalogue in the book: `bug` shows one with its story and its diff, `bug-catalogue` all of a file."""

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from parity_tests.harness.bugs import all_bugs
from parity_tests.harness.bugs.catalogue import __file__ as catalogue_file
from twins.code import ROOT, escaped
from twins.exercises import folded
from twins.listing import parsed, parsed_sections
from twins.texts import bug_text


class BugDirective(SphinxDirective):
    """`bug`: title, what it looks like, why people make it, what it does to training, the diff, and who has seen it.

    With `:folded:` only its title is seen until the reader opens it.
    """

    required_arguments = 1
    option_spec = {"folded": directives.flag}
    has_content = True

    def run(self):
        name = self.arguments[0]
        bug = all_bugs().get(name)
        if bug is None:
            raise self.error(f"{self.name}: the catalogue has no bug {name!r}")
        self.env.note_dependency(str(ROOT / bug.path))
        place = {"ids": [nodes.make_id(f"bug-{name}")]}
        if "folded" in self.options:
            node = folded(title=bug.title.replace("`", ""), kind="bug", **place)
        else:
            title = nodes.title("", "", *parsed(self, escaped(bug.title))[0].children)
            node = nodes.admonition("", title, classes=["bug"], **place)
        node += parsed(self, bug_text(bug))
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


class BugCatalogue(SphinxDirective):
    """`bug-catalogue`: every bug, under a heading for each file."""

    def run(self):
        self.env.note_dependency(catalogue_file)
        files = {}
        for bug in all_bugs().values():
            files.setdefault(bug.file, []).append(bug.name)
        lines = []
        for file, names in files.items():
            lines += [f"## {file}", "", *(f":::{{bug}} {name}\n:folded:\n:::\n" for name in names)]
        return parsed_sections(self, "\n".join(lines))


def setup(app):
    app.add_directive("bug", BugDirective)
    app.add_directive("bug-catalogue", BugCatalogue)
