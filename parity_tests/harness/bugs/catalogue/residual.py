"""Bugs of layers/residual.py."""

from parity_tests.harness.bugs.bug import Bug

RESIDUAL = "numpy_impl.layers.residual:"

BUGS = [
    Bug(name="residual-skip-gradient-forgotten",
        title="`=` for `+=`: the sublayer's gradient replaces that of the skip.",
        function=RESIDUAL + "ResidualConnection.backward",
        old="d_x_from_skip + d_x_from_norm",
        new="d_x_from_norm",
        looks="The layer's own parameters have right gradients. d_x is a fraction of what it should be, and shrinks "
              "with each layer below.",
        why="The backward pass is written as a chain, each line taking the gradient of the line before. The skip is "
            "not in the chain.",
        training="It takes away what residual connections are for: that gradients reach the bottom. Measured with two "
                 "layers a side: 18 % of the words right instead of 98 %.",
        seen=(("https://github.com/paiml/entrenar/issues/313",
               "24 blocks, the second skip missing: the gradient fell five- to sevenfold from block to block, and the "
               "lower 20 never learnt."),),
        case="residual: pre-norm, feed-forward"),
    Bug(name="residual-skip-gradient-does-not-pass-the-norm",
        title="With the norm after the sum, the skip's gradient is taken from above the norm.",
        function=RESIDUAL + "ResidualConnection.backward",
        old="d_x_from_skip, d_dropped = d_added, d_added",
        new="d_x_from_skip, d_dropped = d_y, d_added",
        looks="The sublayer's gradients are right. d_x has d_y in it, where it should have what the norm made of it.",
        why="A skip is drawn as a line round everything, and with pre-norm that is so. In the paper's order the norm "
            "comes after the sum.",
        training="The norm would divide the gradient by the size of the sum, and take the mean out. Measured with two "
                 "layers: hardly any harm, since here sums are of order one. The deeper the model, the further the "
                 "two drift apart.",
        case="residual: post-norm, feed-forward"),
    Bug(name="residual-gradient-added-in-place",
        title="The sum is written into the array that the caller passed.",
        function=RESIDUAL + "ResidualConnection.backward",
        old="d_x = d_x_from_skip + d_x_from_norm",
        new="d_x_from_skip += d_x_from_norm\n            d_x = d_x_from_skip",
        looks="d_x is right. But d_x_from_skip is d_y, which now holds d_x as well.",
        why="`+=` on what one has at hand is shorter and saves an array. That two names stand for one array does not "
            "show at the place.",
        training="Nothing here: nobody reads d_y again. If the layer above kept it, for a second branch or for a "
                 "gradient that is computed later, it would find another number there.",
        seen=(("https://github.com/pytorch/pytorch/issues/28017",
               "x += residual in place: refused by autograd, which counts versions. NumPy refuses nothing."),),
        case="residual: pre-norm, feed-forward"),
    Bug(name="residual-skip-takes-the-normalized-x",
        title="With the norm first, what is added is norm(x), not x.",
        function=RESIDUAL + "ResidualConnection.forward",
        old="y = x + dropped",
        new="y = normalized + dropped",
        looks="Outputs are of order one however deep the model is; with a true skip they grow.",
        why="`x = norm(x)` at the top of the function, to save a name: from there on x is the wrong one.",
        training="There is no way left that leads round the norms. Measured, with the backward pass as it was: 29 % "
                 "of the words right instead of 98 %.",
        seen=(("https://github.com/pytorch/pytorch/issues/61165",
               "The first version of norm_first in PyTorch's own Transformer: src = self.norm1(src)."),
              ("https://github.com/tracel-ai/burn/issues/1056",
               "x = norm(x); x += FF(x), in a framework's Transformer."),
              ("https://github.com/Howuhh/faster-trajectory-transformer/issues/3",
               "Found too late: mending it would have spoilt all trained weights.")),
        case="residual: pre-norm, feed-forward"),
    Bug(name="residual-memory-gradient-dropped",
        title="The gradient of the second input, the encoder's memory, is thrown away.",
        function=RESIDUAL + "ResidualConnection._sublayer_backward",
        old="(gradients[0], gradients[1:])",
        new="(gradients[0], tuple(0 * gradient for gradient in gradients[1:]))",
        looks="The decoder's gradients are right, and the encoder's are 0.",
        why="A wrapper that was written for one input in, one gradient out, is made to fit cross-attention: zeros "
            "have the right shape.",
        training="The encoder keeps its random weights. Measured: 12 % of the words right instead of 98 %.",
        seen=(("https://github.com/rsarxiv/seq2seq-attention/issues/7",
               "A reader asks why dcontext is not passed into the encoder, in a backward pass written in Lua."),),
        case="residual: post-norm, cross-attention"),
]
