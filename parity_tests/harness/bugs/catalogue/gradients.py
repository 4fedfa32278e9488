"""Bugs of training/gradients.py."""

from parity_tests.harness.bugs.bug import Bug

GRADIENTS = "numpy_impl.training.gradients:"

BUGS = [
    Bug(name="clip-each-gradient-on-its-own",
        title="Each parameter's gradient is clipped by its own norm.",
        function=GRADIENTS + "clip_gradients",
        old="parameter.grad *= scale",
        new="parameter.grad *= min(1.0, max_norm / (global_norm([(_, parameter)]) + 1e-6))",
        looks="The norm of all gradients together may be larger than max_norm, up to the root of their number. Large "
              "ones are shortened, small ones are not: the direction changes.",
        why="The parameters are a list, and the loop that clips goes through it. Libraries offer both under similar "
            "names.",
        training="Measured: 94 % of the words right instead of 98 %.",
        seen=(("https://github.com/huggingface/transformers/issues/581",
               "BertAdam clipped each gradient to the norm 1; BERT clips all of them together."),
              ("https://github.com/keras-team/keras/issues/13575",
               "Keras's clipnorm is local; TensorFlow's manual calls the global one correct."),
              ("https://github.com/carpedm20/MemN2N-tensorflow/issues/19",
               "A reimplementation clipped each matrix where the paper says \"the whole gradient\".")),
        case="gradients: clip_gradients, norm above max_norm"),
    Bug(name="clip-scales-up-too",
        title="Gradients that are small enough are scaled up to max_norm.",
        function=GRADIENTS + "clip_gradients",
        old="if scale < 1:",
        new="if scale:",
        looks="After clipping the norm is max_norm in every step, however near the goal.",
        why="The formula is max_norm / norm. That it only counts where it is below 1 is a clause, and easily lost.",
        training="Adam divides the factor out, as long as it stays the same; here it is another in each step, so that "
                 "calm batches count as much as wild ones. Measured: a few more words are wrong.",
        seen=(("https://github.com/pytorch/pytorch/issues/151554",
               "PyTorch's manual gave the formula without the clause; the code has it."),),
        case="gradients: clip_gradients, norm below max_norm"),
    Bug(name="clip-scales-a-copy",
        title="The clipped gradient goes to a variable that nobody reads.",
        function=GRADIENTS + "clip_gradients",
        old="parameter.grad *= scale",
        new="clipped = parameter.grad * scale",
        looks="Clipping has no effect, and the norm that is returned is right.",
        why="`x = x * s` and `x *= s` mean the same for numbers; for the array that an optimizer holds they do not.",
        training="Measured: 93 % of the words right instead of 98 %; in a larger model a single bad batch may throw "
                 "the weights out.",
        seen=(("https://github.com/NVIDIA/OpenSeq2Seq/pull/192",
               "\"The bug effectively disabled gradient norm clipping\"."),),
        case="gradients: clip_gradients, norm above max_norm"),
    Bug(name="clip-without-1e-6",
        title="The norm is used as a divisor without the 1e-6.",
        function=GRADIENTS + "clip_gradients",
        old="(norm + 1e-6)",
        new="norm",
        looks="Clipped gradients are larger by a millionth part than PyTorch's. If all gradients are 0, it divides by "
              "0.",
        why="It is in no paper, and looks like a blemish.",
        training="Nothing, until a batch has no gradient at all: everything frozen, or a loss that is exactly 0. Then "
                 "Python stops, and array libraries write NaN into every parameter.",
        seen=(("https://github.com/PaddlePaddle/Paddle/pull/30777",
               "With all gradients 0, clip_by_norm gave 0 / 0 = NaN."),
              ("https://github.com/google-deepmind/optax/pull/1752",
               "The same at 0, where the norm equals the limit.")),
        case="gradients: clip_gradients, norm above max_norm"),
    Bug(name="global-norm-without-the-root",
        title="The norm is the sum of squares, without the root.",
        function=GRADIENTS + "global_norm",
        old="math.sqrt(sum(squared_norms))",
        new="sum(squared_norms)",
        looks="Norms above 1 come out too large, and their gradients are clipped too much; those below 1 too small.",
        why="The root is taken once, at the end, away from the squares; or it was taken inside of a function already, "
            "one believes.",
        training="Adam divides a factor out again. Measured: no difference. With SGD a gradient of norm 10 would be "
                 "cut to a tenth of the limit.",
        seen=(("https://github.com/paiml/entrenar/issues/311",
               "The squared norm was taken for the norm in two places, once squared again: ten times too much "
               "clipping at a norm of 10."),),
        case="gradients: clip_gradients, norm above max_norm"),
]
