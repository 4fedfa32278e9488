"""harness/stepper/page.py: one file that needs no network, and that holds the numbers of the run as they were."""

import base64
import html
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from parity_tests.harness.catalog import all_cases
from parity_tests.harness.equations import equations
from parity_tests.harness.pages.page import unpacked
from parity_tests.harness.stepper.page import FOLDER, SCRIPTS, STYLES, backward_calls, highlighted, mathml, page
from parity_tests.harness.stepper.page import write_page
from parity_tests.harness.stepper.showcases import showcases
from parity_tests.harness.trace import Function, Trace, TracedCall, trace_case
from parity_tests.harness.trace_function import trace_function

LARGEST_PAGE = 2_000_000    # bytes


@pytest.fixture(scope="module")
def attention():
    return trace_case(all_cases()["attention: scaled_dot_product_attention, fully masked rows"])


class Elements(HTMLParser):
    """All elements of a page with their attributes, and the text that follows each element with an id."""

    def __init__(self, text):
        super().__init__()
        self.found, self.texts = [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        name = self.found[-1][1].get("id") if self.found else None
        self.texts[name] = self.texts.get(name, "") + data


def data_in(text):
    return unpacked(Elements(text).texts["data"])


def decoded(packed):
    """The array that a page shows."""
    return np.frombuffer(base64.b64decode(packed["data"]), packed["stored"]).reshape(packed["shape"])


def test_a_page_refers_to_nothing_outside(attention):
    text = page(attention)
    elements = Elements(text).found
    policies = [attributes["content"] for tag, attributes in elements if "http-equiv" in attributes]
    assert len(policies) == 1 and "default-src 'none'" in policies[0]
    links = [(tag, value) for tag, attributes in elements for name, value in attributes.items()
             if name in ("src", "href", "srcset", "action", "data", "poster")]
    assert links == [("link", "data:,")]    # the icon, which a browser would ask for otherwise
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest", text)


def test_every_style_and_script_is_used():
    files = {path.name for path in FOLDER.iterdir() if path.suffix in (".css", ".js")}
    assert files == {*STYLES, *SCRIPTS}


def test_the_numbers_are_those_of_the_run(attention):
    data = data_in(page(attention))
    assert len(data["arrays"]) == len(attention.arrays) > 20
    for packed, array in zip(data["arrays"], attention.arrays):
        assert packed["dtype"] == array.dtype.name
        np.testing.assert_allclose(decoded(packed), array, rtol=1e-7, atol=0)    # float32 rounds by 6e-8
    places = [(value["call"], value["name"], value["number"], value["array"], value["time"], value["error"])
              for value in data["values"]]
    assert places == [(value.call, value.name, value.number, value.array, value.time, value.error)
                      for value in attention.values]
    assert [tuple(step) for step in data["steps"]] == attention.steps


def unusual(x):
    large = x * 1e300
    tiny = x * 1e-300
    far = x.astype("int64") * 2 ** 40
    turned = x * (1 + 2j)
    words = np.array(["alpha", "<b>"])
    gaps = np.log(x - 2)
    return large, tiny, far, turned, words, gaps


@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")
def test_numbers_that_float32_does_not_hold_are_kept():
    trace = trace_function(unusual, {"x": np.array([1.0, 2.0, 3.0])})
    packed = dict(zip([value.name for value in trace.values], data_in(page(trace))["arrays"]))
    stored = {name: array["stored"] for name, array in packed.items()}
    assert stored == {"x": "float32", "large": "float64", "tiny": "float64", "far": "float64", "turned": "complex64",
                      "words": "text", "gaps": "float32"}
    assert packed["words"]["data"] == ["alpha", "<b>"]
    for value in trace.values:
        if value.name != "words":
            np.testing.assert_allclose(decoded(packed[value.name]), trace.arrays[value.array], rtol=1e-7, atol=0)


def test_the_largest_page_stays_small():
    trace = trace_case(showcases()["transformer"])
    assert len(trace.steps) > 3000
    assert len(page(trace).encode()) < LARGEST_PAGE


def test_a_page_is_the_same_each_time(attention, tmp_path):
    write_page(attention, tmp_path / "new" / "page.html")
    again = trace_case(all_cases()["attention: scaled_dot_product_attention, fully masked rows"])
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8") == page(again)


def test_the_source_is_shown_as_it_is(attention):
    data = data_in(page(attention))
    for function, shown in zip(attention.functions, data["functions"], strict=True):
        assert [html.unescape(re.sub(r"<[^>]*>", "", line)) for line in shown["source"]] == function.source
    assert '<span class="k">return</span>' in data["functions"][0]["source"][-1]


def test_nothing_in_a_source_or_a_title_can_become_markup():
    lines = ["    def f(x):", "        return '</script><img src=x>'"]
    assert highlighted(lines)[1].startswith("    <span") and "&lt;img" in highlighted(lines)[1]
    trace = Trace("</title><img src=x>", functions=[Function("f", "f.py", 1, lines, {})],
                  calls=[TracedCall(0, "", 0, None, None, None, {"note": [[0, "'</script><img src=x>'"]]})],
                  steps=[(0, 0, 1, [])], stopped="ValueError: <img src=x>")
    assert "img" not in {tag for tag, _ in Elements(page(trace)).found}


@pytest.mark.parametrize("label", equations())
def test_every_equation_becomes_mathml(label):
    latex = equations()[label]
    shown = mathml(latex)
    assert shown.startswith("<math") and 'display="block"' in shown
    text = html.unescape(re.sub(r"<[^>]*>", "", shown))
    assert text and "\\" not in text and "&" not in text    # no command is left over
    assert shown.count('class="overline"') == latex.count(r"\overline")


def test_the_equations_of_a_page_are_those_of_its_lines(attention):
    data = data_in(page(attention))
    labels = {label for function in data["functions"] for label in function["labels"].values()}
    assert "softmax-d-shifted" in labels and data["equations"].keys() == labels
    assert all(shown.startswith("<math") for shown in data["equations"].values())


def test_which_calls_go_backward():
    trace = trace_case(all_cases()["normalization: LayerNorm"])
    assert backward_calls(trace) == [False, False, True, True]
    trace.calls.append(TracedCall(0, "", 1, 3, None, None, {}))    # a helper that is called in the backward pass
    trace.calls.append(TracedCall(0, "", 1, 1, None, None, {}))
    assert backward_calls(trace)[4:] == [True, False]
