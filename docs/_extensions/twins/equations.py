"""Links between equations and code, both ways, once all pages are known.

Below each equation whose label a line of code carries stand links to those lines; in each listing the comment
`# eq: label` links to the equation. A label without an equation is a warning, which fails the build.
"""

from docutils import nodes
from sphinx.util import logging

from parity_tests.harness.equations import label_of
from twins.code import function_at, labelled_lines
from twins.listing import line_id, listing

logger = logging.getLogger(__name__)


def link(app, doctree, docname):
    """Called for each page before it is written."""
    if app.builder.format == "html":    # on paper the label in the listing says it
        for node in doctree.findall(listing):
            _link_listing(app, node, docname)
    for node in list(doctree.findall(nodes.math_block)):
        if node.get("label") in labelled_lines():
            _add_links(app, node, docname)


def _link_listing(app, node, docname):
    equations = app.env.domains.math_domain.equations
    for line in node.rawsource.splitlines():
        label = label_of(line)
        if label is None:
            continue
        if label not in equations:
            logger.warning("%s: there is no equation %s", node["path"], label, location=docname, type="twins")
            continue
        page = equations[label][0]
        node["targets"][label] = _relative(app, docname, page) + f"#equation-{nodes.make_id(label)}"


def _add_links(app, node, docname):
    paragraph = nodes.paragraph("", nodes.Text("In the code: "), classes=["in-the-code"])
    if app.builder.format != "html":    # where no link leads from the code to here
        mark = f"# eq: {node['label']}"
        paragraph[0] = nodes.Text("In the code, at ")
        paragraph += [nodes.literal(mark, mark), nodes.Text(": ")]
    for number, (path, line) in enumerate(labelled_lines()[node["label"]]):
        place = place_of(app, path, line, docname)
        text = f"{function_at(path, line)}, line {line}"
        if number:
            paragraph += nodes.Text("; ")
        if place is None:
            logger.warning("%s: no page shows line %d", path, line, location=docname, type="twins")
        if place is None or app.builder.format != "html":
            paragraph += nodes.Text(text)
        else:
            page, anchor = place
            paragraph += nodes.reference("", text, internal=True, refuri=f"{_relative(app, docname, page)}#{anchor}")
    node.parent.insert(node.parent.index(node) + 1, paragraph)


def place_of(app, path, line, docname):
    """(page, anchor) of a line: on this page if it is there, else on the page of its file; None if it is nowhere."""
    places = getattr(app.env, "twins_lines", {}).get((path, line), ())
    anchors = {"listing": line_id(path, line), "lines": f"lines-{line_id(path, line)}"}
    ranked = sorted(places, key=lambda place: (
        place[0] != docname, not place[0].startswith("api/"), place[1] != "listing", place))
    return (ranked[0][0], anchors[ranked[0][1]]) if ranked else None


def _relative(app, docname, page):
    return "" if page == docname else app.builder.get_relative_uri(docname, page)


def setup(app):
    app.connect("doctree-resolved", link)
