"""Exercises on layers/losses.py."""

from parity_tests.exercises.model import Exercise

EXERCISES = [
    Exercise(
        name="cross_entropy",
        module="numpy_impl.layers.losses",
        title="where every backward pass begins",
        difficulty=4,
        after=("log_softmax", "embedding"),
        task=(
            "`cross_entropy` is the mean of -log(probability of the target) over the targets that count. Return "
            "d_logits. Targets equal to ignore_index do not count: `counted` is False there, and `classes` holds any "
            "class. With label_smoothing ε above 0 the target gets 1 - ε and all V classes share ε. You may call "
            "`log_softmax_backward`. The gradient must have the dtype of the logits."),
        shapes={"d_loss": "()", "counted": "(...)", "count": "what the sum was divided by, an int", "classes": "(...)",
                "label_smoothing": "a float", "log_softmax_cache": "for log_softmax_backward",
                "shape": "the shape of the logits, (..., V) as numbers", "dtype": "that of the logits",
                "d_logits": "(..., V)"},
        hints=(
            "Which rows of the logits can have a gradient at all? And within such a row: without smoothing the loss "
            "reads the target's log-probability alone, but which logits does that depend on?",
            "From the last line to the first: loss = total / count; total = the sum: the same gradient for every "
            "loss; losses = where(counted, -smoothed, 0): a minus, and 0 for what is ignored; smoothed: a weighted "
            "sum, so picked and row_mean get their weights; row_mean: each of V classes the same share; picked = one "
            "place in each row: its gradient goes to that place, all others get 0; add both parts. Then "
            "`log_softmax_backward`.",
            "d_smoothed[n] is -d_loss divided by count where n is counted, else 0. With ε for label_smoothing, "
            "d_log_probabilities[n, v] = d_smoothed[n] · ((1 - ε) · [v is classes[n]] + ε / V), where [...] is 1 or "
            "0; comparing classes, with an axis more, and np.arange(V) gives the brackets. Hand that and the cache "
            "to log_softmax_backward. Make the array in the cached dtype, as d_loss may be a Python float. What "
            "comes out, for each counted row, is probabilities minus smoothed target, times d_loss, over the count."),
        why=(
            "The loss reads one log-probability of a row, but log-softmax spreads its gradient over the whole row: "
            "probabilities minus what was wanted, divided by the count. It vanishes where the prediction equals the "
            "target distribution, and a row sums to 0. Ignored rows get exactly 0, and count is the number of "
            "targets that count, not of rows: otherwise padding would make the gradient smaller. The collapsed form "
            "writes that sentence down, in the memory of the probabilities.")),
]
