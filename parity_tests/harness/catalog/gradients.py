"""Cases of training/gradients.py."""

import numpy as np

from parity_tests.harness.cases import Case

SHAPES = {"weight": (5, 3), "bias": (5,), "scale": ()}


def clipped(description, max_norm):
    """A case of `clip_gradients`: three gradients, whose norm is about 5, and what becomes of them."""
    def build(twin, dtype, rng):
        def clip(weight, bias, scale):
            parameters = [(name, twin.module.Parameter(0 * gradient))
                          for name, gradient in (("weight", weight), ("bias", bias), ("scale", scale))]
            for (_, parameter), gradient in zip(parameters, (weight, bias, scale)):
                parameter.grad = gradient + 0    # a copy: gradients are scaled in place
            twin.training.gradients.clip_gradients(parameters, max_norm)
            return tuple(parameter.grad for _, parameter in parameters)
        return clip

    def inputs(rng, dtype):
        return {name: np.asarray(rng.standard_normal(shape), dtype) for name, shape in SHAPES.items()}

    return Case(f"gradients: clip_gradients, {description}", build, inputs, frozen=tuple(SHAPES),
                outputs_without_gradient=(0, 1, 2))


CASES = [clipped("norm above max_norm", 0.5), clipped("norm below max_norm", 50.0)]
