"""A page's MyST as plain Markdown, which Jupyter and GitHub show: the book's roles and directives put into words.

What a notebook cannot show becomes what it can: an equation's label its number, a glossary's term its word, a page a
link to its source, a hint a line that opens. A role or directive that is not known here is an error.
"""

import functools
import re
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.rules_inline import image, link
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from mdit_py_plugins.myst_role import myst_role_plugin
from mdit_py_plugins.myst_role.index import myst_role

from parity_tests.exercises import exercise
from parity_tests.harness.bugs import all_bugs
from parity_tests.harness.equations import EQUATION, equations
from parity_tests.harness.errors import UserError
from twins.code import ROOT, TWINS, definitions, path_of, statements
from twins.docstrings import work, works
from twins.texts import HINT, bug_text, exercise_text

UP = ".."    # from notebooks/ to the top of the project
BREAK = "\0"    # where a cell of its own begins
OPTION = re.compile(r":([\w-]+):(?: (.*))?")
LOCATED = ("myst_role", "link_open", "image")
NOTES = ("note", "tip", "important", "warning", "caution", "seealso", "admonition")
EXERCISE, ANSWER, BUG = "Exercise", "Answer", "Bug"
ABOVE, BELOW = "printed above", "printed below"


class Edit(NamedTuple):
    """text takes the place of what stands from begin to end."""

    begin: int
    end: int
    text: str


def _located(rule):
    """A rule of markdown-it that notes in `meta["raw"]` of its token how that stands in the source."""
    def located(state, silent):
        begin, count = state.pos, len(state.tokens)
        found = rule(state, silent)
        if found and not silent:
            made = next(token for token in state.tokens[count:] if token.type in LOCATED)    # text may come first
            made.meta["raw"] = state.src[begin:state.pos]
        return found
    return located


@functools.cache
def parser():
    """markdown-it with the syntax that docs/conf.py turns on."""
    markdown = MarkdownIt("commonmark").enable("table")
    for plugin in (amsmath_plugin, colon_fence_plugin, myst_block_plugin, myst_role_plugin):
        markdown.use(plugin)
    markdown.use(dollarmath_plugin, allow_labels=True, double_inline=True)
    for name, rule in (("myst_role", myst_role), ("link", link), ("image", image)):
        markdown.inline.ruler.at(name, _located(rule))
    return markdown


def folded(title, text):
    """What waits behind a line that opens it."""
    return f"<details>\n<summary>{title}</summary>\n\n{text.strip()}\n\n</details>\n"


class Plain:
    """Converts one page. page: its path. links: {path of a page: how to link to it}, of pages that are in notebooks."""

    def __init__(self, page, links=None):
        self.page, self.links = page, links or {}
        self.exercises = 0
        self.code = ""    # of the cells so far: the caller adds to it
        labels = [label for label, _ in EQUATION.findall(page.read_text(encoding="utf-8"))]
        self.numbers = {label: number for number, label in enumerate(labels, 1)}

    def cells(self, text, line=1):
        """[The plain Markdown of each part] of a text that begins in this line of the page: headings begin a part."""
        return [part.strip() for part in self.markdown(text, line, BREAK).split(BREAK) if part.strip()]

    def markdown(self, text, line=1, before_headings=""):
        """The plain Markdown of a text that begins in this line of the page."""
        starts = [0, *(found.end() for found in re.finditer("\n", text)), len(text)]
        edits, place = [], 0
        for token in parser().parse(text):
            begin, end = (starts[number] for number in token.map) if token.map else (0, 0)
            if token.type in ("fence", "colon_fence") and (token.type == "colon_fence" or token.info.startswith("{")):
                edits.append(self._block(text, token, begin, end, line))
            elif token.type in ("myst_target", "myst_line_comment"):
                edits.append(Edit(begin, end, ""))
            elif token.type in ("math_block_label", "myst_block_break"):
                raise self._error(line + token.map[0], f"a {token.type} cannot be put into a notebook")
            elif token.type == "heading_open" and token.level == 0 and begin:
                edits.append(Edit(begin, begin, before_headings))
            elif token.type == "inline":
                place = max(place, begin)
                for child in token.children:
                    found, place = self._inline(text, child, place, end, line)
                    edits += found
        for edit in sorted(edits, reverse=True):
            text = text[:edit.begin] + edit.text + text[edit.end:]
        return text

    def _error(self, line, message):
        return ValueError(f"{self.page.relative_to(ROOT)}:{line}: {message}")

    # Directives

    def _block(self, text, token, begin, end, line):
        found = re.match(r"\s*\{([\w:-]+)\}\s*(.*)", token.info)
        name, argument = found.groups() if found else (token.info, "")
        here = line + token.map[0]
        convert = getattr(self, f"_do_{name.replace('-', '_')}", None) if found else None
        if convert is None and name not in NOTES:
            raise self._error(here, f"nothing is known of the directive {name!r}" if name else "a fence without a name")
        lines, options = token.content.splitlines(), {}
        while lines and (option := OPTION.fullmatch(lines[0].strip())):
            options[option[1]] = option[2] or ""
            lines.pop(0)
        first = here + 1 + len(options)
        if convert is None:
            convert = functools.partial(self._note, name)
        try:
            new = convert(argument.strip(), options, "\n".join(lines), first)
        except (LookupError, UserError) as error:
            raise self._error(here, error) from None
        indent = re.compile(r"[ \t]*").match(text, begin)[0]
        return Edit(begin, end, "".join(f"{indent}{one}".rstrip() + "\n" for one in new.splitlines()))

    def _do_math(self, argument, options, body, line):
        latex = "\n".join(one for one in (argument, body.strip()) if one)
        if "\\\\" in latex and "\\begin" not in latex:
            latex = f"\\begin{{aligned}}\n{latex}\n\\end{{aligned}}"
        if "label" in options:
            latex += f" \\tag{{{self.numbers[options['label']]}}}"
        return f"$$\n{latex}\n$$"

    def _do_exercise(self, argument, options, body, line):
        self.exercises += 1
        title = self.markdown(f"**{EXERCISE} {self.exercises}: {argument}**", line - 1)
        return f"{title}\n\n{self.markdown(body, line)}"

    def _do_hint(self, argument, options, body, line):
        return folded(argument or HINT, self.markdown(body, line))

    def _do_answer(self, argument, options, body, line):
        return folded(argument or ANSWER, self.markdown(body, line))

    _do_dropdown = _do_hint

    def _do_graded(self, argument, options, body, line):
        return self.markdown(exercise_text(exercise(argument)), line)

    def _do_bug(self, argument, options, body, line):
        bug = all_bugs()[argument]
        text = self.markdown(bug_text(bug) + "\n\n" + body, line)
        if "folded" in options:
            return folded(bug.title, text)
        return f"**{BUG}: {bug.title}**\n\n{text}"

    def _do_source(self, argument, options, body, line):
        file, *names = argument.split()
        twins = ["numpy_impl"] if "numpy-only" in options else list(TWINS)
        parts = []
        for name in names:
            shown = [self._listing(twin, file, name) for twin in twins]
            if not any(shown):
                raise LookupError(f"no twin has {name} in {file}.py")
            first, *others = filter(None, shown)
            parts += [first, *(folded(TWINS["torch_impl"], other) for other in others)]
        return "\n\n".join(parts)

    @staticmethod
    def _listing(twin, file, name):
        """A function as a block of code below the name of its file; "" where the twin has none."""
        try:
            path = path_of(twin, file)
            lines = definitions(path)[name].lines
        except LookupError:
            return ""
        return "\n".join([f"[{path}]({UP}/{path})", "", "```python", *lines, "```"])

    def _do_lines(self, argument, options, body, line):
        """A list of formulas, each with its line of NumPy."""
        file, *names = argument.split()
        found = {}
        for name in names:
            one = definitions(path_of("numpy_impl", file))[name]
            found = {**{local: those[0] for local, those in statements(one).items()}, **found}
        rows = []
        for row in filter(str.strip, body.splitlines()):
            local, _, formula = (part.strip() for part in row.partition(":"))
            if local not in found:
                raise LookupError(f"no statement assigns {local}")
            formula = formula or " ".join(equations()[found[local].label].split())
            rows.append(f"- ${formula}$: `{found[local].code}`")
        return "\n".join(rows)

    def _do_lab(self, argument, options, body, line):
        verb, _, rest = argument.removesuffix(".html").partition("/")
        return f"{' '.join(body.split())}: `{f'python -m parity_tests {verb} {rest}'.strip()}` makes this page."

    def _do_tab_set(self, argument, options, body, line):
        return self.markdown(body, line)

    def _do_tab_item(self, argument, options, body, line):
        return f"**{argument}**\n\n{self.markdown(body, line)}"

    def _do_code_block(self, argument, options, body, line):
        return f"```{argument}\n{body}\n```"

    def _note(self, name, argument, options, body, line):
        title = self.markdown(argument or name.capitalize(), line - 1)
        text = f"**{title}**\n\n{self.markdown(body, line)}"
        return "\n".join(f"> {one}".rstrip() for one in text.splitlines())

    # Roles and links

    def _inline(self, text, token, place, end, line):
        """([the Edits of a token], where to look for the next one)."""
        if token.type not in LOCATED:
            return [], place
        raw = re.escape(token.meta["raw"]).replace("\\\n", r"\n[ \t>]*")    # a list's indentation is no part of it
        found = re.compile(raw).search(text, place, end)
        here = line + text.count("\n", 0, found.start())
        if token.type == "myst_role":
            return [Edit(*found.span(), self._role(token.meta["name"], token.content, here))], found.end()
        target = token.attrs["href" if token.type == "link_open" else "src"]
        begin = text.rfind(target, found.start(), found.end())
        if begin < 0 or re.match(r"[a-z]+:", target):    # <https://...>, and what is quoted
            return [], found.start() + 1
        return [Edit(begin, begin + len(target), self._address(target, here))], found.start() + 1

    def _address(self, target, line):
        """A link as it must be written in a notebook: to another's notebook, or to a file of the project."""
        path, _, anchor = target.partition("#")
        file = (self.page.parent / path).resolve() if path else self.page
        docs = ROOT / "docs"
        if file.is_relative_to(docs / "api"):    # made by the build: its subject is here
            file = ROOT / "numpy_impl" / file.relative_to(docs / "api").with_suffix(".py")
            anchor = ""
        if not file.is_relative_to(ROOT):
            raise self._error(line, f"{target} lies outside of the project")
        if file in self.links and not anchor:
            return self.links[file]
        return f"{UP}/{file.relative_to(ROOT).as_posix()}" + (f"#{anchor}" if anchor else "")

    def _role(self, name, content, line):
        text, _, target = content.removesuffix(">").rpartition("<") if content.endswith(">") else (content, "", content)
        text, target = text.strip(), target.strip()
        if name == "term":
            return text
        if name == "eq":
            return self._equation(target, line)
        if name == "math":
            return f"${content}$"
        if name in ("cite:t", "cite:p", "cite"):
            keys = [key.strip() for key in content.split(",")]
            if missing := [key for key in keys if key not in works()]:
                raise self._error(line, f"references.bib has no {missing[0]}")
            named = "; ".join(work(key, in_a_sentence=name == "cite:t") for key in keys)
            return named if name == "cite:t" else f"({named})"
        if name == "glue:text":
            key = content.partition(":")[0]
            quoted = f'"{key}"'
            return f"*{key} ({ABOVE if quoted in self.code else BELOW})*"
        if name.startswith("py:"):
            return self._name(text, target, line)
        raise self._error(line, f"nothing is known of the role {name!r}")

    def _equation(self, label, line):
        if label in self.numbers:
            return f"({self.numbers[label]})"
        if label not in equations():
            raise self._error(line, f"there is no equation {label}")
        pages = (ROOT / "docs" / "derivations").glob("*.md")
        page = next(page for page in pages if f"\n:label: {label}\n" in page.read_text(encoding="utf-8"))
        return f"([{label}]({UP}/{page.relative_to(ROOT).as_posix()}))"

    def _name(self, text, target, line):
        """A function, class or method as code that links to its file."""
        dotted = target.removeprefix("~")
        shown = dotted.rpartition(".")[2] if target.startswith("~") else text
        parts = dotted.split(".")
        for length in range(len(parts), 0, -1):
            file = ROOT.joinpath(*parts[:length]).with_suffix(".py")
            if file.is_file():
                if length < len(parts) and ".".join(parts[length:]) not in definitions(str(file.relative_to(ROOT))):
                    break
                return f"[`{shown}`]({UP}/{file.relative_to(ROOT).as_posix()})"
        raise self._error(line, f"nothing is called {dotted}")
