"""Why is a gradient of somebody's own function wrong? The findings of `check`."""

import dataclasses

import numpy as np

from parity_tests.harness.doctor import isolation, paths, places, ratios, repairs
from parity_tests.harness.doctor.compare import agrees
from parity_tests.harness.doctor.jobs import Claims, name_gradients, name_outputs
from parity_tests.harness.doctor.probes import FACTOR, only_first
from parity_tests.harness.doctor.products import as_product
from parity_tests.harness.doctor.verdict import Finding, names_text

SEARCH_SECONDS = 2.0
EXPLAIN_SECONDS = 2.0


def find(request, evidence, judged, measured, tolerance, verdict):
    """Findings about wrong values: a way back that is missing, an edit that helps, then what is left to say."""
    (example, result, _), = judged.pairs
    explained, probes = _explained(request, evidence, example, result, measured, tolerance)
    variables = explained["variables"]
    arrays = _arrays(result, variables)
    wrong_locals = [pair for pair in paths.rows_of_locals(result, variables, judged.about, measured["inputs"])
                    if pair[0].problem]
    outcome = _search(request, evidence, example, variables, tolerance, [row for row, _ in wrong_locals])
    wrong_locals = [(row, variable) for row, variable in wrong_locals if (row.line, row.name) not in outcome.refuted]
    _note_first_wrong(verdict, [row for row, _ in wrong_locals])
    found = [finding for finding in probes if finding.kind == "output"]
    found = found or _missing_ways(evidence, variables, wrong_locals[:1], arrays, tolerance)
    found += repairs.read(evidence.wrong, outcome.repairs)
    for name in evidence.wrong:
        if name not in _told(found):
            found += [finding for finding in probes if finding.names == (name,)] or _named(
                [_as_product(evidence, name, arrays, tolerance)], [name])
    found += [finding for finding in ratios.find(evidence)
              if "times the true gradient" in finding.text or not set(finding.names) <= _told(found)]
    values = {name: variable.value for name, variable in variables.items()}
    found += [finding for finding in places.find(evidence, values)
              if len(found) == 1 or not set(finding.names) <= _told(found)]
    return _joined(found) or [_where(evidence, variables)]


def _missing_ways(evidence, variables, wrong_locals, arrays, tolerance):
    """Which uses of a variable are missing in its gradient: in the first wrong local, and in each wrong result."""
    found = []
    for row, variable in wrong_locals:
        found += _named([paths.find(row.name, variable, row.actual, arrays, tolerance)], evidence.wrong)
    for name, ((_, actual, _),) in evidence.pairs.items():
        variable = variables.get(name.removeprefix("d_"))
        found += _named([variable and paths.find(name, variable, actual, arrays, tolerance)], [name])
    return found


def _told(found):
    """The gradients of which something is known."""
    return {name for finding in found for name in finding.names}


def _joined(findings):
    """What is said of several gradients in the same words is said once."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        name = finding.names[0] if len(finding.names) == 1 else ""
        groups.setdefault(finding.text.removeprefix(f"{name} ") if name else finding.text, []).append(finding)
    return [members[0] if len(members) == 1 else dataclasses.replace(
        members[0], text=f"{names_text(member.names[0] for member in members)}: each {rest}",
        names=tuple(member.names[0] for member in members)) for rest, members in groups.items()]


def _named(findings, names):
    """The Findings that there are, about these gradients."""
    return [dataclasses.replace(finding, names=tuple(names)) for finding in findings if finding]


def _note_first_wrong(verdict, rows):
    """A wrong local comes before the wrong result that is made of it."""
    verdict.rows += rows
    dated = [row for row in [*rows, verdict.first_wrong] if row.time is not None]
    verdict.first_wrong = min(dated, key=lambda row: row.time) if dated else verdict.first_wrong


def _arrays(result, variables):
    """{name: array}, in the words of the learner's backward pass, then of the forward pass."""
    found = {local.name: local.value for local in result.locals if local.name and local.value.dtype.kind in "fb"}
    return {**found, **{name: variable.value for name, variable in variables.items() if name not in found}}


def _called(result, upstreams):
    """{what backward calls an upstream gradient: the array}."""
    found = {}
    for index, upstream in enumerate(upstreams):
        names = [local.name for local in result.locals if local.is_argument and local.name not in found
                 and np.array_equal(local.value, upstream)]
        found[names[0] if names else f"d_y{index + 1}" if len(upstreams) > 1 else "d_y"] = upstream
    return found


def _explained(request, evidence, example, result, measured, tolerance):
    """(what `shares` has measured, Findings from the Jacobian and from other upstream gradients)."""
    names = [name.removeprefix("d_") for name in evidence.wrong]
    upstreams = measured["upstreams"]
    explain = {"method": measured["method"], "wrong": names, "seconds": EXPLAIN_SECONDS}
    axes = range(upstreams[0].ndim) if len(upstreams) == 1 else ()
    plans = [(upstreams, explain), ([FACTOR * array for array in upstreams], None),
             *(([only_first(upstreams[0], axis)], None) for axis in axes)]
    jobs = [_job(request, example, plan, explain=explain) for plan, explain in plans]
    outcome = isolation.run(dataclasses.replace(request, jobs=jobs,
                                                time_limit=request.time_limit + 2 * EXPLAIN_SECONDS))
    explained = getattr(outcome.results.get(0), "measured", None) or {"variables": {}, "jacobians": {}}
    gradients = [_gradients(outcome.results.get(index), example) for index in range(1, len(jobs))]
    found = []
    for name, ((_, actual, truth),) in evidence.pairs.items():
        jacobian = explained["jacobians"].get(name.removeprefix("d_"))
        if jacobian is None:
            continue
        related = paths.relative(name, actual, jacobian, _called(result, upstreams), tolerance)
        if related is None and name in gradients[0] and not agrees(gradients[0][name], FACTOR * actual, 1e-6):
            related = Finding("probe", f"{name} is not linear in the upstream gradient: {FACTOR:g} times the one must "
                                       f"give {FACTOR:g} times the other. Each term must have it as a factor exactly "
                                       "once, outside of any comparison or function")
        masked = [paths.spread(name, gradients[1 + axis][name],
                               (jacobian @ only_first(upstreams[0], axis).reshape(-1)).reshape(truth.shape), axis)
                  for axis in axes if name in gradients[1 + axis] and truth.ndim == len(axes)
                  and truth.shape[axis] == upstreams[0].shape[axis] > 1]
        found += _named([related, *masked], [name])[:1]
    return explained, found


def _job(request, example, upstreams, explain=None):
    """A Job on the same inputs."""
    options = {**request.jobs[0].options, "upstream": upstreams, "measure": False, "explain": explain}
    return dataclasses.replace(request.jobs[0], inputs=_as_given(request.jobs[0].inputs, example.inputs), record=False,
                               options=options)


def _gradients(result, example):
    if result is None or result.failure is not None:
        return {}
    gradients, _ = name_gradients(result.gradients, tuple(example.truth), example.everything)
    return {name: array for name, array in (gradients or {}).items()
            if isinstance(array, np.ndarray) and array.shape == example.truth[name].shape}


def _search(request, evidence, example, variables, tolerance, wrong_locals):
    """The Outcome of a search for edits that help, tried with what is known of the forward pass."""
    search = repairs.search_for(evidence.subject, [example], evidence.wrong,
                                [*evidence.right, *name_outputs(example.outputs)], SEARCH_SECONDS)
    search.tolerance = max(tolerance, 1e-9)
    search.terms = [{f"`{use.text}` (line {use.line})": use.share for variable in variables.values()
                     for use in variable.uses if len(variable.uses) > 1}]
    search.values = [{f"the gradient of `{name}`": variable.gradient for name, variable in variables.items()
                      if variable.line}]
    search.arrays = [{f"`{name}` of the forward pass": variable.value for name, variable in variables.items()}]
    right = {name: example.truth[name] for name in evidence.right}
    claims = Claims(0, tuple(example.truth), example.everything, right,
                    [(row.line, row.name, row.expected) for row in wrong_locals])
    return isolation.run(dataclasses.replace(request, jobs=[_job(request, example, example.upstreams)], search=search,
                                             claims=claims, time_limit=request.time_limit + 4 * SEARCH_SECONDS))


def _as_given(given, used):
    """The inputs, in the form (by name or by position) in which they came."""
    return dict(used) if given is None or isinstance(given, dict) else tuple(used.values())


def _as_product(evidence, name, arrays, tolerance):
    """What is missing, or too much, as a product of arrays of the learner's."""
    (_, actual, truth), = evidence.pairs[name]
    difference = truth - actual
    if abs(difference).max() < 1e-5 * abs(truth).max():
        return None
    product = as_product(difference, arrays, max(tolerance, 1e-8))
    return Finding("match", f"What is missing in {name} is exactly `{product}`") if product else None


def _where(evidence, variables):
    """The last resort: a number to compare with, and what the gradient is made of."""
    name, ((_, actual, truth), *_) = next(iter(evidence.pairs.items()))
    right = evidence.right
    worst = tuple(int(index) for index in np.unravel_index(abs(actual - truth).argmax(), truth.shape))
    what = name.removeprefix("d_")
    text = (f"{name} is wrong most at {worst}: {actual[worst]:.6g} where {truth[worst]:.6g} must be. To see that "
            f"number yourself, add 0.001 to {what}[{', '.join(map(str, worst))}]: the sum of output times upstream "
            f"gradient moves by about {0.001 * truth[worst]:.3g}")
    variable = variables.get(what)
    if variable is not None and len(variable.uses) > 1:
        text += (f". {name} is the sum of what comes back through each use of `{what}` in the forward pass: "
                 f"{paths.listed(variable.uses)}. Take them back one by one")
    return Finding("place", text + (f". {names_text(right)} {'is' if len(right) == 1 else 'are'} right" if right else
                                    ""), names=(name,))
