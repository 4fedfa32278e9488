"""harness/stepper/terminal.py: the stepper in the terminal, driven by its keys."""

import asyncio
import functools

import numpy as np
from rich.console import Console
from textual.widgets import DataTable, Input, Static

from numpy_impl.layers import normalization
from parity_tests.harness.planted import planted
from parity_tests.harness.stepper.blocks import INFINITE, NOT_A_NUMBER, blocks, colour, shrunk
from parity_tests.harness.stepper.screens import HelpScreen, SearchScreen, ValueScreen
from parity_tests.harness.stepper.showcases import find_case
from parity_tests.harness.stepper.terminal import Bar, Locals, Stepper
from parity_tests.harness.trace import trace_case
from parity_tests.harness.trace_function import trace_function


@functools.cache
def traced(name):
    return trace_case(find_case(name))


def driven(trace, look, size=(80, 24)):
    """Run the stepper on a screen of this size while `look(app, press)` presses keys and looks at it."""
    async def run():
        app = Stepper(trace)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()

            async def press(*keys):
                await pilot.press(*keys)
                await pilot.pause()

            await look(app, press)
    asyncio.run(run())


def text_of(app, selector):
    """What a Static shows, as text."""
    content = app.screen.query_one(selector, Static).content
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(content)
    return capture.get().rstrip("\n")


def lines_on(app):
    """The lines of the whole screen."""
    return ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]


def current_line(app):
    """The source line with the mark."""
    return next(line for line in text_of(app, "#lines").split("\n") if line.startswith("▶"))


def name_selected(app):
    return app.navigation.trace.values[app.selected].name


def test_keys_go_through_the_run():
    async def look(app, press):
        last = app.navigation.last
        assert app.time == 0 and "def layer_norm(x, gamma, beta, eps):" in current_line(app)
        await press("n", "right", "n")
        assert app.time == 3 and "squared = centered * centered" in current_line(app)
        await press("p", "left")
        assert app.time == 1
        await press("end")
        assert app.time == last
        await press("n")
        assert app.time == last
        await press("5")
        assert app.time == round(last / 2)
        await press("b")
        assert "def layer_norm_backward" in current_line(app)
        await press("c")
        assert "centered, std, x_hat, gamma = cache" in current_line(app)
        await press("home")
        assert app.time == 0
        await press("o", "o", "O")
        assert app.time == 1
        await press("u", "w")
        assert app.time == 1, "there is no caller, and nothing is wrong"
    driven(traced("layer_norm"), look)


def test_the_screen_of_80_by_24_shows_everything():
    async def look(app, press):
        await press("/", *"d_x_hat", "enter")
        lines = lines_on(app)
        assert len(lines) == 24
        assert lines[0].startswith("layer_norm, plain  step 17 of 27  numpy_impl/layers/normalization.py:37")
        assert "●" in lines[1] and lines[2].startswith("layer_norm_backward")
        assert any("▶ 37     d_x_hat = d_scaled * gamma" in line for line in lines)
        assert any("▶d_x_hat  float64 (2, 3, 4)  0 eps" in line for line in lines)
        assert any("x_hat ▀" in line for line in lines)
        assert any(r"layer-norm-d-x-hat: \bar{\hat{x}}_i" in line for line in lines)
        assert any("leading = (0, 1)" in line for line in lines)
        assert "n Next" in lines[-1] and "q Quit" in lines[-1]
    driven(traced("layer_norm"), look)


def test_the_current_line_is_whole_and_in_the_middle():
    async def look(app, press):
        await press("end")
        assert any("▶ 52     return d_x, d_gamma, d_beta" in line for line in lines_on(app))
        await press("slash", *"d_gamma", "enter")
        lines = lines_on(app)
        row = next(number for number, line in enumerate(lines) if line.startswith("▶ 36"))
        assert 8 <= row <= 14
        assert "layer-norm-d-gamma" in lines[row + 1][:40] + lines[row + 2][:40], "its end is cut off"
        assert lines[row - 7].startswith("  29") and "…" in lines[row - 7], "other lines take one line each"
    driven(traced("layer_norm"), look)


def test_from_a_gradient_to_its_value_and_back():
    async def look(app, press):
        await press("/", *"d_gamma", "enter")
        assert name_selected(app) == "d_gamma"
        there = app.time
        await press("g")
        assert name_selected(app) == "gamma" and app.time == 0
        await press("g")
        assert name_selected(app) == "d_gamma" and app.time == there
    driven(traced("layer_norm"), look)


def test_search_asks_and_can_be_cancelled():
    async def look(app, press):
        await press("slash")
        assert isinstance(app.screen, SearchScreen) and app.focused is app.screen.query_one(Input)
        await press("q", "n")
        assert app.screen.query_one(Input).value == "qn", "keys of the stepper are letters here"
        await press("escape")
        assert not isinstance(app.screen, SearchScreen) and app.time == 0
        await press("slash", *"nothing", "enter")
        assert app.time == 0
        assert [note.message for note in app._notifications] == ["no array's name has 'nothing' in it"]
    driven(traced("layer_norm"), look)


def test_what_is_wrong_is_marked():
    with planted(normalization.layer_norm_backward, "d_centered + d_mean / d_y.shape[-1]", "d_centered"):
        trace = trace_case(find_case("layer_norm"))

    async def look(app, press):
        await press("w")
        assert name_selected(app) == "d_x" and any("WRONG: too far from torch's" in line for line in lines_on(app))
    driven(trace, look, size=(140, 30))


def test_the_call_stack_opens():
    async def look(app, press):
        await press("/", *"d_scores", "enter")
        assert text_of(app, "#stack") == ("SelfAttention.backward › MultiHeadAttention.backward › "
                                          "scaled_dot_product_attention_backward")
        await press("s")
        lines = text_of(app, "#stack").split("\n")
        assert len(lines) == 3 and lines[0].startswith("SelfAttention.backward  attention.py:")
        await press("u", "s")
        assert text_of(app, "#stack") == "SelfAttention.backward › MultiHeadAttention.backward"
    driven(traced("multi_head_attention"), look)


def test_all_numbers_of_an_array_with_a_picker_of_the_leading_indices():
    trace = traced("multi_head_attention")
    value = next(value for value in trace.values if value.name == "weights")
    weights = trace.arrays[value.array]

    async def look(app, press):
        await press("/", *"weights", "enter", "enter")
        table = app.screen.query_one(DataTable)
        assert isinstance(app.screen, ValueScreen)
        title = text_of(app, "#title")
        assert title.startswith("weights[0, 0, :, :]  float64 (2, 2, 4, 4)  error ") and " at most" in title
        assert [cell.plain for cell in table.get_row_at(1)] == [f"{item:.4g}" for item in weights[0, 0, 1]]
        await press("down", "right")
        assert text_of(app, "#cell") == f"weights[0, 0, 1, 1] = {weights[0, 0, 1, 1]}"
        await press("right_square_bracket")
        assert text_of(app, "#title").startswith("weights[0, 1, :, :]")
        assert table.get_row_at(3)[0].plain == f"{weights[0, 1, 3, 0]:.4g}"
        await press("left_square_bracket", "left_square_bracket")
        assert text_of(app, "#title").startswith("weights[1, 1, :, :]")
        await press("g")
        assert text_of(app, "#title").startswith("d_weights[1, 1, :, :]")
        await press("escape")
        assert not isinstance(app.screen, ValueScreen)
        await press("tab")
        assert isinstance(app.screen, ValueScreen)
    driven(trace, look)


def test_any_array_can_be_shown():
    arrays = [np.array(2.5), np.arange(3.0), np.ones((0, 3)), np.ones((2, 0, 3)), np.ones((3, 300)),
              np.array([True, False]), np.array([1 + 2j]), np.array([np.nan, np.inf, -np.inf, 1.0])]

    def f(a, b, c, d, e, f, g, h):
        return None

    async def look(app, press):
        for name, array in zip("abcdefgh", arrays):
            await press("enter")
            table = app.screen.query_one(DataTable)
            assert text_of(app, "#title").startswith(name)
            assert table.row_count * len(table.columns) == min(array.size, 3 * 100)
            await press("right_square_bracket", "g", "q", "down")
    driven(trace_function(f, dict(zip("abcdefgh", arrays))), look)


def test_a_click_on_the_bar_goes_there():
    async def run():
        app = Stepper(traced("layer_norm"))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.click(Bar, offset=(79, 0))
            assert app.time == app.navigation.last
            await pilot.click(Bar, offset=(40, 0))
            assert abs(app.time - app.navigation.last / 2) <= 1
    asyncio.run(run())


def test_dark_light_help_and_quit():
    async def look(app, press):
        dark = app.current_theme.dark
        await press("d")
        assert app.current_theme.dark is not dark
        await press("question_mark")
        assert isinstance(app.screen, HelpScreen) and any("next wrong array" in line for line in lines_on(app))
        assert all(len(line) <= 80 for line in lines_on(app))
        await press("escape", "down", "q")
        assert app._exit
    driven(traced("layer_norm"), look)


def test_without_colour_numbers_are_characters(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    async def look(app, press):
        await press("c")
        shown = app.query_one(Locals).get_option_at_index(0).prompt.plain
        assert "▀" not in shown and "mean" in shown
    driven(traced("layer_norm"), look)


def test_how_a_run_ended_is_told():
    def broken(x):
        y = x + 1
        return y.reshape(7)

    async def look(app, press):
        await press("end")
        assert "The run stopped here: " in text_of(app, "#notes") and "ValueError" in text_of(app, "#notes")
    driven(trace_function(broken, {"x": np.ones(2)}), look)


def test_a_statement_over_several_lines_is_marked_whole():
    def sum_of(x):
        y = (x
             + 1)
        return y

    async def look(app, press):
        await press("n")
        marked = [line for line in text_of(app, "#lines").split("\n") if line.startswith("▶")]
        assert [line[6:].strip() for line in marked] == ["y = (x", "+ 1)"]
    driven(trace_function(sum_of, {"x": np.ones(2)}), look)


# Blocks

def test_blocks_put_two_rows_in_a_line():
    text = blocks(np.array([[1.0, -1.0], [0.0, 0.5], [0.25, np.nan]]), 3, 2)
    assert text.plain == "▀▀\n▀▀"
    styles = [span.style for span in text.spans]
    assert styles[0].color.name == colour(1, 1, True) and styles[0].bgcolor.name == colour(0, 1, True)
    assert styles[3].color.name == NOT_A_NUMBER and styles[3].bgcolor is None
    assert blocks(np.ones((2, 2)), 3, 4).plain == "▀▀▀▀"


def test_colours_tell_sign_and_size():
    assert colour(0, 1, True) == colour(0, 0, True) == "#22282f"
    assert colour(1, 1, True) == "#ffa657" and colour(-1, 1, True) == "#58a6ff" and colour(1, 2, True) == "#906743"
    assert colour(-np.inf, 1, True) == INFINITE and colour(1, 1, False) == "#a8400a"


def test_masked_scores_do_not_fill_the_scale():
    text = blocks(np.array([[-np.inf, -2.0, 1.0, 0.1]]), 1, 4, in_colour=False)
    assert text.plain == "-i4."


def test_characters_tell_sign_and_size():
    assert blocks(np.array([9.0, 1.0, -9.0, -1.0, 0.0, np.inf, np.nan]), 1, 7, in_colour=False).plain == "91ia.+?"
    assert blocks(np.array([True, False]), 1, 2, in_colour=False).plain == "9."


def test_a_large_array_shrinks_to_its_largest_numbers():
    array = np.zeros((10, 12))
    array[4, 7] = -5
    array[9, 11] = np.nan
    small = shrunk(array, 2, 3)
    assert small.shape == (2, 3) and small[0, 1] == -5 and np.isnan(small[1, 2]) and not small[1, :2].any()
    assert shrunk(np.array(3.0), 2, 3).tolist() == [[3]]
    assert blocks(np.empty((0, 3)), 3, 3).plain == "empty" and "no real" in blocks(np.array([1j]), 3, 3).plain
