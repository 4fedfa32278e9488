"""Why is it wrong? Ask those who know the most specific answers first."""

import dataclasses
import os

import numpy as np

from parity_tests.harness.doctor import catalogue, isolation, matches, places, probes, ratios, repairs
from parity_tests.harness.doctor.compare import agrees, compare
from parity_tests.harness.doctor.evidence import Evidence
from parity_tests.harness.doctor.jobs import Claims
from parity_tests.harness.doctor.show import differs
from parity_tests.harness.doctor.verdict import Finding, names_text

SEARCH_SECONDS = 3.0
SHORT_SEARCH_SECONDS = 1.0    # where a bug of the catalogue explains everything already


def diagnose(subject, request, judged, verdict):
    """Findings about wrong values, best first.

    The learner's code runs once more in a fresh process: on simplified inputs, and with small edits.
    """
    evidence = Evidence(subject, judged)
    if not evidence.pairs:
        return _of_other_rows(judged)
    bugs = catalogue.find(evidence)
    is_explained = _explain(bugs, set(evidence.wrong))
    simple = probes.probes_of(subject)
    again = repairs.examples(evidence)
    outcome = _run(request, [*again, *(probe.example for probe in simple)], repairs.search_for(
        subject, again, evidence.wrong, evidence.right, SHORT_SEARCH_SECONDS if is_explained else SEARCH_SECONDS),
        judged)
    _clear_of_suspicion(judged, verdict, outcome.refuted)
    results = [outcome.results.get(len(again) + index) for index in range(len(simple))]
    fresh = _right_when_fresh(subject, judged, again[0], outcome.results.get(0))
    return _ranked(evidence, judged, {
        "fresh": fresh, "catalogue": bugs, "match": matches.find(evidence),
        "repair": repairs.read(evidence.wrong, outcome.repairs), "ratio": ratios.find(evidence),
        "place": places.find(evidence), "probe": probes.read(subject, simple, results, evidence),
    }) or [_where(judged, evidence, verdict)]


def diagnose_failure(subject, request, examples, wrong=(), right=()):
    """Findings about code that raises (wrong: nothing) or returns these gradients in wrong shapes: edits that help."""
    chosen = [example for example in examples if example.dtype == "float64"][-3:]
    wrong = list(wrong) or list(chosen[0].gradients)
    outcome = _run(request, chosen, repairs.search_for(subject, chosen, wrong, right, SEARCH_SECONDS))
    return repairs.read(wrong, outcome.repairs)


def _run(request, examples, search, judged=None):
    """Run the learner's code on these examples, the search on the first of them, and see whether suspicions hold."""
    jobs, claims = [example.job for example in examples], None
    suspects = [row for row in judged.suspects if row.kind == "local"] if judged else []
    if suspects:
        example = judged.suspected_in
        rows = next(rows for other, _, rows in judged.pairs if other is example)
        claims = Claims(len(jobs), tuple(example.truth), example.everything,
                        {row.name: row.expected for row in rows if "gradient" in row.kind and not row.problem},
                        [(row.line, row.name, row.expected) for row in suspects])
        jobs.append(example.job)
    return isolation.run(dataclasses.replace(request, jobs=jobs, repeat=False, search=search, claims=claims,
                                             time_limit=request.time_limit + 4 * SEARCH_SECONDS))


def _clear_of_suspicion(judged, verdict, refuted):
    """A local that has the name of one of ours, and is another thing, is not wrong."""
    def is_cleared(row):
        return row.kind == "local" and (row.line, row.name) in refuted
    verdict.rows = [row for row in verdict.rows if not is_cleared(row)]
    judged.suspects = [row for row in judged.suspects if not is_cleared(row)]
    verdict.first_wrong = judged.suspects[0] if judged.suspects else verdict.first_wrong


def _ranked(evidence, judged, found):
    """The cause, then the line, then the relation to the truth; effects only where little else is known."""
    wrong = set(evidence.wrong)
    bugs = [finding for finding in found["catalogue"] if finding.kind == "catalogue"]
    similar = [finding for finding in found["catalogue"] if finding.kind == "similar"]
    edits = [finding for finding in found["repair"] if finding.kind == "repair"]
    lines = [finding for finding in found["repair"] if finding.kind == "line"]
    if _explain(edits, wrong) and not _explain(bugs, wrong):
        bugs = []    # one edit explains all, no single bug does
    orders = [finding for finding in found["match"] if finding.kind == "order"]
    if orders:
        edits = []
    causes = [*found["fresh"], *orders, *bugs]
    told = _names(causes)
    exact = []
    for finding in [*found["match"], *found["ratio"]]:
        if finding not in causes and not set(finding.names) <= told:
            exact.append(finding)
            told |= set(finding.names)
    if _explain(edits[:1], wrong):
        exact = [finding for finding in exact if set(finding.names) == wrong]    # how one of several looks adds nothing
    similar = [finding for finding in similar if not set(finding.names) <= _names([*causes, *edits])]
    # What makes all of several wrong results right tells more than how one of them looks.
    telling = [finding for finding in found["probe"] if len(wrong) > 1 and set(finding.names) >= _gradients(wrong)][:1]
    main = [*causes, *edits[:1], *telling, *exact, *edits[1:], *similar, *lines]
    effects = [*found["place"], *(finding for finding in found["probe"] if finding not in telling),
               *_cases(evidence, judged)]
    unexplained = [finding for finding in effects if not set(finding.names) <= _names(main)]
    return [*main, *unexplained] if len(main) + len(unexplained) > 1 else [*main, *effects[:2]]


def _explain(findings, wrong):
    """True if one of the findings is about all that is wrong."""
    return any(set(finding.names) == wrong for finding in findings)


def _gradients(names):
    return {name for name in names if name.startswith("d_")} or set(names)


def _names(findings):
    return {name for finding in findings for name in finding.names}


def _cases(evidence, judged):
    """In which cases it is right and in which wrong, where there are both."""
    found = {}
    for name, pairs in evidence.pairs.items():
        wrong = [example.label for example, _, truth in pairs]
        right = [example.label for example in evidence.examples
                 if example.label not in wrong and name in example.results and example.results[name].any()]
        if right:
            found.setdefault((tuple(right), tuple(wrong)), []).append(name)
    return [Finding("place", f"{names_text(names)}: right in {_listed(right)}; wrong in "
                             f"{_listed(wrong)}", names=tuple(names))
            for (right, wrong), names in found.items()]


def _listed(labels):
    """A few names of cases."""
    more = f" and {len(labels) - 2} more" if len(labels) > 2 else ""
    return ", ".join(f'"{label}"' for label in labels[:2]) + more


def _right_when_fresh(subject, judged, example, result):
    """The first wrong example is right in a process of its own: something is kept from call to call."""
    if result is None or result.failure is not None or judged.pairs[0][0] is example:
        return []
    rows, problem = compare(subject, example, result)
    if problem or any(row.problem for row in rows):
        return []
    return [Finding("structure", f"It is right on {example.label} when that comes first, and wrong when another case "
                                 "came before: something is kept from call to call (a global, a mutable default "
                                 "argument)")]


def _of_other_rows(judged):
    """No gradient is wrong in float64; then a buffer may be, or float32."""
    for example, _, rows in judged.pairs:
        for row in rows:
            if row.problem and row.kind == "buffer":
                return [Finding("place", f"{row.name}, which the forward pass updates, {row.problem}")]
            is_right_in_float64 = not any(other.problem for other in judged.rows if other.dtype == "float64")
            if row.problem and example.dtype == "float32" and row.problem.startswith("is off") and is_right_in_float64:
                return [Finding("place", f"In float64 all is right, in float32 {row.name} {row.problem}: a difference "
                                         "of two large numbers loses what they have not in common, or an exp "
                                         "overflows")]
    return []


def _where(judged, evidence, verdict):
    """The last resort: where it is wrong, and what is right."""
    name, pairs = next(iter(evidence.pairs.items()))
    example, actual, truth = pairs[0]
    wrong = differs(actual, truth)
    worst = tuple(int(i) for i in np.unravel_index(abs(actual - truth).argmax(), truth.shape))
    text = (f"{name} is wrong at {wrong.sum()} of {wrong.size} entries, most at {worst}: {actual[worst]:.6g} where "
            f"{truth[worst]:.6g} must be ({example.label})")
    row = verdict.first_wrong
    if row is not None and row.line and row.kind == "local":
        text += f". It begins with {row.name} in line {row.line}: what comes before that line may be right"
    known = _last_recognised(judged, example)
    if known:
        text += f". {known}"
    if evidence.right:
        text += (f". {names_text(evidence.right)} {'is' if len(evidence.right) == 1 else 'are'} right: what they share "
                 f"with {name} is right too")
    text += (f". To compare your steps with ours, gradient by gradient: `python -m parity_tests step "
             f"\"{evidence.subject_case}\"`")
    return Finding("place", text, names=(name,))


def _last_recognised(judged, example):
    """The last local of the learner's that equals a gradient of ours, under whatever name."""
    result = next(result for other, result, _ in judged.pairs if other is example)
    last = None
    ours = [known for known in example.known if known.is_backward and known.value.size > 1]
    for local in result.locals:
        if local.is_assigned:
            last = next(((local, known) for known in ours if agrees(local.value, known.value)), last)
    if last is None:
        return ""
    local, known = last
    return (f"{local.name} in line {local.line} is right: it is the gradient of `{known.name.removeprefix('d_')}`; "
            f"look at what follows it in {os.path.basename(judged.about['files'][0])}")
