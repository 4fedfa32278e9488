"""Cases of layers/losses.py."""

from parity_tests.harness.cases import Case

NUM_CLASSES = 7
# The lean form calls no log_softmax, and has its own names for what leads from the logits to the losses.
OMITTED = {"log_softmax": ("*",),
           "cross_entropy_lean": ("log_probabilities", "picked", "smoothed"),
           "cross_entropy_lean_backward": ("d_log_probabilities", "d_picked", "d_smoothed", "d_losses", "d_total")}
SMOOTHED_OMITTED = OMITTED | {name: (*OMITTED[name], d + "row_mean")
                              for name, d in (("cross_entropy_lean", ""), ("cross_entropy_lean_backward", "d_"))}


def predictions(*shape, ignore_index):
    """Inputs: logits (*shape, V) and targets of this shape, some of them ignored."""
    def inputs(rng, dtype):
        logits = rng.standard_normal((*shape, NUM_CLASSES)).astype(dtype)
        targets = rng.integers(0, NUM_CLASSES, shape)
        targets[rng.random(shape) < 0.3] = ignore_index
        targets.flat[:2] = ignore_index, NUM_CLASSES - 1
        return {"logits": logits, "targets": targets}
    return inputs


def function(name, **options):
    """A case of `cross_entropy`, with its defaults where `options` has nothing."""
    def inputs(rng, dtype):
        drawn = predictions(2, 5, ignore_index=options.get("ignore_index", -100))(rng, dtype)
        return {**drawn, **options}
    return Case(f"losses: {name}", lambda twin, dtype, rng: twin.layers.losses.cross_entropy, inputs,
                omitted=SMOOTHED_OMITTED if "label_smoothing" in options else OMITTED)


def module(name, *shape, **options):
    """A case of `CrossEntropyLoss`, with its defaults where `options` has nothing."""
    return Case(f"losses: {name}", lambda twin, dtype, rng: twin.layers.losses.CrossEntropyLoss(**options),
                predictions(*shape, ignore_index=options.get("ignore_index", -100)),
                omitted=SMOOTHED_OMITTED if "label_smoothing" in options else OMITTED)


CASES = [
    function("cross_entropy"),
    function("cross_entropy with smoothing", ignore_index=-1, label_smoothing=0.1),
    function("cross_entropy of a part of a batch", ignore_index=3, label_smoothing=0.1, target_count=20),
    module("CrossEntropyLoss", 2, 5),
    module("CrossEntropyLoss with padding", 3, 4, ignore_index=0, label_smoothing=0.1),
    module("CrossEntropyLoss of rows", 6, label_smoothing=0.3),
]
