"""Exercises on models/encoder.py."""

from parity_tests.exercises.model import Exercise

EXERCISES = [
    Exercise(
        name="EncoderLayer",
        module="numpy_impl.models.encoder",
        title="what is left when every part does its share",
        difficulty=2,
        after=("FeedForward",),
        task=(
            "An encoder layer is self-attention and then feed-forward, each with a residual connection around it. "
            "Both are modules that have a `backward`. Write that of the layer."),
        shapes={"d_y": "(B, T, D)", "d_x": "(B, T, D)"},
        hints=(
            "Is there a fork in these two lines, or has somebody else taken care of it? And does the mask need a "
            "gradient?",
            "Two calls, in the opposite order of the forward pass: the module that made y first. What it returns is "
            "the gradient of what the other module made.",
            "self.feed_forward turns d_y into d_attended, and self.self_attention turns that into d_x; all three are "
            "(B, T, D). The residual connections inside have added their own branches already: adding d_y once more "
            "would count the way around twice."),
        why=(
            "All forks are inside the residual connections, which return finished totals. So a layer is a chain, and "
            "a model is a chain of layers: the backward pass of something with millions of parameters reads like its "
            "forward pass upside down.")),
]
