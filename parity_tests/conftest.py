"""One BLAS thread for each test process, no network, and Hypothesis without chance."""

import os
import sys
import textwrap
from pathlib import Path

# Before NumPy is imported: its BLAS reads them once. Tests run in parallel processes, not in parallel threads.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np    # noqa: E402
import pytest    # noqa: E402
from hypothesis import settings    # noqa: E402

settings.register_profile("parity", deadline=None, derandomize=True, database=None, max_examples=20)
settings.load_profile("parity")


@pytest.fixture
def rng():
    """Random numbers, the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture
def book_path(monkeypatch):
    """The book's helpers, directives and programs can be imported, as in its cells."""
    docs = Path(__file__).parents[1] / "docs"
    for folder in (docs, docs / "_extensions"):
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("MPLBACKEND", "agg")


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    """Write a learner's file; returns a function of its source, which returns its path. What is imported from it is
    forgotten after the test.
    """
    def write(source, name="my_layer.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(source))
        return path

    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield write
    for name in [name for name in sys.modules.keys() - before if name.startswith("learner_")]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def chromium():
    """Playwright's Browser; the test is skipped where there is none."""
    pytest.importorskip("playwright", reason="Playwright is not installed: pip install -e '.[browser]'")
    from parity_tests.harness.browser import NoBrowser, browser
    try:
        with browser() as started:
            yield started
    except NoBrowser as error:
        if "CI" in os.environ:    # there it must not go unnoticed
            raise
        pytest.skip(str(error))


@pytest.fixture
def open_page(chromium):
    """open_page(path, "#part", width=, height=, other options of a browser context): a page that has been opened.

    The test fails for whatever the page writes to the console, for an error in it, and for any request.
    """
    contexts, complaints = [], []

    def open_page(path, part="", *, width=1280, height=900, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        shown = context.new_page()
        shown.set_default_timeout(10_000)
        shown.on("console", lambda message: complaints.append(f"console: {message.text}"))
        shown.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        shown.on("request", lambda request: complaints.extend(
            [] if request.url.startswith(("file:", "data:")) else [f"request: {request.url}"]))
        shown.goto(path.as_uri() + part)
        return shown

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
