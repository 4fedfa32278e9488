"""The book's own directives, and the pages that are made from the source: what no published extension does.

    source, listing, lines    code of the twins (listing.py), with links to the equations and back (equations.py)
    exercise, hint, answer    and `graded`, an exercise of the lab (exercises.py)
    bug, bug-catalogue        from the bug catalogue (bugs.py)
    departures                what the docstrings say of it (departures.py)
    questions                 the learners' questions with their answers (questions.py)
    lab                       the report and the steppers, in a frame (lab.py)
    api/                      a page for each file of the twins (api.py)
    paper.py                  what the PDF shows otherwise
"""

import importlib

PARTS = ("listing", "equations", "exercises", "bugs", "departures", "questions", "lab", "api", "paper")


def setup(app):
    """Called by Sphinx. The parts are imported here, so that other programs can use single modules without Sphinx."""
    for part in PARTS:
        importlib.import_module(f"twins.{part}").setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
