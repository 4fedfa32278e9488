"""Exercises on layers/embedding.py."""

from parity_tests.exercises.model import Exercise

EXERCISES = [
    Exercise(
        name="embedding",
        module="numpy_impl.layers.embedding",
        title="reading from a table",
        difficulty=2,
        after=("add_positions",),
        task=(
            "`embedding` copies a row of a table for each id and scales it. Return d_weight, the gradient of the "
            "whole table (ids are integers and have none). The row padding_idx, unless that is None, gets no "
            "gradient: this is a rule, as torch has it, not mathematics."),
        shapes={"d_y": "(..., D)", "ids": "(...)", "weight_shape": "(V, D) as numbers",
                "padding_idx": "an int, or None", "scale": "a float", "d_weight": "(V, D)"},
        hints=(
            "Rows are copied from a table. One whose id occurs three times was copied three times; another one not "
            "at all. What must their gradients be?",
            "y = rows * scale: a constant factor. rows = weight[ids]: reading at places given by an array. "
            "Backwards, each row of the gradient is *added* to the table's gradient at its id, beginning with zeros. "
            "Beware: NumPy's indexed += adds only one of several rows that have the same id. Look for an unbuffered "
            "addition, or write the sum as a product with a one-hot matrix. Leave out the padding.",
            "d_weight[v, i] = scale · Σ d_y[n, i] over all n with ids[n] = v, where n counts all places: flatten the "
            "ids to (N,) and d_y to (N, D). Either `np.add.at` on zeros of the shape (V, D) and the dtype of d_y; or "
            "a product of a (V, N) matrix, which is 1 at (ids[n], n) and else 0, by the (N, D) gradients. For v = "
            "padding_idx the sum is empty, if padding_idx is not None (0 is a valid id)."),
        why=(
            "Looking up rows is the product of a one-hot matrix with the table, so the gradient is the transposed "
            "one-hot matrix times the gradient of the rows: repeated ids collect, unused rows stay 0. The matrix is "
            "almost all 0, so it is stored as a sparse one, which is many times faster than np.add.at.")),
]
