"""`departures`: where the code does not do what its paper says, collected from the docstrings."""

import ast

from sphinx.util.docutils import SphinxDirective

from twins.code import ROOT, definitions
from twins.docstrings import cited, departures
from twins.listing import parsed


class Departures(SphinxDirective):
    """A definition list: the class, its source, and the departure."""

    def run(self):
        lines = []
        for path, name, source, text in departures():
            self.env.note_dependency(str(ROOT / path))
            module = path.removesuffix(".py").replace("/", ".")
            kind = "class" if isinstance(definitions(path)[name].node, ast.ClassDef) else "func"
            lines += [f"{{py:{kind}}}`~{module}.{name}`", f": {cited(text)}"]
            lines += [f"  *Source:* {cited(source)}"] if source else []
            lines.append("")
        return parsed(self, "\n".join(lines))


def setup(app):
    app.add_directive("departures", Departures)
