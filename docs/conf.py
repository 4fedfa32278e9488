"""Configuration of Sphinx for the book: `make docs` builds it into docs/_build/html."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
# The book's directives, and the packages that its pages show and run: here, and in the kernels that run the cells.
PATHS = [str(DOCS / "_extensions"), str(DOCS), str(ROOT)]
sys.path[:0] = PATHS
os.environ["PYTHONPATH"] = os.pathsep.join([*PATHS, *filter(None, [os.environ.get("PYTHONPATH")])])
from parity_tests.harness.threads import THREAD_VARIABLES    # noqa: E402  (the path comes first)

# The cells are small. More threads than one make them slower, and their last digits a matter of chance.
os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
os.environ["SOURCE_DATE_EPOCH"] = "0"    # no figure holds the time at which it was drawn

from book.digest import BUILD, digest    # noqa: E402  (the path comes first)

# A profile of IPython of their own, so that nobody's startup files take part.
os.environ["IPYTHONDIR"] = str(BUILD / "ipython")
profile = BUILD / "ipython" / "profile_default"
profile.mkdir(parents=True, exist_ok=True)
(profile / "ipython_kernel_config.json").write_text(
    '{"IPKernelApp": {"log_level": 40}, "HistoryManager": {"enabled": false}}\n', encoding="utf-8")

project = "Transformer Twins"
author = "Transformer Twins contributors"
project_copyright = author
language = "en"
nitpicky = True
needs_sphinx = "9.0"

extensions = [
    "myst_nb",
    "sphinx.ext.mathjax",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
    "twins",
]
exclude_patterns = ["_build", "_extensions", "book", "**/.ipynb_checkpoints"]

# Text

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
myst_update_mathjax = False
myst_dmath_double_inline = True
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"
gettext_compact = False
gettext_uuid = False
locale_dirs = ["locale"]

# Code that runs

nb_execution_mode = "cache"
# A result is as old as the code that made it: when a source of ours changes, all cells run again.
nb_execution_cache_path = str(BUILD / "cells" / digest())
# BOOK_ONLY="derivations/softmax part1/calculus" runs the cells of these pages alone, and leaves out the lab: for
# whoever writes them.
if only := os.environ.get("BOOK_ONLY", "").split():
    nb_execution_excludepatterns = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")
                                    if page.relative_to(DOCS).with_suffix("").as_posix() not in only]
nb_execution_timeout = 300    # seconds for a cell; none takes more than 20 on an idle core
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"

# HTML

html_theme = "sphinx_rtd_theme"
html_theme_options = {"navigation_depth": 3, "prev_next_buttons_location": "both", "style_external_links": True}
html_title = project
html_static_path = ["_static"]
if (DOCS / "_build" / "static").is_dir():    # MathJax, see get_mathjax.py
    html_static_path.append("_build/static")
html_css_files = ["book.css"]
html_search_scorer = str(DOCS / "_static" / "scorer.js")
html_js_files = ["book.js"]
html_copy_source = False
html_use_index = False
html_domain_indices = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
copybutton_selector = "div.cell_input div.highlight pre, div.highlight-sh pre, div.listing pre"

# MathJax stands beside the pages. mathjax-config.js, which is loaded before it, tells it where its fonts are.
mathjax_path = "mathjax/tex-chtml.js"
mathjax_config_path = "_static/mathjax-config.js"

# PDF: `make docs-pdf`, see make_pdf.py

today = " "    # no date on the title page
latex_engine = "xelatex"
latex_documents = [("index", "transformer-twins.tex", project, author, "manual")]
latex_use_xindy = False
latex_domain_indices = False
latex_additional_files = ["_latex/twins.sty"]
FACES = r"\set{}font{{texgyre{}}}[Extension=.otf,UprightFont=*-regular,BoldFont=*-bold,ItalicFont=*-italic," \
    r"BoldItalicFont=*-bolditalic]"
latex_elements = {
    "papersize": "a4paper",
    "pointsize": "10pt",
    "extraclassoptions": "openany,oneside",
    "fontenc": r"\usepackage{mathpazo}\usepackage[no-math]{fontspec}",    # mathpazo: formulas that suit the text
    "fontpkg": FACES.format("main", "pagella") + FACES.format("sans", "heros")
    + r"\setmonofont[Scale=0.85]{DejaVu Sans Mono}",
    "sphinxsetup": "hmargin={22mm,22mm}, vmargin={22mm,24mm}, pre_border-width=0pt, "
                   "pre_background-TeXcolor={RGB}{246,247,249}",
    "preamble": r"\usepackage{twins}",
    "fncychap": "",    # twins.sty says how a chapter begins
    "makeindex": "",    # without an index, whose page would be empty
    "printindex": "",
}
