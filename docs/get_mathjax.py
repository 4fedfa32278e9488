"""Put the parts of MathJax that the book's pages load into docs/_build/static/mathjax.

npm fetches the releases that package-lock.json names; a book that has been built asks the network for nothing.
"""

import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
DOWNLOADS = DOCS / "_build" / "npm"
TARGET = DOCS / "_build" / "static" / "mathjax"
LOCK = "package-lock.json"
# {where it is in node_modules: where pages find it}
PARTS = {
    "mathjax/tex-chtml.js": "tex-chtml.js",
    "mathjax/LICENSE": "LICENSE",
    "mathjax/a11y/assistive-mml.js": "a11y/assistive-mml.js",
    "mathjax/input/tex/extensions/html.js": "input/tex/extensions/html.js",
    "@mathjax/mathjax-newcm-font/chtml": "mathjax-newcm-font/chtml",
}


def get_mathjax():
    """Fetch and copy, unless what stands there came from the same package-lock.json. Returns the folder."""
    if (TARGET / LOCK).is_file() and (TARGET / LOCK).read_bytes() == (DOCS / LOCK).read_bytes():
        return TARGET
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("get_mathjax.py: npm is needed to build the book: install Node.js")
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", LOCK):
        shutil.copy(DOCS / name, DOWNLOADS / name)
    subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=DOWNLOADS, check=True)
    shutil.rmtree(TARGET, ignore_errors=True)
    for source, place in PARTS.items():
        _copy(DOWNLOADS / "node_modules" / source, TARGET / place)
    shutil.copy(DOCS / LOCK, TARGET / LOCK)    # last: it says that all is there
    return TARGET


def _copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


if __name__ == "__main__":
    try:
        get_mathjax()
    except subprocess.CalledProcessError as error:
        sys.exit(f"get_mathjax.py: npm failed with status {error.returncode}")
