"""Cases of layers/normalization.py."""

import dataclasses

from parity_tests.harness.cases import Case
from parity_tests.harness.catalog.linear import rows


def function(name):
    return lambda twin, dtype, rng: getattr(twin.layers.normalization, name)


def layer(name, d_model, **options):
    return lambda twin, dtype, rng: getattr(twin.layers.normalization, name)(d_model, dtype=dtype, **options)


def arrays(shape, *vectors):
    """Inputs: x of this shape, vectors of its width by name (a variance is positive), and eps."""
    def inputs(rng, dtype):
        values = {"x": rng.standard_normal(shape)}
        for name in vectors:
            values[name] = rng.uniform(0.5, 2, shape[-1]) if name == "variance" else rng.standard_normal(shape[-1])
        return {name: value.astype(dtype) for name, value in values.items()} | {"eps": 1e-5}
    return inputs


def draw_running_statistics(module, rng):
    module.running_mean[...] = rng.standard_normal(module.d_model)
    module.running_variance[...] = rng.uniform(0.5, 2, module.d_model)


LAYER_NORM_OMITTED = {
    "layer_norm_lean_backward": ("d_scaled", "d_std", "d_variance", "d_squared", "d_centered", "d_mean")}

BATCH_NORM = Case("normalization: BatchNorm1d", layer("BatchNorm1d", 5), rows(4, 3, 5), prepare=draw_running_statistics)

CASES = [
    Case("normalization: layer_norm", function("layer_norm"), arrays((2, 3, 5), "gamma", "beta"),
         omitted=LAYER_NORM_OMITTED),
    Case("normalization: LayerNorm", layer("LayerNorm", 5), rows(2, 3, 5), omitted=LAYER_NORM_OMITTED),
    Case("normalization: rms_norm", function("rms_norm"), arrays((2, 3, 5), "gamma")),
    Case("normalization: RMSNorm", layer("RMSNorm", 6), rows(2, 3, 6)),
    Case("normalization: batch_norm", function("batch_norm"), arrays((4, 3, 5), "gamma", "beta", "mean", "variance"),
         frozen=("mean", "variance")),
    Case("normalization: batch_norm_training", function("batch_norm_training"), arrays((4, 3, 5), "gamma", "beta"),
         outputs_without_gradient=(1, 2)),
    Case("normalization: LayerNorm of (N, D)", layer("LayerNorm", 5), rows(4, 5), omitted=LAYER_NORM_OMITTED),
    Case("normalization: LayerNorm of four axes", layer("LayerNorm", 5), rows(2, 2, 3, 5), omitted=LAYER_NORM_OMITTED),
    Case("normalization: RMSNorm of (N, D)", layer("RMSNorm", 6), rows(4, 6)),
    Case("normalization: RMSNorm of four axes", layer("RMSNorm", 6), rows(2, 2, 3, 6)),
    BATCH_NORM,
    dataclasses.replace(BATCH_NORM, name="normalization: BatchNorm1d of (N, D)", inputs=rows(7, 5)),
    dataclasses.replace(BATCH_NORM, name="normalization: BatchNorm1d of one sequence", inputs=rows(1, 7, 5)),
    dataclasses.replace(BATCH_NORM, name="normalization: BatchNorm1d in evaluation", training=False),
    dataclasses.replace(BATCH_NORM, name="normalization: BatchNorm1d of (N, D) in evaluation", inputs=rows(7, 5),
                        training=False),
    # Large, so that a layer that ignores them is noticed.
    Case("normalization: LayerNorm, eps", layer("LayerNorm", 5, eps=0.1), rows(2, 3, 5), omitted=LAYER_NORM_OMITTED),
    Case("normalization: RMSNorm, eps", layer("RMSNorm", 6, eps=0.1), rows(2, 3, 6)),
    dataclasses.replace(BATCH_NORM, name="normalization: BatchNorm1d, eps and momentum",
                        build=layer("BatchNorm1d", 5, eps=0.1, momentum=0.3)),
    dataclasses.replace(BATCH_NORM, name="normalization: BatchNorm1d in evaluation, eps",
                        build=layer("BatchNorm1d", 5, eps=0.1), training=False),
]
