"""What the oracles of the tests say of a case, as a table for a page."""

import html

import numpy as np

from book.numbers import in_columns
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.report.build import report

ORACLES = {"autograd": "PyTorch's autograd, tensor by tensor", "derivative": "derivatives",
           "adjoint": "adjoint identity", "torch": "PyTorch's own function", "library": "another library"}
FORMS = ("plain", "lean")
HEADINGS = ("Asked", "Compared", "Error, plain form", "Error, lean form", "Allowed")
EXACT_BOUND = 1e-9    # of what subtracts nothing; central differences, which do, are allowed more


class Verdicts:
    """Rows of (case, what was asked, number of comparisons, {form: largest error}, bound); errors are relative."""

    def __init__(self, rows):
        self.rows = rows

    def worst(self):
        """The largest error of the exact methods, which is all but central differences."""
        return max(max(errors.values()) for _, _, _, errors, bound in self.rows if bound < EXACT_BOUND)

    def _cells(self):
        for case, asked, compared, errors, bound in self.rows:
            yield case, (asked, str(compared), *(error_text(errors.get(form)) for form in FORMS), error_text(bound))

    def __repr__(self):
        head, *rows = in_columns([HEADINGS, *(cells for _, cells in self._cells())])
        lines, previous = [head], None
        for (case, _), row in zip(self._cells(), rows):
            lines += [case] if case != previous else []
            lines.append("  " + row)
            previous = case
        return "\n".join(lines)

    def _repr_html_(self):
        parts, previous = [], None
        for case, cells in self._cells():
            if case != previous:
                parts.append(f'<tr><th colspan="{len(HEADINGS)}">{html.escape(case)}</th></tr>')
                previous = case
            parts.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
        head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
        return (f'<div class="wide"><table class="verdicts"><thead><tr>{head}</tr></thead>'
                f'<tbody>{"".join(parts)}</tbody></table></div>')


def error_text(error):
    """An error to two digits; nothing where there is none."""
    return "" if error is None else "0" if error == 0 else f"{error:.1e}"


def verdicts(*names, precision="float64"):
    """Examine cases of the tests by name, such as "softmax: softmax", and return what each oracle found.

    Raises KeyError if there is no such case, and AssertionError if a comparison fails.
    """
    eps, rows = np.finfo(precision).eps, {}
    for entry in report([all_cases()[name] for name in names])["cases"]:
        for verdict in entry["verdicts"]:
            assert verdict["status"] != "failed", f"{entry['name']}: {verdict}"
            form = verdict["form"].removesuffix(" float32")
            if (verdict["oracle"] not in ORACLES or verdict["status"] != "passed" or form not in FORMS
                    or verdict["form"].endswith("float32") != (precision == "float32")):
                continue
            what = verdict["what"] if verdict["oracle"] != "autograd" else ""
            asked = ": ".join(filter(None, [ORACLES[verdict["oracle"]], what]))
            row = rows.setdefault((entry["name"], asked), (entry["name"], asked, verdict["compared"], {},
                                                           verdict["bound"] * eps))
            row[3][form] = verdict["error"] * eps
    return Verdicts(list(rows.values()))
