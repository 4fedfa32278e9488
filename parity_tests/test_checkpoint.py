"""Checkpoints: what is read is what was saved, whatever happens to the process or to the file."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from numpy_impl.training import checkpoint
from numpy_impl.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from numpy_impl.training.files import STALE_AFTER, write_atomically

ROOT = Path(__file__).parents[1]
METADATA = {"step": 3, "rate": 1e-300, "name": "日本語 é", "big": 2**100, "none": None, "nested": {"list": [1, 2.5, True]}}
same_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
needs_posix = pytest.mark.skipif(os.name != "posix", reason="kill -9 and directories that can be opened are POSIX's")


def some_tensors():
    rng = np.random.default_rng(0)
    return {"model/weight": rng.standard_normal((3, 2)), "model/bias": rng.standard_normal(3).astype("float32"),
            "optimizer/step": np.array(7), "keep": np.array([True, False]), "nothing": np.zeros((0, 4))}


def assert_same(tensors, expected):
    assert tensors.keys() == expected.keys()
    for name, array in expected.items():
        assert (tensors[name].dtype, tensors[name].shape) == (array.dtype, array.shape), name
        assert tensors[name].tobytes() == array.tobytes(), name


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.safetensors"


@pytest.fixture
def saved(path):
    """A path that holds a small checkpoint."""
    save_checkpoint(path, {"a": np.arange(3.0), "b": np.array(7)}, {"step": 7})
    return path


# What is read is what was saved


def test_round_trip(path):
    save_checkpoint(str(path), some_tensors(), METADATA)
    tensors, metadata = load_checkpoint(str(path))
    assert_same(tensors, some_tensors())
    assert metadata == METADATA
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("dtype", checkpoint.DTYPES)
def test_every_dtype_to_the_last_bit(path, dtype):
    array = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 256, 64, dtype="uint8").view(dtype)
    save_checkpoint(path, {"a": array}, {})
    assert_same(load_checkpoint(path)[0], {"a": array})      # float bytes hold NaN and denormal numbers, too


def test_arrays_in_any_order_of_memory(path):
    array = np.random.default_rng(0).standard_normal((4, 6))
    tensors = {"columns": np.asfortranarray(array), "part": array[::2, ::-3], "other bytes": array.astype(">f8"),
               "stretched": np.broadcast_to(array[0], (3, 6))}
    save_checkpoint(path, tensors, {})
    expected = {name: tensor.astype("float64", order="C") for name, tensor in tensors.items()}
    assert_same(load_checkpoint(path)[0], expected)


def test_what_is_read_can_be_written_to(saved):
    tensors, _ = load_checkpoint(saved)
    tensors["a"] += 1
    assert load_checkpoint(saved)[0]["a"][0] == 0.0


def test_random_state_survives(path):
    rng = np.random.default_rng(5)
    rng.random(3)
    save_checkpoint(path, {}, {"rng": rng.bit_generator.state})
    again = np.random.default_rng()
    again.bit_generator.state = load_checkpoint(path)[1]["rng"]
    assert again.random() == rng.random()


@pytest.mark.parametrize("tensors, metadata, exception, message", [
    ({"a": np.array([None])}, {}, TypeError, r"tensors\['a'\] is object, must be an ndarray of bool"),
    ({"a": np.zeros(2, complex)}, {}, TypeError, r"tensors\['a'\] is complex128"),
    ({"a": [1.0]}, {}, TypeError, r"tensors\['a'\] is list"),
    ({"__metadata__": np.zeros(2)}, {}, ValueError, "'__metadata__', which the file format keeps for itself"),
    ({}, {"loss": float("nan")}, ValueError, "JSON compliant"),
    ({}, {"rate": np.float32(1)}, TypeError, "float32 is not JSON serializable"),
    ({}, [1], TypeError, "metadata is a list, must be a dict"),
])
def test_refuses_to_save_and_changes_nothing(saved, tensors, metadata, exception, message):
    before = saved.read_bytes()
    with pytest.raises(exception, match=message):
        save_checkpoint(saved, tensors, metadata)
    assert saved.read_bytes() == before and os.listdir(saved.parent) == [saved.name]


# Files that are not whole checkpoints


class Bomb:
    def __reduce__(self):
        return os.abort, ()


@pytest.mark.parametrize("data", [
    b"", b"\0", b"\0" * 8, b"\xff" * 1000, b"\x89PNG\r\n\x1a\n" + bytes(100), pickle.dumps(Bomb()),
    b"PK\x03\x04" + bytes(100), b"\x02\0\0\0\0\0\0\0{}", b'{"step": 3}\n'],
    ids=["empty", "a byte", "zeros", "ones", "PNG", "pickle", "zip", "safetensors without tensors", "JSON"])
def test_refuses_a_foreign_file(path, data):
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="checkpoint.safetensors is "):
        load_checkpoint(path)
    assert path.read_bytes() == data


def test_refuses_what_numpy_saves(path):
    with open(path, "wb") as file:
        np.savez(file, a=np.array([Bomb()]))
    with pytest.raises(CheckpointError, match="is no checkpoint, or a truncated or damaged one"):
        load_checkpoint(path)


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_refuses_another_programs_safetensors(path, metadata):
    safetensors.numpy.save_file({"a": np.zeros(3)}, path, metadata)
    with pytest.raises(CheckpointError, match="is a safetensors file of another program"):
        load_checkpoint(path)


def test_refuses_another_version(path, monkeypatch):
    monkeypatch.setattr(checkpoint, "VERSION", 2)
    save_checkpoint(path, {"a": np.zeros(3)}, {})
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="is a checkpoint of format version '2', must be 1: a newer program"):
        load_checkpoint(path)


@pytest.mark.parametrize("missing", ["metadata", "digest"])
def test_refuses_a_header_without(saved, missing):
    with safetensors.safe_open(saved, framework="numpy") as file:
        header = {name: value for name, value in file.metadata().items() if name != missing}
    saved.write_bytes(safetensors.numpy.save(load_checkpoint(saved)[0], header))
    with pytest.raises(CheckpointError, match="is a damaged checkpoint"):
        load_checkpoint(saved)


@pytest.mark.parametrize("old, new", [
    (b'"F32"', b'"I32"'), (b'"I16"', b'"F16"'), (b'"I16"', b'"BF16"'), (b'"BOOL"', b'"F8_E4M3"'), (b"[3,2]", b"[2,3]"),
    (b'"model/weight"', b'"model/height"'), (b'"version"', b'"more":"3","version"')])
def test_refuses_a_changed_header(path, old, new):
    save_checkpoint(path, some_tensors() | {"short": np.ones(1, "int16")}, {})
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = data[8:8 + length].replace(old, new)
    assert header != data[8:8 + length]
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length:])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


def test_refuses_what_is_no_file(path):
    with pytest.raises(CheckpointError, match="checkpoint.safetensors does not exist"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match=f"{path.parent} is no file"):
        load_checkpoint(path.parent)


def test_refuses_a_file_that_may_not_be_read(saved, monkeypatch):
    def denied(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(safetensors, "safe_open", denied)
    with pytest.raises(CheckpointError, match="checkpoint.safetensors can't be read: Permission denied"):
        load_checkpoint(saved)


def test_refuses_a_file_truncated_at_any_byte(saved):
    data = saved.read_bytes()
    for length in range(len(data)):
        saved.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            load_checkpoint(saved)
    saved.write_bytes(data + b"\0")
    with pytest.raises(CheckpointError):
        load_checkpoint(saved)


def test_refuses_a_flipped_bit_in_any_byte(saved):
    data = saved.read_bytes()
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        saved.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_checkpoint(saved)


@same_file
@given(st.data())
def test_refuses_random_damage(saved, data):
    save_checkpoint(saved, some_tensors(), METADATA)
    content = bytearray(saved.read_bytes())
    begin = data.draw(st.integers(0, len(content) - 1))
    damage = data.draw(st.binary(min_size=0, max_size=40))
    end = data.draw(st.sampled_from([begin, begin + len(damage), len(content)]))
    damaged = bytes(content[:begin]) + damage + bytes(content[end:])
    saved.write_bytes(damaged)
    if damaged == content:
        assert load_checkpoint(saved)[1] == METADATA
        return
    with pytest.raises(CheckpointError, match="checkpoint.safetensors is "):
        load_checkpoint(saved)


# Processes that are killed while they write


WRITER = """
import os, signal, sys
import numpy as np
from numpy_impl.training.checkpoint import save_checkpoint
{prepare}
for step in range(int(sys.argv[2]), 10**9):
    save_checkpoint(sys.argv[1], {{f"model/{{i}}": np.full((64, 500), step) for i in range(4)}}, {{"step": step}})
"""


def start_writer(path, first_step, prepare=""):
    program = WRITER.format(prepare=prepare)
    return subprocess.Popen([sys.executable, "-c", program, str(path), str(first_step)], cwd=ROOT)


@needs_posix
def test_kill_9_leaves_a_whole_checkpoint(path):
    rng, step = np.random.default_rng(), 0
    for _ in range(8):
        before = path.stat().st_mtime_ns if path.exists() else None
        with start_writer(path, step + 1) as writer:
            while not path.exists() or path.stat().st_mtime_ns == before:
                assert writer.poll() is None
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.05))
            writer.kill()
        tensors, metadata = load_checkpoint(path)
        assert metadata["step"] > step
        step = metadata["step"]
        assert_same(tensors, {f"model/{i}": np.full((64, 500), step) for i in range(4)})


@needs_posix
@pytest.mark.parametrize("function, step", [("os.fsync", 1), ("os.replace", 1), ("files._sync_directory", 2)])
def test_killed_just_before(path, function, step):
    save_checkpoint(path, {}, {"step": 1})
    with start_writer(path, 2, f"from numpy_impl.training import files\n"
                               f"{function} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)") as writer:
        assert writer.wait() == -signal.SIGKILL
    assert load_checkpoint(path)[1] == {"step": step}
    leftovers = [name for name in os.listdir(path.parent) if name != path.name]
    assert len(leftovers) == (step == 1)
    for name in leftovers:
        os.utime(path.parent / name, times=(0, 0))
    save_checkpoint(path, {}, {"step": 3})
    assert load_checkpoint(path)[1] == {"step": 3} and os.listdir(path.parent) == [path.name]


# Writing atomically


def test_a_failed_write_leaves_the_old_file_and_nothing_else(saved, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(saved, some_tensors(), {})
    assert load_checkpoint(saved)[1] == {"step": 7} and os.listdir(saved.parent) == [saved.name]


def test_only_old_temporary_files_of_the_same_path_are_removed(path):
    names = [f".{path.name}.0123.tmp", f".{path.name}.4567.tmp", ".other.0123.tmp", f"{path.name}.tmp"]
    for name in names:
        (path.parent / name).write_bytes(b"")
        if "4567" not in name:
            long_ago = time.time() - STALE_AFTER - 60
            os.utime(path.parent / name, times=(long_ago, long_ago))
    write_atomically(path, b"new")
    assert sorted(os.listdir(path.parent)) == sorted([path.name, *names[1:]])


@needs_posix
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "file", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"


@needs_posix
def test_the_file_has_the_usual_permissions(path):
    write_atomically(path, b"")
    (path.parent / "plain").touch()
    assert path.stat().st_mode == (path.parent / "plain").stat().st_mode
