"""The notebooks: that they are what docs/make_notebooks.py makes of the book's pages, and how it makes them.

That they run is tested by `make notebooks`.
"""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("book_path")
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NAMES = (
    "01_self_attention", "02_multi_head_attention", "03_position_encoding", "04_feed_forward", "05_encoder",
    "06_decoder_and_cross_attention", "07_transformer", "08_training", "09_generation", "10_backprop_by_hand",
    "QandA_01_attention", "QandA_02_multi_head", "QandA_03_architecture", "QandA_04_experiments")
COMMITTED = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?:---\n.*?^---\n)?(?:^:[^\n]*\n)*(.*?)^```$", re.MULTILINE | re.DOTALL)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@pytest.fixture
def maker(book_path):
    return importlib.import_module("make_notebooks")


@pytest.fixture
def plain(book_path):
    """Converts as if it stood on the page of softmax."""
    return importlib.import_module("twins.plain").Plain(DOCS / "derivations" / "softmax.md")


@pytest.fixture
def sample(maker):
    """The page of softmax as a notebook."""
    made = maker.begun("docs/derivations/softmax.md")
    maker.add_page(made, DOCS / "derivations" / "softmax.md")
    return made


# In the repository


def test_the_notebooks_that_there_must_be(maker):
    assert maker.NAMES == NAMES
    assert all(maker.sources(name) for name in NAMES)
    assert {path.stem for path in COMMITTED} == set(NAMES), "say `make notebooks-sync`"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_notebook_is_what_its_page_says(path, maker):
    assert path.read_text(encoding="utf-8") == maker.text_of(path.stem), "say `make notebooks-sync`"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_notebook_holds_no_results_and_valid_cells(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            ast.parse(cell.source)


# A page as a notebook


def test_the_cells_are_those_of_the_page(sample):
    wanted = CELL.findall((DOCS / "derivations" / "softmax.md").read_text(encoding="utf-8"))
    first, *others = [cell for cell in sample.cells if cell.cell_type == "code"]
    assert [cell.source.strip() for cell in others] == [code.strip() for code in wanted]
    assert "docs/derivations/softmax.md" in first.source and all(name in first.source for name in THREADS)
    assert [cell.metadata.get("jupyter") for cell in others[:2]] == [None, {"source_hidden": True}]
    assert others[1].metadata == {"tags": ["remove-input"], "jupyter": {"source_hidden": True}}
    assert jupytext.reads(nbformat.writes(sample), fmt="ipynb").cells == sample.cells


def test_nothing_of_myst_is_left_in_the_text(sample):
    text = "\n".join(cell.source for cell in sample.cells if cell.cell_type == "markdown")
    assert re.findall(r"^:::+|\{[a-z:]+\}`|^```\{|^:\w+:", text, re.MULTILINE) == []
    assert text.count("<details>") == text.count("</details>") > 5
    assert "# Softmax and log-softmax\n\nSoftmax turns" in text and "\n## Contract" in text
    assert "(7) needs $y$" in text and "\\tag{7}" in text
    assert "*limit-32 (printed below)*" in text and "*row-sum (printed above)*" in text


def test_names_of_cells_depend_on_their_text_alone(maker, sample):
    again = maker.begun("docs/derivations/softmax.md")
    maker.add(again, nbformat.v4.new_markdown_cell("Another."))
    maker.add_page(again, DOCS / "derivations" / "softmax.md")
    assert {cell.id for cell in sample.cells} < {cell.id for cell in again.cells}
    assert nbformat.writes(sample) != nbformat.writes(again)


def test_questions_begin_with_their_answers(maker, monkeypatch):
    folder = DOCS / "derivations"
    monkeypatch.setattr(maker, "questions", lambda _: [("Q2", folder / "softmax.md", "Why *so*?", "Because."),
                                                       ("N1", folder / "linear.md", "And?", "No.")])
    made = maker.notebook("QandA_01_attention")
    assert made.cells[1].source == ("# Questions about attention\n\n- [**Q2.** Why *so*?](#Why-so?)<br>Because.\n"
                                    "- [**N1.** And?](#And?)<br>No.")
    titles = [cell.source.partition("\n")[0] for cell in made.cells if cell.source.startswith("# ")]
    assert titles[-2:] == ["# Softmax and log-softmax", "# Linear"]


@pytest.mark.parametrize("folder", [ROOT, ROOT / "notebooks", DOCS / "derivations"], ids=lambda path: path.name)
def test_the_first_cell_finds_the_project(folder, maker):
    code = maker.START.format(source="x") + ("\nimport book.numbers, numpy_impl"
                                             "\nprint(root, os.environ['OMP_NUM_THREADS'])")
    folder = folder if folder.is_dir() else ROOT
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == f"{ROOT} 1\n"


def test_the_first_cell_says_what_is_missing(maker, tmp_path):
    for folder, message in ((ROOT, "it has no numpy"), (tmp_path, "pip install -e '.[lab,notebooks]'")):
        done = subprocess.run([sys.executable, "-I", "-S", "-c", maker.START.format(source="x")], cwd=folder,
                              capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 1 and message in done.stderr.splitlines()[-1]


def test_measured_prints_in_a_notebook(monkeypatch, capsys):
    measured = importlib.import_module("book").measured
    monkeypatch.setenv("BOOK_NOTEBOOK", "1")
    measured("error", np.float64(1.23456e-16))
    measured("word", "abc")
    measured("count", 1234567)
    assert capsys.readouterr().out == "error = 1.235e-16\nword = abc\ncount = 1234567\n"


# Roles, links and directives


@pytest.mark.parametrize("written, wanted", [
    ("the {term}`chain rule` says", "the chain rule says"),
    ("{term}`rules <chain rule>`", "rules"),
    ("see {eq}`softmax-d-divisor` and {eq}`softmax-d-x-collapsed`", "see (1) and (4)"),
    ("{eq}`layer-norm-d-x`", "([layer-norm-d-x](../docs/derivations/normalization.md))"),
    ("{math}`x_1`", "$x_1$"),
    ("{cite:t}`vaswani2017`", "[Vaswani et al. (2017)](https://arxiv.org/abs/1706.03762)"),
    ("{cite:p}`ba2016`", "([Ba et al., 2016](https://arxiv.org/abs/1607.06450))"),
    ("a {glue:text}`key:.1e` b", "a *key (printed below)* b"),
    ("{py:func}`~numpy_impl.layers.softmax.softmax`", "[`softmax`](../numpy_impl/layers/softmax.py)"),
    ("{py:meth}`it <numpy_impl.layers.attention.SelfAttention.forward>`",
     "[`it`](../numpy_impl/layers/attention.py)"),
    ("- in a list {term}`chain\n  rule`, and `{term}` in code", "- in a list chain rule, and `{term}` in code"),
    ("| a {term}`fork` | {term}`fork` |\n| --- | --- |\n| {eq}`softmax-d-divisor` | b |",
     "| a fork | fork |\n| --- | --- |\n| (1) | b |"),
    ("[losses](losses.md)", "[losses](../docs/derivations/losses.md)"),
    ("[a {term}`fork`](../reference/bugs.md#losses)", "[a fork](../docs/reference/bugs.md#losses)"),
    ("[code](../api/layers/softmax.md#softmax)", "[code](../numpy_impl/layers/softmax.py)"),
    ("[below](#exercises)", "[below](../docs/derivations/softmax.md#exercises)"),
    ("[out](https://example.org/losses.md) $f[i](x)$", "[out](https://example.org/losses.md) $f[i](x)$"),
    ("(a-target)=\n# Title", "# Title"),
    ("% a comment\n\nText.", "\nText."),
    ("`` {eq}`x` `` stays, $$ a $$ too", "`` {eq}`x` `` stays, $$ a $$ too"),
])
def test_roles_and_links(plain, written, wanted):
    assert plain.markdown(written + "\n") == wanted + "\n"


@pytest.mark.parametrize("written, wanted", [
    ("```{math}\nx\n```", "$$\nx\n$$"),
    ("```{math}\n:label: softmax-d-divisor\n\nx\n```", "$$\nx \\tag{1}\n$$"),
    ("```{math}\na &= b \\\\\nc &= d\n```", "$$\n\\begin{aligned}\na &= b \\\\\nc &= d\n\\end{aligned}\n$$"),
    ("::::{exercise} A $x$\nText.\n:::{hint}\nThink.\n:::\n::::",
     "**Exercise 1: A $x$**\n\nText.\n<details>\n<summary>Hint</summary>\n\nThink.\n\n</details>"),
    (":::{answer} Why\n{term}`fork`\n:::", "<details>\n<summary>Why</summary>\n\nfork\n\n</details>"),
    (":::{note}\nText {term}`fork`.\n:::", "> **Note**\n>\n> Text fork."),
    (":::{lines} softmax softmax\ntotal: s\n:::",
     "- $s$: `total = exponentials.sum(axis=axis, keepdims=True)`"),
    (":::{lab} step/softmax.html\n:height: 500\nStepper\n:::",
     "Stepper: `python -m parity_tests step softmax` makes this page."),
    (":::::{tab-set}\n:sync-group: twin\n::::{tab-item} NumPy\n:sync: a\nText.\n::::\n:::::", "**NumPy**\n\nText."),
    ("- item\n\n  :::{tip}\n  Text.\n  :::", "- item\n\n  > **Tip**\n  >\n  > Text."),
    ("```python\nx\n```", "```python\nx\n```"),
])
def test_directives(plain, written, wanted):
    assert plain.markdown(written + "\n").rstrip() == wanted


def test_a_source_is_shown_in_both_twins(plain):
    text = plain.markdown(":::{source} softmax softmax softmax_backward\n:::\n")
    assert text.count("def softmax(x, axis=-1):") == 2 and text.count("def softmax_backward(") == 1
    places = ("[numpy_impl/layers/softmax.py](../numpy_impl/layers/softmax.py)", "<summary>PyTorch</summary>",
              "[torch_impl/layers/softmax.py](../torch_impl/layers/softmax.py)", "</details>", "def softmax_backward(")
    assert sorted(places, key=text.index) == list(places)


def test_a_bug_and_an_exercise_are_told_in_full(plain):
    text = plain.markdown(":::{bug} softmax-row-sum-missing\n:folded:\nIt *shows*.\n:::\n\n:::{graded} softmax\n:::\n")
    assert text.startswith("<details>\n<summary>The backward pass lacks") and "It *shows*." in text
    assert "+    d_x = y * d_y" in text
    assert "**Exercise 1: `softmax_backward`" in text and "<summary>Hint 3</summary>" in text
    assert "python -m parity_tests exercise softmax\npython -m parity_tests grade softmax softmax.py\n" in text


@pytest.mark.parametrize("written, line, complaint", [
    ("a\n\n{unknown}`x`", 9, "nothing is known of the role 'unknown'"),
    ("a\n\n:::{unknown}\nx\n:::", 9, "nothing is known of the directive 'unknown'"),
    (":::{note}\n:class: x\na\n\n{unknown}`x`\n:::", 11, "role 'unknown'"),
    (":::\nx\n:::", 7, "a fence without a name"),
    ("```{math}\n:label: no-such-label\nx\n```", 7, "no-such-label"),
    ("{eq}`no-such-label`", 7, "there is no equation no-such-label"),
    ("{cite:t}`nobody1900`", 7, "references.bib has no nobody1900"),
    ("{py:func}`numpy_impl.layers.softmax.no_such_name`", 7, "nothing is called"),
    ("[x](../../../elsewhere.md)", 7, "lies outside"),
    (":::{bug} no-such-bug\n:::", 7, "no-such-bug"),
    (":::{graded} no_such_exercise\n:::", 7, "no_such_exercise"),
    (":::{source} softmax no_such_name\n:::", 7, "no twin has no_such_name"),
    ("$$\nx\n$$ (label)", 7, "math_block_label"),
])
def test_what_is_unknown_is_named_with_its_line(plain, written, line, complaint):
    with pytest.raises(ValueError, match=rf"softmax\.md:{line}: .*{complaint}"):
        plain.markdown(written + "\n", 7)
