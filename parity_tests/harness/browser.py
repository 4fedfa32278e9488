"""A headless browser for the tests of the web pages: which one, and how it is started."""

import contextlib
import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")


class NoBrowser(Exception):
    """No browser is installed. The message says how to get one."""


@contextlib.contextmanager
def browser():
    """Start a headless Chromium through Playwright, which must be installed; yields Playwright's Browser."""
    from playwright.sync_api import sync_playwright    # only where there is a browser to be started
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path_of(playwright), args=list(FLAGS))
        try:
            yield chromium
        finally:
            chromium.close()


def path_of(playwright):
    """What CHROMIUM in the environment names, else Playwright's own browser, else the system's; or NoBrowser."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    own = playwright.chromium.executable_path
    found = own if Path(own).exists() else next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise NoBrowser("no browser: run `playwright install chromium`, or let CHROMIUM be the path of one")
    return found


def expect(locator):
    """Playwright's assertions about a part of a page, which wait for what they expect."""
    from playwright import sync_api    # tests are collected where Playwright is missing, too
    return sync_api.expect(locator)
