"""The log of a training run: one JSON object a line."""

import json
import math
from pathlib import Path

from numpy_impl.training.files import write_atomically


class TrainingLog:
    """Appends records to a log; a context manager.

    path: the file, whose directory is made if need be; None writes nothing. step: int, the step at which the run
    stands (0: at its beginning). Records of later steps, and a last line that a killed process left unfinished, are
    dropped, so that a run that goes on from a checkpoint logs every step once. So the records of a step must be written
    before its checkpoint.
    Errors: ValueError if the file is not such a log; then it stays as it was.
    """

    def __init__(self, path, step):
        self._file = None
        if path is None:
            return
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            kept = b"".join(line for line, record in _read_lines(path) if record["step"] <= step)
            if kept != path.read_bytes():
                write_atomically(path, kept)
        # Unbuffered: each record is one write, which a killed process has made or not.
        self._file = open(path, "ab", buffering=0)

    def write(self, record):
        """Append `record`, a dictionary of numbers and strings with "step", an int.

        JSON has no NaN and no infinity: such a number becomes null. NumPy's numbers become Python's.
        Raises ValueError without an integer step, TypeError for a value that JSON does not have.
        """
        if not _is_record(record):
            raise ValueError(f"the record {record!r} must be a dict with an integer 'step'")
        line = json.dumps({name: _json_value(value) for name, value in record.items()}, allow_nan=False) + "\n"
        if self._file is not None:
            self._file.write(line.encode())

    def close(self):
        """Close the file; no record can be written after that."""
        if self._file is not None:
            self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def read_log(path):
    """All records of a log, a list of dictionaries; a last line that a killed process left unfinished is left out.

    Raises ValueError, which names the line, if the file is not such a log; OSError if it can't be read.
    """
    return [record for _, record in _read_lines(Path(path))]


def _read_lines(path):
    """The whole lines of a log as a list of (bytes, record)."""
    *whole, unfinished = path.read_bytes().split(b"\n")    # after the last newline stands nothing, or a torn line
    lines = []
    for number, line in enumerate(whole, start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}, is not JSON: {error}") from error
        if not _is_record(record):
            raise ValueError(f"{path}, line {number}, is not a record: it must be an object with an integer 'step'")
        lines.append((line + b"\n", record))
    return lines


def _is_record(record):
    return isinstance(record, dict) and isinstance(record.get("step"), int)


def _json_value(value):
    """`value` as a Python number, or None if it is not finite; anything else as it is."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
