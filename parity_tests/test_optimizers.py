"""The optimizers of both twins against each other, and against torch.optim."""

import numpy as np
import pytest
import torch

import numpy_impl.module
import numpy_impl.training.optimizers as numpy_optimizers
import torch_impl.module
import torch_impl.training.optimizers as torch_optimizers
from parity_tests.harness.against.optimizers import OTHERS
from parity_tests.harness.cases import pairs
from parity_tests.harness.catalog.optimizers import CASES as CATALOG

STEPS = 60
# One parameter is larger than a piece and no multiple of it, one is empty, one has a single number.
PIECE = 1000
SHAPES = {"embedding.weight": (31, 120), "linear.weight": (5, 3), "linear.bias": (5,), "norm.gamma": (3,),
          "scale": (), "nothing": (0, 4)}

# The class and its options, which torch.optim has too, and torch's names of the moments.
VELOCITY = {"velocity": "momentum_buffer"}
MOMENTS = {"first_moment": "exp_avg", "second_moment": "exp_avg_sq"}
CASES = {
    "sgd": ("SGD", {}, {}),
    "sgd-decay": ("SGD", {"weight_decay": 0.3}, {}),
    "sgd-momentum": ("SGD", {"momentum": 0.9}, VELOCITY),
    "sgd-momentum-decay": ("SGD", {"momentum": 0.7, "weight_decay": 0.3}, VELOCITY),
    "adam": ("Adam", {}, MOMENTS),
    "adam-decay": ("Adam", {"betas": (0.8, 0.98), "weight_decay": 0.3}, MOMENTS),
    "adam-large-eps": ("Adam", {"eps": 0.1}, MOMENTS),
    "adamw": ("AdamW", {}, MOMENTS),
    "adamw-decay": ("AdamW", {"betas": (0.9, 0.98), "eps": 1e-9, "weight_decay": 0.3}, MOMENTS),
    "adamw-large-eps": ("AdamW", {"eps": 0.1, "weight_decay": 0.3}, MOMENTS),
}
each_case = pytest.mark.parametrize("case", CASES)
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_twin = pytest.mark.parametrize("optimizers, module", [(numpy_optimizers, numpy_impl.module),
                                                           (torch_optimizers, torch_impl.module)],
                                    ids=["numpy", "torch"])


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """For every test: NumPy's updates go through the larger arrays in several pieces."""
    monkeypatch.setattr(numpy_optimizers, "_PIECE", PIECE)


def draw(seed, dtype):
    """Random arrays {path: array}, drawn in float32, so that both dtypes get the same numbers."""
    rng = np.random.default_rng(seed)
    return {path: rng.standard_normal(shape).astype("float32").astype(dtype).reshape(shape)
            for path, shape in SHAPES.items()}


def rate(step):
    return 0.02 * (1 + step % 7) / 7


class NumpyRun:
    """Parameters and their optimizer; `step` sets the rate and all gradients, then steps."""

    def __init__(self, name, options, dtype, groups=lambda pairs: pairs):
        self.parameters = {path: numpy_impl.module.Parameter(array) for path, array in draw(0, dtype).items()}
        self.optimizer = getattr(numpy_optimizers, name)(groups(list(self.parameters.items())), 0.1, **options)

    def step(self, gradients, lr):
        self.optimizer.lr = lr
        for path, parameter in self.parameters.items():
            parameter.grad[...] = gradients[path]
        self.optimizer.step()

    def values(self):
        return {path: parameter.data for path, parameter in self.parameters.items()} | self.optimizer.state_dict()


class TorchRun:
    """The same with the torch twin."""

    def __init__(self, name, options, dtype, groups=lambda pairs: pairs):
        self.parameters = {path: torch_impl.module.Parameter(torch.tensor(array))
                           for path, array in draw(0, dtype).items()}
        self.optimizer = getattr(torch_optimizers, name)(groups(list(self.parameters.items())), 0.1, **options)

    def step(self, gradients, lr):
        self.optimizer.lr = lr
        for path, parameter in self.parameters.items():
            parameter.grad = torch.tensor(gradients[path])
        self.optimizer.step()

    def values(self):
        parameters = {path: parameter.detach().numpy() for path, parameter in self.parameters.items()}
        return parameters | self.optimizer.state_dict()


class OracleRun:
    """The same with torch.optim."""

    def __init__(self, name, options, dtype, groups=None):
        self.parameters = {path: torch.nn.Parameter(torch.tensor(array)) for path, array in draw(0, dtype).items()}
        parameters = groups(list(self.parameters.items())) if groups else self.parameters.values()
        self.optimizer = getattr(torch.optim, name)(parameters, lr=0.1, **options)

    def step(self, gradients, lr):
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        for path, parameter in self.parameters.items():
            parameter.grad = torch.tensor(gradients[path])
        self.optimizer.step()

    def values(self, moments):
        values = {path: parameter.detach().numpy() for path, parameter in self.parameters.items()}
        for ours, theirs in moments.items():
            for path, parameter in self.parameters.items():
                values[f"{ours}/{path}"] = self.optimizer.state[parameter][theirs].numpy()
        return values


def assert_identical(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].dtype == theirs[name].dtype, name
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name, strict=True)


def error(ours, theirs, dtype="float64"):
    """Largest difference between {name: array}, in eps of `dtype` times the largest number of the same kind.

    The kinds are the parameters and each sort of moment: within one array, all numbers may happen to be near 0.
    """
    worst = 0.0
    for kind in {name.split("/")[0] if "/" in name else "" for name in theirs} - {"step"}:
        names = [name for name in theirs if (name.startswith(f"{kind}/") if kind else name in SHAPES)]
        a, b = [np.concatenate([values[name].ravel() for name in names]).astype("float64") for values in (ours, theirs)]
        assert np.isfinite(a).all() and np.isfinite(b).all()
        worst = max(worst, np.abs(a - b).max() / np.abs(b).max() / np.finfo(dtype).eps)
    return worst


@pytest.mark.parametrize("case, form", pairs(CATALOG), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@each_dtype
@each_case
def test_the_twins_agree(case, dtype):
    # Both compute the same elementwise operations in the same order, and IEEE 754 rounds each of them correctly: the
    # same bits. Only torch's square root (MKL's) may be off by one eps, and with it the parameters of Adam and, where
    # these decay into the gradient, its moments. The parameter's own rounding makes that 2 eps a step at worst.
    name, options, _ = CASES[case]
    ours, theirs = NumpyRun(name, options, dtype), TorchRun(name, options, dtype)
    for step in range(STEPS):
        gradients = draw(step + 1, dtype)
        ours.step(gradients, rate(step))
        theirs.step(gradients, rate(step))
        ours_now, theirs_now = ours.values(), theirs.values()
        same_bits = [path for path in ours_now if name == "SGD" or path not in SHAPES and case != "adam-decay"]
        assert_identical({path: ours_now[path] for path in same_bits}, {path: theirs_now[path] for path in same_bits})
        assert error(ours_now, theirs_now, dtype) <= 2 * (step + 1)


@each_case
def test_as_torch_optim_in_float64(case):
    name, options, moments = CASES[case]
    ours, oracle = NumpyRun(name, options, "float64"), OracleRun(name, options, "float64")
    for step in range(STEPS):
        gradients = draw(step + 1, "float64")
        ours.step(gradients, rate(step))
        oracle.step(gradients, rate(step))
        # torch orders the operations otherwise. A step rounds a number (or its moment) about twice, by half an eps, in
        # either program: 2 eps a step at worst.
        assert error(ours.values(), oracle.values(moments)) <= 2 * (step + 1)


@each_case
def test_as_near_to_float64_as_torch_optim_in_float32(case):
    name, options, moments = CASES[case]
    ours, oracle = NumpyRun(name, options, "float32"), OracleRun(name, options, "float32")
    exact = OracleRun(name, options, "float64")
    for step in range(STEPS):
        gradients = draw(step + 1, "float32")
        for run in (ours, oracle):
            run.step(gradients, rate(step))
        exact.step({path: gradient.astype("float64") for path, gradient in gradients.items()}, rate(step))
    assert all(array.dtype == np.float32 for name, array in ours.values().items() if name != "step")
    reference = exact.values(moments)
    bound = max(8, 4 * error(oracle.values(moments), reference, "float32"))
    assert error(ours.values(), reference, "float32") <= bound


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_groups_have_their_own_weight_decay(name):
    def groups(pairs, key, pick):
        first, second, third = pairs[:1], pairs[1:3], pairs[3:]
        return [{key: [pick(pair) for pair in first], "weight_decay": 0.5},
                {key: [pick(pair) for pair in second], "weight_decay": 0.0},
                {key: [pick(pair) for pair in third]}]

    options = {"weight_decay": 0.1}
    ours = NumpyRun(name, options, "float64", lambda pairs: groups(pairs, "named_parameters", lambda pair: pair))
    twin = TorchRun(name, options, "float64", lambda pairs: groups(pairs, "named_parameters", lambda pair: pair))
    oracle = OracleRun(name, options, "float64", lambda pairs: groups(pairs, "params", lambda pair: pair[1]))
    for step in range(STEPS):
        gradients = draw(step + 1, "float64")
        for run in (ours, twin, oracle):
            run.step(gradients, rate(step))
    assert error(ours.values(), twin.values()) <= 2 * STEPS
    assert error(ours.values(), oracle.values({})) <= 2 * STEPS


@each_twin
def test_parameter_groups_decay_matrices_only_and_shared_parameters_once(optimizers, module):
    def parameter(*shape):
        array = np.ones(shape)
        return module.Parameter(array if module is numpy_impl.module else torch.tensor(array))

    model, part = module.Module(), module.Module()
    model.weight, model.bias, model.filters = parameter(3, 2), parameter(3), parameter(2, 3, 4)
    part.gamma, part.tied, part.scale = parameter(3), model.weight, parameter()
    model.part = part
    decaying, others = optimizers.parameter_groups(model, 0.25)
    assert [path for path, _ in decaying["named_parameters"]] == ["weight", "filters"]
    assert [path for path, _ in others["named_parameters"]] == ["bias", "part.gamma", "part.scale"]
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.25, 0.0)
    optimizer = optimizers.AdamW([decaying, others], 0.1)
    assert [(path, decay) for path, _, decay in optimizer.entries] == [
        ("weight", 0.25), ("filters", 0.25), ("bias", 0.0), ("part.gamma", 0.0), ("part.scale", 0.0)]


# What the formulas say, without torch


def test_sgd_by_hand():
    parameter = numpy_impl.module.Parameter(np.array([1.0]))
    optimizer = numpy_optimizers.SGD([("w", parameter)], lr=0.5, momentum=0.5, weight_decay=0.25)
    parameter.grad[...] = 1.0
    optimizer.step()
    assert parameter.data == 1 - 0.5 * 1.25                      # the velocity is 1 + 0.25 * 1
    optimizer.step()
    assert parameter.data == 0.375 - 0.5 * (0.5 * 1.25 + 1 + 0.25 * 0.375)


@each_twin
@pytest.mark.parametrize("name, factor", [("Adam", 1.0), ("AdamW", 1 - 0.125 * 0.5)])
def test_the_first_step_of_adam_is_lr_in_the_direction_of_the_sign(optimizers, module, name, factor):
    # The bias corrections undo exactly what the factors 1 - beta did; here all numbers are powers of two.
    gradient = np.array([4.0, -0.25, 2.0**-40])
    weight_decay = 0.5 if name == "AdamW" else 0.0
    make = np.asarray if module is numpy_impl.module else torch.from_numpy
    parameter = module.Parameter(make(np.ones(3)))
    parameter.grad = make(gradient)
    getattr(optimizers, name)([("w", parameter)], 0.125, betas=(0.5, 0.75), eps=0.0, weight_decay=weight_decay).step()
    data = parameter.data if module is numpy_impl.module else parameter.detach().numpy()
    np.testing.assert_array_equal(data, factor - 0.125 * np.sign(gradient))


def test_adam_does_not_see_the_scale_of_the_gradients():
    once, scaled = [NumpyRun("Adam", {"eps": 0.0}, "float64") for _ in range(2)]
    for step in range(5):
        gradients = draw(step + 1, "float64")
        once.step(gradients, 0.1)
        scaled.step({path: gradient * 2.0**20 for path, gradient in gradients.items()}, 0.1)
    for path in SHAPES:
        np.testing.assert_array_equal(once.values()[path], scaled.values()[path])


# What the class promises


@pytest.mark.parametrize("update, moments", [("sgd_update", 1), ("adam_update", 2), ("adamw_update", 2)])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_an_update_rule_changes_no_argument(update, moments, library):
    rng = np.random.default_rng(0)
    arrays = [rng.random((3, 2)) for _ in range(2 + moments)]
    numbers = [0.1, 0.9, 0.3] if update == "sgd_update" else [1, 0.1, 0.9, 0.99, 1e-8, 0.3]
    arguments = arrays if library == "numpy" else [torch.tensor(array) for array in arrays]
    before = [array.copy() for array in arrays]
    getattr(numpy_optimizers if library == "numpy" else torch_optimizers, update)(*arguments, *numbers)
    for argument, array in zip(arguments, before):
        np.testing.assert_array_equal(np.asarray(argument), array)


@pytest.mark.parametrize("update, moments", [("sgd_update", 1), ("adam_update", 2), ("adamw_update", 2)])
def test_an_update_rule_keeps_float32(update, moments):
    arrays = [np.ones((3, 2), "float32") for _ in range(2 + moments)]
    numbers = [0.1, 0.9, 0.3] if update == "sgd_update" else [1, 0.1, 0.9, 0.99, 1e-8, 0.3]
    assert {array.dtype.name for array in getattr(numpy_optimizers, update)(*arrays, *numbers)} == {"float32"}


def test_parameters_keep_their_array_and_need_no_order():
    columns_first = np.asfortranarray(np.random.default_rng(0).standard_normal((50, 40)))
    rows_first = np.ascontiguousarray(columns_first)
    results = []
    for data in (columns_first, rows_first):
        parameter = numpy_impl.module.Parameter(data)
        parameter.grad[...] = data * data
        optimizer = numpy_optimizers.AdamW([("w", parameter)], 0.1)
        optimizer.step()
        assert parameter.data is data
        results.append(data)
    np.testing.assert_array_equal(*results)


def test_large_arrays_are_cut_into_pieces_and_small_ones_stay_whole():
    """The pieces are views of the same places, so that what is written to them reaches the parameter."""
    large, other = np.arange(2500.0).reshape(50, 50), np.zeros((50, 50))
    pieces = list(numpy_optimizers._pieces([large, other]))
    assert [(first.shape, second.shape) for first, second in pieces] == [((n,), (n,)) for n in (1000, 1000, 500)]
    assert all(np.shares_memory(first, large) and np.shares_memory(second, other) for first, second in pieces)
    np.testing.assert_array_equal(np.concatenate([first for first, _ in pieces]), large.reshape(-1))
    small = [np.zeros((10, 100)), np.ones((10, 100))]
    (first, second), = numpy_optimizers._pieces(small)
    assert first is small[0] and second is small[1]


@each_twin
def test_a_numpy_rate_does_not_promote(optimizers, module):
    run = (NumpyRun if module is numpy_impl.module else TorchRun)("AdamW", {}, "float32")
    run.step(draw(1, "float32"), np.float64(0.1))
    other = (NumpyRun if module is numpy_impl.module else TorchRun)("AdamW", {}, "float32")
    other.step(draw(1, "float32"), 0.1)
    assert_identical(run.values(), other.values())


@each_twin
def test_zero_grad(optimizers, module):
    run = (NumpyRun if module is numpy_impl.module else TorchRun)("SGD", {}, "float32")
    run.step({path: gradient * np.nan for path, gradient in draw(1, "float32").items()}, 0.1)
    run.optimizer.zero_grad()
    for parameter in run.parameters.values():
        assert not np.any(parameter.grad) if module is numpy_impl.module else parameter.grad is None


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_torch_skips_a_parameter_without_gradient(name):
    run = TorchRun(name, {"weight_decay": 0.5}, "float64")
    run.step(draw(1, "float64"), 0.1)
    before = {path: array.copy() for path, array in run.values().items()}
    run.optimizer.zero_grad()
    run.optimizer.step()
    assert_identical(run.values(), before | {"step": np.array(2)})


@each_twin
@pytest.mark.parametrize("arguments, options, exception, message", [
    ([[]], {}, ValueError, "parameters is empty"),
    ([["w"]], {}, TypeError, r"holds a str, must hold pairs \(path, Parameter\)"),
    ([[{"params": []}]], {}, ValueError, r"keys \['params'\], must have 'named_parameters'"),
    ([[{"named_parameters": [], "lr": 1}]], {}, ValueError, "a group has the keys"),
    ([[{"named_parameters": [], "weight_decay": -1}]], {}, ValueError, "weight_decay is -1, must be at least 0"),
    ([[{"named_parameters": []}, 3]], {}, TypeError, "holds groups and a int"),
    (None, {"lr": -0.1}, ValueError, "lr is -0.1, must be at least 0"),
    (None, {"lr": float("nan")}, ValueError, "lr is nan"),
    (None, {"lr": float("inf")}, ValueError, "lr is inf"),
    (None, {"lr": "0.1"}, TypeError, "lr is '0.1', must be a number"),
    (None, {"weight_decay": -0.1}, ValueError, "weight_decay is -0.1"),
    (None, {"betas": (1.0, 0.9)}, ValueError, "beta1 is 1.0"),
    (None, {"betas": (0.9, -0.5)}, ValueError, "beta2 is -0.5"),
    (None, {"eps": -1e-8}, ValueError, "eps is -1e-08"),
    (None, {"momentum": 1.0}, ValueError, "momentum is 1.0"),
])
def test_refuses(optimizers, module, arguments, options, exception, message):
    pairs = [("w", module.Parameter(np.ones(2) if module is numpy_impl.module else torch.ones(2)))]
    with pytest.raises(exception, match=message):
        (optimizers.SGD if "momentum" in options else optimizers.AdamW)(
            *(arguments or [pairs]), **{"lr": 0.1, **options})


@each_twin
def test_refuses_what_comes_twice(optimizers, module):
    one, two = [module.Parameter(np.ones(2) if module is numpy_impl.module else torch.ones(2)) for _ in range(2)]
    with pytest.raises(ValueError, match="'b' is the same parameter as 'a'"):
        optimizers.SGD([("a", one), ("b", one)], 0.1)
    with pytest.raises(ValueError, match="the path 'a' comes twice"):
        optimizers.SGD([("a", one), ("a", two)], 0.1)


# State


@each_case
@pytest.mark.parametrize("make_second", [NumpyRun, TorchRun])
@pytest.mark.parametrize("make_first", [NumpyRun, TorchRun])
def test_either_twin_goes_on_from_the_state_of_either(case, make_first, make_second):
    name, options, _ = CASES[case]
    first, second = make_first(name, options, "float64"), make_second(name, options, "float64")
    for step in range(4):
        first.step(draw(step + 1, "float64"), rate(step))
    stored = {path: array.copy() for path, array in first.values().items()}
    for path, parameter in second.parameters.items():
        parameter.data[...] = stored[path] if make_second is NumpyRun else torch.tensor(stored[path])
    second.optimizer.load_state_dict({path: array for path, array in stored.items() if path not in SHAPES})
    assert_identical(second.values(), first.values())
    for step in range(4, 8):
        for run in (first, second):
            run.step(draw(step + 1, "float64"), rate(step))
    if make_first is make_second:
        assert_identical(second.values(), first.values())
    assert error(second.values(), first.values()) <= 2 * 4


@each_twin
def test_a_loaded_state_is_copied(optimizers, module):
    run = (NumpyRun if module is numpy_impl.module else TorchRun)("AdamW", {}, "float64")
    state = {name: array + 1 for name, array in run.optimizer.state_dict().items()}
    run.optimizer.load_state_dict(state)
    run.step(draw(1, "float64"), 0.1)
    np.testing.assert_array_equal(state["first_moment/linear.bias"], np.ones(5))


@each_twin
@pytest.mark.parametrize("change, message", [
    (lambda state: state.pop("step"), r"missing names \['step'\]"),
    (lambda state: state.pop("second_moment/scale"), r"missing names \['second_moment/scale'\]"),
    (lambda state: state.update(extra=np.ones(1)), r"unknown names \['extra'\]"),
    (lambda state: state.update({"first_moment/linear.bias": np.ones(4)}), r"is float64\[4\], must be float64\[5\]"),
    (lambda state: state.update({"first_moment/linear.bias": np.ones(5, "float32")}), "is float32"),
    (lambda state: state.update(step=np.array(-1)), "'step'] is -1"),
    (lambda state: state.update(step=np.array(1.5)), "'step'] is float64"),
])
def test_refuses_a_foreign_state_and_changes_nothing(optimizers, module, change, message):
    run = (NumpyRun if module is numpy_impl.module else TorchRun)("Adam", {}, "float64")
    run.step(draw(1, "float64"), 0.1)
    before = {name: array.copy() for name, array in run.values().items()}
    state = {name: array + 1 for name, array in run.optimizer.state_dict().items()}
    change(state)
    with pytest.raises(ValueError, match=message):
        run.optimizer.load_state_dict(state)
    assert_identical(run.values(), before)
