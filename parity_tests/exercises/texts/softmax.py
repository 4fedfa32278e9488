"""Exercises on layers/softmax.py."""

from functools import partial

from parity_tests.exercises.model import Exercise

Softmax = partial(Exercise, module="numpy_impl.layers.softmax")

EXERCISES = [
    Softmax(
        name="softmax",
        title="everything in a row depends on everything",
        difficulty=3,
        after=("sigmoid", "linear"),
        task=(
            "`softmax` makes weights of a row of scores: positive, with the sum 1. Return d_x. A row of nothing but "
            "-inf has weights 0 and must get the gradient 0, not NaN; `divisor` is `total` except that it is 1 "
            "there. row_max needs no gradient, since y is the same for any shift. (The row lies along `axis`.)"),
        shapes={"d_y": "(..., K)", "exponentials": "(..., K)", "total": "(..., 1)", "divisor": "(..., 1)",
                "y": "(..., K)", "axis": "an int; K lies there, here the last one", "d_x": "(..., K)"},
        hints=(
            "Raise one score: its own weight grows, and all others of the row shrink, since all are divided by one "
            "total. So how does a single x reach the loss? Which name in the forward pass do all places of a row "
            "share?",
            "From the last line to the first: y = exponentials / divisor, a quotient: a part for the exponentials "
            "place by place, and d_divisor, summed over the row, with a minus. divisor = where(...): its gradient "
            "goes on to total, except where total was 0. total = the sum: every exponential of the row gets this "
            "gradient, which is its second part. exponentials = exp(shifted): exp is its own slope. The shift is a "
            "constant.",
            "Sums Σ_j run along axis and keep it with length 1. d_divisor = -Σ_j d_y[j] · y[j] / divisor, since "
            "exponentials / divisor² is y / divisor. d_total is d_divisor, or 0 where total is 0. d_exponentials[i] "
            "= d_y[i] / divisor + d_total. d_x[i] = d_exponentials[i] · exponentials[i]. To check: if all d_y of a "
            "row are equal, d_x is 0, for the weights of a row cannot but sum to 1."),
        why=(
            "Each exponential is read twice: as its own numerator, and in the total that divides the whole row. Put "
            "together, the steps say: take the mean of d_y off, weighted by y, and multiply by y. So a score gains "
            "only from what its weight does better than the mean of the row, and the gradients of a row sum to 0. "
            "The collapsed form is that sentence; it needs y alone.")),
    Softmax(
        name="log_softmax",
        title="the same in logarithms",
        difficulty=3,
        after=("softmax",),
        task=(
            "`log_softmax` gives the logarithms of the softmax: x minus the logarithm of the sum of exp(x). Return "
            "d_x. As in softmax the shift by the row's maximum needs no gradient."),
        shapes={"d_y": "(..., K)", "exponentials": "(..., K)", "total": "(..., 1)", "y": "(..., K)",
                "axis": "an int; K lies there, here the last one", "d_x": "(..., K)"},
        hints=(
            "y is x minus one number that the whole row shares. So there are two ways from an x to the loss: one is "
            "plain, the other goes through that number. Which y does each way reach?",
            "From the last line to the first: y = shifted - log_total: a part for shifted; log_total was taken from "
            "every place of the row, so its gradient is a sum over the row, with a minus. log_total = log(total): "
            "the slope of the logarithm. total = the sum: the same gradient for each exponential. exponentials = "
            "exp(shifted): exp is its own slope; this is the second part for shifted. Add.",
            "Sums Σ_j run along axis and keep it with length 1. The first part is d_y[i]. d_log_total = -Σ_j d_y[j]; "
            "d_total is that divided by total; each d_exponentials[i] equals it; the second part is "
            "d_exponentials[i] · exponentials[i]. Added up: d_y[i] minus the softmax at i times the row's sum of "
            "d_y. Not the mean: the sum."),
        why=(
            "exponentials / total is the softmax, exp(y). So the gradient is d_y less a share of the row's sum of "
            "d_y, and the shares are the probabilities. With a loss that picks one place, d_y is -1 there and 0 "
            "elsewhere, and the result is the well-known probabilities minus one-hot.")),
]
