"""The report as a web page: an overview in colours, a section for each case, and all tensors to search and sort."""

import re
from pathlib import Path

from parity_tests.harness.pages import page

FOLDER = Path(__file__).parent
# The columns of the overview: heading, oracle, forms (None: any), what it asks.
OVERVIEW = (
    ("float64", "autograd", ("plain", "lean"),
     "every local, gradient and result of the NumPy code against torch's, whose gradients autograd finds"),
    ("float32", "autograd", ("plain float32", "lean float32"),
     "the same in float32; both twins are measured against torch in float64"),
    ("contract", "contract", None,
     "gradients are added to, a forward pass serves one backward pass, and no_grad() keeps nothing"),
    ("derivative", "derivative", None,
     "gradients against the function's own values a tiny step away: complex steps, or central differences"),
    ("adjoint", "adjoint", None,
     "⟨J v, u⟩ = ⟨v, Jᵀ u⟩ for random v and u: a step forward along v must agree with the backward pass of u"),
    ("torch", "torch", None, "the same computed by torch's own modules and functions"),
    ("library", "library", None, "the same computed by another library, the transformers library"),
)
# How much of its bound an error may use to get this colour: about half a power of ten each, up to all of it.
LEVELS = (0, 0.01, 0.1, 0.3, 1)


def html(result):
    """The page of a report, as text."""
    cases = [{**entry, "id": identifier, "tiles": tiles(entry)}
             for entry, identifier in zip(result["cases"], identifiers(result["cases"]))]
    files = dict.fromkeys(case["file"] for case in cases)
    groups = {file: [case for case in cases if case["file"] == file] for file in files}
    body = page.render(FOLDER / "report.html", result=result, summary=result["summary"], groups=groups,
                       overview=OVERVIEW, levels=LEVELS, readable=readable,
                       first_id=next((case["id"] for case in cases if case["failing"]), ""))
    texts = {suffix: (FOLDER / f"report.{suffix}").read_text(encoding="utf-8") for suffix in ("css", "js")}
    data = {"columns": result["columns"],
            "cases": [{name: case[name] for name in ("id", "name", "verdicts", "tensors")} for case in cases]}
    return page.page("Parity report", body, styles=[texts["css"]], scripts=[texts["js"]], data=data)


def identifiers(entries):
    """For each case what the address of its section ends with, all different."""
    found = {}
    for entry in entries:
        name = re.sub(r"\W+", "-", entry["name"]).strip("-")
        found[name if name not in found else f"{name}-{len(found)}"] = None
    return list(found)


def tiles(entry):
    """For each column of the overview: {"level", "text", "label"}, as `tile` makes it of the verdicts it sums up."""
    return [tile(heading, [verdict for verdict in entry["verdicts"]
                           if verdict["oracle"] == oracle and (forms is None or verdict["form"] in forms)])
            for heading, oracle, forms, _ in OVERVIEW]


def tile(heading, verdicts):
    """One tile. level: "bad", 0 to 4 by how much of its bound the worst error uses, "passed" where there is no error to
    tell, "none" where it was not run, or "absent". text: what stands in the tile; label: the same in words.
    """
    failed = [verdict for verdict in verdicts if verdict["status"] == "failed"]
    passed = [verdict for verdict in verdicts if verdict["status"] == "passed"]
    if failed:
        return {"level": "bad", "text": "✕", "label": f"{heading}: fails, {failed[0]['problem']}"}
    if not verdicts:
        return {"level": "absent", "text": "", "label": f"{heading}: there is none for this case"}
    if not passed:
        return {"level": "none", "text": "–", "label": f"{heading}: not run, {verdicts[0]['problem']}"}
    worst = max(passed, key=lambda verdict: verdict["used"] or 0)
    if worst["used"] is None:
        return {"level": "passed", "text": "✓", "label": f"{heading}: passed"}
    percent = 100 * worst["used"]
    text = "0" if percent == 0 else "<1" if percent < 1 else f"{percent:.0f}"
    return {"level": level(worst["used"]), "text": text,
            "label": f"{heading}: passed, error {readable(worst['error'])} eps of {readable(worst['bound'])} allowed"}


def readable(value):
    """A number of the report as text: 2048, 57.2, 3.01e+15, nan."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def level(used):
    """The number of the colour for an error that uses so much of its bound."""
    return next(number for number, limit in enumerate(LEVELS) if used <= limit)
