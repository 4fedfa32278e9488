"""Exercises on layers/linear.py."""

from parity_tests.exercises.model import Exercise

EXERCISES = [
    Exercise(
        name="linear",
        module="numpy_impl.layers.linear",
        title="a product of matrices",
        difficulty=2,
        after=("relu",),
        task=(
            "`linear` multiplies each row of x by the transposed weight and adds the bias. Return the gradients of "
            "x, weight and bias. x may have any number of leading axes; the forward pass folds them into one, N rows "
            "in all. Without a bias its gradient is None."),
        shapes={"d_y": "(..., d_out)", "rows": "(N, d_in)", "weight": "(d_out, d_in)", "bias": "(d_out,), or None",
                "x_shape": "the shape of x", "d_x": "(..., d_in)", "d_weight": "(d_out, d_in)",
                "d_bias": "(d_out,), or None"},
        hints=(
            "All N rows use the same weight and the same bias. What becomes of the gradients of something that is "
            "used N times? And write the shapes down: a gradient has the shape of what it is the gradient of, which "
            "leaves little choice for the products.",
            "From the last line to the first: undo the reshape, so that d_y has N rows too. y_rows = product + bias: "
            "both get the gradient, and the bias, which every row adds, collects that of all rows. product = rows @ "
            "weight.T: two gradients, each a product of matrices of d_product and the other factor. rows = "
            "x.reshape: the gradient takes the shape of x again.",
            "In numbers, product[n, o] = Σ_i rows[n, i] · weight[o, i]. So d_weight[o, i] = Σ_n d_product[n, o] · "
            "rows[n, i]: a (d_out, N) by an (N, d_in) matrix, the first one transposed. d_rows[n, i] = Σ_o "
            "d_product[n, o] · weight[o, i]: (N, d_out) by (d_out, d_in), nothing transposed. d_bias[o] is the sum "
            "of d_product[n, o] over all n, so over every leading axis of d_y, not over the first alone."),
        why=(
            "Write a product of matrices as a sum over an index, and its two gradients are sums over the other "
            "indices: each is again a product of matrices. Weight and bias are shared by all rows, so their "
            "gradients are summed over rows, for the weight by the product itself. Folding the leading axes into one "
            "makes that a single large product, whatever the shape of x.")),
]
