"""Writing a file so that a process killed at any moment leaves either the old file or the new one, whole."""

import os
import secrets
import time
from pathlib import Path

STALE_AFTER = 600    # seconds; a temporary file that nobody has written to for so long was left by a killed process


def write_atomically(path, data):
    """Write the bytes `data` to the file `path`, which is replaced in one step.

    The new file is written beside it, under a name that begins with a dot, and reaches the disk before it takes the
    old one's place; so a power failure, too, leaves one of the two. Old temporary files of `path` are removed.
    Raises OSError if the file can't be written; then the old one is as it was.
    """
    path = Path(os.path.realpath(path))
    _remove_stale(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _remove_stale(path):
    """Remove what killed processes left of earlier writes to `path`, but not what another one is writing now."""
    prefix, suffix = f".{path.name}.", ".tmp"
    for neighbour in path.parent.iterdir():
        if neighbour.name.startswith(prefix) and neighbour.name.endswith(suffix):
            try:
                if time.time() - neighbour.stat().st_mtime > STALE_AFTER:
                    neighbour.unlink()
            except FileNotFoundError:
                pass    # another process was quicker


def _sync_directory(directory):
    """Make the new name of a file last through a power failure; only POSIX can open a directory."""
    if os.name == "posix":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
