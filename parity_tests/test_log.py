"""The log: every step once, whatever happened to the process that wrote it."""

import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from numpy_impl.training.log import TrainingLog, read_log


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "log.jsonl"


def write_steps(path, begin, end):
    with TrainingLog(path, begin - 1) as log:
        for step in range(begin, end):
            log.write({"step": step, "loss": 1 / step})
            log.write({"step": step, "split": "validation"})


def test_one_line_for_each_record_at_once(path):
    log = TrainingLog(path, 0)
    log.write({"step": 1, "loss": 0.1, "split": "日本"})
    assert read_log(path) == [{"step": 1, "loss": 0.1, "split": "日本"}]    # the log is still open
    log.write({"step": 2, "loss": 1e-300})
    log.close()
    assert path.read_text().count("\n") == 2
    assert read_log(path)[1] == {"step": 2, "loss": 1e-300}


def test_resuming_drops_later_steps(path):
    write_steps(path, 1, 8)
    whole = path.read_bytes()
    write_steps(path, 4, 8)
    assert path.read_bytes() == whole
    with TrainingLog(path, 3):
        pass
    assert [record["step"] for record in read_log(path)] == [1, 1, 2, 2, 3, 3]
    with TrainingLog(path, 0):
        pass
    assert path.read_bytes() == b"" and os.listdir(path.parent) == [path.name]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(length=st.integers(0, 10_000), step=st.integers(0, 6))
def test_a_log_torn_at_any_byte_is_mended(tmp_path, length, step):
    path = tmp_path / "log.jsonl"
    path.unlink(missing_ok=True)
    write_steps(path, 1, 8)
    whole = path.read_bytes()
    torn = whole[:length % (len(whole) + 1)]
    path.write_bytes(torn)
    complete = torn.count(b"\n")
    assert read_log(path) == [json.loads(line) for line in whole.split(b"\n")[:complete]]
    kept = min(step, complete // 2)
    write_steps(path, kept + 1, 8)
    assert path.read_bytes() == whole


def test_numbers_that_json_does_not_have(path):
    with TrainingLog(path, 0) as log:
        log.write({"step": 1, "nan": float("nan"), "inf": np.float64(-np.inf), "float32": np.float32(0.5),
                   "int": np.int64(3), "none": None, "true": True})
    assert path.read_bytes() == \
        b'{"step": 1, "nan": null, "inf": null, "float32": 0.5, "int": 3, "none": null, "true": true}\n'


def test_without_a_path_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with TrainingLog(None, 0) as log:
        log.write({"step": 1})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("record", [{}, {"step": "1"}, {"step": 1.0}, ["step"]])
def test_refuses_a_record_without_a_step(path, record):
    with TrainingLog(path, 0) as log, pytest.raises(ValueError, match="must be a dict with an integer 'step'"):
        log.write(record)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("record, exception", [({"step": 1, "a": object()}, TypeError),
                                               ({"step": 1, "a": [float("inf")]}, ValueError)])
def test_refuses_a_value_and_writes_nothing(path, record, exception):
    with TrainingLog(path, 0) as log, pytest.raises(exception):
        log.write(record)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("data, message", [
    (b'{"step": 1}\n{"st\n{"step": 3}\n', "log.jsonl, line 2, is not JSON"),
    (b"\x89PNG\r\n\x1a\n", "line 1, is not JSON"),
    (b'{"step": 1}\n{"loss": 3}\n', "line 2, is not a record"),
    (b'{"step": 1}\n3\n', "line 2, is not a record"),
])
def test_refuses_a_foreign_file_and_leaves_it(tmp_path, data, message):
    path = tmp_path / "log.jsonl"
    path.write_bytes(data)
    for use in (read_log, lambda path: TrainingLog(path, 0)):
        with pytest.raises(ValueError, match=message):
            use(path)
    assert path.read_bytes() == data
