"""Where results of the book are kept, and a fingerprint of what they depend on besides the cells themselves."""

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Where results are kept. Two builds at the same time need two such folders.
BUILD = Path(os.environ.get("BOOK_BUILD") or ROOT / "docs" / "_build").resolve()
# The helpers of the cells, both twins, and what of the lab is called; not the tests.
SOURCES = ("docs/book", "numpy_impl", "torch_impl", "parity_tests/harness", "parity_tests/exercises")
PACKAGES = ("numpy", "torch", "scipy", "matplotlib")


def digest(sources=SOURCES):
    """A short text that changes when a source, or the release of a package that computes, changes."""
    found = hashlib.sha256()
    for line in (platform.python_version(), *(f"{package} {version(package)}" for package in PACKAGES)):
        found.update(line.encode())
    for source in sources:
        for path in sorted((ROOT / source).rglob("*.py")) or [ROOT / source]:
            found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]
