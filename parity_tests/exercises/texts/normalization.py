"""Exercises on layers/normalization.py."""

from functools import partial

from parity_tests.exercises.model import Exercise

Norm = partial(Exercise, module="numpy_impl.layers.normalization")

EXERCISES = [
    Norm(
        name="batch_norm",
        title="shift and scale by constants",
        difficulty=2,
        after=("linear",),
        task=(
            "In evaluation `batch_norm` shifts and scales each feature by a mean and a variance that are given: "
            "constants that need no gradient. Return the gradients of x, gamma and beta."),
        shapes={"d_y": "(..., D)", "std": "(D,)", "x_hat": "(..., D)", "gamma": "(D,)", "d_x": "(..., D)",
                "d_gamma": "(D,)", "d_beta": "(D,)"},
        hints=(
            "With mean and std constant, what is left of the formula for one feature? And which of the names are "
            "shared by all rows?",
            "From the last line to the first: y = scaled + beta: both get d_y, and beta, which was broadcast, the "
            "sum over rows. scaled = x_hat * gamma: a product, so each gets d_scaled times the other; gamma, "
            "broadcast as well, the sum over rows. x_hat = (x - mean) / std: only x moves, and it's divided by a "
            "constant.",
            "For a row n and a feature i: d_beta[i] = Σ_n d_y[n, i]; d_gamma[i] = Σ_n d_y[n, i] · x_hat[n, i]; "
            "d_x_hat[n, i] = d_y[n, i] · gamma[i]; d_x[n, i] is d_x_hat[n, i] divided by std[i]. Σ_n runs over all "
            "leading axes, be they one or two; the result has the shape (D,)."),
        why=(
            "With constant statistics each feature is a line with the slope gamma / std, and each number of x is on "
            "its own. Only gamma and beta are shared, so only they collect a sum. It is worth keeping this case in "
            "mind: the norms to come differ from it just by statistics that depend on x.")),
    Norm(
        name="rms_norm",
        title="a statistic that depends on x",
        difficulty=3,
        after=("silu", "batch_norm"),
        task=(
            "`rms_norm` divides each row of x by the root of its mean square, then scales by gamma. Return the "
            "gradients of x and gamma. rms depends on x, which is the point of this exercise."),
        shapes={"d_y": "(..., D)", "x": "(..., D)", "rms": "(..., 1)", "x_hat": "(..., D)", "gamma": "(D,)",
                "d_x": "(..., D)", "d_gamma": "(D,)"},
        hints=(
            "How does one x reach the loss? Once as the numerator of its own x_hat, and once through rms, by which "
            "all features of its row are divided. Which of the two would be missing if rms were a constant?",
            "From the last line to the first: y = x_hat * gamma: d_gamma (a sum over rows) and d_x_hat. x_hat = x / "
            "rms, a quotient: a part for x, and d_rms, summed over the row, with a minus. rms = sqrt(mean_square + "
            "eps): the slope of the root. mean_square = the mean of D squares: each gets the same share. squared = x "
            "* x: the second part for x. Add the two.",
            "Within a row, with Σ_j over its D features, kept as an axis of length 1: d_x_hat[i] = d_y[i] · "
            "gamma[i]. d_rms = -Σ_j d_x_hat[j] · x_hat[j] / rms, since x / rms² is x_hat / rms. d_mean_square is "
            "d_rms divided by twice rms. d_squared[i] is a D-th of that. d_x[i] = d_x_hat[i] / rms + 2 · x[i] · "
            "d_squared[i]. d_gamma[i] sums d_y[n, i] · x_hat[n, i] over all rows n."),
        why=(
            "x is read twice, as numerator and in its own scale. The second part takes off what lies along x_hat: to "
            "make the whole row longer changes nothing but for eps, so the loss can't depend on that direction. "
            "gamma belongs inside the sum over features, because it differs from feature to feature.")),
    Norm(
        name="layer_norm",
        title="three ways from x to y",
        difficulty=4,
        after=("rms_norm",),
        task=(
            "`layer_norm` shifts and scales each row of x to mean 0 and variance 1, then by gamma and beta. Return "
            "the gradients of all three. Mean and variance both depend on x. Go one line at a time; the closed "
            "formula that you may find elsewhere is what comes out in the end."),
        shapes={"d_y": "(..., D)", "centered": "(..., D)", "std": "(..., 1)", "x_hat": "(..., D)", "gamma": "(D,)",
                "d_x": "(..., D)", "d_gamma": "(D,)", "d_beta": "(D,)"},
        hints=(
            "x reaches y in three ways: as itself, through the mean, and through the variance. Which names are read "
            "by two lines? The gradient of such a name is complete only when the parts of both lines are there.",
            "From the last line to the first: y = scaled + beta and scaled = x_hat * gamma: d_beta and d_gamma, sums "
            "over rows; d_x_hat. x_hat = centered / std: a part of d_centered, and d_std, a sum over features. std = "
            "sqrt(...): d_variance. variance = the mean of squared: a D-th each. squared = centered * centered: the "
            "other part of d_centered; add. centered = x - mean: x gets d_centered, and mean, with a minus, its sum "
            "over features. mean = the mean of x: a D-th each, on top of the rest of d_x.",
            "Within a row, Σ_j over its D features, kept as an axis of length 1: d_x_hat[i] = d_y[i] · gamma[i], and "
            "gamma stays inside all sums. d_std = -Σ_j d_x_hat[j] · x_hat[j] / std. d_variance is d_std divided by "
            "twice std. d_centered[i] = d_x_hat[i] / std + 2 · centered[i] · d_variance / D. d_mean = -Σ_j "
            "d_centered[j]. d_x[i] is d_centered[i] plus a D-th of d_mean. Over all rows n: d_beta[i] = Σ_n d_y[n, "
            "i], d_gamma[i] = Σ_n d_y[n, i] · x_hat[n, i]."),
        why=(
            "`centered` is read twice and x is read twice, so two sums of parts appear. What comes out has a "
            "meaning: x_hat stays the same if a row is shifted or made longer, so d_x has no part along the row of "
            "ones and, but for eps, none along x_hat. The collapsed form takes just these two parts off. A backward "
            "pass that takes gamma out of the means looks right as long as all gammas are 1, which they are at the "
            "start.")),
    Norm(
        name="batch_norm_training",
        title="statistics of the batch",
        difficulty=4,
        after=("layer_norm",),
        task=(
            "In training `batch_norm_training` takes mean and variance of each feature from the batch itself, over "
            "all N rows. Return the gradients of x, gamma and beta. The mean and variance that it returns for the "
            "running averages carry no gradient."),
        shapes={"d_y": "(..., D)", "centered": "(N, D)", "std": "(D,)", "x_hat": "(N, D)", "gamma": "(D,)",
                "count": "N, an int", "d_x": "(..., D)", "d_gamma": "(D,)", "d_beta": "(D,)"},
        hints=(
            "Compare the lines with those of layer_norm: what is the same, and along which axis does each sum run "
            "now?",
            "Fold d_y to N rows, as x was. Then as in layer_norm, with rows and features exchanged: d_beta, d_gamma "
            "and d_x_hat; the quotient gives a part of d_centered, and d_std summed over rows; the root; the mean of "
            "N squares; the square gives the other part of d_centered; the mean takes off the rest. At last give d_x "
            "the shape of x.",
            "For each feature on its own, with Σ_m over the N rows: d_x_hat[n] = d_y[n] · gamma. d_std = -Σ_m "
            "d_x_hat[m] · x_hat[m] / std. d_variance is d_std divided by twice std. d_centered[n] = d_x_hat[n] / std "
            "+ 2 · centered[n] · d_variance / N. d_mean = -Σ_m d_centered[m]. d_rows[n] is d_centered[n] plus an "
            "N-th of d_mean. N is `count`: all rows, so batch times length for a (B, T, D) input."),
        why=(
            "It is layer_norm with the axes exchanged: each feature is normalized over the rows. So a row's gradient "
            "depends on all other rows of the batch, which makes this norm awkward for sequences. gamma is a "
            "constant within the sums here and could be taken out of them, unlike in layer_norm.")),
    Norm(
        name="LayerNorm",
        title="a module collects the gradients of its parameters",
        difficulty=2,
        after=("batch_norm",),
        task=(
            "A module owns parameters. Its `backward` returns the gradient of its input and adds those of its "
            "parameters to their `.grad`, an array of the parameter's shape. The mathematics is done by the function "
            "`backward` that the forward pass has kept, together with its cache."),
        shapes={"d_y": "(..., d_model)", "backward": "the backward function to call", "cache": "its cache",
                "d_x": "(..., d_model)"},
        hints=(
            "How long does a gradient live? That of the input is handed on at once. That of a parameter is needed by "
            "the optimizer later, perhaps after several backward passes. So what must a second pass do to it?",
            "Two steps: call the kept function with the upstream gradient and its cache, which gives three "
            "gradients; then put each where it belongs. One is returned, two are accumulated; none is stored in the "
            "place of what was there before.",
            "The function gives d_x, d_gamma and d_beta, in this order. self.gamma.grad grows by d_gamma and "
            "self.beta.grad by d_beta: augmented assignment on the arrays themselves, so that whoever else holds "
            "them sees it. Return d_x alone."),
        why=(
            "A batch may come in several parts, and a weight may be used in two places: either way a parameter's "
            "gradient is a sum over several backward passes, and `=` would keep only the last one. Clearing is a "
            "step of its own, zero_grad(). It is the rule for forks again, over time.")),
]
