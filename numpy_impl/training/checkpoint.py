"""Checkpoints: named arrays and metadata in one safetensors file, written atomically and checked when read.

All state of a run stands in one file, so that its parts always belong together. By convention the caller names its
arrays "model/<path>" and "optimizer/<name>". Nothing is ever unpickled, so a file from elsewhere runs no code.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from numpy_impl.training.files import write_atomically

FORMAT = "transformer-twins-checkpoint"
VERSION = 1
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float16", "float32", "float64")


class CheckpointError(ValueError):
    """A file is not a checkpoint that can be used; the message names the file and the problem."""


def save_checkpoint(path, tensors, metadata):
    """Write a checkpoint, atomically: whenever the process is killed, `path` holds the old checkpoint or the new one.

    tensors: {name: ndarray} of booleans, integers or floats. metadata: a dictionary that JSON can hold; what JSON does
    not have comes back as its nearest (a tuple as a list).
    Raises TypeError for a tensor or metadata of another type, ValueError for NaN or infinity in the metadata or the
    name "__metadata__", OSError if the file can't be written. Then nothing at `path` has changed.
    """
    from safetensors.numpy import save

    arrays = {name: _plain_array(name, tensor) for name, tensor in tensors.items()}
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata is a {type(metadata).__name__}, must be a dict")
    text = json.dumps(metadata, allow_nan=False)
    header = {"format": FORMAT, "version": str(VERSION), "metadata": text, "digest": _digest(arrays, text)}
    write_atomically(path, save(arrays, header))


def load_checkpoint(path):
    """Read a checkpoint. Returns (tensors, metadata) as `save_checkpoint` was given them.

    Raises CheckpointError if the file is missing, unreadable, truncated, damaged, of another kind or another version.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} is no file" if path.exists() else f"{path} does not exist")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            _check_version(path, header)
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except OSError as error:
        raise CheckpointError(f"{path} can't be read: {error.strerror or error}") from error
    except (SafetensorError, TypeError, AttributeError) as error:    # the latter two: a dtype that NumPy does not have
        raise CheckpointError(f"{path} is no checkpoint, or a truncated or damaged one: {error}") from error
    if header.keys() != {"format", "version", "metadata", "digest"} or \
            header["digest"] != _digest(tensors, header["metadata"]):
        raise CheckpointError(f"{path} is a damaged checkpoint: its contents do not match its digest")
    return tensors, json.loads(header["metadata"])


def _plain_array(name, tensor):
    """`tensor` as safetensors needs it: in C order (others it would store wrongly) and in this machine's byte order."""
    if name == "__metadata__":
        raise ValueError("tensors has the name '__metadata__', which the file format keeps for itself")
    if not isinstance(tensor, np.ndarray) or tensor.dtype.name not in DTYPES:
        kind = tensor.dtype if isinstance(tensor, np.ndarray) else type(tensor).__name__
        raise TypeError(f"tensors[{name!r}] is {kind}, must be an ndarray of {', '.join(DTYPES)}")
    return np.asarray(tensor, dtype=tensor.dtype.newbyteorder("="), order="C")


def _check_version(path, header):
    """Raises CheckpointError unless the header is that of a checkpoint of this version."""
    if header.get("format") != FORMAT:
        raise CheckpointError(f"{path} is a safetensors file of another program, not a checkpoint of this one")
    version = header.get("version")
    if version != str(VERSION):
        raise CheckpointError(f"{path} is a checkpoint of format version {version!r}, must be {VERSION}: "
                              "a newer program has written it, or it is damaged")


def _digest(arrays, text):
    """A digest of all names, dtypes, shapes and bytes of {name: ndarray}, and of the metadata's text."""
    digest = hashlib.blake2b(text.encode(), digest_size=32)
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.name, array.shape]).encode())
        digest.update(array.reshape(-1).view(np.uint8))
    return digest.hexdigest()
