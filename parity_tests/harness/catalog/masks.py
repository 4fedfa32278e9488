"""Cases of layers/masks.py."""

import numpy as np

from parity_tests.harness.cases import Case


def function(name, description, *values):
    """A case of the function `name` with these arguments."""
    return Case(f"masks: {name}, {description}", lambda twin, dtype, rng: getattr(twin.layers.masks, name),
                lambda rng, dtype: {f"argument {number}": value for number, value in enumerate(values)})


IDS = np.array([[1, 5, 0, 0], [2, 1, 3, 0], [0, 0, 0, 0]])

CASES = [
    function("padding_mask", "padding 0", IDS, 0),
    function("padding_mask", "padding 1", IDS, 1),
    function("causal_mask", "5", 5),
    function("sliding_window_mask", "causal", 6, 6, 3),
    function("sliding_window_mask", "both sides, more keys", 4, 7, 2, False),
    function("combine_masks", "padding and causal", (IDS != 0)[:, None, None], None, np.tri(4, dtype=bool)[None, None]),
    function("combine_masks", "padding, causal and window", (IDS != 0)[:, None, None], np.tri(4, dtype=bool),
             ~np.tri(4, k=-2, dtype=bool)),
    function("combine_masks", "one", np.tri(4, dtype=bool)),
]
