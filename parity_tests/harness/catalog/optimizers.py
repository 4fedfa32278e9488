"""Cases of training/optimizers.py: the update rules by themselves, and runs of each class."""

from parity_tests.harness.cases import Case

SHAPE = (4, 3)
STEPS = 20
VELOCITY, MOMENTS = ("velocity",), ("first_moment", "second_moment")
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3}
ADAM = {"step": 3, "lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.3}
DIRECTION = {name: ADAM[name] for name in ("step", "beta1", "beta2", "eps")}


def rule(name, arrays, constants):
    """A case of an update rule: these arrays, all of one shape, and these numbers. No gradient passes through it."""
    def inputs(rng, dtype):
        drawn = {array: rng.standard_normal(SHAPE) for array in arrays}
        if "second_moment" in drawn:
            drawn["second_moment"] = drawn["second_moment"] ** 2
        return {array: value.astype(dtype) for array, value in drawn.items()} | constants
    return Case(f"optimizers: {name}", lambda twin, dtype, rng: getattr(twin.training.optimizers, name), inputs,
                frozen=arrays, outputs_without_gradient=(0, 1, 2))


def rate(step):
    """A learning rate that changes from step to step."""
    return 0.1 / (1 + step)


def run(name, *, description="", **options):
    """A case of an optimizer class: 20 steps of one parameter; the outputs are the parameter and its moments."""
    def build(twin, dtype, rng):
        def steps(parameter, gradients):
            trained = twin.module.Parameter(parameter + 0)    # a copy: optimizers work in place
            optimizer = getattr(twin.training.optimizers, name)([("parameter", trained)], 0.1, **options)
            for step, gradient in enumerate(gradients):
                optimizer.lr = rate(step)
                trained.grad = gradient + 0
                optimizer.step()
            optimizer.zero_grad()    # a gradient that is left over would be taken for that of a backward pass
            return trained.data, *optimizer.moments["parameter"]
        return steps

    def inputs(rng, dtype):
        return {"parameter": rng.standard_normal(SHAPE).astype(dtype),
                "gradients": rng.standard_normal((STEPS, *SHAPE)).astype(dtype)}

    return Case(f"optimizers: {name}, {STEPS} steps{description}", build, inputs, frozen=("parameter", "gradients"),
                outputs_without_gradient=(0, 1, 2))


CASES = [
    rule("sgd_update", ("parameter", "gradient", *VELOCITY), SGD),
    rule("adam_direction", ("gradient", *MOMENTS), DIRECTION),
    rule("adam_update", ("parameter", "gradient", *MOMENTS), ADAM),
    rule("adamw_update", ("parameter", "gradient", *MOMENTS), ADAM),
    run("SGD"),
    run("SGD", description=", momentum and decay", momentum=0.9, weight_decay=0.3),
    run("Adam"),
    run("Adam", description=", betas and decay", betas=(0.8, 0.98), weight_decay=0.3),
    run("AdamW"),
    run("AdamW", description=", large eps and decay", eps=0.1, weight_decay=0.3),
]
