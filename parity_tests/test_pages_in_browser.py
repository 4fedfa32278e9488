"""The report and the scoreboard of bugs in a real browser: sorting, searching, opening; no error, and no request.

The stepper's page has a file of its own, test_stepper_in_browser.py.
"""

import json

import pytest

from numpy_impl.layers import normalization
from parity_tests.harness.browser import expect
from parity_tests.harness.bugs import scoreboard
from parity_tests.harness.bugs.catalogue import all_bugs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.planted import planted
from parity_tests.harness.report.build import report

pytestmark = pytest.mark.browser

CASES = ("normalization: LayerNorm", "softmax: softmax", "attention: scaled_dot_product_attention, causal")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """report.html and report.json of CASES, in the first of which a gradient is wrong; and the scoreboard of bugs."""
    folder = tmp_path_factory.mktemp("pages")
    with planted(normalization.layer_norm_backward, "d_centered + d_mean / d_y.shape[-1]", "d_centered"):
        report([all_cases()[name] for name in CASES], folder)
    scoreboard.write(a_result(), folder)
    return folder


def a_result():
    """What `scoreboard.run` would return of the catalogue's bugs, had the tests noticed all but the last."""
    bugs = [{"name": bug.name, "title": bug.title, "path": bug.path, "function": bug.qualified_name, "case": bug.case,
             "form": bug.form, "killed": True, "killed_by": "parity_tests/test_losses.py::test", "failures": 2,
             "first": None, "first_is_planted_place": False} for bug in all_bugs().values()]
    bugs[-1] |= {"killed": False, "killed_by": None, "failures": 0}
    return {"bugs": bugs, "total": len(bugs), "killed": len(bugs) - 1, "survivors": [bugs[-1]["name"]],
            "most_failures": 5}


@pytest.fixture
def report_page(open_page, folder):
    page = open_page(folder / "report.html")
    page.wait_for_selector("[data-ready]")
    return page


def section(page, name):
    return page.locator(".case", has=page.locator("summary", has_text=name))


def column(table, label):
    """The texts in one column of a table, from the top."""
    labels = [text.strip() for text in table.locator("thead th").all_text_contents()]
    place = labels.index(label) + 1
    return table.locator(f"tbody tr > :nth-child({place})").all_text_contents()


def test_the_report_names_the_first_wrong_tensor(report_page):
    first = report_page.locator("#first-wrong").text_content()
    assert "d_x" in first and "layer_norm_backward" in first and "normalization.py" in first
    assert report_page.locator("header .banner").text_content().strip() == "✕ 1 of 3 cases fails."


def test_a_case_of_the_report_opens_from_its_tile(report_page, folder):
    assert not section(report_page, CASES[1]).locator("table").count()
    report_page.locator(".overview a", has_text="softmax").first.click()
    expect(section(report_page, CASES[1]).locator("table").first).to_be_visible()
    names = column(section(report_page, CASES[1]).locator("table").nth(1), "tensor")
    entry = next(case for case in json.loads((folder / "report.json").read_text())["cases"] if case["name"] == CASES[1])
    assert len(names) == len(entry["tensors"]) > 10 and "exponentials" in names


def test_the_report_sorts(report_page):
    report_page.locator("summary", has_text=CASES[0]).click()
    table = section(report_page, CASES[0]).locator("table").nth(1)
    heading = table.locator("th", has_text="float64 plain")
    heading.locator("button").click()
    errors = [float(text) for text in column(table, "float64 plain") if text]
    assert len(set(errors)) > 5 and errors == sorted(errors, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    heading.locator("button").click()
    errors = [float(text) for text in column(table, "float64 plain") if text]
    assert errors == sorted(errors)
    table.locator("th", has_text="tensor").locator("button").press("Enter")
    names = column(table, "tensor")
    assert names == sorted(names) and len(set(names)) > 10


def test_the_report_is_searched(report_page):
    report_page.keyboard.press("/")
    report_page.keyboard.type("d_scores causal gradient")
    expect(report_page.locator("#found table")).to_be_visible()
    assert column(report_page.locator("#found table"), "tensor") == ["d_masked_scores", "d_scores"]
    assert report_page.locator("#found p").text_content() == "2 tensors"
    report_page.keyboard.press("Escape")
    expect(report_page.locator("#found table")).to_have_count(0)
    report_page.locator("#only-failing").check()
    found = report_page.locator("#found table")
    assert "d_x" in column(found, "tensor") and set(column(found, "case")) == {CASES[0]}
    assert all(text.startswith("✕") for text in column(found, "verdict"))
    found.locator("tbody a").first.click()
    expect(section(report_page, CASES[0]).locator("table").first).to_be_visible()


def test_bugs_are_searched_and_opened(open_page, folder):
    page, bugs = open_page(folder / "scoreboard.html"), all_bugs()
    shown = page.locator(".bug:visible")
    assert shown.count() == len(bugs)
    page.locator("#find").fill("softmax row sum")
    expect(page.locator("#count")).not_to_have_text(f"{len(bugs)} bugs")
    names = shown.locator(".name").all_text_contents()
    assert 0 < len(names) < len(bugs) and any("softmax" in name for name in names)
    page.locator("#find").fill("")
    file = page.locator("#file option").nth(1).text_content()
    page.locator("#file").select_option(file)
    assert shown.count() == sum(bug.path == file for bug in bugs.values())
    story = shown.first.locator(".story")
    assert not story.is_visible()
    shown.first.locator("summary").click()
    assert story.is_visible() and story.locator(".diff .added").count() >= 1
    page.locator("#file").select_option("")
    page.locator("#open").click()
    assert page.locator(".bug[open]").count() == len(bugs)


def test_the_bug_that_lives_is_named_first(open_page, folder):
    page, last = open_page(folder / "scoreboard.html"), list(all_bugs())[-1]
    page.locator("header a").click()
    bug = page.locator(f"#{last}")
    expect(bug.locator(".story")).to_be_visible()
    assert bug.locator(".verdict").text_content() == "lives"


@pytest.mark.parametrize("name", ["report.html", "scoreboard.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_a_phone(open_page, folder, name, scheme):
    page = open_page(folder / name, width=360, height=740, color_scheme=scheme)
    for details in page.locator("details").all()[:6]:
        details.locator("summary").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    paper, ink = page.evaluate("""(() => {
        const {backgroundColor, color} = getComputedStyle(document.body);
        return [backgroundColor, color]})()""")
    assert (brightness(paper) < brightness(ink)) == (scheme == "dark")


def brightness(colour):
    """The sum of "rgb(18, 23, 29)"."""
    return sum(map(int, colour.removeprefix("rgb(").rstrip(")").split(",")))
