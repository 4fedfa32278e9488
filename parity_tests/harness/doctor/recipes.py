"""Inputs of each primitive in any sizes, and what may be simplified in them.

The sizes have names, so that a factor in a learner's gradient can be called by its name: "it is D times too large".
Where sizes differ in two runs and the factor goes with one of them, that one it is.
"""

import numpy as np

EPS = 1e-5


def axes(text):
    """The names of an array's axes."""
    return tuple(text.split())


def _mask(rng, size):
    """(B, 1, Tq, Tk): some keys hidden; the last sequence has a row that may attend to nothing."""
    mask = rng.random((size["B"], 1, size["Tq"], size["Tk"])) < 0.7
    mask[:, :, :, 0] = True
    mask[-1, :, -1] = False
    return mask


def _keep(*axes, p):
    return lambda rng, size: rng.random([size[axis] for axis in axes]) >= p


def _ids(rng, size):
    """(B, T): ids that repeat, with padding (0), the last row of the table never used."""
    ids = rng.integers(0, size["V"] - 1, (size["B"], size["T"]))
    ids.flat[:4] = 0, 1, 1, 0
    return ids


def _targets(rng, size):
    """(B, T): some of them ignored."""
    targets = rng.integers(0, size["V"], (size["B"], size["T"]))
    targets[rng.random(targets.shape) < 0.3] = -1
    targets.flat[:2] = -1, size["V"] - 1
    return targets


def _positive(*axes):
    return lambda rng, size: rng.uniform(0.5, 2, [size[axis] for axis in axes])


# The axes of an array that is drawn; or a function that draws; anything else is a constant.
RECIPES = {
    "linear": {"x": axes("B T d_in"), "weight": axes("d_out d_in"), "bias": axes("d_out")},
    "relu": {"x": axes("B T D")}, "gelu_erf": {"x": axes("B T D")}, "gelu_tanh": {"x": axes("B T D")},
    "sigmoid": {"x": axes("B T D")}, "silu": {"x": axes("B T D")}, "tanh": {"x": axes("B T D")},
    "softmax": {"x": axes("B T K"), "axis": -1},
    "log_softmax": {"x": axes("B T K"), "axis": -1},
    "cross_entropy": {"logits": axes("B T V"), "targets": _targets, "ignore_index": -1, "label_smoothing": 0.1},
    "dropout": {"x": axes("B T D"), "keep": _keep("B", "T", "D", p=0.3), "p": 0.3},
    "embedding": {"ids": _ids, "weight": axes("V D"), "padding_idx": 0, "scale": 1.7},
    "layer_norm": {"x": axes("B T D"), "gamma": axes("D"), "beta": axes("D"), "eps": EPS},
    "rms_norm": {"x": axes("B T D"), "gamma": axes("D"), "eps": EPS},
    "batch_norm": {"x": axes("B T D"), "gamma": axes("D"), "beta": axes("D"), "mean": axes("D"),
                   "variance": _positive("D"), "eps": EPS},
    "batch_norm_training": {"x": axes("B T D"), "gamma": axes("D"), "beta": axes("D"), "eps": EPS},
    "add_positions": {"x": axes("B T D"), "weight": axes("L D")},
    "rotate_pairs": {"x": axes("B H T Dh"), "cos": axes("T Dh/2"), "sin": axes("T Dh/2"), "layout": "half"},
    "split_heads": {"x": axes("B T D"), "num_heads": lambda rng, size: size["H"]},
    "merge_heads": {"heads": axes("B H T Dh")},
    "repeat_heads": {"heads": axes("B H T Dh"), "group_size": lambda rng, size: size["G"]},
    "scaled_dot_product_attention": {
        "query": axes("B H Tq d_k"), "key": axes("B H Tk d_k"), "value": axes("B H Tk d_v"), "mask": _mask,
        "keep": _keep("B", "H", "Tq", "Tk", p=0.4), "p": 0.4},
}

# No two sizes of one primitive are equal, in either. D is a multiple of H where heads are split.
SIZES = (
    {"B": 2, "T": 3, "D": 10, "H": 5, "Tq": 4, "Tk": 3, "d_k": 6, "d_v": 7, "d_in": 5, "d_out": 4, "K": 5, "V": 7,
     "L": 8, "Dh": 6, "Dh/2": 3, "G": 4},
    {"B": 3, "T": 4, "D": 14, "H": 2, "Tq": 5, "Tk": 7, "d_k": 10, "d_v": 6, "d_in": 6, "d_out": 7, "K": 8, "V": 9,
     "L": 6, "Dh": 8, "Dh/2": 4, "G": 3},
)
MEANING = {
    "B": "the batch size", "T": "the number of tokens of a sequence", "D": "the number of features",
    "H": "the number of heads",
    "Tq": "the number of queries", "Tk": "the number of keys", "d_k": "the width of a head",
    "d_v": "the width of a value", "d_in": "the number of inputs", "d_out": "the number of outputs",
    "K": "the number of classes", "V": "the size of the vocabulary", "L": "the length of the table",
    "Dh": "the width of a head", "G": "the size of a group of heads",
}


def draw(name, rng, sizes, dtype="float64"):
    """{argument: value} of a primitive in these sizes."""
    inputs = {}
    for argument, recipe in RECIPES[name].items():
        if callable(recipe):
            inputs[argument] = recipe(rng, sizes)
        elif isinstance(recipe, tuple):
            inputs[argument] = rng.standard_normal([sizes[axis] for axis in recipe])
        else:
            inputs[argument] = recipe
        if isinstance(inputs[argument], np.ndarray) and inputs[argument].dtype.kind == "f":
            inputs[argument] = inputs[argument].astype(dtype)
    return inputs


def sizes_of(name, inputs):
    """{name of the size: number} of a primitive's inputs; of an unknown primitive, the lengths of the axes by
    number."""
    sizes = {}
    for argument, value in inputs.items():
        if not isinstance(value, np.ndarray):
            continue
        names = RECIPES.get(name, {}).get(argument)
        if isinstance(names, tuple):
            sizes |= dict(zip(reversed(names), reversed(value.shape)))
        elif name not in RECIPES and value.dtype.kind == "f":
            sizes |= {f"{argument}.shape[{axis}]": length for axis, length in enumerate(value.shape)}
    for argument, size in (("num_heads", "H"), ("group_size", "G")):
        if isinstance(inputs.get(argument), int):
            sizes[size] = inputs[argument]
    return sizes


def _simplify(argument, change):
    def apply(inputs):
        value = inputs.get(argument)
        return {**inputs, argument: change(value)} if isinstance(value, np.ndarray) else None
    return apply


def _constant(argument, value):
    def apply(inputs):
        return {**inputs, argument: value} if argument in inputs and inputs[argument] not in (value,) else None
    return apply


def _without_mask(inputs):
    return {**inputs, "mask": None} if isinstance(inputs.get("mask"), np.ndarray) else None


def _without_full_row(inputs):
    mask = inputs.get("mask")
    return {**inputs, "mask": mask | ~mask.any(axis=-1, keepdims=True)} if isinstance(mask, np.ndarray) else None


def _without_dropout(inputs):
    return {**inputs, "keep": None, "p": 0.0} if isinstance(inputs.get("keep"), np.ndarray) else None


def _all_counted(inputs):
    if "targets" not in inputs:
        return None
    return {**inputs, "targets": abs(inputs["targets"])}


def _unique_ids(inputs):
    """Each id at most once, the padding among them."""
    return {**inputs, "ids": np.arange(len(inputs["weight"]) - 1)[None]} if "ids" in inputs else None


def _no_padding(inputs):
    if "ids" not in inputs or inputs.get("padding_idx") is None:
        return None
    return {**inputs, "padding_idx": None}


def _mean_zero(inputs):
    x = inputs.get("x")
    return {**inputs, "x": x - x.mean(axis=-1, keepdims=True)} if isinstance(x, np.ndarray) else None


def _positive_x(inputs):
    return {**inputs, "x": abs(inputs["x"])} if isinstance(inputs.get("x"), np.ndarray) else None


# (condition, change of the inputs or None where it does not apply, what it tells)
PROBES = (
    ("gamma = 1", _simplify("gamma", np.ones_like),
     "gamma stands at the wrong place, or is missing: follow it through each step that you take back"),
    ("beta = 0", _simplify("beta", np.zeros_like), "beta gets into a gradient where it does not belong"),
    ("bias = 0", _simplify("bias", np.zeros_like), "the bias gets into a gradient where it does not belong"),
    ("there is no dropout", _without_dropout, "dropout's mask, or its factor 1 / (1 - p), is missing or misplaced"),
    ("no row is fully masked", _without_full_row,
     "a query that may attend to nothing must have a gradient of 0"),
    ("there is no mask", _without_mask, "what the mask hides is not treated as the forward pass treats it"),
    ("label_smoothing = 0", _constant("label_smoothing", 0.0),
     "smoothing gives every class, the target's too, label_smoothing / V, and the target 1 - label_smoothing on top"),
    ("no target is ignored", _all_counted, "rows whose target is ignored are treated wrongly, or counted"),
    ("each id occurs once", _unique_ids,
     "an id that occurs several times must collect the gradients of all its places"),
    ("there is no padding id", _no_padding, "the padding's row must get no gradient"),
    ("scale = 1", _constant("scale", 1.0), "the scale of the forward pass is missing or misplaced"),
    ("each row of x has the mean 0", _mean_zero, "the way through the mean is treated wrongly"),
    ("eps = 0", _constant("eps", 0.0), "eps does not stand where the forward pass has it"),
    ("all x are positive", _positive_x, "look at where x is negative"),
)
SIZE_PROBES = (
    ("B = 1", {"B": 1}, "look at what is shared by the batch: what is summed or averaged over it"),
    ("T = 1", {"T": 1}, "look at what is shared by the tokens of a sequence"),
    ("there is one head", {"H": 1}, "look at how the heads are taken apart and put together"),
    ("there is one query", {"Tq": 1}, "look at the sums over queries and over keys"),
    ("each group has one head", {"G": 1}, "look at what the heads of a group share"),
    ("d_in = d_out", {"d_in": 4, "d_out": 4}, "an axis is taken for the other"),
    ("there are as many queries as keys", {"Tq": 4, "Tk": 4}, "an axis is taken for the other"),
)
