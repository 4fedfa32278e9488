"""The mirror: both packages have the same files, names, signatures and parameters, and the book has their equations."""

import ast
import functools
import inspect
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest

import numpy_impl.module
import torch_impl.module
from parity_tests.harness import catalog
from parity_tests.harness.runs import NUMPY, TORCH, is_module

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "derivations"

# What is one-sided by nature, and why: files and folders, then names. Nothing else may stand in one twin alone.
ONE_SIDED_FILES = {
    "checks.py": "checks ask for types, shapes and dtypes alone, and serve both twins",
    "cli.py": "one command line for both twins",
    "initialization.py": "initial values are drawn once, so that a seed gives both twins the same bits",
    "module.py": "torch's is derived from torch.nn.Module: test_base_classes compares what the two offer",
    "random.py": "dropout masks are drawn once, as initial values are",
    "text": "texts, ids and batches: no gradients, and both twins read the same",
    "models/config.py": "sizes, not arrays",
    "training/checkpoint.py": "one format for both twins",
    "training/evaluation.py": "compares texts, whichever twin wrote them",
    "training/files.py": "writes files",
    "training/hyperparameters.py": "checks and groups of parameters, not arrays",
    "training/log.py": "writes files",
    "training/schedules.py": "numbers, not arrays: the torch twin hands on the NumPy twin's",
    "training/settings.py": "settings, not arrays",
    "training/trainer.py": "one loop for both twins",
    "inference/hypotheses.py": "puts ids in order, whichever twin found them",
    "inference/translation.py": "text in, text out, with the decoding of either twin",
}
ONE_SIDED_NAMES = {
    "backward": "torch derives the backward pass by itself",
    "*_backward": "likewise",
    "*_lean": "there is one form in torch: the plain one",
}
# Methods of the base class that only NumPy's has.
ONE_SIDED_METHODS = {
    "save_for_backward": "torch's graph keeps what its backward pass needs",
    "saved": "likewise",
    "use_plain": "there is one form in torch",
}

FILES = {twin: sorted(str(path.relative_to(ROOT / twin)) for path in (ROOT / twin).rglob("*.py"))
         for twin in ("numpy_impl", "torch_impl")}
LAYER_FILES = [file for file in FILES["numpy_impl"] if file.startswith("layers/") and not file.endswith("__init__.py")]
MODEL_FILES = [file for file in FILES["torch_impl"] if file.startswith("models/") and not file.endswith("__init__.py")]
CASES = list(catalog.all_cases().values())
ALL_FILES = [(twin, file) for twin in FILES for file in FILES[twin]]


@functools.cache
def tree_of(twin, file):
    return ast.parse((ROOT / twin / file).read_text())


def is_one_sided(name):
    return any(fnmatchcase(name, pattern) for pattern in ONE_SIDED_NAMES)


def is_one_sided_file(file):
    return file in ONE_SIDED_FILES or file.split("/")[0] in ONE_SIDED_FILES


def definitions(twin, file):
    """Public functions, classes, methods, constants of a file, in order, as source: "def linear(x, weight, bias)"."""
    found = []

    def visit(body, prefix):
        for node in body:
            if isinstance(node, ast.FunctionDef) and (node.name == "__init__" or not node.name.startswith("_")):
                if not is_one_sided(node.name):
                    found.append(f"def {prefix}{node.name}({ast.unparse(node.args)})")
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.append(f"class {node.name}({', '.join(map(ast.unparse, node.bases))})")
                visit(node.body, f"{node.name}.")
            elif isinstance(node, ast.Assign) and not prefix and not ast.unparse(node.targets).startswith("_"):
                found.append(ast.unparse(node))

    visit(tree_of(twin, file).body, "")
    return found


def imported_modules(twin, file):
    """Dotted names of everything that a file imports, anywhere in it."""
    for node in ast.walk(tree_of(twin, file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# Files, names, signatures


def test_the_trees_are_the_same():
    mirrored = [file for file in FILES["numpy_impl"] if not is_one_sided_file(file)]
    assert mirrored == [file for file in FILES["torch_impl"] if not is_one_sided_file(file)]


def test_what_is_called_one_sided_exists():
    gone = [name for name in ONE_SIDED_FILES if not (ROOT / "numpy_impl" / name).exists()]
    assert not gone, f"ONE_SIDED_FILES names {gone}, which are gone"
    names = {node.name for file in FILES["numpy_impl"] if not is_one_sided_file(file)
             for node in ast.walk(tree_of("numpy_impl", file)) if isinstance(node, ast.FunctionDef)}
    stale = [pattern for pattern in ONE_SIDED_NAMES if not any(fnmatchcase(name, pattern) for name in names)]
    assert not stale, f"ONE_SIDED_NAMES has {stale}, which nothing is called"


@pytest.mark.parametrize("file", [file for file in FILES["torch_impl"] if not is_one_sided_file(file)])
def test_names_and_signatures_are_the_same(file):
    assert definitions("numpy_impl", file) == definitions("torch_impl", file)


def test_schedules_are_the_same():
    ours, theirs = NUMPY.training.schedules, TORCH.training.schedules
    names = [node.name for node in tree_of("numpy_impl", "training/schedules.py").body if hasattr(node, "name")]
    assert all(getattr(ours, name) is getattr(theirs, name) for name in names)


def test_base_classes():
    ours, theirs = numpy_impl.module, torch_impl.module
    for name in ("Module", "ModuleList", "Parameter"):
        public = [method for method in vars(getattr(ours, name)) if not method.startswith("_")]
        missing = {method for method in public if not hasattr(getattr(theirs, name), method)}
        assert missing == (ONE_SIDED_METHODS.keys() if name == "Module" else set())
    for method in ("num_parameters", "set_dropout"):
        assert inspect.signature(getattr(ours.Module, method)) == inspect.signature(getattr(theirs.Module, method))


def test_parameters_have_the_same_names_and_shapes():
    for case in CASES:
        ours, theirs = (case.build(twin, "float32", np.random.default_rng(0)) for twin in (NUMPY, TORCH))
        if is_module(ours):
            shapes = [[(path, tuple(parameter.shape)) for path, parameter in module.named_parameters()]
                      for module in (ours, theirs)]
            assert shapes[0] == shapes[1], case
            assert list(ours.state_dict()) == list(theirs.state_dict()), case


# Imports run one way


def test_numpy_impl_never_imports_torch():
    for file in FILES["numpy_impl"]:
        packages = {name.split(".")[0] for name in imported_modules("numpy_impl", file)}
        assert not packages & {"torch", "torch_impl"}, f"numpy_impl/{file} imports torch"


def test_importing_numpy_impl_loads_numpy_alone():
    code = """
import pkgutil, sys, numpy_impl
heavy = {"torch", "scipy", "babel", "tqdm", "safetensors", "matplotlib"} & sys.modules.keys()
assert not heavy, f"import numpy_impl loads {heavy}"
for module in pkgutil.walk_packages(numpy_impl.__path__, "numpy_impl."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
assert not {"torch", "torch_impl"} & sys.modules.keys(), "a file of numpy_impl loads torch"
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("twin, file", ALL_FILES)
def test_imports_run_one_way(twin, file):
    """Layers know no models, models no training; neither implementation knows the tests."""
    forbidden = {"layers": ("models", "training", "inference"), "models": ("training", "inference")}
    above = forbidden.get(file.split("/")[0], ())
    for name in imported_modules(twin, file):
        package, _, rest = name.partition(".")
        assert package != "parity_tests", f"{twin}/{file} imports {name}"
        assert package not in FILES or rest.split(".")[0] not in above, f"{twin}/{file} imports {name}"


# Tests, cases, pages


@pytest.mark.parametrize("file", LAYER_FILES)
def test_every_layer_file_has_its_test_its_cases_and_its_page(file):
    stem = Path(file).stem
    assert (ROOT / "parity_tests" / f"test_{stem}.py").exists()
    assert (PAGES / f"{stem}.md").exists()
    assert any(case.name.startswith(f"{stem}: ") for case in CASES)


@pytest.mark.parametrize("file", LAYER_FILES + MODEL_FILES)
def test_every_module_and_primitive_has_a_case(file):
    """A module may stand within another; a primitive, that is a function with a backward pass, has its own case."""
    names = {node.name: node for node in tree_of("numpy_impl", file).body if hasattr(node, "name")}
    modules = {name for name, node in names.items() if isinstance(node, ast.ClassDef)}
    primitives = {name for name in names if f"{name}_backward" in names and not name.endswith("_lean")}
    missing = {name for name in modules | primitives if not name.startswith("_")} - built_names()
    assert not missing, f"no case builds {sorted(missing)}"


@functools.cache
def built_names():
    """The names of all functions and of all modules, inner ones too, that the cases build."""
    names = set()
    for case in CASES:
        built = case.build(NUMPY, "float32", np.random.default_rng(0))
        names |= {type(module).__name__ for module in built.modules()} if is_module(built) else {built.__name__}
    return names


def test_every_equation_is_in_the_book():
    """Each `# eq: label` of a file is an equation of the page of the same name, and each equation is used."""
    for stem in sorted({Path(file).stem for _, file in ALL_FILES} | {page.stem for page in PAGES.glob("*.md")}):
        page = PAGES / f"{stem}.md"
        labels = re.findall(r"^:label: (\S+)$", page.read_text(), re.MULTILINE) if page.exists() else []
        used = {label for twin, file in ALL_FILES if Path(file).stem == stem
                for label in re.findall(r"# eq: (\S+)", (ROOT / twin / file).read_text())}
        assert len(labels) == len(set(labels)), f"{page} defines a label twice"
        assert set(labels) == used, f"{stem}: in the code or in the book alone: {sorted(set(labels) ^ used)}"


def test_labels_are_unique():
    labels = [label for page in PAGES.glob("*.md") for label in re.findall(r"^:label: (\S+)$", page.read_text(), re.M)]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("file", LAYER_FILES)
def test_every_page_has_contract_and_equations(file):
    text = (PAGES / Path(file).name).with_suffix(".md").read_text()
    assert re.search(r"^# \S", text, re.MULTILINE)
    assert "\n## Contract\n" in text
    assert "\n## Equations\n" in text


# Docstrings


@pytest.mark.parametrize("twin, file", ALL_FILES)
def test_public_things_have_docstrings(twin, file):
    tree = tree_of(twin, file)
    assert ast.get_docstring(tree) or not tree.body
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{twin}/{file}: {node.name} has no docstring"


@pytest.mark.parametrize("file", LAYER_FILES)
@pytest.mark.parametrize("twin", FILES)
def test_docstrings_of_primitives_tell_their_arguments(twin, file):
    """Each argument with its shape or meaning; a lean form names the plain one, a backward pass what it returns."""
    for node in tree_of(twin, file).body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        text, name = ast.get_docstring(node), node.name
        if name.endswith("_lean") or name.endswith("_lean_backward"):
            assert f"`{name.replace('_lean', '')}`" in text or "plain" in text, name
        elif name.endswith("_backward"):
            assert "Return" in text, name
        else:
            missing = [argument.arg for argument in node.args.args + node.args.kwonlyargs
                       if not re.search(rf"\b{argument.arg}\b", text)]
            assert not missing, f"{twin}/{file}: the docstring of {name} does not tell {missing}"


@pytest.mark.parametrize("twin, file", ALL_FILES)
def test_classes_that_check_tell_their_errors(twin, file):
    """In the docstring of the class, or of the method that checks."""
    for node in tree_of(twin, file).body:
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        for method in [method for method in node.body if isinstance(method, ast.FunctionDef)]:
            told = f"{ast.get_docstring(node)} {ast.get_docstring(method)}"
            assert "checks." not in ast.unparse(method) or re.search("ValueError|TypeError|Errors|Raises", told), (
                f"{twin}/{file}: the docstring of {node.name} does not tell the errors of {method.name}")


@pytest.mark.parametrize("twin, file", ALL_FILES)
def test_public_methods_have_docstrings(twin, file):
    """All but forward and backward, which the class's docstring tells."""
    for node in tree_of(twin, file).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = [method for method in node.body if isinstance(method, ast.FunctionDef)]
            bare = [method.name for method in methods if not method.name.startswith("_")
                    and method.name not in ("forward", "backward") and not ast.get_docstring(method)
                    and not any(ast.unparse(decorator).endswith(".setter") for decorator in method.decorator_list)]
            assert not bare, f"{twin}/{file}: {node.name}: {bare} have no docstring"
