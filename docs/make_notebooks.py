"""Make notebooks/*.ipynb from pages of the book: `make notebooks-sync`, or python docs/make_notebooks.py.

Each notebook is one page, or all pages of a group of questions. It holds the same text and the same cells, in Markdown
that Jupyter shows, and nothing that a run would add. So that a page remains the only source, a test compares.
"""

import hashlib
import re
import sys
from pathlib import Path
from urllib.parse import quote

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS / "_extensions"), str(DOCS), str(ROOT)]

import nbformat    # noqa: E402  (the path comes first)
from jupytext.myst import myst_to_notebook    # noqa: E402

from book.questions import FRONT_MATTER, questions    # noqa: E402
from twins.plain import Plain    # noqa: E402

FOLDER = ROOT / "notebooks"
# {notebook: its page in docs}
PAGES = {
    "01_self_attention": "part2/attention.md",
    "02_multi_head_attention": "part3/multi_head_attention.md",
    "03_position_encoding": "part2/positions.md",
    "04_feed_forward": "part3/feed_forward.md",
    "05_encoder": "part3/encoder.md",
    "06_decoder_and_cross_attention": "part3/decoder.md",
    "07_transformer": "part3/transformer.md",
    "08_training": "part4/training.md",
    "09_generation": "part4/decoding.md",
    "10_backprop_by_hand": "part4/backprop_by_hand.md",
}
# {notebook: (folder of pages in docs, title)}
GROUPS = {
    "QandA_01_attention": ("questions/attention", "Questions about attention"),
    "QandA_02_multi_head": ("questions/multi_head", "Questions about several heads"),
    "QandA_03_architecture": ("questions/architecture", "Questions about the architecture"),
    "QandA_04_experiments": ("questions/experiments", "Questions that experiments answer"),
}
NAMES = (*PAGES, *GROUPS)
KERNEL = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
          "language_info": {"name": "python"}}
PLAIN = "?:;,.=+!&'/@"    # what Jupyter wants to find as it is in the name of a heading
FOLDED = {"remove-cell", "remove-input", "hide-input"}    # tags of cells whose code waits behind a click
START = '''\
# Made from {source} by `make notebooks-sync`: change that, not this.
# Here the notebook finds the project.
import importlib.util
import os
import sys
from pathlib import Path

installed = importlib.util.find_spec("numpy_impl")    # the folders above come first, then where it is installed from
places = [Path.cwd(), *Path.cwd().parents]
places += [Path(path).parent for path in installed.submodule_search_locations] if installed else []
root = next((place for place in places if (place / "docs" / "book").is_dir()), None)
missing = [name for name in ("numpy", "scipy", "torch", "matplotlib") if importlib.util.find_spec(name) is None]
if root is None or missing:
    raise ImportError("say `pip install -e '.[lab,notebooks]'` in the project's folder, and choose that Python as the "
                      "kernel" + (f"; it has no {{', '.join(missing)}}" if missing else ""))
sys.path[:0] = [str(root), str(root / "docs")]
os.environ["BOOK_NOTEBOOK"] = "1"    # `measured` prints its number
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[name] = "1"    # these matrices are too small for two threads'''


def sources(name):
    """The pages of a notebook, in their order."""
    if name in PAGES:
        return [DOCS / PAGES[name]]
    return [path for _, path, _, _ in questions(DOCS / GROUPS[name][0])]


def notebook(name):
    """The notebook of this name."""
    made = begun(f"docs/{PAGES[name]}" if name in PAGES else f"docs/{GROUPS[name][0]}")
    if name in GROUPS:
        add(made, nbformat.v4.new_markdown_cell(contents(name)))
    page_links = links(name)
    for page in sources(name):
        add_page(made, page, page_links)
    nbformat.validate(made)
    return made


def begun(source):
    """A notebook with its first cell. source: the page or folder that it is made from."""
    made = nbformat.v4.new_notebook(metadata=KERNEL)
    add(made, nbformat.v4.new_code_cell(START.format(source=source), metadata={"jupyter": {"source_hidden": True}}))
    return made


def contents(name):
    """The title of a notebook of questions, and each question with its answer in one line."""
    folder, title = GROUPS[name]
    lines = [f"# {title}", ""]
    for number, _, question, answer in questions(DOCS / folder):
        lines.append(f"- [**{number}.** {question}](#{anchor(question)})<br>{answer}")
    return "\n".join(lines)


def anchor(heading):
    """A heading's name in a link, as Jupyter gives it."""
    return quote(re.sub(r"[`*$]", "", heading).replace(" ", "-"), safe=PLAIN)


def links(name):
    """{page: link to it} of all pages that are in notebooks, as the notebook of this name writes it."""
    found = {DOCS / path: f"{other}.ipynb" for other, path in PAGES.items()}
    for other, (folder, _) in GROUPS.items():
        for _, path, question, _ in questions(DOCS / folder):
            found[path] = f"#{anchor(question)}" if other == name else f"{other}.ipynb"
    return found


def add_page(made, page, page_links=None):
    """Add the cells of a page. page_links: those of `links`."""
    text = page.read_text(encoding="utf-8")
    front = FRONT_MATTER.match(text)
    body = text[front.end():] if front else text
    lines, skipped = body.splitlines(), text.count("\n") - body.count("\n")
    read = myst_to_notebook(body, add_source_map=True)
    plain = Plain(page, page_links)
    for cell, line in zip(read.cells, read.metadata["source_map"]):
        if cell.cell_type == "code":
            add(made, nbformat.v4.new_code_cell(cell.source, metadata=metadata(cell, first=not plain.code)))
            plain.code += cell.source + "\n"
            continue
        while not lines[line].strip():
            line += 1
        for part in plain.cells(cell.source, line + skipped + 1):
            add(made, nbformat.v4.new_markdown_cell(part))


def metadata(cell, first):
    """What a code cell keeps of its options: its tags, and whether its code is folded. The imports are not."""
    tags = cell.metadata.get("tags", [])
    found = {"tags": tags} if tags else {}
    if FOLDED & set(tags) and not first:
        found["jupyter"] = {"source_hidden": True}
    if "hide-output" in tags:
        found.setdefault("jupyter", {})["outputs_hidden"] = True
    return found


def add(made, cell):
    """Add a cell, with a name that depends on its text alone: a change elsewhere leaves it."""
    same = sum(other.source == cell.source for other in made.cells)
    cell.id = hashlib.sha256(f"{cell.source}\0{same}".encode()).hexdigest()[:12]
    made.cells.append(cell)


def text_of(name):
    """The file of a notebook as text."""
    return nbformat.writes(notebook(name)) + "\n"


def main():
    FOLDER.mkdir(exist_ok=True)
    for name in NAMES:
        try:
            text = text_of(name)
        except ValueError as error:
            return f"notebooks/{name}.ipynb cannot be made: {error}"
        (FOLDER / f"{name}.ipynb").write_text(text, encoding="utf-8")
        print(f"notebooks/{name}.ipynb")
    return 0


if __name__ == "__main__":
    sys.exit(main())
