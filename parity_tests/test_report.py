"""harness/report: what it says of cases that agree, of planted bugs and of broken code; the files that it writes."""

import argparse
import dataclasses
import importlib
import inspect
import json
import re

import numpy as np
import pytest

from numpy_impl.layers import (
    activations, attention, feed_forward, linear, losses, normalization, positional_encoding, softmax)
from numpy_impl.models import encoder
from numpy_impl.training import gradients
from parity_tests.harness import against
from parity_tests.harness.against import attention as against_attention
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.errors import UserError
from parity_tests.harness.judge import Row
from parity_tests.harness.pages.page import unpacked
from parity_tests.harness.planted import planted
from parity_tests.harness.report import build, command, examine, page, places, report
from torch_impl.layers import normalization as torch_normalization

NAMES = ("encoder: EncoderLayer, post-norm", "softmax: softmax", "linear: Linear", "masks: causal_mask, 5")
LOST_MEAN = (normalization.layer_norm_backward, "d_centered + d_mean / d_y.shape[-1]", "d_centered")


def named(*names):
    return [all_cases()[name] for name in names]


def entry_of(name):
    """What the report says of one case."""
    return report(named(name))["cases"][0]


def verdicts(entry, oracle):
    return [verdict for verdict in entry["verdicts"] if verdict["oracle"] == oracle]


@pytest.fixture(scope="module")
def result():
    return report(named(*NAMES))


# What it says of cases that agree


def test_cases_run_from_primitives_to_models(result):
    assert [entry["name"] for entry in result["cases"]] == [
        "linear: Linear", "softmax: softmax", "masks: causal_mask, 5", "encoder: EncoderLayer, post-norm"]


def test_a_file_comes_after_what_it_imports():
    order = {name: place for place, name in enumerate(places.file_order())}
    assert order["softmax"] < order["attention"] < order["encoder"] < order["transformer"] < order["trainer"]


def test_the_summary_counts(result):
    numbers = result["summary"]
    entries = result["cases"]
    assert numbers["cases"] == 4 and numbers["failing_cases"] == 0 and numbers["first_wrong"] is None
    assert numbers["tensors"] == sum(len(entry["tensors"]) for entry in entries) > 300
    assert numbers["comparisons"] > 3 * numbers["tensors"]    # plain and lean, float64 and float32
    for precision, bound in (("float64", 100), ("float32", 256)):
        assert 1 < numbers["largest"][precision]["error"] < bound
    assert result["versions"].keys() == {"python", "numpy", "torch"}


def test_every_oracle_has_its_verdict(result):
    entries = {entry["file"]: entry for entry in result["cases"]}
    for entry in entries.values():
        assert {verdict["status"] for verdict in entry["verdicts"]} <= {"passed", "not run"}
        assert {verdict["oracle"] for verdict in entry["verdicts"]} >= {"autograd", "derivative", "adjoint"}
    softmax, module, model = entries["softmax"], entries["linear"], entries["encoder"]
    assert [verdict["form"] for verdict in verdicts(softmax, "autograd")] == [
        "plain", "lean", "plain float32", "lean float32"]
    assert [(verdict["form"], verdict["what"]) for verdict in verdicts(softmax, "derivative")] == [
        ("plain", "complex step"), ("lean", "complex step")]
    assert verdicts(softmax, "torch")[0]["what"] == "torch.softmax" and not verdicts(softmax, "contract")
    assert verdicts(module, "derivative")[0]["what"] == "central differences"
    assert verdicts(module, "contract")[0]["status"] == "passed"
    assert verdicts(model, "derivative")[0]["what"] == "central differences, 5 elements of each array"
    parameters = list(all_cases()[model["name"]].numpy_twin().parameters())
    assert verdicts(model, "derivative")[0]["compared"] == 1 + len(parameters)    # x too
    for verdict in verdicts(softmax, "autograd") + verdicts(model, "adjoint") + verdicts(model, "torch"):
        assert 0 < verdict["error"] < verdict["bound"] and 0 < verdict["used"] < 1 and verdict["tensor"]


def test_what_has_no_backward_pass_says_so(result):
    entry = result["cases"][2]
    for oracle in ("derivative", "adjoint"):
        (verdict,) = verdicts(entry, oracle)
        assert (verdict["status"], verdict["problem"]) == ("not run", "it has no backward pass")


def test_a_tensor_has_its_errors_in_all_forms(result):
    tensors = [dict(zip(result["columns"], line, strict=True)) for line in result["cases"][1]["tensors"]]
    found = {(tensor["function"], tensor["tensor"], tensor["kind"]): tensor for tensor in tensors}
    x = found["softmax_backward", "d_x", "gradient"]
    assert x["shape"] == "2×3×5" and x["bound float64"] == 128 and x["bound float32"] >= 8 and x["problem"] is None
    for column in ("plain", "lean", "plain float32", "lean float32", "torch float32"):
        assert 0 < x[column] < 8
    assert found["softmax", "shifted", "value"]["lean"] is None    # a name that the lean form leaves out
    assert list(found).index(("softmax", "shifted", "value")) < list(found).index(("softmax", "y", "value"))
    assert ("", "0", "output") in found and ("", "x", "input gradient") in found


def test_a_library_that_is_not_installed_is_not_run(monkeypatch):
    find_spec = against.importlib.util.find_spec
    monkeypatch.setattr(against.importlib.util, "find_spec",
                        lambda name: None if name == "transformers" else find_spec(name))
    (verdict,) = verdicts(entry_of("transformer: tied, post-norm"), "library")
    assert (verdict["status"], verdict["problem"]) == ("not run", "transformers is not installed")
    assert verdict["what"].startswith("transformers.MarianMTModel")


# What it says of bugs


def test_the_first_wrong_tensor_is_the_planted_place():
    with planted(*LOST_MEAN):
        result = report(named("normalization: layer_norm", "normalization: LayerNorm", "linear: Linear"))
    wrong = result["summary"]["first_wrong"]
    block, first = inspect.getsourcelines(normalization.layer_norm_backward)
    assert wrong["case"] == "normalization: layer_norm" and wrong["oracle"] == "autograd" and wrong["form"] == "plain"
    assert (wrong["function"], wrong["tensor"], wrong["kind"]) == ("layer_norm_backward", "d_x", "gradient")
    assert wrong["file"] == "numpy_impl/layers/normalization.py"
    assert block[wrong["line"] - first].startswith("    d_x = d_centered")
    assert wrong["source"].startswith("d_x = d_centered") and "d_mean" not in wrong["source"]
    assert wrong["shape"] == [2, 3, 5] and wrong["error"] > 1e12 and wrong["bound"] == 128
    assert [entry["failing"] > 0 for entry in result["cases"]] == [False, True, True]
    # The lean form is right, the plain one is not, and every oracle says so.
    entry = result["cases"][1]
    assert {(verdict["oracle"], verdict["status"]) for verdict in entry["verdicts"] if verdict["form"] == "plain"} == {
        (oracle, "failed") for oracle in ("autograd", "derivative", "adjoint", "torch")}
    assert {verdict["status"] for verdict in entry["verdicts"] if verdict["form"].startswith("lean")} == {"passed"}


def test_a_bug_that_no_local_shows_is_named_by_its_method():
    with planted(linear.Linear.backward, "self.bias.grad += d_bias", "pass"):
        wrong = entry_of("linear: Linear")["first_wrong"]
    assert (wrong["function"], wrong["tensor"], wrong["kind"]) == ("Linear.backward", "bias", "parameter gradient")
    with planted(normalization.LayerNorm.__init__, "initialization.constant(1,", "initialization.constant(2,"):
        wrong = entry_of("normalization: LayerNorm")["first_wrong"]
    assert (wrong["function"], wrong["tensor"], wrong["kind"]) == ("LayerNorm.__init__", "gamma", "initial value")


@pytest.mark.parametrize("function, old, new, case", [
    # in place: by the statement that does it, not by its caller, whose argument it is too
    (activations.relu, "np.maximum(x, 0)", "np.maximum(x, 0, out=x)", 'activations: activation("relu")'),
    (linear.linear_backward, "d_product @ weight ", "np.matmul(d_product, weight, out=rows) ", "linear: linear"),
    # something else in the cache than its name says
    (activations.gelu_erf, "scaled, probability)", "scaled, error)", "activations: gelu_erf"),
    (attention.repeat_heads, "return repeated, group_size", "return repeated, 2", "attention: repeat_heads"),
    # the wrong order
    (normalization.batch_norm_training, "return y, mean, variance,", "return y, variance, mean,",
     "normalization: batch_norm_training"),
    (attention.MultiHeadAttention.backward, "return d_query, d_key, d_value", "return d_query, d_value, d_key",
     "attention: MultiHeadAttention, causal"),
    # an argument that passes through another's *context, and a cache of another call
    (encoder.EncoderLayer.forward, "self.self_attention(x, mask)", "self.self_attention(x)",
     "encoder: EncoderLayer, post-norm"),
    (attention.MultiHeadAttention.backward, "(d_key_heads, key_cache)", "(d_key_heads, query_cache)",
     "attention: MultiHeadAttention, causal"),
    # what raises is a later statement, which cannot take what came out of this one
    (linear.linear, "x.reshape(-1, x.shape[-1]) ", "x.swapaxes(0, 2).reshape(-1, 3) ", "linear: linear"),
    # a number that is no argument
    (losses.cross_entropy, "checks.target_count(target_count, counted)", "checks.target_count(None, counted)",
     "losses: cross_entropy of a part of a batch"),
    # no local at all
    (linear.Linear.backward, "self.bias.grad += d_bias", "self.bias.grad += 2 * d_bias", "linear: Linear"),
    (normalization.LayerNorm.__init__, "initialization.constant(1,", "initialization.constant(2,",
     "normalization: LayerNorm"),
    (feed_forward.FeedForward.__init__, "self.down = Linear(d_ff, d_model, bias, rng=rng",
     "self.down = Linear(d_ff, d_model, bias, rng=0", "feed_forward: FeedForward, ReLU"),
    (feed_forward.FeedForward.__init__, "self.down = Linear(d_ff, d_model, bias,",
     "self.down = Linear(d_ff, d_model, True,", "feed_forward: FeedForward, without bias"),
    (feed_forward.FeedForward.__init__, "activations.activation(activation)", 'activations.activation("tanh")',
     "feed_forward: FeedForward, ReLU"),
    (feed_forward.GatedFeedForward.__init__, "Dropout(dropout)", "Dropout(0.0)",
     "feed_forward: GatedFeedForward, dropout"),
    (positional_encoding.RotaryPositionalEncoding.__init__, 'checks.positive("base", base)', "10000.0",
     "positional_encoding: RotaryPositionalEncoding, interleaved, base=100"),
], ids=["an argument in place", "the cache in place", "the cache", "a number in the cache", "values in another order",
        "gradients in another order", "an argument lost", "another cache", "a later exception", "a number",
        "a parameter's gradient", "an initial value", "another's initial value", "a parameter too many",
        "another module", "another option", "another table"])
def test_the_first_wrong_statement_is_the_planted_one(function, old, new, case):
    with planted(function, old, new):
        wrong = entry_of(case)["first_wrong"]
    assert wrong["function"] == function.__qualname__ and new.strip() in wrong["source"]


def test_a_call_that_is_missing_is_missed_in_its_caller():
    with planted(feed_forward.FeedForward.forward, "self.dropout(activated)", "activated"):
        wrong = entry_of("feed_forward: FeedForward, ReLU")["first_wrong"]
    assert (wrong["function"], wrong["problem"]) == ("FeedForward.forward", "NumPy's Dropout.forward is never called")
    assert wrong["source"].startswith("dropped = activated")


@pytest.mark.parametrize("function, old, new, case", [
    (activations.GELU.forward, "elif self.plain", "elif not self.plain", 'activations: activation("gelu_tanh")'),
    (softmax.LogSoftmax.forward, "if self.plain", "if not self.plain", "softmax: LogSoftmax"),
], ids=["forward", "backward"])
def test_another_form_than_asked_for_is_told_of_the_module(function, old, new, case):
    with planted(function, old, new):
        wrong = entry_of(case)["first_wrong"]
    assert wrong["function"] == function.__qualname__
    assert wrong["problem"] == "the lean form, though the plain one was asked for"


def test_a_wrong_number_is_of_the_function_that_returned_it():
    with planted(gradients.global_norm, "squared.sum()", "squared.mean()"):
        wrong = entry_of("gradients: clip_gradients, norm above max_norm")["first_wrong"]
    assert (wrong["function"], wrong["tensor"]) == ("global_norm", "returned")
    assert wrong["source"].startswith("return math.sqrt(")


def test_what_only_the_result_shows_is_of_the_outermost_function():
    with planted(gradients.clip_gradients, "if scale < 1:", "if norm > 1:"):
        wrong = entry_of("gradients: clip_gradients, norm below max_norm")["first_wrong"]
    assert (wrong["function"], wrong["kind"]) == ("clip_gradients", "output")


def test_a_module_of_another_class_is_of_the_function_that_made_it():
    with planted(activations.activation, '"silu": SiLU', '"silu": Sigmoid'):
        wrong = entry_of('activations: activation("silu")')["first_wrong"]
    assert (wrong["function"], wrong["problem"]) == ("activation", "is a Sigmoid, torch's is a SiLU")


def test_a_cache_that_another_saved_is_of_the_forward_that_saved_it():
    with planted(activations.Tanh.forward, "self.save_for_backward(cache, y)", "self.save_for_backward((x,), y)"):
        wrong = entry_of('activations: activation("tanh")')["first_wrong"]
    assert (wrong["function"], wrong["problem"]) == ("Tanh.forward", "is not that of tanh")


def test_a_broken_contract_is_told():
    with planted(linear.Linear.backward, "self.weight.grad += d_weight", "self.weight.grad[...] = d_weight"):
        entry = entry_of("linear: Linear")
    (verdict,) = verdicts(entry, "contract")
    assert verdict["status"] == "failed" and "weight is not added to" in verdict["problem"]
    assert entry["first_wrong"]["function"] == "Linear.backward" and entry["failing"] == 1


def test_twins_that_are_wrong_together_are_told_by_the_others():
    with (planted(normalization.rms_norm, "mean_square + eps", "mean_square + 2 * eps"),
          planted(torch_normalization.rms_norm, "mean_square + eps", "mean_square + 2 * eps")):
        entry = entry_of("normalization: rms_norm")
    assert entry["first_wrong"]["oracle"] == "torch" and entry["first_wrong"]["function"] == "rms_norm"
    assert {verdict["oracle"] for verdict in entry["verdicts"] if verdict["status"] == "failed"} == {"torch"}


def test_code_that_raises_does_not_stop_the_report():
    with planted(linear.linear_backward, "d_product.T @ rows", "d_product.T @ rows / (1 // 0)"):
        result = report(named("linear: Linear", "softmax: softmax"))
    broken, softmax = result["cases"]
    assert broken["failing"] and not softmax["failing"]
    problem = verdicts(broken, "autograd")[0]["problem"]
    assert problem == "ZeroDivisionError: integer division or modulo by zero"
    wrong = result["summary"]["first_wrong"]
    assert (wrong["function"], wrong["file"]) == ("linear_backward", "numpy_impl/layers/linear.py")
    assert "1 // 0" in wrong["source"] and wrong["tensor"] is None


def test_a_layer_that_cannot_be_built_breaks_only_its_own_cases():
    with planted(attention.MultiHeadAttention.__init__, "super().__init__()", "super().__init__(); 1 / 0"):
        importlib.reload(against_attention)    # builds nothing
        result = report(named("linear: linear", "attention: split_heads", "attention: SelfAttention, causal"))
    assert [entry["failing"] > 0 for entry in result["cases"]] == [False, False, True]
    wrong = result["summary"]["first_wrong"]
    assert wrong["function"] == "MultiHeadAttention.__init__"
    assert wrong["problem"] == "ZeroDivisionError: division by zero"


def test_a_case_that_cannot_be_built_is_told():
    def build(twin, dtype, rng):
        return twin.layers.linear.Linear(0, 3)
    case = dataclasses.replace(all_cases()["linear: Linear"], build=build)
    (entry,) = report([case])["cases"]
    assert entry["failing"] == 1 and entry["tensors"] == []
    assert entry["verdicts"][0]["problem"] == "ValueError: d_in is 0, must be at least 1"


def test_a_file_with_a_syntax_error_is_told():
    def build(twin, dtype, rng):
        raise SyntaxError("invalid syntax", (f"{places.ROOT}/numpy_impl/layers/linear.py", 7, 1, "def (:\n"))
    case = dataclasses.replace(all_cases()["linear: Linear"], build=build)
    wrong = report([case])["summary"]["first_wrong"]
    assert (wrong["file"], wrong["line"], wrong["source"]) == ("numpy_impl/layers/linear.py", 7, "def (:")
    assert str(places.ROOT) not in json.dumps(wrong)


def test_a_bound_that_tells_nothing_is_a_failure(monkeypatch):
    monkeypatch.setattr(examine, "LARGEST_FLOAT32_BOUND", 1)
    entry = entry_of("softmax: softmax")
    assert entry["failing"] == 2 and "too loose" in entry["first_wrong"]["problem"]


# Files


def load(text):
    """JSON that holds no NaN and no Infinity, which are no JSON."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_two_runs_write_the_same_json(result, tmp_path):
    report(named(*reversed(NAMES)), tmp_path)
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert text == build.as_text(result) and load(text) == result
    assert not re.search(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d", text) and str(places.ROOT) not in text
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page.html(result)


def test_several_processes_find_the_same(result):
    assert report(named(*NAMES), processes=2) == result


def test_nan_and_infinity_are_texts(tmp_path):
    with planted(normalization.layer_norm_backward, "d_beta = d_y.sum", "d_beta = np.nan * d_y.sum"):
        report(named("normalization: layer_norm"), tmp_path)
    result = load((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert result["summary"]["first_wrong"]["error"] == "nan"
    assert result["cases"][0]["verdicts"][0]["used"] == "inf"
    assert "NaN" in result["cases"][0]["verdicts"][0]["problem"]
    assert np.isfinite(result["summary"]["largest"]["float64"]["error"])
    page.html(result)


def test_the_page_asks_nobody_for_anything(result):
    text = page.html(result)
    assert "default-src 'none'" in text and len(text) < 3e6
    without_data = re.sub(r'id="data">[^<]*<', "", text)
    assert not re.search(r"https?://|@import|url\(", without_data)
    assert all(target.startswith(("#", "data:")) for target in re.findall(r'(?:href|src)="([^"]*)"', without_data))


def test_the_page_has_all_tensors_and_leads_to_every_case(result):
    text = page.html(result)
    data = unpacked(re.search(r'id="data">([^<]*)<', text)[1])
    assert data["columns"] == result["columns"]
    assert [case["tensors"] for case in data["cases"]] == [entry["tensors"] for entry in result["cases"]]
    for case in data["cases"]:
        assert text.count(f'id="{case["id"]}"') == 1
        assert text.count(f'href="#{case["id"]}"') == 1 + len(page.OVERVIEW)    # its name and its tiles


def test_the_page_shows_the_first_wrong_tensor_on_top():
    with planted(*LOST_MEAN):
        text = page.html(report(named("normalization: layer_norm")))
    top = text[:text.index("<main>")]
    assert "1 of 1 cases fails" in top and "layer_norm_backward" in top and "d_x = d_centered" in top
    assert "numpy_impl/layers/normalization.py:" in top and "eps, 128 allowed" in top
    assert '<a href="#normalization-layer_norm">' in top


def test_names_are_escaped_and_addresses_differ():
    first, second = named("linear: Linear", "linear: Linear, square")
    cases = [dataclasses.replace(first, name="linear: <b> & x"), dataclasses.replace(second, name="linear: b, x")]
    result = report(cases)
    text = page.html(result)
    assert "&lt;b&gt; &amp; x" in text and "<b>" not in text
    assert page.identifiers(result["cases"]) == ["linear-b-x", "linear-b-x-1"]


def test_bugs_and_mutants_are_summed_up(result, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "SCOREBOARD", tmp_path / "scoreboard.json")
    assert report(named("linear: linear"))["bugs"] is None
    (tmp_path / "scoreboard.json").write_text('{"total": 64, "killed": 63, "survivors": ["a-bug"], "bugs": []}')
    with_bugs = report(named("linear: linear"))
    assert with_bugs["bugs"] == {"total": 64, "killed": 63, "survivors": ["a-bug"]}
    row = {"mutants": 10, "killed": 8, "explained": 2, "unexplained": 0, "stale": False}
    survivors = [{"function": "f", "line": "x < 1", "becomes": "x <= 1", "why": "x is never 1."}]
    score = {"tool": "a tool", "total": row, "files": {"softmax.py": {**row, "survivors": survivors}}}
    text = " ".join(page.html({**with_bugs, "mutation": score}).split())
    assert "of 64 realistic mistakes, each planted by itself, the tests noticed 63" in text and "a-bug" in text
    assert "a tool changed" in text and "x &lt;= 1" in text and "x is never 1." in text


def test_the_worst_tensor_is_named_by_what_it_is(result):
    worst = [verdict["tensor"] for entry in result["cases"] for verdict in verdicts(entry, "torch")]
    assert worst and all(re.match("output [0-9]$|gradient of [a-z]", name) for name in worst)


# Tiles


@pytest.mark.parametrize("used, level", [(0, 0), (0.001, 1), (0.01, 1), (0.02, 2), (0.2, 3), (0.31, 4), (1, 4)])
def test_levels(used, level):
    assert page.level(used) == level


def test_a_tile_says_the_worst_of_its_verdicts():
    passed = {"status": "passed", "used": 0.004, "error": 0.5, "bound": 128, "problem": ""}
    assert page.tile("float64", [])["level"] == "absent"
    assert page.tile("float64", [passed, {**passed, "used": 0.2}])["text"] == "20"
    assert page.tile("float64", [passed])["text"] == "<1"
    assert page.tile("float64", [{**passed, "used": 0.0}])["text"] == "0"
    assert page.tile("contract", [{**passed, "used": None}])["text"] == "✓"
    assert page.tile("library", [{"status": "not run", "problem": "why"}]) == {
        "level": "none", "text": "–", "label": "library: not run, why"}
    assert page.tile("float64", [passed, {"status": "failed", "problem": "NaN"}]) == {
        "level": "bad", "text": "✕", "label": "float64: fails, NaN"}


@pytest.mark.parametrize("error, bound, problem, expected", [
    (32.0, 128.0, None, 0.25), (0.0, 0.0, None, 0), (3.0, 0.0, "too far", np.inf), (np.nan, 128.0, "NaN", np.inf),
    (0.0, 0.0, "the shape differs", np.inf)])
def test_how_much_of_its_bound_an_error_uses(error, bound, problem, expected):
    assert examine.used(Row("x", "value", error=error, bound=bound, problem=problem)) == expected


# The command


def run(*arguments):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return command.run(parser.parse_args(["report", *arguments]))


def test_the_command_writes_and_ends_well(tmp_path, capsys):
    assert run("--case", "SOFTMAX: soft*", "-o", str(tmp_path / "new" / "folder")) == 0
    output = capsys.readouterr().out
    assert "5 cases, " in output and "all agree" in output
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {"report.html", "report.json"}


def test_the_command_ends_with_status_1_where_something_is_wrong(tmp_path, capsys):
    with planted(*LOST_MEAN):
        assert run("--case", "layer_norm", "-o", str(tmp_path)) == 1
    output = capsys.readouterr().out
    assert "first wrong: gradient of d_x: too far from torch's\nmade in layer_norm_backward, numpy_impl/" in output
    assert "    d_x = d_centered" in output and "1 case fails: normalization: layer_norm" in output


def test_user_errors_name_the_option(tmp_path):
    with pytest.raises(UserError, match="--case: was 'convolution', must be a part .* one of activations, dropout"):
        run("--case", "convolution", "-o", str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--output: was .*file, must be a folder"):
        run("--case", "causal_mask", "-o", str(tmp_path / "file"))
