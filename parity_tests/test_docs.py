"""The book: its helpers, its own directives on sample pages, and what every page must keep to.

That labels of equations and code agree is tested in test_mirror.py; that pages look right in a browser, by
`python docs/check_pages.py`.
"""

import ast
import importlib
import inspect
import json
import re
from pathlib import Path

import pytest

from numpy_impl.layers.softmax import softmax
from parity_tests.harness.equations import label_of
from parity_tests.sample_book import EQUATIONS, build

pytestmark = pytest.mark.usefixtures("book_path")
DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "api", "locale"} & set(path.parts))
EXECUTED = [page for page in PAGES if page.read_text(encoding="utf-8").startswith("---\nfile_format: mystnb\n")]
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?:---\n(.*?)^---\n)?((?:^:[^\n]*\n)*)(.*?)^```$",
                  re.MULTILINE | re.DOTALL)
CHAPTERS = [page for page in EXECUTED if re.fullmatch(r"part\d", page.parent.name)]
QUESTIONS = [page for page in EXECUTED if page.parent.parent.name == "questions"]
GROUPS = sorted({page.parent.name for page in QUESTIONS})
# The sections of a derivation, in their order; those that do not apply are left out.
SECTIONS = ("Contract", "Graph", "Derivation", "By hand", "What it means", "Equations", "Checks and cost",
            "What breaks", "Exercises", "What to read next")


def cells(page):
    """[(its options as text, its code)] of a page."""
    return [((found[1] or "") + found[2], found[3]) for found in CELL.finditer(page.read_text(encoding="utf-8"))]


def prose(page):
    """The text of a page without code, formulas and roles."""
    text = re.sub(r"^(`{3,}).*?^\1$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", text, flags=re.DOTALL)
    return re.sub(r"\{[\w:]+\}`[^`]*`|`[^`]*`|\]\([^)]*\)", "", text)


# Pages


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_cells_are_python_and_figures_are_described(page):
    found = cells(page)
    assert found and len(found) == page.read_text(encoding="utf-8").count("```{code-cell}")
    for options, code in found:
        ast.parse(code)
        assert not re.search(r"\b(graph_of|bug_curves|new_figure)\(", code) or "alt:" in options, code


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_what_cells_import_is_used(page):
    text = "\n".join(code for _, code in cells(page))
    imported = {alias.asname or alias.name.partition(".")[0] for node in ast.walk(ast.parse(text))
                if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names}
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert imported <= used | {"this"}, sorted(imported - used)    # importing `this` prints a poem


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_shown_code_fits_the_page(page):
    """A longer line is cut at the margin of a desktop's page."""
    assert [line for options, code in cells(page) if not re.search("remove-|hide-", options)
            for line in code.splitlines() if len(line) > 128] == []


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


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_chapters_keep_to_the_template(page):
    text, found = page.read_text(encoding="utf-8"), cells(page)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert "\n**The question.** " in text and headings[-2:] == ["Exercises", "What to read next"]
    assert sum("alt:" in options for options, _ in found) >= 2    # figures
    assert sum(not re.search(r"remove-|hide-", options) for options, _ in found) >= 3    # examples
    exercises = re.findall(r"^::::\{exercise\}.*?^::::$|^:::\{graded\}", text, re.MULTILINE | re.DOTALL)
    assert len(exercises) >= 3
    assert all(one.startswith(":::{graded}") or (":::{hint}" in one and ":::{answer}" in one) for one in exercises)


@pytest.mark.parametrize("page", QUESTIONS, ids=lambda page: page.stem)
def test_questions_have_an_answer_an_experiment_and_a_figure(page):
    text, found = page.read_text(encoding="utf-8"), cells(page)
    title, body = re.search(r"^# ([^\n]+)\n\n(.+?)\n\n", text, re.MULTILINE | re.DOTALL).groups()
    assert title.endswith("?") and body.startswith("**") and "\n## More\n" in text
    assert any("alt:" in options for options, _ in found)
    assert any("remove-" not in options for options, _ in found)


@pytest.mark.parametrize("group", GROUPS)
def test_questions_are_numbered(group):
    found = importlib.import_module("book.questions").questions(DOCS / "questions" / group)
    assert all(len(answer) <= 200 for _, _, _, answer in found)
    numbers = [number for number, _, _, _ in found]
    assert len(set(numbers)) == len(numbers)


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


PARTS = ("listing", "equations", "exercises", "bugs", "departures")
CONFIGURATION = """
extensions += ["sphinx.ext.mathjax"]
mathjax_path = "mathjax.js"
html_theme = "basic"
"""
SAMPLE = f"""# Sample

{EQUATIONS}

:::{{source}} softmax softmax softmax_backward
:::

:::{{lines}} softmax softmax softmax_backward
exponentials: e_j
d_divisor:
d_exponentials_from_y: f_j
:::

::::{{exercise}} The first
Question.
:::{{hint}}
Think.
:::
:::{{answer}}
Because.
:::
::::

:::{{graded}} softmax
:::

:::{{bug}} softmax-row-sum-missing
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


def built(folder, pages):
    """Build pages {name: text}. Returns (HTML of each, what Sphinx complains about)."""
    index = f"# All\n\n```{{toctree}}\n{chr(10).join(pages)}\n```\n"
    html, complaints = build(folder, "html", PARTS, {"index": index, **pages}, CONFIGURATION)
    return {name: (html / f"{name}.html").read_text(encoding="utf-8") for name in pages}, complaints


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    pages, complaints = built(tmp_path_factory.mktemp("sample"), {"sample": SAMPLE})
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


def test_all_exercises_stand_in_a_table_with_their_pages(tmp_path):
    table = "# Table\n\n:::{exercise-table}\n:::\n\n## Hunt\n\n:::{hunt-table}\n:::\n"
    pages, complaints = built(tmp_path, {"table": table, "first": "# The first\n\n:::{graded} softmax\n:::\n"})
    assert complaints == ""
    exercises = importlib.import_module("parity_tests.exercises").all_exercises()
    found = re.findall(r"<tr[^>]*><td><p><code[^>]*>(.*?)</code></p></td>(.*?)</tr>", pages["table"], re.DOTALL)
    rows = {re.sub("<[^>]+>", "", name): rest for name, rest in found}
    assert set(exercises) <= set(rows)
    levels = [int(level) for level in re.findall(r"<h2>Difficulty (\d)", pages["table"])]
    assert levels == sorted({one.difficulty for one in exercises.values()})
    exercise, hunt = re.findall(r"<tr[^>]*><td><p><code[^>]*>(?:<[^>]+>)*softmax<.*?</tr>", pages["table"], re.DOTALL)
    assert re.search('after.*sigmoid.*href="first.html".*The first', exercise, re.DOTALL)
    assert re.search(r"<p>[1-9]\d*</p>", hunt)
    tables = "".join(re.findall("<table.*?</table>", pages["table"], re.DOTALL))
    assert tables.count("first.html") == exercise.count("first.html") == 1


def test_every_exercise_of_the_lab_stands_on_a_page():
    graded = importlib.import_module("twins.texts").GRADED
    asked = {name for page in PAGES for name in graded.findall(page.read_text(encoding="utf-8"))}
    assert asked == set(importlib.import_module("parity_tests.exercises").all_exercises())


def test_a_bug_has_its_story_and_its_diff(sample):
    text = re.sub(r"<[^>]+>", "", sample)
    assert "-    d_x = y * (d_y - mean_d_y)" in text and "+    d_x = y * d_y" in text
    assert "Each score gets the gradient of its own weight" in text and "What it looks like in attention." in text


def test_whatever_is_unknown_is_complained_about(tmp_path):
    _, complaints = built(tmp_path, {name: f"# {name}\n\n{text}\n" for name, text in WRONG.items()})
    for name, complaint in COMPLAINTS.items():
        found = [line for line in complaints.splitlines() if f"{name}.md" in line]
        assert any(complaint in line for line in found), f"{name}: {complaints}"


# Built pages


def test_links_that_lead_nowhere_are_found(tmp_path):
    pages = {"a": '<p id="here"><a href="b.html#there">x</a><a href="#here">x</a><a href="c.html">x</a>'
                  '<a href="https://example.org/d.html">x</a><img src="e.png"></p>',
             "b": '<a name="there" href="a.html#gone">x</a><a href="a.html?q=1#here">x</a>'}
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
    found = importlib.import_module("check_pages").broken_links(sorted(tmp_path.glob("*.html")))
    assert found == {tmp_path / "a.html": ["leads nowhere: c.html", "leads nowhere: e.png"],
                     tmp_path / "b.html": ["leads nowhere: a.html#gone"]}
