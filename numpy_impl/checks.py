"""Checks of arguments, for both twins. An error names the argument, what it was and what it must be."""

import functools
import math
import numbers

import numpy as np


@functools.lru_cache(maxsize=None)    # NumPy takes microseconds to name a dtype
def dtype_name(dtype):
    """The name of a numpy or torch dtype: "float32", "int64", "bool"."""
    return str(dtype).removeprefix("torch.")


def parameter_dtype(dtype):
    """Return the name of `dtype` (string, numpy or torch dtype). Raises ValueError unless it is float32 or float64."""
    name = dtype_name(dtype) if not isinstance(dtype, type) else np.dtype(dtype).name
    if name not in ("float32", "float64"):
        raise ValueError(f"dtype is {name!r}, must be 'float32' or 'float64'")
    return name


def boolean(name, value):
    """Raises TypeError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, must be True or False")


def integer(name, value):
    """Raises TypeError unless `value` is an int (a NumPy integer will do)."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, must be an int")


def positive_int(name, value):
    """Raises TypeError unless `value` is an int, ValueError unless it is at least 1."""
    integer(name, value)
    if value < 1:
        raise ValueError(f"{name} is {value}, must be at least 1")


def index(name, value, size=None):
    """Raises TypeError unless `value` is an int, ValueError unless it is at least 0 and, with a size, below it."""
    integer(name, value)
    if value < 0 or size is not None and value >= size:
        raise ValueError(f"{name} is {value}, must be {_id_range(size)}")


def _id_range(size):
    return "at least 0" if size is None else f"at least 0 and below {size}"


def number(name, value):
    """Return the real number `value` as a Python float. Raises TypeError for anything else.

    A NumPy scalar would turn float32 arrays into float64 ones; a Python float takes on the array's dtype.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, must be a number")
    return float(value)


def not_negative(name, value):
    """Return `value` as a float, see `number`. Raises ValueError unless it is at least 0 and finite."""
    result = number(name, value)
    if not 0 <= result < math.inf:
        raise ValueError(f"{name} is {value!r}, must be at least 0 and finite")
    return result


def positive(name, value):
    """Return `value` as a float, see `number`. Raises ValueError unless it is above 0 and finite."""
    result = number(name, value)
    if not 0 < result < math.inf:
        raise ValueError(f"{name} is {value!r}, must be above 0 and finite")
    return result


def probability(name, value):
    """Return `value` as a float, see `number`. Raises ValueError unless it is at least 0 and below 1."""
    result = number(name, value)
    if not 0 <= result < 1:
        raise ValueError(f"{name} is {value!r}, must be at least 0 and below 1")
    return result


def proportion(name, value):
    """Return `value` as a float, see `number`. Raises ValueError unless it is at least 0 and at most 1."""
    result = number(name, value)
    if not 0 <= result <= 1:
        raise ValueError(f"{name} is {value!r}, must be at least 0 and at most 1")
    return result


def choice(name, value, choices):
    """Raises ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, must be one of {', '.join(map(repr, choices))}")


def activation_name(value):
    """Raises ValueError unless `value` names an activation, see `activations.activation`."""
    choice("activation", value, ("relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh"))


def array(name, value, array_type):
    """Raises TypeError unless `value` is of the twin's array type (np.ndarray or torch.Tensor)."""
    if not isinstance(value, array_type):
        wanted = "an ndarray" if array_type is np.ndarray else f"a {array_type.__name__}"
        raise TypeError(f"{name} is a {type(value).__name__}, must be {wanted}")


def gradient(name, value, shape, dtype):
    """Check the gradient of an output of this shape and dtype. Raises TypeError or ValueError.

    That of a loss, a number, may be a number too.
    """
    if shape == () and isinstance(value, numbers.Real):
        return
    array(name, value, np.ndarray)
    if value.shape != shape:
        raise ValueError(f"{name} has shape {value.shape}, must be {shape}, as the forward's output")
    if value.dtype != dtype:
        raise TypeError(f"{name} has dtype {value.dtype}, must be {dtype}, as the forward's output")


def activations(name, x, array_type, *, width=None, dtype=None, rank=None):
    """Check the activations `x`: (..., width), usually (B, T, D).

    rank: how many axes x must have, an int or a tuple of those that will do.
    Raises TypeError for another array type or dtype (`dtype`, or any of float32 and float64 where None), and
    ValueError for a wrong rank or width, or a sequence of length 0 (an empty batch is fine).
    """
    array(name, x, array_type)
    allowed = ("float32", "float64") if dtype is None else (dtype_name(dtype),)
    if dtype_name(x.dtype) not in allowed:
        raise TypeError(f"{name} has dtype {dtype_name(x.dtype)}, must be {' or '.join(allowed)}")
    ranks = rank if isinstance(rank, tuple) else (rank,)
    if x.ndim < 1 or rank is not None and x.ndim not in ranks:
        wanted = "at least 1" if rank is None else " or ".join(map(str, ranks))
        raise ValueError(f"{name} has shape {tuple(x.shape)}, must have {wanted} axes")
    if width is not None and x.shape[-1] != width:
        raise ValueError(f"{name} has shape {tuple(x.shape)}, its last axis must be {width}")
    if 0 in x.shape[1:]:
        raise ValueError(f"{name} has shape {tuple(x.shape)}, only its first axis (the batch) may be empty")


def ids(name, value, array_type, *, size=None, rank=None):
    """Check integer ids: each at least 0 and, with a size, below it.

    Raises TypeError for another array type or a dtype other than int32 and int64, ValueError for a wrong rank, an id
    out of range or a sequence of length 0.
    """
    array(name, value, array_type)
    if dtype_name(value.dtype) not in ("int32", "int64"):
        raise TypeError(f"{name} has dtype {dtype_name(value.dtype)}, must be int32 or int64")
    if rank is not None and value.ndim != rank:
        raise ValueError(f"{name} has shape {tuple(value.shape)}, must have {rank} axes")
    if 0 in value.shape[1:]:
        raise ValueError(f"{name} has shape {tuple(value.shape)}, only its first axis (the batch) may be empty")
    if not math.prod(value.shape):
        return
    lowest = int(value.min())
    highest = lowest if size is None else int(value.max())
    if lowest < 0 or size is not None and highest >= size:
        raise ValueError(f"{name} holds the id {lowest if lowest < 0 else highest}, must be {_id_range(size)}")


def mask(name, value, array_type, shape):
    """Check a boolean mask that broadcasts to `shape`; None is fine. Raises TypeError or ValueError."""
    if value is None:
        return
    _boolean_array(name, value, array_type)
    fits = value.ndim <= len(shape) and all(
        size in (1, wanted) for size, wanted in zip(reversed(tuple(value.shape)), reversed(tuple(shape))))
    if not fits:
        raise ValueError(f"{name} has shape {tuple(value.shape)}, must broadcast to {tuple(shape)}")


def _boolean_array(name, value, array_type):
    """Raises TypeError unless `value` is a boolean array of the twin's type."""
    array(name, value, array_type)
    if dtype_name(value.dtype) != "bool":
        raise TypeError(f"{name} has dtype {dtype_name(value.dtype)}, must be bool (True = may be attended to)")


def heads(d_model, num_heads, num_key_value_heads):
    """Check how d_model features are cut into heads. Raises TypeError or ValueError."""
    for name, value in (("d_model", d_model), ("num_heads", num_heads), ("num_key_value_heads", num_key_value_heads)):
        positive_int(name, value)
    if d_model % num_heads:
        raise ValueError(f"d_model is {d_model}, must be divisible by num_heads, {num_heads}")
    if num_heads % num_key_value_heads:
        raise ValueError(f"num_heads is {num_heads}, must be divisible by num_key_value_heads, {num_key_value_heads}")


def attention(names, query, key, value, attention_mask, array_type, d_model, num_heads, dtype):
    """Check that query (B, Tq, D), key and value (B, Tk, D) and the mask fit. Raises TypeError or ValueError.

    names: what the caller calls these four.
    """
    query_name, key_name, value_name, mask_name = names
    for name, x in ((query_name, query), (key_name, key), (value_name, value)):
        activations(name, x, array_type, width=d_model, dtype=dtype, rank=3)
    same_batch(key_name, key, query_name, query)
    if key.shape != value.shape:
        raise ValueError(f"{value_name} has shape {tuple(value.shape)}, must be {tuple(key.shape)}, as {key_name}'s")
    mask(mask_name, attention_mask, array_type, (query.shape[0], num_heads, query.shape[1], key.shape[1]))


def same_batch(name, value, other_name, other):
    """Raises ValueError unless the first axis of `value` is as long as that of the array `other`."""
    shape = tuple(np.shape(value))
    if shape[:1] != tuple(other.shape[:1]):
        owner = f"{other_name}'" if other_name.endswith("s") else f"{other_name}'s"
        raise ValueError(f"{name} has shape {shape}, its first axis (the batch) must be {other.shape[0]}, as {owner}")


def decoding(model, max_length):
    """Check what every way of decoding needs: evaluation mode, a length that fits. Raises TypeError or ValueError."""
    if model.training:
        raise ValueError("model is in training mode, must be in evaluation mode (model.eval()), without dropout")
    positive_int("max_length", max_length)
    if max_length > model.config.max_length:
        raise ValueError(f"max_length is {max_length}, must be at most the model's, {model.config.max_length}")


def beam(beam_size, alpha, n_best):
    """Check the arguments of beam search. Raises TypeError or ValueError."""
    positive_int("beam_size", beam_size)
    positive_int("n_best", n_best)
    if n_best > beam_size:
        raise ValueError(f"n_best is {n_best}, must be at most beam_size, {beam_size}")
    if not alpha >= 0:
        raise ValueError(f"alpha is {alpha}, must be at least 0")


def axis(name, value, x):
    """Raises ValueError unless `value` is an axis of `x` that is not empty."""
    if not -x.ndim <= value < x.ndim or x.shape[value] == 0:
        raise ValueError(f"{name} is {value}, must be an axis of {tuple(x.shape)} that is not empty")


def masks(values, array_type):
    """Check that all `values` are boolean and broadcast together. Raises TypeError or ValueError."""
    for value in values:
        _boolean_array("mask", value, array_type)
    shapes = [tuple(value.shape) for value in values]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"the masks have shapes {shapes}, must broadcast together") from None


def targets(name, value, array_type, *, logits, ignore_index):
    """Check integer targets of the shape that `logits` (..., V) has without V: ids below V, or `ignore_index`.

    Raises TypeError for another array type or dtype, ValueError for another shape or an id out of range.
    """
    array(name, value, array_type)
    if tuple(value.shape) != tuple(logits.shape[:-1]):
        raise ValueError(f"{name} has shape {tuple(value.shape)}, must be {tuple(logits.shape[:-1])}, as logits "
                         "without their last axis")
    ids(name, value[value != ignore_index], array_type, size=logits.shape[-1])


def target_count(value, counted):
    """What a sum of losses is divided by: `value`, or where that is None the number of True in `counted`.

    Raises TypeError unless `value` is an int or None, ValueError if the result is less than 1.
    """
    if value is None:
        value = int(counted.sum())
        if value == 0:
            raise ValueError("targets are all ignored or empty, at least one must count")
    positive_int("target_count", value)
    return value


def length(name, value, max_length):
    """Raises ValueError if the sequences of `name`, of length `value`, are longer than `max_length`."""
    if value > max_length:
        raise ValueError(f"{name} has sequences of length {value}, must be at most max_length, {max_length}")


def feed_forward(d_model, d_ff, dropout):
    """Check the sizes of a feed-forward layer. Raises TypeError or ValueError."""
    positive_int("d_model", d_model)
    positive_int("d_ff", d_ff)
    probability("dropout", dropout)


def state(name, values, own):
    """Check that `values` fit `own`, both {path: array}: paths, shapes, dtypes. Raises ValueError."""
    if values.keys() != own.keys():
        raise ValueError(f"{name} has missing names {sorted(own.keys() - values.keys())} "
                         f"and unknown names {sorted(values.keys() - own.keys())}")
    for path, wanted in own.items():
        if (values[path].shape, values[path].dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(f"{name}[{path!r}] is {values[path].dtype}{list(values[path].shape)}, "
                             f"must be {wanted.dtype}{list(wanted.shape)}")
