"""Docstrings of the twins as MyST: shapes as a list, sources linked to the bibliography; and their departures."""

import ast
import functools
import re

from twins.code import ROOT, definitions, escaped

BIBLIOGRAPHY = ROOT / "docs" / "references.bib"
# "Ba, Kiros and Hinton (2016)", "Vaswani et al. (2017)", "Shazeer (2020)"
CITATION = re.compile(r"\b(?P<first>[A-Z][\w'’-]+)(?P<others>(?:, [A-Z][\w'’-]+)*(?: and [A-Z][\w'’-]+| et al\.)?)"
                      r" \((?P<year>\d{4})\)")
# What begins an item of its own within a paragraph of a docstring.
ITEM = re.compile(r"(?:^|(?<=[.;] ))(?=(?:[a-z_]\w*(?:, [a-z_]\w*)*: |forward\(|backward\(|Forward takes|Returns? "
                  r"|Raises |Errors: |Sources?: |Departures?: ))")
NAMES = re.compile(r"^([a-z_]\w*(?:, [a-z_]\w*)*): (.+)$", re.DOTALL)
HEAD = re.compile(r"^(Errors|Sources?|Departures?): (.+)$", re.DOTALL)
DEPARTURES = re.compile(r"Departures?: (.+?)(?=\n\n|\n[A-Z]\w+: |\Z)", re.DOTALL)
SOURCE = re.compile(r"Source: (.+?)(?=\n\n|\nDepartures?: |\n[A-Z]\w+: |\Z)", re.DOTALL)


def docstring_of(node):
    """The docstring of an ast node, "" if it has none."""
    return ast.get_docstring(node) or ""


@functools.cache
def works():
    """{key: ([family names], year, address or "")} of the bibliography."""
    entries = re.findall(r"@\w+\{(\w+),(.*?)\n\}", BIBLIOGRAPHY.read_text(encoding="utf-8"), re.DOTALL)
    found = {}
    for key, body in entries:
        author, year, url = (re.search(rf"\b{field}\s*=\s*\{{(.*?)\}},?\s*$", body, re.DOTALL | re.MULTILINE)
                             for field in ("author", "year", "url"))
        if author and year:
            names = [name.split(",")[0].strip() for name in author[1].split(" and ")]
            found[key] = names, year[1], url[1] if url else ""
    return found


def keys():
    """{(first author, year): key} of the bibliography."""
    return {(names[0], year): key for key, (names, year, _) in works().items()}


def work(key, in_a_sentence):
    """How Markdown names a work: "Ba et al. (2016)" in a sentence, else "Ba et al., 2016", with a link to it."""
    names, year, address = works()[key]
    who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    text = f"{who} ({year})" if in_a_sentence else f"{who}, {year}"
    return f"[{text}]({address})" if address else text


def citations(text):
    """[(as it is written, key or None)] of the works that a text names."""
    return [(found[0], keys().get((found["first"], found["year"]))) for found in CITATION.finditer(text)]


def cited(text):
    """A plain text as MyST, in which each work of the bibliography is a link to it."""
    parts, end = [], 0
    for found in CITATION.finditer(text):
        key = keys().get((found["first"], found["year"]))
        if key:
            parts += [escaped(text[end:found.start()]), f"{{cite:t}}`{key}`"]
            end = found.end()
    return "".join([*parts, escaped(text[end:])])


def markdown(docstring):
    """A docstring as MyST: the first paragraph as it is, then a list of arguments, results, errors and sources."""
    first, *rest = [" ".join(part.split()) for part in docstring.split("\n\n")]
    head, *items = [item.strip() for item in ITEM.split(first) if item.strip()]
    lines = [cited(head), ""]
    items += [item.strip() for part in rest for item in ITEM.split(part) if item.strip()]
    return "\n".join([*lines, *map(_item, items)])


def _item(text):
    if named := NAMES.match(text):
        names = ", ".join(f"`{name}`" for name in named[1].split(", "))
        return f"- {names}: {cited(named[2])}"
    if head := HEAD.match(text):
        return f"- **{head[1]}.** {cited(head[2])}"
    return f"- {cited(text)}"


def departures():
    """[(path, name, what its source is, in what it departs)] of numpy_impl, file by file."""
    found = []
    for path in sorted((ROOT / "numpy_impl").rglob("*.py")):
        relative = path.relative_to(ROOT).as_posix()
        for name, one in definitions(relative).items():
            text = docstring_of(one.node)
            if departs := DEPARTURES.search(text):
                source = SOURCE.search(text)
                found.append((relative, name, " ".join(source[1].split()) if source else "",
                              " ".join(departs[1].split())))
    return found
