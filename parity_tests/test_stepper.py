"""harness/stepper: the ways through a run, its cases, and a run as text."""

import functools
import inspect
import json
import pkgutil
import random
import re

import numpy as np
import pytest

from numpy_impl import layers
from numpy_impl.layers import normalization
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.errors import UserError
from parity_tests.harness.pages.page import packed
from parity_tests.harness.planted import planted
from parity_tests.harness.stepper import showcases
from parity_tests.harness.stepper.navigation import Navigation
from parity_tests.harness.stepper.showcases import find_case
from parity_tests.harness.stepper.statement_lines import last_lines
from parity_tests.harness.stepper.text import lines_of, number, numbers
from parity_tests.harness.trace import Function, trace_case
from parity_tests.harness.trace_function import trace_function

PAGE_LIMIT = 2_000_000    # bytes


@functools.cache
def traced(name):
    """The Trace of a case, made once."""
    return trace_case(find_case(name))


def wrong_layer_norm():
    """The Trace of a layer_norm whose d_x is wrong, and so what is made from it."""
    with planted(normalization.layer_norm_backward, "d_centered_from_x_hat + d_centered_from_squared",
                 "d_centered_from_x_hat - d_centered_from_squared"):
        return trace_case(find_case("layer_norm"))


def doubled(x):
    y = x * 2
    return y


def outer(x):
    a = x + 1
    b = doubled(a) + doubled(x)
    for _ in range(2):
        a = a * b
    return a, (b,)


def outer_backward(d_y, cache):
    b, = cache
    d_x = d_y * b
    return d_x


@pytest.fixture(scope="module")
def navigation():
    """Through `outer`, which calls `doubled` twice, and its backward pass."""
    return Navigation(trace_function(outer, {"x": np.array([1.0, 2.0])}, outer_backward))


def place(navigation, time):
    """Function and source line of a step."""
    function = navigation.function_of(navigation.call_at(time))
    return function.name, function.source[navigation.line_at(time) - function.first_line].strip()


def walk(start, way):
    """The steps that one comes to by going one way again and again."""
    times = [start]
    while (time := way(times[-1])) is not None:
        times.append(time)
    return times


def value_named(navigation, name):
    return next(index for index, value in enumerate(navigation.trace.values) if value.name == name)


# Ways

def test_next_and_previous_go_through_all_steps(navigation):
    forwards = walk(0, navigation.step)
    assert forwards == list(range(len(navigation.trace.steps)))
    assert walk(navigation.last, functools.partial(navigation.step, direction=-1)) == forwards[::-1]


def test_over_stays_out_of_the_calls_that_are_made(navigation):
    visited = walk(0, navigation.over)
    names = [place(navigation, time)[0] for time in visited]
    assert set(names) == {"outer", "outer_backward"}
    assert [line for name, line in (place(navigation, time) for time in visited) if name == "outer"] == [
        "def outer(x):", "a = x + 1", "b = doubled(a) + doubled(x)", "for _ in range(2):", "a = a * b",
        "for _ in range(2):", "a = a * b", "for _ in range(2):", "return a, (b,)", "return a, (b,)"]
    assert walk(navigation.last, functools.partial(navigation.over, direction=-1)) == visited[::-1]


def test_out_goes_to_the_caller(navigation):
    inside = next(time for time in range(navigation.last) if place(navigation, time) == ("doubled", "y = x * 2"))
    assert place(navigation, navigation.out(inside)) == ("outer", "b = doubled(a) + doubled(x)")
    assert navigation.out(0) is None


def test_changed_goes_to_assignments_not_to_arguments(navigation):
    visited = walk(0, navigation.changed)[1:]
    names = [[navigation.trace.values[value].name for value in navigation.assigned(time)] for time in visited]
    assert names == [["a"], ["y"], ["y"], ["b"], ["a"], ["a"], ["b"], ["d_x"]]
    assert navigation.changed(visited[2], direction=-1) == visited[1]


def test_counterpart_goes_from_a_gradient_to_its_value_and_back(navigation):
    x, d_x = value_named(navigation, "x"), value_named(navigation, "d_x")
    assert navigation.counterpart(d_x) == x and navigation.counterpart(x) == d_x
    assert navigation.counterpart(value_named(navigation, "y")) is None


def test_find_goes_around_and_takes_the_whole_name_first(navigation):
    values = navigation.trace.values
    first = navigation.find("d_x", 0)
    assert place(navigation, values[first].time) == ("outer_backward", "d_x = d_y * b")
    assert navigation.find("d_x", values[first].time) == first
    found = [values[navigation.find("x", time)] for time in range(navigation.last)]
    assert {value.name for value in found} == {"x"} and len({value.time for value in found}) == 3
    assert values[navigation.find("_x", 0)].name == "d_x"
    assert navigation.find("nothing", 0) is None


def test_percentages_reach_both_ends(navigation):
    assert [navigation.at_percent(percent) for percent in (-5, 0, 100, 200)] == [0, 0, *[navigation.last] * 2]
    assert 0 < navigation.at_percent(50) < navigation.last


def test_the_backward_pass_begins_at_the_turn(navigation):
    assert place(navigation, navigation.turn) == ("outer_backward", "def outer_backward(d_y, cache):")
    assert Navigation(trace_function(doubled, {"x": np.ones(2)})).turn is None


def test_wrong_goes_from_one_wrong_array_to_the_next_and_around():
    trace = wrong_layer_norm()
    navigation = Navigation(trace)
    first = navigation.wrong(0)
    assert [trace.values[value].name for value in navigation.assigned(first)] == ["d_centered"]
    assert trace.values[trace.first_wrong].time == first
    visited = [first]
    while (time := navigation.wrong(visited[-1])) != first:
        visited.append(time)
    assert [trace.values[trace.steps[time][3][0]].name for time in visited] == ["d_centered", "d_x"]
    assert Navigation(traced("layer_norm")).wrong(0) is None


# What is to be seen

def test_locals_are_the_newest_of_each_name_the_last_one_first(navigation):
    trace = navigation.trace
    times = [time for time in range(navigation.last) if place(navigation, time) == ("outer", "a = a * b")]
    shown = [trace.values[value] for value in navigation.locals_at(times[0])]
    assert [(value.name, value.number) for value in shown] == [("a", 1), ("b", 0), ("x", 0)]
    np.testing.assert_array_equal(trace.arrays[shown[0].array], [2 * 6, 3 * 10])


def test_the_stack_leads_from_the_outermost_call(navigation):
    inside = next(time for time in range(navigation.last) if place(navigation, time)[0] == "doubled")
    stack = navigation.stack_of(navigation.call_at(inside))
    assert [navigation.function_of(call).name for call in stack] == ["outer", "doubled"]


def test_numbers_and_equations_of_a_step():
    navigation = Navigation(traced("layer_norm"))
    assert navigation.notes_at(0) == {"eps": "1e-05"}
    time = next(time for time in range(navigation.last) if navigation.label_at(time) == "layer-norm-d-x")
    assert "d_x = " in place(navigation, time)[1]
    assert "leading" in navigation.notes_at(time) and "leading" not in navigation.notes_at(navigation.turn)


# The cases

def primitives():
    """Every function of the layers that has a plain backward pass."""
    names = set()
    for file in pkgutil.iter_modules(layers.__path__):
        module = pkgutil.resolve_name(f"{layers.__name__}.{file.name}")
        names |= {name.removesuffix("_backward") for name, function in vars(module).items()
                  if inspect.isfunction(function) and function.__module__ == module.__name__
                  and name.endswith("_backward") and not name.endswith("_lean_backward")}
    return names


def test_every_primitive_has_a_showcase():
    larger = {"multi_head_attention", "encoder_layer", "decoder_layer", "transformer"}
    assert showcases.showcases().keys() == primitives() | larger
    for name in primitives():
        built = find_case(name).numpy_twin()
        assert built.__name__ == name


@pytest.mark.parametrize("name", showcases.showcases())
def test_a_showcase_agrees_with_torch_in_every_array(name):
    trace = traced(name)
    assert [value.name for value in trace.values if value.problem] == []
    compared = [value for value in trace.values if value.error is not None]
    assert len(compared) > 3
    assert all(value.error <= value.bound for value in compared)
    assert Navigation(trace).turn is not None
    assert len(packed(trace.as_json())) < PAGE_LIMIT


@pytest.mark.parametrize("name", ["layer_norm", "scaled_dot_product_attention", "encoder_layer"])
def test_a_showcase_has_its_lean_form(name):
    trace = trace_case(find_case(name), "lean")
    assert trace.first_wrong is None
    assert any("lean" in function.name for function in trace.functions)


def test_dropout_drops_and_masks_hide_something():
    for name in ("dropout", "scaled_dot_product_attention", "multi_head_attention", "decoder_layer"):
        trace = traced(name)
        keeps = [trace.arrays[value.array] for value in trace.values if value.name == "keep"]
        assert any(0 < keep.mean() < 1 for keep in keeps), name
    trace = traced("encoder_layer")
    weights = next(trace.arrays[value.array] for value in trace.values if value.name == "weights")
    assert (weights[1, :, :, 2:] == 0).all() and (weights[0] > 0).all()


def test_the_transformer_translates_two_dates_and_ends_in_the_loss():
    trace, model = traced("transformer"), find_case("transformer").numpy_twin()
    inputs = find_case("transformer").draw_inputs()
    vocabulary = showcases.task().vocabulary
    assert [vocabulary.decode(ids) for ids in inputs["source_ids"]] == ["3 march 2021", "1 may 2020"]
    assert (inputs["source_ids"][1] == 0).any(), "there is no padding"
    assert len(model.transformer.encoder.layers) == len(model.transformer.decoder.layers) == 2
    logits = model.transformer(inputs["source_ids"], inputs["target_ids"])
    assert (logits.argmax(axis=-1) == inputs["targets"])[0].all(), "it has not learnt the first date"
    d_loss = next(value for value in trace.values if value.name == "d_loss")
    assert trace.arrays[d_loss.array] == 1
    loss = trace.values[d_loss.of]
    assert loss.name == "loss" and 0 < trace.arrays[loss.array] < 2


def independent_value(function, line, name, run):
    """What `name` is after this line of a function, each time that it runs during run(). No recorder is at work."""
    code = re.sub(r"\s+#.*", "", line.rstrip())
    seen = function.__globals__["SEEN"] = []
    with planted(function, line + "\n", f"{code}; SEEN.append(np.array({name}))\n"):
        run()
    del function.__globals__["SEEN"]
    return seen


def test_ten_random_steps_are_those_of_an_independent_run():
    trace, case = traced("transformer"), find_case("transformer")
    model, inputs = case.numpy_twin().use_plain(), case.draw_inputs()

    def run():
        model.zero_grad()
        model.backward(np.ones_like(model.forward(**inputs)))

    def is_simple(time):
        call, kind, line, values = trace.steps[time]
        function = trace.functions[trace.calls[call].function]
        text = function.source[line - function.first_line]
        return kind == 1 and len(values) == 1 and re.match(r"\s+\w+ = .*[)\w\]](\s+#.*)?$", text) \
            and function.source.count(text) == 1 and text.count("(") == text.count(")")

    candidates = [time for time in range(len(trace.steps)) if is_simple(time)]
    assert len(candidates) > 500
    for time in random.Random(3).sample(candidates, 10):
        call, _, line, (value,) = trace.steps[time]
        index = trace.calls[call].function
        function = trace.functions[index]
        module = function.file.removesuffix(".py").replace("/", ".")
        before = sum(1 for other, kind, at, _ in trace.steps[:time]
                     if trace.calls[other].function == index and at == line and kind == 1)
        seen = independent_value(pkgutil.resolve_name(f"{module}:{function.name}"),
                                 function.source[line - function.first_line], trace.values[value].name, run)
        np.testing.assert_array_equal(trace.arrays[trace.values[value].array], seen[before], err_msg=function.name)


def test_a_case_is_found_by_its_name_or_nearly():
    catalog = all_cases()
    assert find_case("layer_norm") is showcases.showcases()["layer_norm"]
    assert find_case("normalization: LayerNorm") is find_case("LayerNorm") is catalog["normalization: LayerNorm"]
    with pytest.raises(UserError, match="no case 'layernorm'; did you mean .*'layer_norm'"):
        find_case("layernorm")
    with pytest.raises(UserError, match="--list shows all"):
        find_case("xyzzy")


# As text

def test_text_has_a_block_for_each_step():
    trace = traced("layer_norm")
    blocks = "\n".join(lines_of(trace)).split("\n\n")
    assert blocks[0] == f"layer_norm, plain: {len(trace.steps)} steps"
    assert len(blocks) == len(trace.steps) + 2
    assert blocks[1].split("\n")[0].startswith("step 0  numpy_impl/layers/normalization.py:")
    block = next(block for block in blocks if "d_gamma = " in block)
    assert re.search(r"^step \d+  numpy_impl/layers/normalization.py:\d+  layer_norm_backward$", block, re.MULTILINE)
    assert r"eq layer-norm-d-gamma: \bar{\gamma}_i" in block
    assert re.search(r"^ +d_gamma  gradient of gamma  float64 \(4,\)  = .*  error [\d.e-]+ eps$", block, re.MULTILINE)
    assert "d_centered_from_squared  share of the gradient of centered" in "\n".join(blocks)
    assert blocks[-1].endswith("were compared with torch: all within their bounds")


def over_several_lines(x,
                       factor=2.0):
    """A statement may take more than one line."""
    y = (x
         * factor)    # no product of matrices

    for _ in range(
            2):
        # done twice
        y = y + 1
    return (y,
            y)


def test_a_statement_over_several_lines_is_one():
    trace = trace_function(over_several_lines, {"x": np.ones(2)})
    navigation, begin = Navigation(trace), trace.functions[0].first_line
    found = [[line - begin for line in navigation.lines_at(time)] for time in range(5)]
    assert found == [[0, 1], [3, 4], [6, 7], [9], [6, 7]]
    assert [line - begin for line in navigation.lines_at(navigation.last)] == [10, 11]
    assert "\n    y = (x\n         * factor)    # no product of matrices\n" in "\n".join(lines_of(trace))


def test_a_source_that_cannot_be_parsed_is_marked_line_by_line():
    assert last_lines(Function("f", "f.py", 5, ["    def f(x,", "          y):", '        """Doc', "left.", '   """'],
                               {})) == {}


def test_text_tells_what_is_wrong():
    lines = list(lines_of(wrong_layer_norm()))
    wrong = [line for line in lines if "WRONG" in line]
    assert [line.split()[0] for line in wrong] == ["d_centered", "d_x"]
    assert "WRONG: too far from torch's, error " in wrong[0]
    assert re.search(r"2 are wrong, the first of them d_centered at step \d+$", lines[-1])


def test_numbers_are_short():
    assert numbers(np.array([1.0, 2 / 3])) == "= 1, 0.6667"
    assert numbers(np.array([[-np.inf, 2.0, -3.0, 4.0, 5.0]])) == "-3 to 5"
    assert numbers(np.full(9, np.nan)) == numbers(np.zeros(9, bool)) == ""
    assert numbers(np.array(True)) == "= True"
    assert number(np.int64(7)) == "7"


def test_page_data_of_a_trace_is_json():
    json.dumps(wrong_layer_norm().as_json(), allow_nan=False)
