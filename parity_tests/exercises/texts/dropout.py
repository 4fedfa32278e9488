"""Exercises on layers/dropout.py."""

from parity_tests.exercises.model import Exercise

EXERCISES = [
    Exercise(
        name="dropout",
        module="numpy_impl.layers.dropout",
        title="a product with constants",
        difficulty=1,
        after=("relu",),
        task=(
            "`dropout` sets the values of x to 0 where `keep` is False and scales the others by 1 / (1 - p); where "
            "keep is None it does nothing. Return d_x, for both cases. The cache holds the factor that each value "
            "met, or None."),
        shapes={"d_y": "(...)", "factor": "(...), or None", "d_x": "(...)"},
        hints=(
            "Chance has had its say once the mask is drawn. What is left is a product with an array of constants: "
            "what does a constant factor do to a gradient?",
            "There is one line to reverse, y = x * factor: each element of d_x is the element of d_y times the "
            "factor that its x met, 0 or 1 / (1 - p). If the cache holds None in the place of an array, the line was "
            "y = x.",
            "d_x[i] = d_y[i] · factor[i]. Use the factor of the forward pass as it is: do not draw again, do not "
            "divide by 1 - p a second time, and do not use a bare mask of 0 and 1, which would lose the scale. With "
            "None, d_x is d_y."),
        why=(
            "A value that was dropped has no influence on the loss, so its gradient is 0; a kept one was enlarged, "
            "so its gradient is enlarged just as much. All the rest follows from using one and the same factor in "
            "both passes, which is why it is in the cache.")),
]
