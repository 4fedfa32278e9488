"""Bugs of layers/linear.py."""

from parity_tests.harness.bugs.bug import Bug

LINEAR = "numpy_impl.layers.linear:"

BUGS = [
    Bug(name="linear-weight-not-transposed-back",
        title="The gradient goes back through Wᵀ instead of W.",
        function=LINEAR + "linear_backward",
        old="d_product @ weight ",
        new="d_product @ weight.T ",
        looks="The gradient of the input is multiplied by the same Wᵀ as the input was.",
        why="The forward line stands right above and is copied; but what was multiplied by Wᵀ on the way there is "
            "multiplied by W on the way back.",
        training="Where a layer is not square, NumPy stops with a shape error at the first step, as it does in the "
                 "small model. Where all are square nothing stops: every layer below learns from a wrong gradient.",
        case="linear: Linear, square"),
    Bug(name="linear-weight-gradient-transposed",
        title="The gradient of the weight comes out transposed.",
        function=LINEAR + "linear_backward",
        old="d_product.T @ rows",
        new="rows.T @ d_product",
        looks="The weight's gradient has the shape (in, out), while the weight has (out, in).",
        why="Textbooks write y = x W with W of shape (in, out), and there xᵀ d_y is right; PyTorch stores (out, in).",
        training="A shape error at the first step. In a square layer there is none, and each weight moves by what its "
                 "mirror image across the diagonal should have got.",
        case="linear: Linear, square"),
    Bug(name="linear-weight-gradient-averaged",
        title="The gradient of the weight is divided by the number of rows.",
        function=LINEAR + "linear_backward",
        old="d_product.T @ rows",
        new="d_product.T @ rows / len(rows)",
        looks="The weight's gradient is a mean over the tokens, not a sum.",
        why="Courses put the 1/m of the mean loss into the formula of each layer. Here the loss has been divided "
            "already, and to divide again shrinks the gradient a second time.",
        training="Measured: the loss falls more slowly all the way, and of the small model's words 60 to 75 % come out "
                 "right instead of 97 %.",
        case="linear: linear"),
    Bug(name="linear-gradient-averaged-in-place",
        title="The incoming gradient is divided by the number of rows, in place.",
        function=LINEAR + "linear_backward",
        old="d_product = d_y_rows",
        new="d_y_rows /= len(d_y_rows); d_product = d_y_rows",
        looks="One `/=` at the top averages everything below it, and changes the caller's array as well, because a "
              "reshape is only another view of it.",
        why="It looks like a tidy way to take the mean once for weight, bias and input.",
        training="Each linear layer that the gradient passes divides it once more. Measured: the loss stays high, and "
                 "the small model gets hardly a word right.",
        case="linear: linear"),
    Bug(name="linear-bias-gradient-averaged",
        title="The gradient of the bias is a mean over the rows instead of a sum.",
        function=LINEAR + "linear_backward",
        old="d_y_rows.sum(axis=0)",
        new="d_y_rows.mean(axis=0)",
        looks="The weight's gradient is a sum over all rows, the bias's a mean.",
        why="Averaging over the batch sounds right. But every row adds the same bias, so that it gets the sum of all "
            "their gradients.",
        training="Measured: nothing to see. Adam divides each gradient by its own size, and a constant factor drops "
                 "out. With plain gradient descent the biases would stand nearly still.",
        seen=(("https://github.com/kvfrans/notes/issues/5",
               "The notes' derivation took the mean over the batch for the bias's gradient; a reader compared it with "
               "jax and found that it must be the sum."),),
        case="linear: linear"),
    Bug(name="linear-bias-gradient-over-all-axes",
        title="The gradient of the bias is summed over its features too.",
        function=LINEAR + "linear_backward",
        old="d_y_rows.sum(axis=0)",
        new="d_y_rows.sum()",
        looks="A sum without an axis gives one number, which broadcasting then adds to the gradient of every feature.",
        why="The axis is forgotten, and nothing complains: a single number fits any shape.",
        training="All biases of a layer move together for ever. Measured: the small model's weights make up for it, "
                 "and it learns as well as without the bug.",
        seen=(("https://github.com/rasbt/stat453-deep-learning-ss21/issues/5",
               "Softmax regression from scratch summed the bias's gradient without an axis, and all three biases came "
               "out equal."),),
        case="linear: linear"),
    Bug(name="linear-bias-gradient-over-the-batch-alone",
        title="The gradient of the bias is summed over the sequences, not over their tokens.",
        function=LINEAR + "linear_backward",
        old="d_y_rows.sum(axis=0)",
        new="d_y.sum(axis=0)",
        looks="For d_y of shape (B, T, out) the sum over axis 0 leaves (T, out).",
        why="The layer was written for inputs of two axes (batch, features), where axis 0 is all there is, and was "
            "then used on sequences.",
        training="A shape error at the first step, as (T, out) does not fit the bias. A test on inputs of two axes "
                 "never sees it.",
        case="linear: linear"),
    Bug(name="linear-bias-gradient-forgotten",
        title="The bias gets no gradient.",
        function=LINEAR + "Linear.backward",
        old="self.bias.grad += d_bias",
        new="pass",
        looks="The gradient is computed and dropped; the bias keeps its initial zeros.",
        why="The bias was added to the layer later, and the backward pass was not looked at again.",
        training="Measured: the small model learns as well with all its biases at 0, so that no loss curve shows it.",
        case="linear: Linear"),
    Bug(name="linear-gradient-overwritten",
        title="The weight's gradient is assigned instead of added to.",
        function=LINEAR + "Linear.backward",
        old="self.weight.grad += d_weight",
        new="self.weight.grad[...] = d_weight",
        looks="`=` where `+=` belongs: the last backward pass wins.",
        why="With one backward pass a step, and gradients cleared in between, both give the same.",
        training="Nothing in the small model. When a batch is computed in parts, the gradients of all parts but the "
                 "last are lost; when two layers share the weight, that of whichever came first.",
        case="linear: Linear",
        form="contract"),
    Bug(name="linear-cache-kept",
        title="The cache survives the backward pass.",
        function=LINEAR + "Linear.backward",
        old="self.saved(d_y)",
        new="self._saved[0]",
        looks="A second backward pass, without a forward pass before it, runs and adds the gradient again.",
        why="The cache is read like any attribute, and nobody takes it away.",
        training="Nothing as long as forward and backward passes alternate. A backward pass too many adds the gradient "
                 "of an old batch, and no error tells of it.",
        case="linear: Linear",
        form="contract"),
]
