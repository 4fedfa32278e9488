"""random.py: dropout masks that depend on seed, step, path and position, and on nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_impl.random import dropout_keep
from parity_tests.harness.small import run_python

PATH = "encoder.layers.0.dropout"


def bits(keep):
    return ["".join("01"[int(kept)] for kept in row) for row in keep]


def test_known_masks_never_change():
    # Were these to change, a run would not go on from its checkpoint as it began.
    assert bits(dropout_keep((4, 8), 0.5, seed=0, step=0, path="")) == ["11101100", "11100000", "10101110", "11010110"]
    assert bits(dropout_keep((4, 8), 0.5, seed=1, step=2, path=PATH)) == [
        "00110101", "11110100", "10000010", "00111100"]


def test_other_processes_draw_the_same():
    program = ("from numpy_impl.random import dropout_keep\n"
               f"print(dropout_keep((3, 50), 0.3, seed=5, step=7, path={PATH!r}).astype(int).tolist())")
    assert run_python("-c", program).stdout == \
        f"{dropout_keep((3, 50), 0.3, seed=5, step=7, path=PATH).astype(int).tolist()}\n"


def test_what_was_drawn_before_does_not_matter():
    first = dropout_keep((5, 7), 0.4, seed=1, step=2, path=PATH)
    np.random.random(100)
    dropout_keep((9, 9), 0.4, seed=1, step=2, path=PATH)
    np.testing.assert_array_equal(dropout_keep((5, 7), 0.4, seed=1, step=2, path=PATH), first)


@pytest.mark.parametrize("other", [{"seed": 2}, {"step": 3}, {"path": PATH + "s"}, {"path": ""}])
def test_each_key_gives_an_independent_mask(other):
    keys = {"seed": 1, "step": 2, "path": PATH}
    one, two = [dropout_keep((100, 100), 0.5, **keywords) for keywords in (keys, keys | other)]
    assert (one == two).mean() == pytest.approx(0.5, abs=0.025)    # five standard deviations


def test_keys_are_not_run_together():
    masks = [dropout_keep((1, 256), 0.5, seed=seed, step=step, path="x") for seed, step in ((1, 11), (11, 1), (111, 1))]
    assert len({mask.tobytes() for mask in masks}) == 3


@given(rows=st.integers(1, 12), row_shape=st.lists(st.integers(1, 7), max_size=3), data=st.data())
def test_any_part_of_the_batch_redraws_its_part_of_the_mask(rows, row_shape, data):
    whole = dropout_keep((rows, *row_shape), 0.4, seed=3, step=4, path=PATH)
    begin = data.draw(st.integers(0, rows))
    count = data.draw(st.integers(0, rows - begin))
    part = dropout_keep((count, *row_shape), 0.4, seed=3, step=4, path=PATH, first_row=begin)
    np.testing.assert_array_equal(part, whole[begin:begin + count])


def test_a_part_far_into_the_stream():
    # Word 3 * 2**32 + 3 lies within a block of the generator, far beyond 32 bits.
    near = dropout_keep((2, 3), 0.5, seed=0, step=0, path=PATH, first_row=2**32)
    np.testing.assert_array_equal(near[1:], dropout_keep((1, 3), 0.5, seed=0, step=0, path=PATH, first_row=2**32 + 1))


def test_no_part_of_the_stream_comes_again():
    parts = [dropout_keep((1, 256), 0.5, seed=0, step=0, path=PATH, first_row=2**power) for power in range(50)]
    assert len({part.tobytes() for part in parts}) == 50


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_the_rate_is_p_everywhere(p):
    keep = dropout_keep((400, 500), p, seed=1, step=1, path=PATH)
    deviation = np.sqrt(p * (1 - p))
    assert abs((1 - keep.mean()) - p) < 5 * deviation / np.sqrt(keep.size)
    for axis in (0, 1):    # no row, column or neighbour is favoured
        rates = 1 - keep.mean(axis=axis)
        assert abs(rates - p).max() < 5 * deviation / np.sqrt(keep.shape[axis])
    neighbours = np.corrcoef(keep[:, 1:].ravel(), keep[:, :-1].ravel())[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(keep.size)


def test_a_higher_rate_drops_the_same_and_more():
    little, much = [dropout_keep((50, 50), p, seed=1, step=1, path=PATH) for p in (0.2, 0.6)]
    assert (much <= little).all()


def test_ends_and_empty_shapes():
    assert dropout_keep((30, 30), 0.0, seed=0, step=0, path="").all()
    for shape in ((0,), (0, 5), (4, 0)):
        assert dropout_keep(shape, 0.5, seed=0, step=0, path="").shape == shape
    keep = dropout_keep((3,), 0.5, seed=0, step=0, path="")
    assert keep.dtype == bool and keep.shape == (3,)
