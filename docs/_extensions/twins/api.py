"""The reference: a page for each file of the twins, written into docs/api when the build begins.

Both twins stand on one page, since their names are the same: signatures, the docstring with its shapes, the source.
"""

import ast

from twins.code import ROOT, TWINS, definitions, text_of
from twins.docstrings import docstring_of, markdown

FOLDERS = ("layers", "models", "training", "inference", "text", "")
FOLDER = ROOT / "docs" / "api"
LEFT_OUT = ("__init__.py", "__main__.py")


def write_pages(app):
    """Write what has changed, and remove the pages of files that are gone."""
    pages = {FOLDER / f"{file.removesuffix('.py')}.md": page(file) for file in files()}
    pages[FOLDER / "index.md"] = index()
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in FOLDER.rglob("*.md"):
        if path not in pages:
            path.unlink()


def files():
    """"layers/linear.py" and all others, in the order of FOLDERS."""
    found = {path.relative_to(ROOT / twin).as_posix() for twin in TWINS for path in (ROOT / twin).rglob("*.py")
             if path.name not in LEFT_OUT}
    return [file for folder in FOLDERS for file in sorted(found) if file.rpartition("/")[0] == folder]


def index():
    """The page that lists all others."""
    lines = ["# The code, file by file", "",
             "Each file stands in both twins under one name, or in `numpy_impl` alone where nothing is to be mirrored."]
    for folder in FOLDERS:
        names = [file.removesuffix(".py") for file in files() if file.rpartition("/")[0] == folder]
        lines += ["", f"## {folder}/" if folder else "## Beside the folders", "", "```{toctree}", ":maxdepth: 1", "",
                  *names, "```"]
    return "\n".join(lines) + "\n"


def page(file):
    """The page of one file."""
    paths = [f"{twin}/{file}" for twin in TWINS if (ROOT / twin / file).is_file()]
    about = docstring_of(ast.parse(text_of(paths[0])))
    lines = [f"# {file}", "", markdown(about) if about else "", "",
             "Files: " + ", ".join(f"`{path}`" for path in paths) + ".", ""]
    names = dict.fromkeys(name for path in paths for name in definitions(path)
                          if "." not in name and not name.startswith("_"))
    for name in names:
        lines += section(file, name, {path: definitions(path)[name] for path in paths if name in definitions(path)})
    return "\n".join(lines) + "\n"


def section(file, name, found):
    """The lines about one function or class. found: {path: Definition}."""
    first = next(iter(found.values()))
    is_class = isinstance(first.node, ast.ClassDef)
    signatures = [f"{path.removesuffix('.py').replace('/', '.')}.{name}({arguments(one.node)})"
                  for path, one in found.items()]
    kind = "class" if is_class else "function"
    lines = [f"## {name}", ""]
    for signature in signatures:
        lines += [f"```{{py:{kind}}} {signature}", ":no-contents-entry:", "```"]
    lines += ["", markdown(docstring_of(first.node)), "",
              f"::::::{{dropdown}} Source\n```{{source}} {file.removesuffix('.py')} {name}\n```\n::::::", ""]
    return lines


def arguments(node):
    """The arguments of a function, or of a class's constructor without self, as they are written."""
    if isinstance(node, ast.ClassDef):
        node = next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)
        if node is None:
            return ""
    text = ast.unparse(node.args)
    return text.removeprefix("self").removeprefix(", ")


def setup(app):
    app.connect("builder-inited", write_pages)
