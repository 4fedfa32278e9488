"""The equations of the book by their labels, and the labels that lines of code carry (`# eq: layer-norm-d-x`)."""

import functools
import re
from pathlib import Path

DERIVATIONS = Path(__file__).resolve().parents[2] / "docs" / "derivations"
EQUATION = re.compile(r"^```\{math\}\n:label: (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LABEL = re.compile(r"# eq: ([\w-]+)")


@functools.cache
def equations():
    """{label: LaTeX} of all pages of derivations; nothing where the package is installed without them."""
    return {label: latex.strip() for page in sorted(DERIVATIONS.glob("*.md"))
            for label, latex in EQUATION.findall(page.read_text(encoding="utf-8"))}


def label_of(line):
    """The label that a line of code carries, or None."""
    found = LABEL.search(line)
    return found[1] if found else None
