# Each target works on a fresh clone: it first makes the environment that it runs in.
#
#   make test PYTHON=python3.12                       another interpreter to make the environment with
#   make test VENV=.venv312                           another folder for the environment
#   make test ARGS="-k layer_norm -x"                 more arguments for pytest
#   make test PIP_TORCH_ARGS="--index-url URL"        more arguments for pip where it installs torch

PYTHON ?= python3
PIP_TORCH_ARGS ?=
CONSTRAINTS = constraints.txt
VENV = .venv
WORKERS = auto
ARGS =

PY = $(VENV)/bin/python
READY = $(VENV)/.ready
PYTEST = $(PY) -m pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-full test test-long test-browser coverage report bugs mutation docs docs-check docs-pdf \
    notebooks notebooks-sync lint bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

venv: $(READY) ## the environment alone

# .installing stands while pip works: whatever an interrupted installation left is thrown away.
$(READY): setup.cfg pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed, $(PYTHON) is not: name one with PYTHON=python3.12" >&2; exit 1; }
	@if [ -e $(VENV)/.installing ] || ! $(PY) -m pip --version >/dev/null 2>&1; then \
	    echo "Making $(VENV)"; $(PYTHON) -m venv --clear $(VENV); fi
	@touch $(VENV)/.installing
	@echo "Installing PyTorch and the other packages into $(VENV)"
	@$(PY) -m pip install -qq --disable-pip-version-check -c $(CONSTRAINTS) $(PIP_TORCH_ARGS) torch
	@$(PY) -m pip install -qq --disable-pip-version-check -c $(CONSTRAINTS) -e '.[data,lab,test]'
	@rm $(VENV)/.installing
	@touch $@

# The text goes through the environment, unexpanded, so that quotes, spaces and dollar signs in it are only text.
unexport TEXT
demo demo-full: export DEMO_TEXT := $(value TEXT)
demo: $(READY) ## train both twins side by side; or TEXT="3rd of March 2021": translate with what they learnt
	@$(PY) -m parity_tests.demo $${DEMO_TEXT:+-- "$$DEMO_TEXT"}

demo-full: $(READY) ## the same with every written form, wareki included: a longer run
	@$(PY) -m parity_tests.demo --full $${DEMO_TEXT:+-- "$$DEMO_TEXT"}

# One thread for each process: the tests run one process for each core, and the demo's matrices are too small for two.
demo demo-full test test-long test-browser coverage report bugs mutation notebooks: export OMP_NUM_THREADS = 1
demo demo-full test test-long test-browser coverage report bugs mutation notebooks: export OPENBLAS_NUM_THREADS = 1
test test-long test-browser coverage report bugs mutation notebooks: export MKL_NUM_THREADS = 1
test test-long test-browser coverage report bugs mutation notebooks: export VECLIB_MAXIMUM_THREADS = 1

test: $(READY) ## all tests but the long ones
	$(PYTEST) $(ARGS)

test-long: $(READY) ## the long tests
	$(PYTEST) -m long $(ARGS)

# One process: a browser for each would crowd two cores. CHROMIUM names a browser that stands elsewhere.
test-browser: $(READY) ## the pages in a headless Chromium (pip install -e '.[browser]' first)
	$(PY) -m pytest -m browser $(ARGS)

report: $(READY) ## every tensor and every gradient against torch and the oracles: runs/report/report.html
	$(PY) -m parity_tests report $(ARGS)

bugs: $(READY) ## plant each bug of the catalogue, and see which test notices: runs/bugs/scoreboard.html
	$(PY) -m parity_tests bugs run $(ARGS)

mutation: $(READY) ## change each operator of the layers, and see that a test notices: half an hour
	@$(PY) -c 'import cosmic_ray' 2>/dev/null || \
	    $(PY) -m pip install -qq --disable-pip-version-check -c $(CONSTRAINTS) -e '.[data,lab,test,mutation]'
	$(PY) -m parity_tests.mutation run
	$(PY) -m parity_tests.mutation report

coverage: $(READY) ## the tests again, with a report of the lines that they reach in runs/coverage
	$(PYTEST) --cov --cov-report=term --cov-report=html $(ARGS)

# What Sphinx needs, and where it is to be had.
define DOCS_READY
@$(PY) -c 'import sphinx, myst_nb, sphinx_design, sphinx_copybutton, sphinxcontrib.bibtex, sphinx_rtd_theme' \
    2>/dev/null || \
    $(PY) -m pip install -qq --disable-pip-version-check -c $(CONSTRAINTS) -e '.[data,lab,test,docs]'
endef

docs: $(READY) ## the book: docs/_build/html (needs npm)
	$(DOCS_READY)
	@$(PY) docs/get_mathjax.py
	$(PY) -m sphinx -j auto -b html -n -W --keep-going $(ARGS) docs docs/_build/html

docs-pdf: $(READY) ## the book on paper: docs/_build/pdf/transformer-twins.pdf (needs XeLaTeX)
	$(DOCS_READY)
	$(PY) docs/make_pdf.py $(ARGS)

docs-check: docs ## each page of the book in a headless Chromium (pip install -e '.[browser]' first)
	$(PY) docs/check_pages.py

notebooks-sync: $(READY) ## make notebooks/*.ipynb again from the book's pages
	$(PY) docs/make_notebooks.py

notebooks: $(READY) ## run each notebook from top to bottom; ARGS=notebooks/08_training.ipynb: this one
	@$(PY) -c 'import ipykernel, nbclient' 2>/dev/null || \
	    $(PY) -m pip install -qq --disable-pip-version-check -c $(CONSTRAINTS) -e '.[data,lab,test,notebooks]'
	$(PY) docs/run_notebooks.py $(ARGS)

lint: $(READY) ## flake8 and mypy
	$(PY) -m flake8
	$(PY) -m mypy

bench: $(READY) ## compare the speed of the twins
	$(PY) -m parity_tests.bench

clean: ## remove the environment, caches and builds; what is under runs/ stays
	rm -rf docs/_build docs/api docs/node_modules
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .hypothesis .coverage .coverage.*
	find numpy_impl torch_impl parity_tests -name __pycache__ -prune -exec rm -rf {} +
