"""Exercises on layers/feed_forward.py."""

from functools import partial

from parity_tests.exercises.model import Exercise

FeedForward = partial(Exercise, module="numpy_impl.layers.feed_forward")

EXERCISES = [
    FeedForward(
        name="FeedForward",
        title="a chain of modules",
        difficulty=1,
        after=("relu",),
        task=(
            "`FeedForward` calls four modules, one after the other. Each has a `backward` that takes the gradient of "
            "its output, returns that of its input, and looks after its own parameters. Write the `backward` of the "
            "whole."),
        shapes={"d_y": "(..., d_model)", "d_x": "(..., d_model)"},
        hints=(
            "Think of the call stack: whoever was called last has the answer first. Which module's output is y?",
            "Go through the forward pass from its last line to its first and call the backward pass of each module "
            "once; what one returns is what the next takes. Nothing else is to be done: no cache, no parameter is "
            "yours here.",
            "down, dropout, activation, up: this is the order. The gradients on the way are d_dropped, d_activated "
            "and d_hidden, all (..., d_ff); the first call takes d_y, the last returns d_x. Dropout must not be left "
            "out: in training it changes the gradient."),
        why=(
            "The chain rule for a composition is the product of the slopes, taken from the end. Each module knows "
            "its own factor, so a chain of modules has a backward pass of one call a module, in the opposite order.")),
    FeedForward(
        name="GatedFeedForward",
        title="a fork that closes in a product",
        difficulty=3,
        after=("silu", "FeedForward"),
        task=(
            "The gated feed-forward layer (SwiGLU, GEGLU) sends x through two projections; one, activated, decides "
            "how much of the other passes. Write its `backward`. What the two factors of the product were is in the "
            "cache."),
        shapes={"d_y": "(..., d_model)", "opening": "(..., d_ff)", "content": "(..., d_ff)", "d_x": "(..., d_model)"},
        hints=(
            "Draw the forward pass: where does x split, and where do the branches meet? In the backward pass these "
            "two places change roles.",
            "From the last line to the first: down and dropout, as in FeedForward. gated = opening * content: a "
            "product, each factor gets d_gated times the other one. Then each branch on its own: content came from "
            "one projection; opening from the activation of another. Both end at x: add.",
            "d_opening[i] = d_gated[i] · content[i], d_content[i] = d_gated[i] · opening[i]. self.up.backward takes "
            "d_content and gives a part of d_x, (..., d_model). self.activation.backward takes d_opening, and what "
            "it returns goes to self.gate.backward, which gives the other part. It's silu again, with modules for "
            "functions: do not cross the factors over."),
        why=(
            "Where the forward pass forks, the backward pass adds; where the branches meet in a product, each is "
            "scaled by the other. The values of both factors are needed for that, so this module has a cache of its "
            "own, unlike FeedForward, which only calls others.")),
]
