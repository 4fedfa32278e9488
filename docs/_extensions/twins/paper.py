"""What the PDF shows otherwise than the pages.

The captions of the contents begin parts. Left out are the API pages, the code that pages fold, and the lab's pages, in
whose place a sentence says where they are. Lines that are too long for the paper are set smaller.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.util import texescape

from twins.lab import frame
from twins.listing import listing

LEFT_OUT = "api/"    # the source, which is better read in an editor
NUMBER = re.compile(r"(?:Part )?\d+[:.]? ")    # what a caption may begin with: LaTeX counts the parts itself
# {size of letters: the most characters that fit into a line of it}, see _latex/twins.sty
USUAL, SMALL, LEAST = "footnotesize", "scriptsize", "tiny"
FITS = {USUAL: 114, SMALL: 131, LEAST: 184}
ELSEWHERE = "{}: a page to be used in a browser, in the book's HTML edition."


def divide(app, doctree):
    """Called for each page that was read: a caption of the contents begins a part, and the API is not in them."""
    if app.builder.format != "latex":
        return
    if app.env.docname == app.config.root_doc:    # its text stands before the first chapter
        title = doctree.next_node(nodes.title)
        heading = f"\\chapter*{{{texescape.escape(title.astext(), 'xelatex')}}}"
        title.parent.insert(1, nodes.raw("", heading, format="latex"))
    for tree in list(doctree.findall(addnodes.toctree)):
        tree["includefiles"] = [page for page in tree["includefiles"] if not page.startswith(LEFT_OUT)]
        tree["entries"] = [(title, page) for title, page in tree["entries"] if not page.startswith(LEFT_OUT)]
        caption = tree.attributes.pop("caption", None)    # else LaTeX would take the first for the title of all
        if caption and app.env.docname == app.config.root_doc:
            around = tree.parent
            around.parent.insert(around.parent.index(around), nodes.raw("", part(caption), format="latex"))


def part(caption):
    """The LaTeX of a part: with a number if the caption has one."""
    title = texescape.escape(NUMBER.sub("", caption), "xelatex")
    if NUMBER.match(caption):
        return f"\\part{{{title}}}"
    return f"\\clearpage\\phantomsection\\addcontentsline{{toc}}{{part}}{{{title}}}\\part*{{{title}}}"


def adapt(app, doctree, docname):
    """Called with all pages in one before they are written."""
    if app.builder.format != "latex":
        return
    for cell in list(doctree.findall(nodes.container)):
        if "tag_hide-input" in cell["classes"]:
            cell[:] = [child for child in cell if "cell_input" not in child.get("classes", ())]
    for node in list(doctree.findall(listing)):
        place = nodes.emphasis("", f"{node['path']}, line {node['first_line']}")
        code = nodes.literal_block(node.rawsource, node.rawsource, language="python")
        node.replace_self([nodes.paragraph("", "", place), code])
    for node in list(doctree.findall(nodes.literal_block)):
        if (size := size_of(node.astext().splitlines())) != USUAL:
            around = [nodes.raw("", rf"\fvset{{fontsize=\{one}}}", format="latex") for one in (size, USUAL)]
            node.replace_self([around[0], node, around[1]])
    for node in list(doctree.findall(frame)):
        node.replace_self(nodes.paragraph("", ELSEWHERE.format(node["title"])))
    for node in list(doctree.findall(nodes.reference)):
        if re.match(r"(\.\./)*lab/", node.get("refuri", "")):
            node.replace_self(node.children)


def size_of(lines):
    """The size of letters for a block of code or results: a few long lines are broken, a wide table is set smaller."""
    longest = max(map(len, lines), default=0)
    if longest <= FITS[SMALL]:
        return USUAL if longest <= FITS[USUAL] else SMALL
    wide = sum(len(line) > FITS[SMALL] for line in lines)
    return LEAST if longest <= FITS[LEAST] and wide > len(lines) / 3 and wide > 2 else USUAL


def setup(app):
    app.connect("doctree-read", divide)
    app.connect("doctree-resolved", adapt)
