"""Change the inputs, run the learner's code again, and see what becomes right, or what it never looks at."""

import dataclasses

import numpy as np

from parity_tests.harness.doctor import paths, recipes
from parity_tests.harness.doctor.compare import agrees, compare
from parity_tests.harness.doctor.evidence import factor_between
from parity_tests.harness.doctor.jobs import name_gradients
from parity_tests.harness.doctor.subjects import cases_of, example_of, variant
from parity_tests.harness.doctor.verdict import Finding, names_text

SIZES = recipes.SIZES[1]
FACTOR = -2.5
UPSTREAMS = (
    ("the upstream gradient is all ones", "the upstream gradient is left out somewhere, or multiplied in twice",
     lambda index, output: np.ones_like(output)),
    ("the upstream gradient is the same all along the last axis",
     "look at the sums over the last axis: each entry has an upstream gradient of its own",
     lambda index, output: _rows(output)),
)


@dataclasses.dataclass
class Probe:
    """The learner's code on changed inputs. kind: "simple", "base", "scaled", "redrawn", "single".

    text: what was changed: a condition, an argument, an axis; advice: what it tells if the gradient becomes right.
    """

    kind: str
    text: str
    advice: str
    example: object


def probes_of(subject):
    """The Probes of a primitive that has a recipe; modules and others have none."""
    if subject.is_module or subject.name not in recipes.RECIPES:
        return []
    case = cases_of(subject)[0]
    plans = [("base", "", "", SIZES, None, None), ("scaled", "", "", SIZES, None, _scaled(case))]
    drawn = recipes.draw(subject.name, np.random.default_rng(0), SIZES)
    plans += [("redrawn", argument, "", SIZES, _redrawn(subject, argument), None)
              for argument, value in drawn.items() if isinstance(value, np.ndarray)]
    plans += [("simple", text, advice, SIZES, change, None) for text, change, advice in recipes.PROBES]
    used = recipes.sizes_of(subject.name, drawn)
    plans += [("simple", text, advice, SIZES | changes, None, None) for text, changes, advice in recipes.SIZE_PROBES
              if changes.keys() <= used.keys()]
    plans += [("simple", text, advice, SIZES, None, upstream) for text, advice, upstream in UPSTREAMS]
    plans += [("single", str(axis), "", SIZES, None, _single(axis)) for axis in range(4)]
    return [probe for plan in plans if (probe := _probe(subject, case, *plan))]


def _probe(subject, case, kind, text, advice, sizes, change, upstream):
    """One Probe, or None where it does not apply."""
    try:
        changed = variant(subject, case, 1, sizes, change)
    except ValueError:    # these sizes are impossible, such as heads that a width cannot be cut into
        return None
    if changed is None:
        return None
    respecting = upstream and (lambda index, output, drawn_in=None:
                               None if index in case.outputs_without_gradient else upstream(index, output))
    example = example_of(subject, changed, independent=False, upstream=respecting)
    example.job.record = False
    return Probe(kind, text, advice, example)


def _rows(output):
    rows = np.random.default_rng(3).standard_normal(output.shape[:-1] + (1,)[:output.ndim])
    return np.broadcast_to(rows, output.shape).copy()


def _single(axis):
    """An upstream gradient that is 0 but at index 0 of an axis."""
    def upstream(index, output):
        full = np.random.default_rng([1, 2, index]).standard_normal(output.shape)
        return only_first(full, axis) if axis < output.ndim else full
    return upstream


def only_first(array, axis):
    """A copy that is 0 but at index 0 of an axis."""
    masked = array.copy()
    masked[(slice(None),) * axis + (slice(1, None),)] = 0
    return masked


def _scaled(case):
    return lambda index, output: FACTOR * np.random.default_rng([1, 2, index]).standard_normal(output.shape)


def _redrawn(subject, argument):
    """Other values of one argument; the others, and the upstream gradient, stay."""
    def change(inputs):
        other = recipes.draw(subject.name, np.random.default_rng(99), SIZES)[argument]
        return {**inputs, argument: other}
    return change


class Answers:
    """What the learner's code returned for each Probe."""

    def __init__(self, subject, probes, results):
        self.subject = subject
        self.answered = [(probe, result) for probe, result in zip(probes, results)
                         if result is not None and result.failure is None]

    def of_kind(self, kind):
        return [(probe, result) for probe, result in self.answered if probe.kind == kind]

    def gradients(self, probe, result):
        """{name: array} that it returned; {} if that cannot be named."""
        gradients, _ = name_gradients(result.gradients, tuple(probe.example.truth), probe.example.everything)
        return {name: array for name, array in (gradients or {}).items() if isinstance(array, np.ndarray)}

    def is_right(self, probe, result, name):
        """True if this gradient is right, and not because it is zero."""
        rows, problem = compare(self.subject, probe.example, result)
        row = next((row for row in rows if row.name == name), None)
        return not problem and row is not None and not row.problem and row.expected.any() and row.expected.size > 2

    def is_right_but_for_a_factor(self, probe, result, name):
        """True if this gradient is a number times the truth."""
        actual, truth = self.gradients(probe, result).get(name), probe.example.truth[name]
        is_telling = len(np.unique(truth.round(9))) > 3    # what is the same everywhere is a multiple of anything
        return is_telling and actual is not None and actual.shape == truth.shape and (
            factor_between(actual, truth) is not None)


def read(subject, probes, results, evidence):
    """Findings: what the gradients do not depend on though they should, and when they become right."""
    answers = Answers(subject, probes, results)
    base = answers.of_kind("base")
    if not base:
        return []
    probe, result = base[0]
    wrong = [name for name in evidence.wrong
             if name in probe.example.truth and not answers.is_right(probe, result, name)]
    ours = answers.gradients(probe, result)
    return [*_not_linear(answers, wrong, ours), *_independent(answers, wrong, ours, probe.example.truth),
            *_conditions(answers, wrong), *_spread(answers, wrong)]


def _spread(answers, wrong):
    """Which axes a gradient mixes, or fails to mix."""
    found = []
    for name in wrong:
        for probe, result in answers.of_kind("single"):
            axis, truth, upstream = int(probe.text), probe.example.truth[name], probe.example.upstreams[0]
            actual = answers.gradients(probe, result).get(name)
            is_along = truth.ndim == upstream.ndim > axis and truth.shape[axis] == upstream.shape[axis] > 1
            finding = is_along and actual is not None and actual.shape == truth.shape and paths.spread(
                name, actual, truth, axis)
            if finding:
                finding.names = (name,)
                found.append(finding)
                break
    return found


def _not_linear(answers, wrong, base):
    """A backward pass is linear in the upstream gradient."""
    for probe, result in answers.of_kind("scaled"):
        gradients = answers.gradients(probe, result)
        found = [name for name in wrong if name in base and name in gradients
                 and not agrees(gradients[name], FACTOR * base[name], 1e-5)]    # float32 in between is no matter
        if found:
            upstream = answers.subject.arguments[0]
            return [Finding("probe", f"{names_text(found)} {'is' if len(found) == 1 else 'are'} not linear in "
                                     f"{upstream}: {FACTOR:g} times {upstream} must give {FACTOR:g} times the "
                                     f"gradient. Each term must have {upstream} as a factor exactly once, outside of "
                                     "any comparison or function", names=tuple(found))]
    return []


def _independent(answers, wrong, base, truth):
    """The truth changes with an argument, the learner's gradient does not."""
    found = []
    for probe, result in answers.of_kind("redrawn"):
        gradients = answers.gradients(probe, result)
        for name in wrong:
            if name in base and name in gradients and base[name].any() and agrees(gradients[name], base[name]) and (
                    not agrees(probe.example.truth[name], truth[name])):
                found.append(Finding("probe", f"{name} does not depend on {probe.text} at all; the true gradient does",
                                     names=(name,)))
    return found


def _conditions(answers, wrong):
    """Under which conditions the wrong gradients become right."""
    found = {}
    for name in wrong:
        simple = answers.of_kind("simple")
        fitting, but = [probe for probe, result in simple if answers.is_right(probe, result, name)], ""
        if not fitting and not any(answers.is_right_but_for_a_factor(*base, name) for base in answers.of_kind("base")):
            fitting = [probe for probe, result in simple if answers.is_right_but_for_a_factor(probe, result, name)]
            but = ", but for a constant factor, which is a second mistake,"
        if fitting:
            others = [probe.text for probe in fitting[1:3]]
            also = f" (also when {' or when '.join(others)})" if others else ""
            text = f"right{but} as soon as {fitting[0].text}{also}"
            found.setdefault(f"{text}: {fitting[0].advice}", []).append(name)
    return [Finding("probe", f"{names_text(names)} {'is' if len(names) == 1 else 'are'} {text}", names=tuple(names))
            for text, names in found.items()]
