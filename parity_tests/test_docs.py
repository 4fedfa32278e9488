"""The book: its helpers, its own directives on sample pages, and what every page must keep to.

That labels of equations and code agree is tested in test_mirror.py; that pages look right in a browser, by
`python docs/check_pages.py`.
"""

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from numpy_impl.layers.softmax import softmax, softmax_backward
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.equations import label_of
from parity_tests.harness.runs import is_module

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "api", "locale"} & set(path.parts))
EXECUTED = [page for page in PAGES if page.read_text(encoding="utf-8").startswith("---\nfile_format: mystnb\n")]
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?:---\n(.*?)^---\n)?((?:^:[^\n]*\n)*)(.*?)^```$",
                  re.MULTILINE | re.DOTALL)
# The sections of a derivation, in their order; those that do not apply are left out.
SECTIONS = ("Contract", "Graph", "Derivation", "By hand", "What it means", "Equations", "Checks and cost",
            "What breaks", "Exercises", "What to read next")
PRIMITIVES = {case.numpy_twin().__name__: case for case in reversed(all_cases().values())    # of several the first
              if not is_module(case.numpy_twin())
              and f"{case.numpy_twin().__name__}_backward" in vars(inspect.getmodule(case.numpy_twin()))}


@pytest.fixture(autouse=True)
def paths(monkeypatch):
    """The book's helpers and directives can be imported, as in its cells."""
    for folder in (DOCS, DOCS / "_extensions"):
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("MPLBACKEND", "agg")


@pytest.fixture
def book():
    return importlib.import_module("book")


def cells(page):
    """[(its options as text, its code)] of a page."""
    return [((found[1] or "") + found[2], found[3]) for found in CELL.finditer(page.read_text(encoding="utf-8"))]


def prose(page):
    """The text of a page without code, formulas and roles."""
    text = re.sub(r"^(`{3,}).*?^\1$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", text, flags=re.DOTALL)
    return re.sub(r"\{[\w:]+\}`[^`]*`|`[^`]*`|\]\([^)]*\)", "", text)


# Helpers


def test_walk_shows_each_statement_with_what_it_assigned(book):
    x = np.array([[0, np.log(2), np.log(3)]])
    run = book.walk(softmax, x=x, d_y=np.array([[6.0, 0, 0]]), fractions=True)
    codes = [code for code, _, _ in run.rows]
    assert codes[0] == "x" and "exponentials = np.exp(shifted)" in codes and codes[-1] == "d_x = d_shifted"
    assert not any(code.endswith("= cache") for code in codes)
    np.testing.assert_allclose(run["d_x"], softmax_backward(np.array([[6.0, 0, 0]]), softmax(x)[1]))
    assert "1/6  1/3  1/2" in str(run.only("y"))
    with pytest.raises(KeyError):
        run["nothing"]


def test_numbers_as_text(book):
    shown = book.show(x=np.array([[1 / 3, -2], [0, np.inf]]), fractions=True)
    assert shown == "x: (2, 2)\n    1/3   -2\n      0  inf"
    assert book.show(x=np.array([-1e-9, 2])).endswith("    0.0000  2.0000")


def test_operations_and_bytes_are_counted(book):
    x, weight = np.ones((4, 3)), np.ones((3, 5))
    assert book.operations(lambda x, weight: (x @ weight).sum() + 1, x, weight) == {"matmul": 2 * 4 * 3 * 5, "add": 21}
    assert book.operations(np.exp, x) == {"exp": 12}
    assert book.cache_bytes((x, x, "text", (weight, None))) == x.nbytes + weight.nbytes


@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_primitive_can_be_drawn(name, book):
    from matplotlib import pyplot
    case = PRIMITIVES[name]
    book.graph_of(case.numpy_twin(), **case.draw_inputs())
    drawn = [text.get_text() for text in pyplot.gca().texts]
    pyplot.close("all")
    assert "d_y" in drawn or any(text.startswith("d_") for text in drawn)
    arguments = [argument for argument, value in case.draw_inputs().items() if isinstance(value, np.ndarray)]
    assert set(arguments) <= set(drawn)


def test_the_graph_of_softmax(book):
    graph, found = importlib.import_module("book.graph"), {}
    drawn = graph.Graph.draw
    try:
        graph.Graph.draw = lambda self: found.update(graph=self)
        book.graph_of(softmax, x=np.ones((2, 3)))
    finally:
        graph.Graph.draw = drawn
    arrows = {(source.name, target.name): share for source, target, share in found["graph"].arrows}
    assert arrows == {
        ("x", "row_max"): None, ("row_max", "shift"): None, ("x", "shifted"): "", ("shift", "shifted"): None,
        ("shifted", "exponentials"): "", ("exponentials", "total"): "", ("total", "divisor"): "",
        ("exponentials", "y"): "d_exponentials_from_y", ("divisor", "y"): ""}
    assert found["graph"].boxes["total"].shape == "(2, 1)" and not found["graph"].boxes["shift"].gradient


def test_verdicts_come_from_the_oracles(book):
    found = book.verdicts("softmax: softmax")
    assert {row[1].partition(":")[0] for row in found.rows} >= {"derivatives", "adjoint identity"}
    assert 0 < found.worst() < 128 * np.finfo("float64").eps


# Pages


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_cells_are_python_and_figures_are_described(page):
    found = cells(page)
    assert found and len(found) == page.read_text(encoding="utf-8").count("```{code-cell}")
    for options, code in found:
        ast.parse(code)
        assert not re.search(r"\b(graph_of|bug_curves|new_figure)\(", code) or "alt:" in options, code


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_measured_numbers_are_not_typed(page):
    """1.3e-16 and 0.02134 in a sentence must come from a cell: measured(name, value), then {glue:text}`name:.1e`."""
    assert re.findall(r"\b\d\.\d+e[-+]?\d+|\b\d+\.\d{4,}\b", prose(page)) == []


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_what_is_glued_is_shown_and_the_other_way(page):
    text = page.read_text(encoding="utf-8")
    made = set(re.findall(r'\b(?:measured|off)\("([^"]+)"', text))
    assert made == set(re.findall(r"\{glue:text\}`([\w-]+)(?::[^`]*)?`", text))


@pytest.mark.parametrize("page", [page for page in EXECUTED if page.parent.name == "derivations"],
                         ids=lambda page: page.stem)
def test_derivations_keep_to_the_template(page):
    headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    known = [heading for heading in headings if heading in SECTIONS]
    assert known == [section for section in SECTIONS if section in known]
    assert {"Contract", "Equations", "Exercises"} <= set(known)


def test_every_work_that_a_docstring_names_is_in_the_bibliography():
    code, docstrings = (importlib.import_module(f"twins.{name}") for name in ("code", "docstrings"))
    missing, found = [], 0
    for path in sorted((code.ROOT / "numpy_impl").rglob("*.py")):
        for name, one in code.definitions(path.relative_to(code.ROOT).as_posix()).items():
            for text, key in docstrings.citations(" ".join(docstrings.docstring_of(one.node).split())):
                found += 1
                missing += [] if key else [f"{path.name}: {name}: {text}"]
    assert found > 30 and missing == []


def test_docstrings_become_lists():
    text = importlib.import_module("twins.docstrings").markdown(inspect.getdoc(softmax))
    assert text.startswith("y = exp(x) / sum(exp(x)) along `axis`")
    assert "\n- `x`: (..., K) for axis -1; -inf stands for a masked score." in text
    assert "{cite:t}`bridle1990`" in text and "\n- **Source.** " in text


def test_departures_are_found():
    names = [name for _, name, _, _ in importlib.import_module("twins.docstrings").departures()]
    assert {"RMSNorm", "BatchNorm1d", "AdamW", "clip_gradients"} <= set(names)


def test_statements_are_found_by_their_names():
    code = importlib.import_module("twins.code")
    found = code.statements(code.definitions("numpy_impl/layers/softmax.py")["softmax_backward"])
    (divisor,) = found["d_divisor"]
    assert divisor.code == "d_divisor = -(d_y * y / divisor).sum(axis=axis, keepdims=True)"
    assert divisor.label == "softmax-d-divisor" and found["d_total"][0].shape == "(..., 1)"
    ((path, line),) = code.labelled_lines()["softmax-d-divisor"]
    assert line == divisor.line and code.function_at(path, line) == "softmax_backward"


def test_mathjax_is_pinned():
    wanted = json.loads((DOCS / "package.json").read_text(encoding="utf-8"))["dependencies"]
    locked = json.loads((DOCS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())


# Directives, on sample pages


CONFIGURATION = """
import sys
sys.path[:0] = {paths}
extensions = ["myst_parser", "sphinx.ext.mathjax", "sphinx_design", "sphinxcontrib.bibtex"]
extensions += [f"twins.{{part}}" for part in ("listing", "equations", "exercises", "bugs", "departures")]
bibtex_bibfiles = [{bibliography!r}]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
mathjax_path = "mathjax.js"
html_theme = "basic"
exclude_patterns = ["built"]
"""
SAMPLE = """# Sample

```{math}
:label: softmax-d-divisor

a
```
```{math}
:label: softmax-d-exponentials

b
```
```{math}
:label: softmax-d-shifted

c
```

:::{source} softmax softmax softmax_backward
:::

:::{lines} softmax softmax softmax_backward
exponentials: e_j
d_divisor:
d_exponentials_from_y: f_j
:::

::::{exercise} The first
Question.
:::{hint}
Think.
:::
:::{answer}
Because.
:::
::::

:::{graded} softmax
:::

:::{bug} softmax-row-sum-missing
What it looks like in *attention*.
:::
"""
WRONG = {
    "label": ":::{source} softmax softmax_lean_backward\n:::",
    "function": ":::{source} softmax no_such_function\n:::",
    "file": ":::{source} no_such_file softmax\n:::",
    "name": ":::{lines} softmax softmax\nno_such_name: x\n:::",
    "formula": ":::{lines} softmax softmax\ntotal:\n:::",
    "bug": ":::{bug} no-such-bug\n:::",
    "exercise": ":::{graded} no_such_exercise\n:::",
    "empty": ":::{hint}\n:::",
}
COMPLAINTS = {
    "label": "there is no equation softmax-d-x-collapsed", "function": "no twin has no_such_function",
    "file": "no twin has softmax in no_such_file.py", "name": "no statement assigns no_such_name",
    "formula": "total has neither a formula nor an equation", "bug": "the catalogue has no bug 'no-such-bug'",
    "exercise": "no_such_exercise", "empty": "hint",
}


def build(folder, pages):
    """Build pages {name: text} with the book's directives. Returns (HTML of each, what Sphinx complains about)."""
    for package in ("sphinx", "myst_parser", "sphinx_design", "sphinxcontrib.bibtex"):
        pytest.importorskip(package, reason="the packages of the book are not installed: pip install -e '.[docs]'")
    paths = [str(DOCS / "_extensions"), str(DOCS), str(DOCS.parent)]
    bibliography = str(DOCS / "references.bib")
    (folder / "conf.py").write_text(CONFIGURATION.format(paths=paths, bibliography=bibliography), encoding="utf-8")
    (folder / "index.md").write_text(f"# All\n\n```{{toctree}}\n{chr(10).join(pages)}\n```\n", encoding="utf-8")
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-b", "html", str(folder), str(folder / "built")],
                          capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return {name: (folder / "built" / f"{name}.html").read_text(encoding="utf-8") for name in pages}, done.stderr


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    pages, complaints = build(tmp_path_factory.mktemp("sample"), {"sample": SAMPLE})
    assert complaints == ""
    return pages["sample"]


def test_code_links_to_equations_and_back(sample):
    for label in ("softmax-d-divisor", "softmax-d-exponentials", "softmax-d-shifted"):
        assert f'<a class="to-equation" href="#equation-{label}"># eq: {label}</a>' in sample
        assert f'id="equation-{label}"' in sample
    anchors = re.findall(r'<p class="in-the-code">.*?href="#([^"]+)"', sample)
    assert len(anchors) == 3
    lines = Path(inspect.getfile(softmax)).read_text(encoding="utf-8").splitlines()
    for anchor in anchors:
        assert f'<span class="line" id="{anchor}">' in sample
        assert label_of(lines[int(anchor.rpartition("-")[2]) - 1])


def test_both_twins_stand_in_tabs(sample):
    assert "torch_impl/layers/softmax.py, line" in sample and "numpy_impl/layers/softmax.py, line" in sample
    assert sample.count("sd-tab-label") == 2    # the backward pass stands alone


def test_lines_stand_side_by_side(sample):
    table = re.search(r'<table class="[^"]*lines.*?</table>', sample, re.DOTALL)[0]
    text = re.sub(r"<[^>]+>", "", table)
    assert "exponentials = np.exp(shifted)" in text and "exponentials = torch.exp(shifted)" in text
    assert "divisor.grad" in text and "a part of exponentials.grad" in text
    assert 'href="#equation-softmax-d-divisor"' in table


def test_exercises_are_numbered_and_folded(sample):
    assert "Exercise 1: The first" in sample and "Exercise 2: " in sample
    assert sample.count('<details class="folded folded-hint">') == 1 + 3
    assert sample.count('<details class="folded folded-answer">') == 1 + 1
    assert " open" not in "".join(re.findall(r"<details[^>]*>", sample))
    assert "parity_tests grade softmax softmax.py" in re.sub(r"<[^>]+>", "", sample)


def test_a_bug_has_its_story_and_its_diff(sample):
    text = re.sub(r"<[^>]+>", "", sample)
    assert "-    d_x = y * (d_y - mean_d_y)" in text and "+    d_x = y * d_y" in text
    assert "Each score gets the gradient of its own weight" in text and "What it looks like in attention." in text


def test_whatever_is_unknown_is_complained_about(tmp_path):
    _, complaints = build(tmp_path, {name: f"# {name}\n\n{text}\n" for name, text in WRONG.items()})
    for name, complaint in COMPLAINTS.items():
        found = [line for line in complaints.splitlines() if f"{name}.md" in line]
        assert any(complaint in line for line in found), f"{name}: {complaints}"
