"""The book's PDF: what its pages hand to LaTeX, and how faults are found. `make docs-pdf` makes it."""

import importlib
import re
from pathlib import Path

import pytest

from parity_tests.sample_book import EQUATIONS, REASON, build

pytestmark = pytest.mark.usefixtures("book_path")
ROOT = Path(__file__).parents[1]
LOG = r"""
LaTeX Warning: Reference `equation:x' on page 9 undefined on input line 1.
LaTeX Warning: Hyper reference `reference/glossary:term-fork' on page 9 undefined on input line 3.
LaTeX Warning: There were undefined references.
LaTeX Warning: Label `a' multiply defined.
Missing character: There is no 令 ("4EE4) in font TeX Gyre Pagella!
Missing character: There is no 令 ("4EE4) in font TeX Gyre Pagella!
Overfull \hbox (61.5pt too wide) in paragraph at lines 1--2
Overfull \hbox (4.5pt too wide) in paragraph at lines 1--2
! Undefined control sequence.
"""
PARTS = ("listing", "equations", "exercises", "bugs", "lab", "paper")
CONFIGURATION = 'latex_documents = [("index", "book.tex", "Book", "", "manual")]\n'
INDEX = """# The *whole* & all

```{toctree}
:caption: "1: First part"
sample
```
```{toctree}
:caption: Others
api/index
```
"""
SAMPLE = f"""# Sample

{EQUATIONS}

By {{eq}}`softmax-d-shifted`; see [the code](api/index.md).

:::{{source}} softmax softmax softmax_backward
:::

::::{{exercise}} The sum of $x_i$
Question.
:::{{answer}} Why?
Because.
:::
::::

:::{{lab}} step/softmax.html
Stepper of softmax
:::

```text
{120 * 'x'}
```
"""


@pytest.fixture
def maker(book_path):
    return importlib.import_module("make_pdf")


@pytest.fixture(scope="module")
def latex(tmp_path_factory):
    """The LaTeX of a sample."""
    pages = {"index": INDEX, "sample": SAMPLE, "api/index": "# API page\n"}
    built, complaints = build(tmp_path_factory.mktemp("paper"), "latex", PARTS, pages, CONFIGURATION)
    assert complaints == ""
    return (built / "book.tex").read_text(encoding="utf-8")


def test_captions_become_parts(latex):
    assert latex.index(r"\chapter*{The whole \& all}") < latex.index(r"\part{First part}")
    assert latex.index(r"\part{First part}") < latex.index(r"\chapter{Sample}") < latex.index(r"\part*{Others}")
    assert r"\addcontentsline{toc}{part}{Others}" in latex and "contentsname}{" not in latex
    assert "API page" not in latex and "the code}}." in latex    # no link to what is left out


def test_equations_have_numbers_and_name_their_lines(latex):
    assert r"By \eqref{equation:sample:softmax-d-shifted}" in latex
    assert r"In the code, at \sphinxcode{\sphinxupquote{\# eq: softmax\sphinxhyphen{}d\sphinxhyphen{}shifted}}" in latex


def test_both_twins_are_printed(latex):
    places = re.findall(r"sphinxstyleemphasis\{(\w+)\\_impl/layers/softmax.py, line \d+\}", latex)
    assert places == ["numpy", "torch", "numpy"]


def test_exercises_keep_their_formulas(latex):
    assert r"\begin{sphinxadmonition}{note}{Exercise 1: The sum of \(x_i\)}" in latex
    assert r"\textbf{Why?} " in latex


def test_what_needs_a_browser_is_only_named(latex):
    assert "Stepper of softmax: a page to be used in a browser" in latex


def test_long_lines_are_set_smaller(latex):
    around = latex[latex.index(120 * "x") - 200:latex.index(120 * "x") + 200]
    assert around.index(r"\fvset{fontsize=\scriptsize}") < around.index(r"\fvset{fontsize=\footnotesize}")


@pytest.mark.parametrize("lengths, size", [
    ([], "footnotesize"), ([114], "footnotesize"), ([10, 120], "scriptsize"), ([10, 10, 150], "footnotesize"),
    ([150] * 3, "tiny"), ([200] * 3, "footnotesize")])
def test_wide_tables_are_set_small_and_long_lines_broken(lengths, size):
    pytest.importorskip("sphinx", reason=REASON)
    assert importlib.import_module("twins.paper").size_of(["x" * length for length in lengths]) == size


def test_faults_are_found_in_the_log(maker):
    found = maker.faults(LOG)
    assert len(found) == 6 and not any("4.5pt" in fault for fault in found)
    assert sum("Missing character" in fault for fault in found) == 1
    assert maker.faults("LaTeX Warning: Label(s) may have changed.\n") == []


def test_what_is_missing_is_named_with_how_to_get_it(maker, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert maker.missing() == ["xelatex", "latexmk", "kpsewhich", "fc-list"]
    message = maker.main()
    assert "xelatex" in message and "apt-get install" in message and "latexmk texlive-xetex" in message


def test_the_workflow_installs_what_the_message_says(maker):
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert maker.INSTALL.replace("apt-get install", "apt-get install -y") in workflow
