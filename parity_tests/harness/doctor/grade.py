"""Grade a learner's backward pass: run it where it can do no harm, compare, and find out what is wrong."""

import time

import numpy as np

from parity_tests.harness.doctor import isolation, structure
from parity_tests.harness.doctor.compare import compare, compare_locals, place_of
from parity_tests.harness.doctor.diagnosis import diagnose, diagnose_failure
from parity_tests.harness.doctor.jobs import Request
from parity_tests.harness.doctor.subjects import cases_of, example_of, subject_of, variants_of
from parity_tests.harness.doctor.verdict import MOST_FINDINGS, Verdict
from parity_tests.harness.errors import UserError

MOST_CASES = 8    # of a large module


def grade(name, file=None, *, backward=None, forward=None, module=None, function=None, time_limit=10):
    """Is this backward pass right? Returns a Verdict, which says so or tells where to look.

    name: a primitive ("layer_norm", "scaled_dot_product_attention") or a module ("LayerNorm", "EncoderLayer").
    file: a Python file with `<name>_backward(d_y, cache)`, whose cache is what our plain forward returns; if the file
    also has a function `<name>`, which returns its outputs and a cache of its own, that one is run before. For a module
    the file has a class of its name, with the same constructor, parameters, forward and backward.
    backward, forward, module: the same as objects, from a notebook. function: what it is called in the file, if not so.
    time_limit: seconds. Raises UserError for an unknown name, a missing file, and the like.
    """
    begun = time.perf_counter()
    subject = subject_of(name)
    request = _request(subject, file, backward, forward, module, function, time_limit)
    examples = examples_of(subject)
    request.jobs = [example.job for example in examples]
    outcome = isolation.run(request)
    verdict = Verdict(name, printed=outcome.printed, notes=list(outcome.notes))
    judged = judge_all(subject, examples, outcome, verdict)
    if outcome.failure is not None or judged.failure is not None:
        verdict.failure = outcome.failure or judged.failure
        verdict.diagnosis = structure.of_failure(subject, verdict.failure)
        if verdict.failure.kind == "exception" and outcome.about:
            verdict.diagnosis += diagnose_failure(subject, request, examples)
    else:
        verdict.diagnosis = structure.findings(subject, judged)
        verdict.passed = not verdict.diagnosis and not any(row.problem for row in verdict.counted)
        if not verdict.passed:
            verdict.diagnosis += [finding for finding in diagnose(subject, request, judged, verdict)
                                  if not (finding.kind == "structure" and verdict.diagnosis)]
            verdict.diagnosis = _with_repairs_of_shapes(subject, request, examples, verdict)
            verdict.diagnosis.sort(key=lambda finding: finding.kind == "not finite" and _is_wrong_elsewhere(
                finding, verdict))
    verdict.diagnosis = verdict.diagnosis[:MOST_FINDINGS]
    verdict.seconds = time.perf_counter() - begun
    return verdict


def _with_repairs_of_shapes(subject, request, examples, verdict):
    """The diagnosis, with an edit that helps after what is said of wrong shapes, if no other finding names a line."""
    shapes = [row.name for row in verdict.counted if row.problem and row.problem.startswith("has the shape")]
    if not shapes or any(finding.line for finding in verdict.diagnosis):
        return verdict.diagnosis
    wrong = {row.name for row in verdict.counted if row.problem}
    right = [row.name for row in verdict.counted if row.name not in wrong]
    edits = diagnose_failure(subject, request, examples, dict.fromkeys(shapes), right)
    return [*verdict.diagnosis[:1], *edits[:1], *verdict.diagnosis[1:], *edits[1:]]


def _is_wrong_elsewhere(finding, verdict):
    """Is what has a NaN somewhere wrong without one too? Then the NaN is not what to look at first."""
    return any(row.name in finding.names and row.problem and np.isfinite(row.error) for row in verdict.counted)


class Judged:
    """The comparison of one run. pairs: [(Example, Result, its rows)] of all that ran; failure: the first exception.

    suspects: wrong locals and results of the Example `suspected_in`, in the order of execution.
    """

    def __init__(self):
        self.pairs, self.failure, self.count_problems, self.about, self.repeated = [], None, [], {}, None
        self.suspects, self.suspected_in = [], None

    @property
    def rows(self):
        return [row for _, _, rows in self.pairs for row in rows]


def judge_all(subject, examples, outcome, verdict):
    """Compare every result, and fill in the rows and the first wrong tensor of the verdict."""
    judged = Judged()
    judged.about, judged.repeated = outcome.about, outcome.repeated
    for index, example in enumerate(examples):
        result = outcome.results.get(index)
        if result is None:
            continue
        if result.skipped:
            note = f"{example.label} was left out ({result.skipped})"
            verdict.notes += [note] if note not in verdict.notes else []
            continue
        if result.failure is not None:
            judged.failure = judged.failure or result.failure
            continue
        rows, problem = compare(subject, example, result)
        if problem:
            judged.count_problems.append((example, problem))
        judged.pairs.append((example, result, rows))
        verdict.rows += rows
    if outcome.failure is None and judged.failure is None:
        _find_first_wrong(subject, judged, verdict)
    return judged


def _find_first_wrong(subject, judged, verdict):
    """In the first example with a wrong result: the first wrong local by time, else the first wrong result."""
    for example, result, rows in sorted(judged.pairs, key=lambda pair: pair[0].dtype != "float64"):
        wrong = [place_of(row, result, judged.about) for row in rows if row.problem]
        if wrong:
            right = {row.name for row in rows if not row.problem}
            locals_ = compare_locals(subject, example, result, judged.about, right)
            verdict.rows += locals_
            dated = [row for row in [*locals_, *wrong] if row.problem and row.time is not None]
            judged.suspects = sorted(dated, key=lambda row: row.time) or wrong[:1]
            judged.suspected_in = example
            verdict.first_wrong = judged.suspects[0]
            return


def examples_of(subject):
    """What a learner's code is graded on: float64 in all cases and in other sizes, then float32 for its dtype."""
    cases = cases_of(subject)[:MOST_CASES] if subject.is_module else cases_of(subject)
    examples = [example_of(subject, case) for case in cases]
    examples += [example_of(subject, case, independent=False) for case in variants_of(subject, cases)]
    narrow = cases[:2] if subject.is_module else cases
    return examples + [example_of(subject, case, "float32", independent=False) for case in narrow]


def _request(subject, file, backward, forward, module, function, time_limit):
    """The Request without its jobs. Raises UserError for arguments that do not fit together."""
    objects = {key: value for key, value in (("backward", backward), ("forward", forward), ("module", module))
               if value is not None}
    if (file is None) == (not objects):
        raise UserError("grade: was called with " + ("both a file and" if file else "neither a file nor")
                        + " a function, must have one of them")
    needed = "module" if subject.is_module else "backward"
    if objects and needed not in objects:
        raise UserError(f"{needed}: was not given, must be your {'class' if subject.is_module else 'function'}, since "
                        f"{subject.name} is a {'module' if subject.is_module else 'primitive'}")
    for key, value in objects.items():
        if not callable(value):
            raise UserError(f"{key}: was {type(value).__name__}, must be a "
                            f"{'class' if key == 'module' else 'function'}")
    if not time_limit > 0:
        raise UserError(f"time_limit: was {time_limit!r}, must be a number of seconds above 0")
    if subject.is_module:
        request = Request("module", subject.name, [], signature=subject.name)
    else:
        request = Request("primitive", subject.name, [], signature=subject.signature, arguments=subject.arguments)
    request.file, request.wanted, request.objects = checked_file(file), function, objects
    request.time_limit = time_limit
    return request


def checked_file(file):
    """The path of a Python file as text; None stays None. Raises UserError if there is no such file."""
    from pathlib import Path

    if file is None:
        return None
    path = Path(file)
    if not path.is_file():
        raise UserError(f"file: was {str(file)!r}, must be a Python file that exists")
    if path.suffix != ".py":
        raise UserError(f"file: was {str(file)!r}, must be a Python file, whose name ends with .py")
    return str(path)
