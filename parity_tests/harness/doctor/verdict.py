"""The answer to a learner: passed, or the first tensor that is wrong, and why it probably is."""

import dataclasses
import html
import json
import os
import re

import numpy as np

from parity_tests.harness.doctor.compare import Row
from parity_tests.harness.doctor.jobs import Failure
from parity_tests.harness.doctor.show import side_by_side

MOST_FINDINGS = 3


@dataclasses.dataclass
class Finding:
    """One thing that was found out. kind: "structure", "catalogue", "similar", "order", "path", "output", "repair",
    "match", "ratio", "line", "probe", "place" or "not finite".

    text: what a learner can act on. bug: the name of a catalogued bug. answer: the change that makes it right, which is
    told only to those who ask.
    """

    kind: str
    text: str
    bug: str = ""
    answer: str = ""
    line: int | None = None
    names: tuple = ()

    def __str__(self):
        text = self.text if self.text.endswith((".", "?", "!")) or "\n" in self.text else f"{self.text}."
        return text + (f"\n`python -m parity_tests bugs show {self.bug}` tells its story." if self.bug else "")


def names_text(names):
    """A list of gradients in words; many of one module become one, "d_encoder.* (12)"."""
    names, groups = list(names), {}
    for name in names:
        head, dot, _ = name.partition(".")
        groups.setdefault(f"{head}.*" if dot and len(names) > 4 else name, []).append(name)
    texts = [members[0] if len(members) == 1 else f"{group} ({len(members)})" for group, members in groups.items()]
    return ", ".join(texts[:-1]) + " and " + texts[-1] if len(texts) > 1 else "".join(texts)


@dataclasses.dataclass(repr=False)
class Verdict:
    """What `grade` and `check` return. Print it, or let a notebook show it.

    passed: True if everything is right. first_wrong: the Row of the first wrong tensor in the order of execution.
    diagnosis: list of Finding, best first. rows: every comparison. failure: why the code did not run, if it did not.
    printed: what it printed. notes: remarks. seconds: how long it took.
    """

    name: str
    passed: bool = False
    rows: list = dataclasses.field(default_factory=list)
    first_wrong: Row | None = None
    diagnosis: list = dataclasses.field(default_factory=list)
    failure: Failure | None = None
    printed: str = ""
    notes: list = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    def __repr__(self):    # for those who ask in an interactive Python
        return str(self)

    def __str__(self):
        lines = [self.headline, *self.overview]
        if self.first_wrong is not None:
            lines += ["", *self._first_wrong_lines()]
        if self.diagnosis:
            lines += ["", "Diagnosis"]
            for number, finding in enumerate(self.diagnosis, 1):
                first, *rest = str(finding).splitlines()
                lines += [f"  {number}. {first}", *(f"     {line}" for line in rest)]
        lines += [f"Note: {note}" for note in self.notes]
        if self.printed.strip():
            lines += ["", "Your code printed:", *(f"  | {line}" for line in self.printed.strip().splitlines()[:20])]
        return "\n".join(lines)

    @property
    def headline(self):
        """One line: passed, or what is wrong."""
        if self.passed:
            count = len(self.counted)
            return f"{self.name}: passed. " + ("The one array is right." if count == 1 else
                                               f"{count} arrays compared, all are right.")
        if self.failure is not None:
            return f"{self.name}: " + ("not written yet." if self.failure.kind == "stub" else "it did not run.")
        wrong = [row for row in self.counted if row.problem]
        if not wrong:
            return f"{self.name}: not right yet" + (", though all values are." if self.counted else ".")
        return (f"{self.name}: not right yet. {len(wrong)} of {len(self.counted)} arrays "
                f"{'is' if len(wrong) == 1 else 'are'} wrong.")

    @property
    def overview(self):
        """Which gradients are right and which are wrong, over all cases."""
        names = dict.fromkeys(row.name for row in self.counted)
        wrong = {row.name for row in self.counted if row.problem}
        if self.passed or not wrong:
            return []
        right = [name for name in names if name not in wrong]
        lines = [f"  right: {names_text(right)}"] if right else []
        return [*lines, f"  wrong: {names_text(name for name in names if name in wrong)}"]

    @property
    def counted(self):
        """The rows that decide: what was returned. Locals are evidence only."""
        return [row for row in self.rows if row.kind != "local"]

    def answers(self):
        """The changes that would make it right, for those who want to be told."""
        return [finding.answer for finding in self.diagnosis if finding.answer]

    def _first_wrong_lines(self):
        row = self.first_wrong
        where = f", line {row.line} of {os.path.basename(row.file)}" if row.line else ""
        lines = [f"First wrong tensor: {row.name}{where} {row.problem}  (case: {row.example})"]
        if row.source:
            lines.append(f"    {row.source}")
        if _comparable(row):
            lines += [f"    {line}" for line in side_by_side(row.actual, row.expected)]
        return lines

    def _repr_html_(self):
        from parity_tests.harness.pages.heatmap import heatmaps_html

        color = "#1a7f37" if self.passed else "#b35900"
        parts = ['<div style="font-family: sans-serif; max-width: 60em; overflow-wrap: anywhere">'
                 f'<p style="border-left: 5px solid {color}; padding-left: 8px; font-weight: bold">'
                 f"{html.escape(self.headline)}</p>"]    # text in the page's own color, dark or light
        parts += [f"<div>{html.escape(line)}</div>" for line in self.overview]
        row = self.first_wrong
        if row is not None:
            where = f", line {row.line}: <code>{html.escape(row.source)}</code>" if row.line else ""
            parts.append(f"<p>First wrong tensor: <b>{html.escape(row.name)}</b>{where} {html.escape(row.problem)} "
                         f"<small>(case: {html.escape(row.example)})</small></p>")
            if _comparable(row):
                parts.append(heatmaps_html(row.actual, row.expected))
        if self.diagnosis:
            items = [_code(html.escape(str(finding))).replace("\n", "<br>") for finding in self.diagnosis]
            parts.append(f"<ol>{''.join(f'<li>{item}</li>' for item in items)}</ol>")
        parts += [f"<p><small>{html.escape(note)}</small></p>" for note in self.notes]
        if self.printed.strip():
            parts.append(f"<pre>{html.escape(self.printed.strip())}</pre>")
        return "".join(parts) + "</div>"

    def to_json(self):
        """Everything but the arrays of right rows, as JSON text."""
        data = {
            "name": self.name, "passed": self.passed, "headline": self.headline,
            "first_wrong": self.first_wrong and _row_data(self.first_wrong, with_arrays=True),
            "diagnosis": [dataclasses.asdict(finding) for finding in self.diagnosis],
            "failure": self.failure and dataclasses.asdict(self.failure),
            "rows": [_row_data(row) for row in self.rows], "printed": self.printed, "notes": self.notes,
        }
        return json.dumps(data, indent=1, allow_nan=False)


def _code(text):
    """`x` in HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


def _comparable(row):
    return (isinstance(row.actual, np.ndarray) and row.actual.shape == row.expected.shape and row.actual.size > 0
            and row.actual.dtype.kind in "biuf")


def _row_data(row, with_arrays=False):
    data = {"case": row.example, "kind": row.kind, "name": row.name, "dtype": row.dtype,
            "shape": None if row.shape is None else list(row.shape), "expected_shape": list(row.expected.shape),
            "error": row.error if np.isfinite(row.error) else None, "problem": row.problem, "line": row.line,
            "function": row.function, "source": row.source}
    if with_arrays:
        data |= {"actual": _numbers(row.actual), "expected": _numbers(row.expected)}
    return data


def _numbers(array):
    """Nested lists of numbers; what JSON has no number for is a text."""
    if not isinstance(array, np.ndarray):
        return None
    if array.ndim:
        return [_numbers(part) for part in array]
    value = array.item()
    if isinstance(value, complex):
        return str(value)
    return value if np.isfinite(value) else str(value)
