"""Exercises on layers/positional_encoding.py."""

from functools import partial

from parity_tests.exercises.model import Exercise

Encoding = partial(Exercise, module="numpy_impl.layers.positional_encoding")

EXERCISES = [
    Encoding(
        name="add_positions",
        title="broadcasting, and a slice",
        difficulty=2,
        after=("linear",),
        task=(
            "`add_positions` adds the first T rows of a trained table to each sequence of the batch. Return the "
            "gradients of x and of the whole table, which has L rows, L at least T."),
        shapes={"d_y": "(B, T, D)", "max_length": "L, an int", "d_x": "(B, T, D)", "d_weight": "(L, D)"},
        hints=(
            "NumPy adds a (T, D) array to a (B, T, D) array by using it B times. What does that mean for its "
            "gradient? And what is the gradient of a row of the table that nobody has read?",
            "y = x + positions: both get d_y, but positions has no batch axis, it was broadcast along it, so its "
            "gradient is summed along it. positions = weight[:T]: this reads a part of an array; backwards the "
            "gradient is put into the same part of an array that has the shape of weight and is 0 elsewhere.",
            "d_x[b, t, i] = d_y[b, t, i]. d_positions[t, i] = Σ_b d_y[b, t, i], a (T, D) array. Rows 0 to T - 1 of "
            "d_weight are d_positions; the L - T rows after them are 0. L is in the cache, T is the length of d_y. "
            "Keep the dtype of d_y: zeros are float64 unless you say otherwise."),
        why=(
            "Broadcasting is repeated use, so backwards it is a sum over the axis that was made up. A slice only "
            "reads: its gradient goes back to where the values were read, and what was not read gets 0. That is all "
            "there is to a trained table of positions.")),
    Encoding(
        name="rotate_pairs",
        title="turned there and back",
        difficulty=3,
        after=("silu", "split_heads"),
        task=(
            "`rotate_pairs` takes the features of each token in pairs, sees a pair as a point in the plane, and "
            "turns it by an angle that depends on the position (RoPE). Return d_x. cos and sin are tables of "
            "constants. `_split_pairs` and `_join_pairs`, copied below, deal with the two layouts; use them."),
        shapes={"d_y": "(B, H, T, Dh)", "cos": "(T, Dh / 2)", "sin": "(T, Dh / 2)",
                "layout": '"half" or "interleaved"', "d_x": "(B, H, T, Dh)"},
        hints=(
            "For one pair the forward pass is a product of a 2 by 2 matrix with a vector. How does a gradient go "
            "back through y = R x? And what is special about that matrix if R turns?",
            "Last line first. y = _join_pairs(...) only moves numbers, so take d_y apart by the same layout. Then "
            "the two lines of the rotation: `first` and `second` are read by both, so each collects two parts, with "
            "the very cos or sin, sign included, that it was multiplied with. At last put the two gradients together "
            "by the layout.",
            "Turning multiplies by [[cos, -sin], [sin, cos]]; the gradient is multiplied by the transposed matrix, "
            "which turns back by the same angle. `first` met cos in turned_first and sin in turned_second, so "
            "d_first is cos times the first plus sin times the second upstream part. `second` met -sin and cos, so "
            "d_second is cos times the second minus sin times the first. cos and sin, (T, Dh / 2), broadcast over "
            "batch and heads."),
        why=(
            "A gradient goes back through y = R x by the transposed matrix. For a rotation that is the inverse, the "
            "turn by the negative angle; only the sign of sin changes. Splitting and joining move numbers and change "
            "none, so backwards each becomes the other. x itself is not needed: the map is linear.")),
]
