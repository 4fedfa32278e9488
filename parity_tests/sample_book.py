"""A book of a few pages, built by Sphinx with the book's own directives, for the tests of those."""

import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PACKAGES = ("sphinx", "myst_parser", "sphinx_design", "sphinxcontrib.bibtex")
REASON = "the packages of the book are not installed: pip install -e '.[docs]'"
CONFIGURATION = """
import sys
sys.path[:0] = {paths}
extensions = ["myst_parser", "sphinx_design", "sphinxcontrib.bibtex"]
extensions += [f"twins.{{part}}" for part in {parts}]
bibtex_bibfiles = [{bibliography!r}]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
exclude_patterns = ["built"]
"""
# The equations that the backward pass of softmax names.
EQUATIONS = "\n".join(f"```{{math}}\n:label: softmax-d-{name}\n\n{latex}\n```"
                      for name, latex in (("divisor", "a"), ("exponentials", "b"), ("shifted", "c")))


def build(folder, builder, parts, pages, configuration=""):
    """Build pages {name: text}, `index` among them, with these parts of the book's directives.

    configuration: more lines for conf.py. Returns (the folder of what was built, what Sphinx complains about). The test
    is skipped where the book's packages are missing.
    """
    for package in PACKAGES:
        pytest.importorskip(package, reason=REASON)
    paths = [str(DOCS / "_extensions"), str(DOCS), str(DOCS.parent)]
    begun = CONFIGURATION.format(paths=paths, parts=parts, bibliography=str(DOCS / "references.bib"))
    (folder / "conf.py").write_text(begun + configuration, encoding="utf-8")
    for name, text in pages.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-b", builder, str(folder), str(folder / "built")],
                          capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return folder / "built", done.stderr
