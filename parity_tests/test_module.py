"""module.py: parameters, the tree of modules, state, modes, and what a backward pass needs."""

import threading

import numpy as np
import pytest
import torch

import numpy_impl.module
import torch_impl.module
from numpy_impl import initialization
from numpy_impl.layers.linear import Linear
from numpy_impl.layers.normalization import BatchNorm1d
from numpy_impl.models.config import TransformerConfig
from numpy_impl.module import Module, ModuleList, Parameter, is_grad_enabled, no_grad
from parity_tests.harness.runs import NUMPY, TORCH

CONFIG = TransformerConfig(11, 11, d_model=8, num_heads=2, num_encoder_layers=2, num_decoder_layers=1, d_ff=12)
each_twin = pytest.mark.parametrize("twin", [NUMPY, TORCH], ids=["numpy", "torch"])


def transformers(**changes):
    config = TransformerConfig(**{**CONFIG.to_json(), **changes})
    return [twin.models.transformer.Transformer(config, rng=0, dtype="float64") for twin in (NUMPY, TORCH)]


def make_tree(twin, array):
    """A module with all that a module may hold, declared in an order that is not the alphabet's."""
    module = twin.module

    class Leaf(module.Module):
        def __init__(self):
            super().__init__()
            self.weight = module.Parameter(array([[1.0, 2.0]]))
            self.bias = None
            self.register_buffer("average", array([5.0]))

    class Tree(module.Module):
        def __init__(self):
            super().__init__()
            self.zeta = Leaf()
            self.scale = module.Parameter(array([3.0]))
            self.leaves = module.ModuleList(Leaf() for _ in range(2))
            self.alpha = Leaf()
            self.alpha.weight = self.zeta.weight
            self.size = 7

    return Tree()


TREES = {"numpy": lambda: make_tree(NUMPY, np.array), "torch": lambda: make_tree(TORCH, torch.tensor)}


# The tree, as torch has it


@pytest.mark.parametrize("changes", [{}, {"tie_weights": False}, {"norm_first": True}], ids=str)
def test_the_tree_is_torchs(changes):
    ours, theirs = transformers(**changes)
    assert [path for path, _ in ours.named_modules()] == [path for path, _ in theirs.named_modules()]
    assert [type(module).__name__ for module in ours.modules()] == [
        type(module).__name__ for module in theirs.modules()]
    assert [path for path, _ in ours.named_parameters()] == [path for path, _ in theirs.named_parameters()]
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert ours.num_parameters() == theirs.num_parameters()


@pytest.mark.parametrize("changes", [{}, {"tie_weights": False}], ids=str)
def test_the_same_seed_gives_the_same_bits(changes):
    ours, theirs = transformers(**changes)
    state = theirs.state_dict()
    for path, array in ours.state_dict().items():
        np.testing.assert_array_equal(array, state[path].numpy(), strict=True)


def test_tied_weights_count_once_and_stand_at_each_place():
    ours, theirs = transformers()
    names = [path for path, _ in ours.named_parameters()]
    assert "source_embedding.weight" in names and "output_projection.weight" not in names
    state = ours.state_dict()
    assert state["output_projection.weight"] is state["source_embedding.weight"] is state["target_embedding.weight"]
    untied, _ = transformers(tie_weights=False)
    assert untied.num_parameters() - ours.num_parameters() == 2 * 11 * 8


def test_every_module_knows_its_path():
    for model in transformers():
        for path, module in model.named_modules():
            assert module.path == path


def test_a_tree_of_all_kinds_is_torchs():
    ours, theirs = TREES["numpy"](), TREES["torch"]()
    assert [path for path, _ in ours.named_modules()] == [path for path, _ in theirs.named_modules()] == [
        "", "zeta", "leaves", "leaves.0", "leaves.1", "alpha"]
    assert [path for path, _ in ours.named_parameters()] == [path for path, _ in theirs.named_parameters()] == [
        "scale", "zeta.weight", "leaves.0.weight", "leaves.1.weight"]
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert ours.num_parameters() == theirs.num_parameters() == 7
    assert ours.leaves[1].path == theirs.leaves[1].path == "leaves.1"


@each_twin
def test_moving_a_module_moves_its_paths(twin):
    trunk = twin.module.Module()
    trunk.branch = TREES[twin.name.partition("_")[0]]()
    assert trunk.branch.leaves[0].path == "branch.leaves.0"
    root = twin.module.Module()
    root.trunk = trunk
    assert trunk.branch.leaves[0].path == "trunk.branch.leaves.0"
    assert root.path == ""


def test_module_list_is_a_sequence():
    modules = [Linear(2, 2), Linear(2, 3), Linear(2, 4)]
    row = ModuleList(iter(modules))
    assert len(row) == 3 and list(row) == modules and list(reversed(row)) == modules[::-1]
    assert row[0] is modules[0] and row[-1] is modules[2]
    assert list(ModuleList([])) == []
    assert [path for path, _ in row.named_parameters()] == [
        path for path, _ in torch_impl.module.ModuleList(torch.nn.Linear(2, 2) for _ in range(3)).named_parameters()]


# Parameters


def test_parameter():
    data = np.arange(6.0, dtype="float32").reshape(2, 3)
    parameter = Parameter(data)
    assert parameter.data is data and parameter.shape == (2, 3) and parameter.dtype == np.float32
    assert parameter.grad.dtype == np.float32 and not parameter.grad.any() and parameter.grad.shape == (2, 3)
    assert repr(parameter) == "Parameter(shape=(2, 3), dtype=float32)"


def test_backward_adds_and_zero_grad_clears(rng):
    linear = Linear(3, 2, rng=0, dtype="float64")
    x, d_y = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    grad = linear.weight.grad
    for _ in range(2):
        linear(x)
        linear.backward(d_y)
    np.testing.assert_array_equal(linear.weight.grad, 2 * (d_y.T @ x))
    linear.weight.grad[0] = np.nan
    linear.zero_grad()
    assert linear.weight.grad is grad and not grad.any() and not linear.bias.grad.any()


# State


def test_state_dict_holds_the_arrays_themselves():
    norm = BatchNorm1d(3)
    assert norm.state_dict()["gamma"] is norm.gamma.data
    norm.state_dict()["running_mean"][...] = 7
    assert (norm.running_mean == 7).all()


def test_load_state_dict_copies_into_the_arrays():
    source, target = transformers()[0], transformers()[0]
    rng = np.random.default_rng(1)
    state = {path: rng.standard_normal(array.shape) for path, array in source.state_dict().items()}
    state["output_projection.weight"] = state["target_embedding.weight"] = state["source_embedding.weight"]
    data = target.source_embedding.weight.data
    target.load_state_dict(state)
    assert target.source_embedding.weight.data is data
    for path, array in target.state_dict().items():
        np.testing.assert_array_equal(array, state[path])


@pytest.mark.parametrize("change, message", [
    (lambda state: state.pop("scale"), r"missing names \['scale'\] and unknown names \[\]"),
    (lambda state: state.update(other=np.ones(1)), r"missing names \[\] and unknown names \['other'\]"),
    (lambda state: state.update({"alpha.average": np.ones(2)}), r"state\['alpha.average'\] is float64\[2\], "
                                                                r"must be float64\[1\]"),
    (lambda state: state.update({"alpha.average": np.ones(1, "float32")}), r"is float32\[1\], must be float64\[1\]"),
    (lambda state: state.update({"alpha.average": np.ones((1, 1))}), r"is float64\[1, 1\]"),
])
def test_load_state_dict_is_strict_and_changes_nothing_otherwise(change, message):
    tree = TREES["numpy"]()
    before = {path: array.copy() for path, array in tree.state_dict().items()}
    state = {path: array + 1 for path, array in before.items()}
    change(state)
    with pytest.raises(ValueError, match=message):
        tree.load_state_dict(state)
    for path, array in tree.state_dict().items():
        np.testing.assert_array_equal(array, before[path])


# Modes


@each_twin
def test_train_and_eval_reach_every_module(twin):
    tree = TREES[twin.name.partition("_")[0]]()
    assert all(module.training for module in tree.modules())
    assert tree.eval() is tree and not any(module.training for module in tree.modules())
    assert tree.train() is tree and all(module.training for module in tree.modules())
    tree.leaves.train(False)
    assert [module.training for module in tree.modules()] == [True, True, False, False, False, True]


def test_use_plain_reaches_every_module():
    model, _ = transformers()
    assert not any(module.plain for module in model.modules())
    assert model.use_plain() is model and all(module.plain for module in model.modules())
    assert not any(module.plain for module in model.use_plain(False).modules())


def test_set_dropout_reaches_every_module():
    for model in transformers():
        model.set_dropout(3, 4, first_row=5)
        for module in model.modules():
            assert (module.dropout_seed, module.dropout_step, module.dropout_first_row) == (3, 4, 5)


# What a backward pass needs


def test_backward_without_forward_names_the_module(rng):
    model, _ = transformers()
    with pytest.raises(RuntimeError, match="^Linear at 'encoder.layers.1.feed_forward.sublayer.up': backward needs"):
        model.encoder.layers[1].feed_forward.sublayer.up.backward(rng.standard_normal((1, 1, 12)))
    with pytest.raises(RuntimeError, match="^Linear: backward needs a forward pass before it"):
        Linear(2, 2).backward(rng.standard_normal((1, 2)))


def test_each_forward_serves_one_backward():
    linear = Linear(2, 2)
    x = np.ones((1, 2), "float32")
    linear(x)
    linear(x)    # a second forward replaces the first one's cache
    linear.backward(x)
    with pytest.raises(RuntimeError, match="each forward pass serves one backward pass"):
        linear.backward(x)
    linear(x)
    linear.backward(x)


def test_every_module_of_a_model_keeps_one_cache_and_hands_it_out_once():
    model, _ = transformers(dropout=0.0)
    ids = np.array([[1, 2, 3], [4, 5, 0]])
    with no_grad():
        model(ids, ids)
    assert all(module._saved is None for module in model.modules())
    logits = model(ids, ids)
    assert any(module._saved is not None for module in model.modules())
    model.backward(np.ones_like(logits))
    assert all(module._saved is None for module in model.modules())
    with pytest.raises(RuntimeError, match="^Linear at 'output_projection'"):
        model.backward(np.ones_like(logits))


@pytest.mark.parametrize("error, match, d_y", [
    (ValueError, r"d_y has shape \(1, 2\), must be \(2, 2\), as the forward's output", np.ones((1, 2), "float32")),
    (TypeError, "d_y has dtype float64, must be float32, as the forward's output", np.ones((2, 2))),
    (TypeError, "d_y is a list, must be an ndarray", [[1.0, 1.0], [1.0, 1.0]]),
])
def test_the_gradient_must_fit_the_output(error, match, d_y):
    linear = Linear(2, 2)
    y = linear(np.ones((2, 2), "float32"))
    with pytest.raises(error, match=match):
        linear.backward(d_y)
    linear.backward(np.ones_like(y))    # the cache is still there


def test_attention_and_loss_name_their_gradients():
    attention = NUMPY.layers.attention.SelfAttention(4, 2)
    attention(np.ones((1, 2, 4), "float32"))
    with pytest.raises(ValueError, match=r"d_output has shape \(2, 4\), must be \(1, 2, 4\)"):
        attention.backward(np.ones((2, 4), "float32"))
    loss = NUMPY.layers.losses.CrossEntropyLoss()
    for d_loss in (1, 1.0, np.float64(1), np.ones((), "float32")):
        loss(np.ones((2, 3), "float32"), np.array([1, 2]))
        assert loss.backward(d_loss).dtype == "float32"
    loss(np.ones((2, 3), "float32"), np.array([1, 2]))
    with pytest.raises(ValueError, match=r"d_loss has shape \(2,\), must be \(\)"):
        loss.backward(np.ones(2, "float32"))


@pytest.mark.parametrize("plain", [False, True])
def test_a_backward_belongs_to_its_forward(plain):
    """use_plain() between the two changes nothing for a pass that has begun."""
    model, _ = transformers(activation="gelu_tanh")
    for module, inputs in [
            (model, (np.array([[1, 2, 3]]),) * 2),
            (NUMPY.layers.softmax.Softmax(), (np.eye(3),)), (NUMPY.layers.softmax.LogSoftmax(), (np.eye(3),)),
            (NUMPY.layers.losses.CrossEntropyLoss(), (np.eye(3), np.array([0, 1, 2])))]:
        y = module.eval().use_plain(plain)(*inputs)
        module.use_plain(not plain).backward(np.ones_like(y))


def test_no_grad_forgets_an_earlier_cache():
    linear = Linear(2, 2)
    x = np.ones((1, 2), "float32")
    linear(x)
    with no_grad():
        linear(x)
    with pytest.raises(RuntimeError, match=r"outside no_grad\(\)"):
        linear.backward(x)


def test_no_grad_nests_and_ends_with_an_error():
    assert is_grad_enabled()
    with no_grad():
        with no_grad():
            assert not is_grad_enabled()
        assert not is_grad_enabled()
    assert is_grad_enabled()
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()


def test_no_grad_holds_for_its_own_thread():
    seen = {}
    inside, done = threading.Event(), threading.Event()

    def other():
        with no_grad():
            inside.set()
            done.wait(10)
            seen["other"] = is_grad_enabled()

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    seen["this"] = is_grad_enabled()
    with no_grad():
        pass
    done.set()
    thread.join()
    assert seen == {"this": True, "other": False}


# Without memory


@each_twin
def test_shapes_only(twin):
    config = TransformerConfig.preset("big", 37000, 37000)
    with initialization.shapes_only():
        model = twin.models.transformer.Transformer(config)
    assert model.num_parameters() == 214_245_376
    weight = model.encoder.layers[5].feed_forward.sublayer.up.weight
    assert tuple(weight.shape) == (4096, 1024)
    if twin is NUMPY:
        assert weight.data.strides == weight.grad.strides == (0, 0) and weight.grad.shape == weight.shape
    else:
        assert weight.is_meta
    assert not initialization.is_shapes_only()


def test_shapes_only_ends_with_an_error_and_nests():
    with pytest.raises(KeyError), initialization.shapes_only():
        with initialization.shapes_only():
            pass
        assert initialization.is_shapes_only()
        raise KeyError
    assert Linear(2, 2).weight.data.strides != (0, 0)


@pytest.mark.parametrize("std", [0.02, 3])
def test_normal(std):
    values = initialization.normal(0, std, (300, 100), "float64")
    assert abs(values.mean()) < 5 * std / np.sqrt(values.size)
    assert abs(values.std() / std - 1) < 5 / np.sqrt(2 * values.size)
    assert 3.5 * std < abs(values).max() < 6 * std    # a normal distribution's tails, not a uniform one's


def test_shapes_only_holds_for_its_own_thread():
    seen = []
    with initialization.shapes_only():
        thread = threading.Thread(target=lambda: seen.append(initialization.is_shapes_only()))
        thread.start()
        thread.join()
    assert seen == [False]


@each_twin
def test_initial_values_are_copies(twin):
    # Two models of one seed must not share an array.
    one, two = [twin.layers.linear.Linear(3, 3, rng=0) for _ in range(2)]
    array = one.weight.data if twin is NUMPY else one.weight.detach().numpy()
    array += 1
    assert not np.array_equal(array, two.weight.data if twin is NUMPY else two.weight.detach().numpy())


def test_torchs_initial_values_lie_as_its_own_arrays():
    """Else MKL's products, and so a resumed run, could differ in the last bit from process to process."""
    _, model = transformers()
    assert all(parameter.data_ptr() % 64 == 0 for parameter in model.parameters())


def test_a_base_module_has_no_forward():
    with pytest.raises(AttributeError, match="forward"):
        Module()(1)
    with pytest.raises(NotImplementedError):
        torch_impl.module.Module()(1)
    assert issubclass(numpy_impl.module.ModuleList, Module)
