"""Exercises on layers/residual.py."""

from parity_tests.exercises.model import Exercise

EXERCISES = [
    Exercise(
        name="ResidualConnection",
        module="numpy_impl.layers.residual",
        title="a way around",
        difficulty=3,
        after=("silu", "FeedForward", "LayerNorm"),
        task=(
            "A residual connection adds what a sublayer says to the sublayer's input, with the norm before the "
            "sublayer or after the sum. Write `backward` for both. `_sublayer_backward` returns the gradient of the "
            "sublayer's first argument and a tuple of further ones, empty except for cross-attention, where it holds "
            "that of the memory. Return d_x alone if the tuple is empty, else d_x and what is in it."),
        shapes={"d_y": "(B, T, D)", "d_x": "(B, T, D), with d_memory behind it for cross-attention"},
        hints=(
            "Every residual connection is a fork: x goes into the sublayer and around it. In which line do the two "
            "ways meet, and at which point, seen from the end, is the norm?",
            "Norm first: y = x + dropped hands d_y to both; along the branch come dropout, sublayer and norm; add "
            "what arrives at x to what went around. Norm last: the norm's backward comes first of all, and *its* "
            "result is what both ways get; along the branch come dropout and sublayer. Every module's backward once.",
            "norm_first: dropout takes d_y, the sublayer what dropout returns, the norm what the sublayer returns; "
            "d_x is that plus d_y. Else: d_added is what the norm makes of d_y; dropout takes d_added, then the "
            "sublayer; d_x is that plus d_added, not plus d_y. Add into a new array: d_y is also held by whoever "
            "called. With a tuple that is not empty, return d_x followed by its items."),
        why=(
            "A sum hands its gradient unchanged to both summands, so the way around carries the gradient past the "
            "sublayer. With the norm first no layer touches it, which is why such models can train without a "
            "warm-up. With the norm last each layer's norm rescales it.")),
]
