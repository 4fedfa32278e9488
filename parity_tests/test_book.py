"""What the cells of the book use: docs/book."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from numpy_impl.layers.softmax import softmax, softmax_backward
from numpy_impl.models.config import TransformerConfig
from numpy_impl.models.transformer import Transformer
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.runs import is_module

pytestmark = pytest.mark.usefixtures("book_path")
DOCS = Path(__file__).parents[1] / "docs"
PRIMITIVES = {case.numpy_twin().__name__: case for case in reversed(all_cases().values())    # of several the first
              if not is_module(case.numpy_twin())
              and f"{case.numpy_twin().__name__}_backward" in vars(inspect.getmodule(case.numpy_twin()))}


@pytest.fixture
def book():
    return importlib.import_module("book")


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


def test_helpers_are_loaded_when_they_are_asked_for(book):
    """PyTorch takes a second, and there are a hundred pages: only the oracles load it."""
    for module, names in book.NAMES.items():
        assert all(getattr(book, name) is getattr(importlib.import_module(f"book.{module}"), name) for name in names)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        book.nothing
    names = ", ".join(set(book.__all__) - {"verdicts"})
    code = (f"import sys; sys.path[:0] = {[str(DOCS), str(DOCS.parent)]!r}\nfrom book import {names}\n"
            "print('torch' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "False\n"


def test_a_small_run(book):
    seen = []
    run = book.small_run(steps=4, prepare=lambda trainer: seen.append(trainer.step), d_ff=16, seed=3,
                         each_step=lambda trainer, record: seen.append(record["step"]))
    assert seen == [0, 1, 2, 3, 4] and len(run.losses) == 4 and run.trainer.config.d_ff == 16
    assert run.losses == book.small_run(steps=4, d_ff=16, seed=3).losses != book.small_run(steps=4, d_ff=16).losses
    assert run.evaluation.examples == 200 and run.evaluation.loss > 0
    with pytest.raises(TypeError, match="d_fff"):
        book.small_run(steps=1, d_fff=16)


def test_trained_models_are_kept(book, tmp_path, monkeypatch):
    models = importlib.import_module("book.models")
    monkeypatch.setattr(models, "BUILD", tmp_path)
    first = book.trained(steps=3)
    monkeypatch.setattr(models, "small_run", None)    # a second training would fail
    second = book.trained(steps=3)
    assert first.step == second.step == 3 and not second.model.training
    assert all(np.array_equal(a, b) for a, b in zip(first.model.state_dict().values(),
                                                    second.model.state_dict().values(), strict=True))


def test_attention_of_a_translation(book):
    trainer = book.small_trainer(steps=20)
    trainer.model.train()
    found = book.attention_of(trainer, "fade")
    assert found.source == [*"fade", "end"] and found.target[0] == "begin"
    for weights, columns in ((found.encoder, found.source), (found.decoder, found.target), (found.cross, found.source)):
        assert len(weights) == 2 and weights[0].shape[-1] == len(columns)
        np.testing.assert_allclose(weights[0].sum(axis=-1), 1, rtol=1e-5)
    assert trainer.model.training
    assert not any(getattr(module, "keep_weights", False) for module in trainer.model.modules())


def test_the_shape_map_of_a_run(book):
    model = Transformer(TransformerConfig(7, 7, d_model=8, num_heads=2, num_encoder_layers=1, num_decoder_layers=1,
                                          d_ff=16, dropout=0.0), rng=0)
    found = book.shape_map(model, np.array([[3, 4, 2]]), np.array([[1, 5]]))
    calls = {call.path: call for call in found}
    assert found[0].path == "" and found[0].inputs == ((1, 3), (1, 2)) and found[0].out == ((1, 2, 7),)
    assert calls["decoder.layers.0.cross_attention.sublayer"].inputs == ((1, 2, 8), (1, 3, 8), (1, 1, 1, 3))
    assert calls["output_projection"].parameters == 7 * 8 and found[0].parameters == model.num_parameters()
    assert not any("forward" in vars(module) for module in model.modules())
    assert {call.depth for call in book.shape_map(model, np.array([[3]]), np.array([[1]]), depth=1)} == {0, 1}
    assert "(1, 3), (1, 2)" in str(found) and found._repr_html_().count("<tr>") == len(found) + 1


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_map_of_a_model_has_letters_for_sizes(norm_first, book):
    from matplotlib import pyplot
    model = Transformer(TransformerConfig(7, 7, d_model=8, num_heads=4, num_encoder_layers=3, num_decoder_layers=6,
                                          d_ff=16, dropout=0.0, norm_first=norm_first), rng=0)
    source, target = np.array([[3, 4, 2], [3, 2, 0]]), np.array([[1, 5, 4, 3, 6]] * 2)
    found = book.shape_map(model, source, target).named(B=2, Ts=3, Tt=5, V=7, D=8, F=16)
    assert found[0].out == ((2, 5, 7),) and "(B, Ts), (B, Tt)" in str(found) and "(B, Tt, V)" in found._repr_html_()
    assert found.spelled((2, 1, 1, 3)) == "(B, 1, 1, Ts)" and found.spelled((9,)) == "(9,)"
    with pytest.raises(ValueError, match="B and Ts are both 2"):
        found.named(B=2, Ts=2)
    layer = found.below("decoder.layers.1")
    assert {call.path.split(".")[2] for call in layer} == {"1"}
    assert str(layer).splitlines()[1].startswith("decoder.layers.1 ")
    assert "(B, Tt, F)" in str(layer)
    axes = found.draw()
    drawn = [text.get_text() for text in axes.texts]
    places = {text.get_text(): text.get_position() for text in axes.texts}
    pyplot.close("all")
    assert drawn.count("self_attention") == 2 and {"3 layers", "6 layers", "CrossAttention", "memory"} <= set(drawn)
    assert places["memory"][0] < places["cross_attention"][0] and drawn.count("norm") == 2 * norm_first
    assert abs(places["memory"][1] - places["cross_attention"][1]) < 0.01
    assert drawn.count("(B, Tt, V)") == 1 and drawn.count("(B, Ts)") == drawn.count("(B, Tt)") == 1


def test_the_values_of_a_module_and_their_shapes(book):
    model = Transformer(TransformerConfig(7, 7, d_model=8, num_heads=4, num_encoder_layers=1, num_decoder_layers=1,
                                          d_ff=16, dropout=0.0), rng=0).use_plain()
    source, target = np.array([[3, 4, 2]] * 2), np.array([[1, 5, 4, 3, 6]] * 2)
    path = "decoder.layers.0.cross_attention.sublayer"
    found = importlib.import_module("book.shapes").value_map(model, source, target, path=path)
    rows = {(function, value): shape for function, value, shape in found}
    assert rows["scaled_dot_product_attention", "masked_scores"] == (2, 4, 5, 3)
    assert rows["MultiHeadAttention.forward", "output"] == (2, 5, 8) and len(rows) == len(found)
    assert "(B, H, Tt, Ts)" in str(found.named(B=2, H=4, Tt=5, Ts=3))
    with pytest.raises(KeyError):
        importlib.import_module("book.shapes").value_map(model, source, target, path="decoder.layers.1")


def test_a_heat_map_shows_its_numbers(book):
    from matplotlib import pyplot
    _, axes = book.new_figure()
    book.heat(axes, [[0.0, 1.0]], rows="a", columns="bc", numbers=".1f", title="weights")
    assert [text.get_text() for text in axes.texts] == ["0.0", "1.0"]
    assert [text.get_color() for text in axes.texts] == [book.PAPER, book.INK]
    pyplot.close("all")
