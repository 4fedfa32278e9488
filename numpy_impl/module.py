"""Parameters, and the base class of every layer and model."""

import contextlib
import threading

from numpy_impl import checks, initialization

_mode = threading.local()


@contextlib.contextmanager
def no_grad():
    """Inside, forward passes keep nothing for a backward pass (as torch.no_grad)."""
    previous, _mode.no_grad = is_grad_enabled(), True
    try:
        yield
    finally:
        _mode.no_grad = not previous


def is_grad_enabled():
    """True unless the current thread is inside `no_grad()`."""
    return not getattr(_mode, "no_grad", False)


class Parameter:
    """An array that training changes, with the gradient of the loss with respect to it.

    data: the values. grad: an array of the same shape; every backward pass adds to it (`zero_grad` clears it).
    """

    def __init__(self, data):
        self.data = data
        self.grad = initialization.zeros_like(data)

    @property
    def shape(self):
        """That of the values."""
        return self.data.shape

    @property
    def dtype(self):
        """That of the values."""
        return self.data.dtype

    def __repr__(self):
        return f"Parameter(shape={self.shape}, dtype={self.dtype})"


class Module:
    """A layer or a model: owns parameters and other modules, and one cache.

    `forward` saves what `backward` needs; `backward(d_y)` returns the gradients of forward's arguments and adds to
    the gradients of the parameters. A module instance is one node of the computation graph: one forward, then at
    most one backward. Sharing weights means sharing the Parameter, not the module. Between the two passes neither the
    inputs nor the parameters may change: the cache holds the arrays themselves, not copies.
    """

    def __init__(self):
        self.training = True    # train() and eval() switch it: dropout and batch statistics depend on it
        self.plain = False      # use_plain() switches it: the textbook form of an operation instead of the lean one
        self.path = ""          # where the module stands in its model, such as "encoder.layers.0"
        self._saved = None
        self._buffers = {}

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, Module):
            for inner, module in value.named_modules():
                module.path = f"{name}.{inner}".rstrip(".")

    # What a backward pass needs

    def save_for_backward(self, cache, y):
        """Keep `cache` for the next backward pass, and the shape and dtype of the output y, unless in `no_grad()`."""
        self._saved = (cache, y.shape, y.dtype) if is_grad_enabled() else None

    def saved(self, d_y, name="d_y"):
        """The cache of the last forward pass, once.

        d_y: the gradient of that pass's output. name: what the caller calls it, for the error.
        Raises RuntimeError if there is no cache, ValueError or TypeError unless d_y has the output's shape and dtype.
        """
        if self._saved is None:
            where = f" at {self.path!r}" if self.path else ""
            raise RuntimeError(f"{type(self).__name__}{where}: backward needs a forward pass before it, outside "
                               "no_grad(); each forward pass serves one backward pass")
        cache, shape, dtype = self._saved
        checks.gradient(name, d_y, shape, dtype)
        self._saved = None
        return cache

    # The tree of modules, in order of construction

    def _children(self):
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Module))

    def named_modules(self):
        """Yield (path, module) for this module (path "") and all below it; as torch's."""
        yield "", self
        for name, child in self._children():
            for inner, module in child.named_modules():
                yield f"{name}.{inner}".rstrip("."), module

    def modules(self):
        """Yield this module and all below it."""
        return (module for _, module in self.named_modules())

    def _named_tensors(self):
        """Yield (path, owner, attribute) of every parameter and buffer; a shared parameter once per place."""
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) or name in module._buffers:
                    yield f"{path}.{name}".lstrip("."), module, name

    def named_parameters(self):
        """Yield (path, Parameter); a parameter that is shared comes once, under its first path; as torch's."""
        seen = set()
        for path, module, name in self._named_tensors():
            value = getattr(module, name)
            if isinstance(value, Parameter) and id(value) not in seen:
                seen.add(id(value))
                yield path, value

    def parameters(self):
        """Yield every Parameter once."""
        return (parameter for _, parameter in self.named_parameters())

    def num_parameters(self):
        """How many numbers training changes; shared parameters count once."""
        return sum(parameter.data.size for parameter in self.parameters())

    # State

    def register_buffer(self, name, array):
        """An array that belongs to the state but is not trained, such as BatchNorm's running mean."""
        self._buffers[name] = True
        setattr(self, name, array)

    def state_dict(self):
        """All parameters and buffers as {path: array}. The arrays are the module's own, not copies."""
        state = {}
        for path, module, name in self._named_tensors():
            value = getattr(module, name)
            state[path] = value.data if isinstance(value, Parameter) else value
        return state

    def load_state_dict(self, state):
        """Copy `state` ({path: array}) into the parameters and buffers.

        Raises ValueError if a name is missing or unknown, or a shape or dtype differs; then nothing is changed.
        """
        own = self.state_dict()
        checks.state("state", state, own)
        for path, array in own.items():
            array[...] = state[path]

    # Modes

    def train(self, mode=True):
        """Training mode: dropout is active, BatchNorm uses the batch's statistics. Returns self."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Evaluation mode: dropout is off, BatchNorm uses its running statistics. Returns self."""
        return self.train(False)

    def use_plain(self, mode=True):
        """Plain forms of all operations, the ones that the book derives, instead of the lean ones. Returns self."""
        for module in self.modules():
            module.plain = mode
        return self

    def set_dropout(self, seed, step, first_row=0):
        """Choose the dropout masks of the next forward pass.

        seed: int, of the whole training run. step: int, the optimizer step. first_row: int, where this batch
        begins in the step's whole batch (for gradient accumulation). Equal numbers give equal masks in both twins.
        """
        for module in self.modules():
            module.dropout_seed, module.dropout_step, module.dropout_first_row = seed, step, first_row

    def zero_grad(self):
        """Clear the gradient of every parameter."""
        for parameter in self.parameters():
            parameter.grad.fill(0)


class ModuleList(Module):
    """Modules in a row, named "0", "1", ... as torch's."""

    def __init__(self, modules):
        super().__init__()
        self._list = list(modules)
        for index, module in enumerate(self._list):
            setattr(self, str(index), module)

    def __iter__(self):
        return iter(self._list)

    def __reversed__(self):
        return reversed(self._list)

    def __getitem__(self, index):
        return self._list[index]

    def __len__(self):
        return len(self._list)
