"""`questions GROUP`: the questions of a folder of docs/questions, in their order, each with its one-line answer."""

from pathlib import Path

from sphinx.util.docutils import SphinxDirective

from book.questions import questions
from twins.listing import parsed


class Questions(SphinxDirective):
    required_arguments = 1

    def run(self):
        folder = Path(self.env.srcdir) / "questions" / self.arguments[0]
        found = questions(folder)
        for _, path, _, _ in found:
            self.env.note_dependency(str(path))
        if not found:
            raise self.error(f"there are no questions in {folder}")
        here = Path(self.env.doc2path(self.env.docname)).parent
        names = [path.relative_to(here).with_suffix("").as_posix() for _, path, _, _ in found]
        entries = [f"[{title}]({name}.md)\n: {answer}\n"
                   for name, (_, _, title, answer) in zip(names, found)]
        lines = [*entries, "```{toctree}", ":hidden:", "", *names, "```"]    # on paper the pages stand where this does
        return parsed(self, "\n".join(lines))


def setup(app):
    app.add_directive("questions", Questions)
