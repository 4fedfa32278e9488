"""Examine one case: compare the twins in every form, ask every oracle, and say it in what JSON can hold."""

import collections
import warnings
from importlib.metadata import version

import numpy as np

from parity_tests.harness import against, oracles
from parity_tests.harness.judge import LARGEST_FLOAT32_BOUND, LAYER_BOUND, first_wrong
from parity_tests.harness.recorder import Key, record
from parity_tests.harness.report.places import (
    constructor_of, file_of, source_of, where_it_was_raised, without_folders)
from parity_tests.harness.runs import NUMPY, function_forms, is_module

FORMS = ("plain", "lean", "plain float32", "lean float32")
ELEMENTS = 5    # of each array of a large model, that central differences look at
# One line of the report's table: what was compared, then numbers in eps; None where a form has nothing of that name.
COLUMNS = ("path", "function", "call", "tensor", "assignment", "kind", "shape", *FORMS, "torch float32",
           "bound float64", "bound float32", "problem")


def examine(case):
    """Everything that the report says of a case. An exception does not stop it: it is a verdict."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")    # of broken code: its NaN and infinities show in the rows
        return _Examination(case).result()


class _Examination:
    """verdicts: one for each oracle and form. wrong: the first wrong place of each that failed, in that order."""

    def __init__(self, case):
        self.case = case
        self.verdicts = []
        self.wrong = []
        self.tensors = _Tensors()

    def result(self):
        forms = self.guarded("autograd", "", self.case.forms) or ()
        for form in forms:
            if form == "contract":
                self.guarded("contract", form, self.contract)
            else:
                self.guarded("autograd", form, lambda: self.twins(form))
        if forms:
            self.guarded("derivative", "", self.ask_for_derivatives)
            self.ask_others()
        return {"name": self.case.name, "file": file_of(self.case), "verdicts": self.verdicts,
                "failing": sum(verdict["status"] == "failed" for verdict in self.verdicts),
                "first_wrong": self.wrong[0] if self.wrong else None, "tensors": self.tensors.lines()}

    def guarded(self, oracle, form, function, what=""):
        """Call the function; an exception becomes a failing verdict. Returns what the function returns."""
        try:
            return function()
        except Exception as error:
            message = without_folders(str(error))
            problem = message if isinstance(error, AssertionError) else f"{type(error).__name__}: {message}"
            self.verdicts.append({**_verdict(oracle, form, what), "status": "failed", "problem": problem})
            row = self.wrong_before(error, form) if oracle == "autograd" else None
            place = where_it_was_raised(error) or self.fallback("backward")
            self.wrong.append(self.place(oracle, form, row) if row
                              else _wrong(self.case, oracle, form, problem=problem, **place))

    def wrong_before(self, error, form):
        """What was wrong before the run ended with an exception, if anything was."""
        try:
            return self.case.first_wrong_before(error, form)
        except Exception:    # torch's twin may be broken too
            return None

    def twins(self, form):
        """The twins against each other: every local, every gradient, every result."""
        rows = self.case.rows(form)
        self.tensors.add(form, rows)
        self.judge("autograd", form, "the torch twin", rows)
        loosest = max((row.bound for row in rows), default=0)
        if form.endswith("float32") and not self.case.extreme and not loosest <= LARGEST_FLOAT32_BOUND:
            raise AssertionError(f"torch's own error allows {loosest:.3g} eps: too loose, the case needs another seed")

    def contract(self):
        self.case.check("contract")
        self.verdicts.append({**_verdict("contract", "contract"), "status": "passed"})

    def ask_for_derivatives(self):
        """The derivatives themselves, and the adjoint identity."""
        if oracles.has_gradient(self.case):
            by_steps = oracles.is_analytic(self.case)
            most = None if self.case.bound <= LAYER_BOUND else ELEMENTS
            name = "complex step" if by_steps else "central differences"
            what = "" if most is None else f"{most} elements of each array"
            self.ask("derivative", f"{name}, {what}".rstrip(", "),
                     lambda: oracles.derivative_rows(self.case, most))
            self.ask("adjoint", "by complex step" if by_steps else "by central differences",
                     lambda: oracles.adjoint_rows(self.case))
        else:
            for oracle in ("derivative", "adjoint"):
                self.not_run(oracle, "", "it has no backward pass")

    def ask_others(self):
        """torch's own functions, and those of other libraries."""
        others = against.all_others().get(self.case.name, [])
        for other in others:
            oracle = "torch" if other.library == "torch" else "library"
            if other.missing():
                self.not_run(oracle, other.name, other.missing())
            else:
                self.ask(oracle, f"{other.name}{_version(other.library)}", other.rows)

    def ask(self, oracle, what, ask_for_rows):
        """Rows of each form from an oracle."""
        for form, rows in (self.guarded(oracle, "", ask_for_rows, what) or {}).items():
            self.judge(oracle, form, what, rows)

    def not_run(self, oracle, what, reason):
        self.verdicts.append({**_verdict(oracle, "", what), "status": "not run", "problem": reason})

    def judge(self, oracle, form, what, rows):
        """The verdict of an oracle: how many comparisons, which one is nearest to its bound or furthest beyond."""
        failing = [row for row in rows if row.problem]
        worst = max(failing or rows, key=used, default=None)
        status = "failed" if failing or not rows else "passed"
        self.verdicts.append({
            **_verdict(oracle, form, what), "status": status, "compared": len(rows), "failing": len(failing),
            "error": number(worst.error) if worst else None, "bound": number(worst.bound, 4) if worst else None,
            "used": number(used(worst)) if worst else None, "tensor": _in_words(worst) if worst else None,
            "problem": (worst.problem or "") if worst else "nothing was compared"})
        if status == "failed":
            self.wrong.append(self.place(oracle, form, first_wrong(rows)))

    def place(self, oracle, form, row):
        """The first wrong tensor: what it is, and the statement that made it."""
        if row is None:
            return _wrong(self.case, oracle, form, problem="nothing was compared", **self.fallback("forward"))
        path, _, call, tensor, _ = name_of(row)
        passes = "backward" if "gradient" in row.kind or oracle in ("derivative", "adjoint") else "forward"
        place = (source_of(row.where, row.line) if row.where
                 else self.constructor(path, tensor) if row.kind == "initial value"
                 else self.fallback(passes, path, form))
        return _wrong(self.case, oracle, form, path=path, call=call, tensor=tensor, kind=row.kind,
                      shape=list(row.shape), error=number(row.error), bound=number(row.bound, 4), problem=row.problem,
                      **place)

    def constructor(self, path, name):
        """The statement that made what has a wrong initial value; of the whole module, the function that made it."""
        with record() as recording:
            root = self.case.build(NUMPY, "float64", np.random.default_rng(0))
        makers = [call.function for call in recording.calls if call.parent is None and "." not in call.function]
        if not hasattr(root, name) and not path and makers:
            return source_of(makers[-1])
        return constructor_of(root, path, name, file_of(self.case))

    def fallback(self, passes, path="", form=""):
        """The function that must be at fault where no local tells: the module's at this path, or the primitive."""
        try:
            built = self.case.build(NUMPY, "float64", np.random.default_rng(0))
            if not is_module(built):
                forward, backward = function_forms(built, form.startswith("lean"))
                return source_of((backward if passes == "backward" and backward else forward).__name__)
            module = dict(built.named_modules()).get(path, built)
            return source_of(f"{type(module).__name__}.{passes}")
        except Exception as error:
            return where_it_was_raised(error) or source_of("")


class _Tensors:
    """Lines of the table. The two precisions and forms of one tensor share a line."""

    def __init__(self):
        self.by_key = {}

    def add(self, form, rows):
        seen = collections.Counter()
        for row in sorted(rows, key=lambda row: float("inf") if row.time is None else row.time):
            path, function, call, tensor, assignment = name_of(row)
            name = path, function.replace("_lean", ""), call, tensor, assignment, row.kind
            seen[name] += 1    # two Rows of one name: both are shown
            line = self.by_key.setdefault((*name, seen[name]), dict.fromkeys(COLUMNS))
            line.update(zip(COLUMNS, name))
            line["shape"] = "×".join(map(str, row.shape)) or "-"
            line[form] = number(row.error)
            line["bound float32" if form.endswith("float32") else "bound float64"] = number(row.bound, 4)
            if row.own_error is not None:
                line["torch float32"] = number(row.own_error)
            if row.problem:
                line["problem"] = "; ".join(filter(None, [line["problem"], f"{form}: {row.problem}"]))

    def lines(self):
        return [list(line.values()) for line in self.by_key.values()]


def name_of(row):
    """(path, function, call, tensor, assignment) of a Row; results have no function."""
    if isinstance(row.key, Key):
        return tuple(row.key)
    path, _, tensor = row.key.rpartition(".") if isinstance(row.key, str) else ("", "", str(row.key))
    return path, "", 0, tensor, 0


def used(row):
    """How much of its bound an error uses: 1 is all. NaN counts as infinite, and so does what has no error to tell."""
    if row.problem and not row.error > 0 or np.isnan(row.error):
        return float("inf")
    return row.error / row.bound if row.bound else float("inf" if row.error else 0)


def number(value, digits=3):
    """Rounded to so many digits, as JSON can hold it: NaN and infinities as text."""
    if value is None:
        return None
    return float(f"{value:.{digits}g}") if np.isfinite(value) else str(float(value))


def _in_words(row):
    """What was compared: a local by its place, a result by what it is."""
    if isinstance(row.key, Key) or not (row.kind.endswith("gradient") or row.kind == "output"):
        return str(row.key)
    return f"output {row.key}" if row.kind == "output" else f"gradient of {row.key}"


def _verdict(oracle, form, what=""):
    return {"oracle": oracle, "form": form, "what": what, "status": "", "compared": None, "failing": None,
            "error": None, "bound": None, "used": None, "tensor": None, "problem": ""}


def _wrong(case, oracle, form, *, path="", call=0, tensor=None, kind=None, shape=None, error=None, bound=None, problem,
           **place):
    return {"case": case.name, "oracle": oracle, "form": form, "path": path, "call": call, "tensor": tensor,
            "kind": kind, "shape": shape, "error": error, "bound": bound, "problem": problem, **place}


def _version(library):
    return "" if library == "torch" else f" ({library} {version(library)})"
