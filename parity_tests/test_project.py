"""The project's own files: what stands where, and that what they say of each other is true."""

import ast
import configparser
import os
import re
import shutil
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("numpy_impl", "torch_impl", "parity_tests")
TOP_LEVEL = {
    *PACKAGES, "docs", "notebooks", ".ci", ".github",
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile",
    "setup.cfg", "pyproject.toml", "constraints.txt", ".gitignore", ".gitattributes", ".editorconfig",
}
PYTHONS = ("3.11", "3.12", "3.13")
# Where the name to import is not the name to install.
INSTALLED_AS = {"xdist": "pytest-xdist", "cosmic_ray": "cosmic-ray"}
# Run by name, imported by nothing here.
TOOLS = {"coverage", "flake8", "mypy", "pytest-cov", "pytest-xdist"}


def tracked_files():
    """Paths below ROOT of the files that git tracks; the test is skipped outside a git checkout."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    names = listing.stdout.split("\0")[:-1]
    if not names:
        pytest.skip("git tracks nothing here, or will not say")
    return [Path(name) for name in names if (ROOT / name).is_file()]


def setup_cfg():
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def requirements(text):
    return [Requirement(line) for line in text.split("\n") if line and not line.startswith("#")]


def install_requires():
    return requirements(setup_cfg()["options"]["install_requires"])


def extras():
    return {name: requirements(text) for name, text in setup_cfg()["options.extras_require"].items()}


def all_requirements():
    """Every requirement of setup.cfg, of the package and of its extras."""
    return sum(extras().values(), install_requires())


def third_party_imports():
    """Pairs (name that is imported, file that imports it), the standard library and our own packages left out."""
    found = set()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names = [node.module]
                else:
                    names = []
                found.update((name.partition(".")[0], path.relative_to(ROOT)) for name in names)
    return {(name, path) for name, path in found if name not in sys.stdlib_module_names and name not in PACKAGES}


def make_targets():
    return set(re.findall(r"^([a-z][a-z-]*):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def commands(name):
    """The command lines of a page: its shell blocks, and code in the text that begins with make or python."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"there is no {name}")
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return "\n".join(blocks + re.findall(r"`((?:make|python) [^`\n]+)`", text))


def missing_modules(text):
    """The modules of ours that `python -m` is told to run in `text` and that are not there."""
    modules = set(re.findall(r"-m ((?:numpy_impl|torch_impl|parity_tests)[\w.]*)", text))
    places = {module: ROOT.joinpath(*module.split(".")) for module in modules}
    return [module for module, place in places.items()
            if not place.with_suffix(".py").exists() and not (place / "__main__.py").exists()]


# What stands where

def test_top_level_holds_only_what_belongs_there():
    assert {path.parts[0] for path in tracked_files()} - TOP_LEVEL == set()


def test_no_file_is_over_500_lines():
    written = [path for path in tracked_files() if path.suffix in {".py", ".md", ".cfg", ".toml", ".yml", ""}]
    lengths = {str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in written}
    assert {path: length for path, length in lengths.items() if length > 500} == {}


def test_pyproject_holds_only_the_build_system():
    tables = re.findall(r"^\[(.+)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert tables == ["build-system"]


# Requirements

def test_every_requirement_is_a_range():
    for requirement in all_requirements():
        assert any(specifier.operator == ">=" for specifier in requirement.specifier), f"{requirement} has no lower end"


def test_constraints_and_installed_packages_lie_in_the_ranges():
    pins = {pin.name: pin for pin in requirements((ROOT / "constraints.txt").read_text(encoding="utf-8"))}
    ranges = {requirement.name: requirement.specifier for requirement in all_requirements()}
    assert pins.keys() <= ranges.keys()
    for name, pin in pins.items():
        (specifier,) = pin.specifier
        assert specifier.operator == "==", f"{pin} is not one release"
        assert ranges[name].contains(specifier.version), f"{pin} is not in {ranges[name]}"
    for requirement in install_requires() + extras()["lab"] + extras()["test"]:
        installed = version(requirement.name)
        assert requirement.specifier.contains(installed), f"{requirement} is wanted, {installed} is installed"


def test_what_the_code_imports_is_required():
    runtime = {requirement.name for requirement in install_requires()}
    extra = {name: {requirement.name for requirement in wanted} for name, wanted in extras().items()}
    for name, path in third_party_imports():
        of_tests = extra["test"] | extra["lab"] | extra["browser"] | extra["mutation"]
        declared = runtime | (of_tests if path.parts[0] == "parity_tests" else extra["data"])
        assert INSTALLED_AS.get(name, name) in declared, f"{path} imports {name}"


def test_what_is_required_is_imported():
    imported = {INSTALLED_AS.get(name, name) for name, _ in third_party_imports()}
    names = ("data", "lab", "browser", "mutation", "test")
    wanted = {requirement.name for requirement in sum((extras()[name] for name in names), install_requires())}
    assert wanted - imported - TOOLS == set()


def test_the_pythons_are_the_same_everywhere():
    config = setup_cfg()
    classifiers = re.findall(r"Python :: (\d\.\d+)$", config["metadata"]["classifiers"], re.MULTILINE)
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert tuple(classifiers) == PYTHONS
    assert f"python: {list(PYTHONS)}".replace("'", '"') in workflow
    assert tuple(re.findall(r"^\| (3\.\d+) \|", contributing, re.MULTILINE)) == PYTHONS
    assert all(SpecifierSet(config["options"]["python_requires"]).contains(python) for python in PYTHONS)


# Commands

@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", ".github/workflows/ci.yml", ".ci/run"])
def test_the_make_targets_that_are_named_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8") if page.startswith(".") else commands(page)
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", text))
    assert named and named <= make_targets()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_modules_that_a_page_runs_exist(page):
    assert missing_modules(commands(page)) == []


def test_the_modules_that_make_runs_exist():
    assert missing_modules((ROOT / "Makefile").read_text(encoding="utf-8")) == []


def test_ci_run_is_executable():
    path = ROOT / ".ci/run"
    assert path.stat().st_mode & stat.S_IXUSR
    assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
@pytest.mark.parametrize("target, options", [("demo", []), ("demo-full", ["--full"])])
@pytest.mark.parametrize("given", ["argument", "environment"])
@pytest.mark.parametrize("text", [
    "3rd of March 2021", "2021年3月3日", "it's \"quoted\"", "$HOME $$x $(shell echo bad) `id` # x; ls", "--full", "a\\",
])
def test_make_demo_hands_the_text_over_unchanged(text, given, target, options, tmp_path):
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n", encoding="utf-8")
    python.chmod(0o755)
    (tmp_path / ".ready").touch()
    # This test may itself run under make, whose variables would reach the inner one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    arguments = ["make", "--silent", target, f"VENV={tmp_path}"]
    if given == "argument":
        arguments.append(f"TEXT={text}")
    else:
        environment["TEXT"] = text
    result = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=True)
    assert result.stdout.split("\n") == ["-m", "parity_tests.demo", *options, "--", text, ""]
