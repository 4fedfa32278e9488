"""What went wrong in a learner's code, told from the exception: the kind, the line, and the shapes at that line."""

import linecache
import traceback

import numpy as np

from parity_tests.harness.doctor.jobs import Failure, portable
from parity_tests.harness.doctor.loading import NotFound, Refused

MOST_SHAPES = 12
KINDS = ((NotImplementedError, "stub"), (SystemExit, "exit"), (MemoryError, "memory"), (RecursionError, "recursion"),
         (NotFound, "missing"), (Refused, "refused"))


def describe(error, files, job=""):
    """The Failure for an exception. files: the names of the learner's files, as their code objects call them."""
    kind = next((kind for of, kind in KINDS if isinstance(error, of)), "exception")
    text = _text_of(error)
    message = text if kind in ("missing", "stub", "refused") else f"{type(error).__name__}: {text}".rstrip(": ")
    if isinstance(error, SyntaxError) and error.filename in {*files, None}:
        return Failure("syntax", f"{type(error).__name__}: {error.msg}", error.filename or "", error.lineno,
                       source=(error.text or "").strip(), job=job)
    failure = Failure(kind, message, job=job)
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)
              if frame.f_code.co_filename in files]
    if frames:
        locate(failure, *frames[-1])
    return failure


def _text_of(error):
    try:
        return str(error)
    except Exception:    # the learner's own __str__
        return "its __str__ fails too"


def locate(failure, frame, line):
    """Add to a Failure where it happened."""
    failure.file, failure.line, failure.function = frame.f_code.co_filename, line, frame.f_code.co_name
    failure.source = linecache.getline(failure.file, line).strip()
    if failure.function != "<module>":
        failure.shapes = {name: shape_of(value) for name, value in list(frame.f_locals.items())
                          if shape_of(value)}
        failure.shapes = dict(list(failure.shapes.items())[:MOST_SHAPES])


def innermost(frame, files):
    """The innermost frame of the learner's code, from `frame` outwards; None if there is none."""
    while frame is not None and frame.f_code.co_filename not in files:
        frame = frame.f_back
    return frame


def shape_of(value):
    """What an array looks like, such as "float64 (2, 3)"; "" for anything that is no array or number."""
    if isinstance(value, (np.ndarray, np.generic)):
        shape = "(" + ", ".join(map(str, value.shape)) + ("," if value.ndim == 1 else "") + ")"
        return f"{value.dtype} {shape}"
    if isinstance(value, (int, float)):
        return portable(value).text
    return ""
