"""Bugs of models/encoder.py."""

from parity_tests.harness.bugs.bug import Bug

ENCODER = "numpy_impl.models.encoder:"

BUGS = [
    Bug(name="encoder-layer-feed-forward-skipped",
        title="Attention gets the gradient from above the feed-forward layer.",
        function=ENCODER + "EncoderLayer.backward",
        old="self.self_attention.backward(d_attended)",
        new="self.self_attention.backward(d_y)",
        looks="The feed-forward layer has right gradients, and what it returns is not used.",
        why="d_y is what every backward pass begins with. It is still in scope two lines later, and has the right "
            "shape.",
        training="Thanks to the skip d_attended and d_y are alike, so that it goes on learning. Measured: 90 % of the "
                 "words right instead of 98 %.",
        case="encoder: EncoderLayer, post-norm"),
    Bug(name="encoder-final-norm-skipped",
        title="The backward pass leaves the final norm out.",
        function=ENCODER + "Encoder.backward",
        old="d_y if self.norm is None else self.norm.backward(d_y)",
        new="d_y",
        looks="The paper's model has no final norm, and is right. With norm_first its gamma and beta have no "
              "gradient, and all layers below one of the wrong size.",
        why="The norm after the stack was added to the forward pass later, with pre-norm.",
        training="Measured with norm_first: 73 % of the words right instead of 98 %, and twice the loss.",
        case="encoder: Encoder, pre-norm"),
]
