"""Bugs of layers/dropout.py."""

from parity_tests.harness.bugs.bug import Bug

DROPOUT = "numpy_impl.layers.dropout:"

BUGS = [
    Bug(name="dropout-kept-values-unscaled",
        title="Values that are kept are not scaled up.",
        function=DROPOUT + "dropout",
        old=" * (1 / (1 - p))",
        new="",
        looks="In training the sums of the next layer are smaller by the factor 1 - p than in evaluation, where "
              "nothing is dropped.",
        why="The paper scales in evaluation, most programs in training. Code that is put together from both scales in "
            "neither, or twice.",
        training="With p = 0.1 the two modes differ by a tenth, and a norm follows most sums. Measured: no harm done "
                 "(97 % of the words right with it and without). With p = 0.5 evaluation works with doubled numbers.",
        seen=(("https://github.com/clab/dynet/issues/186",
               "The same mix-up the other way round: users who know the paper scale once more, \"I know I was bitten "
               "by this\"."),),
        case="dropout: dropout"),
    Bug(name="dropout-scaled-by-the-rate-of-the-dropped",
        title="Kept values are divided by p, not by 1 - p.",
        function=DROPOUT + "dropout",
        old="(1 / (1 - p))",
        new="(1 / p)",
        looks="With p = 0.1 what is kept becomes ten times as large. With p = 0.5, where most people try it, nothing "
              "shows.",
        why="Half of the libraries call the argument the probability of keeping, half that of dropping.",
        training="Measured with p = 0.1: the loss stays above 1.4, and no word is right.",
        seen=(("https://github.com/kaldi-asr/kaldi/pull/2815",
               "A dropout component scaled by 1 / p; a rate of 0.1 could break training."),
              ("https://github.com/NVIDIA/apex/pull/816",
               "The backward pass of fused attention scaled by p instead of 1 / (1 - p).")),
        case="dropout: dropout"),
    Bug(name="dropout-gradient-unscaled",
        title="The gradient passes the mask, but is not scaled.",
        function=DROPOUT + "dropout_backward",
        old="d_y * factor",
        new="d_y * (factor > 0)",
        looks="Every number of d_x is too small by the factor 1 - p.",
        why="The mask is kept as booleans, to save memory, and the scale is forgotten in the other function.",
        training="The factor is applied once for each dropout on the way down, so that lower layers get ever less "
                 "than upper ones. Measured with p = 0.1: 93 % of the words right instead of 98 %.",
        case="dropout: Dropout"),
    Bug(name="dropout-gradient-unmasked",
        title="The gradient goes to the dropped values as well.",
        function=DROPOUT + "dropout_backward",
        old="d_y if factor is None else d_y * factor",
        new="d_y",
        looks="d_x is d_y, without zeros where the forward pass put some.",
        why="Dropout is thought of as noise that comes and goes in the forward pass. But a value that was dropped had "
            "no part in the loss.",
        training="Each layer is told of effects that it did not have. Measured: 28 % of the words right instead of "
                 "98 %, even at p = 0.1.",
        seen=(("https://github.com/ddbourgin/numpy-ml/issues/94",
               "The dropout wrapper of a NumPy library divides the gradient by 1 - p and applies no mask."),
              ("https://github.com/kaldi-asr/kaldi/issues/3890",
               "The mask is guessed from output and input, so that a dropped 0 keeps its gradient.")),
        case="dropout: Dropout"),
    Bug(name="dropout-skip-gradient-overwritten-in-place",
        title="The gradient is masked in place, in the array that the skip connection also holds.",
        function=DROPOUT + "dropout_backward",
        old="d_y * factor",
        new="np.multiply(d_y, factor, out=d_y)",
        looks="Dropout's own d_x is right. The residual connection's is wrong: the gradient that goes round the "
              "sublayer is masked and scaled too.",
        why="It saves an array. That `d_x_from_skip, d_dropped = d_added, d_added` gives one array two names is said "
            "in another file.",
        training="Measured with p = 0.1: a slightly higher loss, which nobody would look into. The larger p, the "
                 "worse.",
        seen=(("https://github.com/pytorch/pytorch/issues/5687",
               "A residual block with activations in place: no error, and a loss of hundreds of thousands. Out of "
               "place it trained."),),
        case="residual: post-norm, feed-forward, dropout"),
    Bug(name="dropout-active-in-evaluation",
        title="Values are dropped in evaluation too.",
        function=DROPOUT + "Dropout.draw_keep",
        old="not self.training or self.p == 0",
        new="self.p == 0",
        looks="The same input gives another answer each time.",
        why="Whether the model is training is not an argument of the layer: it is a flag that somebody has to set and "
            "the layer has to read.",
        training="Training itself is the same, bit for bit. Measured in evaluation: 62 % of the words right instead "
                 "of 98 %, and three times the loss.",
        seen=(("https://github.com/facebookresearch/DME/issues/3",
               "F.dropout(out, p=...) without its argument `training` dropped in evaluation."),
              ("https://github.com/Coderx7/SimpleNet/issues/2",
               "F.dropout2d(..., training=True): another output on every run of a trained network."),
              ("https://github.com/ipolharvard/ethos-ares/issues/20",
               "model.eval() was never called; the results of a paper were computed with dropout.")),
        case="dropout: Dropout in evaluation"),
    Bug(name="dropout-mask-reused",
        title="Every forward pass draws the same mask.",
        function=DROPOUT + "Dropout.draw_keep",
        old="step=self.dropout_step,",
        new="step=0,",
        looks="The same places are dropped in every step of the run.",
        why="Runs shall be repeatable, so the generator gets a fixed seed; inside of the layer that fixes each mask.",
        training="What is dropped for a place in the batch is dropped for good, and the network learns to do without. "
                 "Measured: the training loss is lower, since the noise is gone, and this task does not miss it. "
                 "Where a model overfits, dropout no longer helps.",
        seen=(("https://github.com/PaddlePaddle/Paddle/issues/7796",
               "The dropout operator always used the same seed, \"which leads to no randomness\"."),),
        case="transformer: dropout"),
    Bug(name="dropout-fresh-mask-in-the-backward",
        title="The backward pass draws a mask of its own.",
        function=DROPOUT + "Dropout.backward",
        old="return dropout_backward(d_y, self.saved(d_y))",
        new="self.saved(d_y)\n        return dropout(d_y, self.draw_keep(d_y.shape), self.p)[0]",
        looks="d_x has as many zeros as it should, in other places.",
        why="The gradient of dropout is dropout, so why not call it; or the forward pass is computed again to save "
            "memory, and draws again.",
        training="Dropped values get a gradient, and some kept ones none. Measured: 28 % of the words right instead "
                 "of 98 %, at p = 0.1.",
        seen=(("https://github.com/openai/guided-diffusion/issues/167",
               "Recomputing a block in the backward pass without restoring the generator: the loss diverges once "
               "dropout is on."),
              ("https://github.com/allenai/OLMo-core/pull/828",
               "The same in a large language model; the loss after 150 steps was 2.49 instead of 2.19.")),
        case="dropout: Dropout"),
]
