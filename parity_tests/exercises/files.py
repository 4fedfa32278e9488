"""Write a learner's file, but never over one that is there: it may hold an hour's work."""

from numpy_impl.training.files import write_atomically
from parity_tests.harness.errors import UserError


def write_new(path, text):
    """Write `text` to a file that does not exist yet, whole or not at all. Raises UserError if that cannot be done."""
    if path.exists():
        raise UserError(f"-o: {path} exists, and must not: choose another name, or remove it")
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise UserError(f"-o: was {str(path)!r}, must be a file that can be written ({error.strerror})") from None
