"""Make the book as a PDF: `make docs-pdf`, or python docs/make_pdf.py. It comes to stand in docs/_build/pdf.

It is made of the same pages. The cells' results are those of the last `make docs`; what is missing or out of date runs
again. Sphinx writes LaTeX, XeLaTeX sets it, and then its log is read: a character that no font has, a reference that
leads nowhere and a line that leaves the paper are faults.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))

from book.digest import BUILD    # noqa: E402  (the path comes first)

NAME = "transformer-twins"
FOLDER = BUILD / "pdf"
PROGRAMS = ("xelatex", "latexmk", "kpsewhich", "fc-list")
FILES = ("mathpazo.sty", "newunicodechar.sty", "titlesec.sty", "texgyrepagella-regular.otf", "texgyreheros-bold.otf")
FONTS = ("DejaVu Sans Mono", "IPAexGothic")
INSTALL = ("apt-get install --no-install-recommends latexmk texlive-xetex texlive-latex-recommended "
           "texlive-latex-extra texlive-fonts-recommended fonts-texgyre fonts-dejavu-core fonts-ipaexfont-gothic "
           "fontconfig")
OUTSIDE = 60    # points; the margin is 62 wide
FAULT = re.compile(r"^! .*|^Missing character: .*|^LaTeX Warning: (?:Hyper r|R)eference .* undefined.*|"
                   r"^LaTeX Warning: (?:Citation .* undefined|Label .* multiply defined).*", re.MULTILINE)
WIDE = re.compile(r"^Overfull \\hbox \(([\d.]+)pt too wide\) (?:in|detected).*", re.MULTILINE)


def missing():
    """What is needed beside Python, and not there."""
    if programs := [name for name in PROGRAMS if not shutil.which(name)]:
        return programs
    found = [name for name in FILES if not output("kpsewhich", name)]
    return found + [f"the font {name}" for name in FONTS if not output("fc-list", name)]


def output(*command):
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout.strip()


def faults(log):
    """What a log of XeLaTeX tells of: each fault once."""
    found = [match[0] for match in FAULT.finditer(log)]
    found += [match[0] for match in WIDE.finditer(log) if float(match[1]) > OUTSIDE]
    return list(dict.fromkeys(found))


def main():
    if lacking := missing():
        return f"For the PDF there must also be {', '.join(lacking)}. On Debian and Ubuntu:\n    {INSTALL}"
    latex = FOLDER / "latex"
    done = subprocess.run([sys.executable, "-m", "sphinx", "-b", "latex", "-W", "--keep-going", *sys.argv[1:],
                           "-d", FOLDER / "doctrees", DOCS, latex], check=False)
    if done.returncode:
        return "Sphinx has found faults: no PDF was made"
    environment = {**os.environ, "max_print_line": "1000"}    # a log with whole lines
    done = subprocess.run(["latexmk", "-g", "-xelatex", "-interaction=nonstopmode", "-silent", f"{NAME}.tex"],
                          cwd=latex, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, check=False)
    log = latex / f"{NAME}.log"
    found = faults(log.read_text(encoding="utf-8", errors="replace")) if log.is_file() else ["latexmk has failed"]
    if done.returncode or found:
        return "\n".join([*found, f"The PDF has faults; {log} says more"])
    shutil.copyfile(latex / f"{NAME}.pdf", FOLDER / f"{NAME}.pdf")
    pages = re.findall(r"Output written on .*?\((\d+) pages?", log.read_text(encoding="utf-8", errors="replace"))
    print(f"{FOLDER / NAME}.pdf, {pages[-1]} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
