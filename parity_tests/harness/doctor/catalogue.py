"""Which bug of the catalogue gives exactly this wrong gradient? Plant each one, and see."""

import copy
import time
import warnings

import numpy as np

from parity_tests.harness.doctor.compare import agrees
from parity_tests.harness.doctor.jobs import name_outputs
from parity_tests.harness.doctor.verdict import Finding, names_text

MOST_EXAMPLES = 3
SECONDS = 2.5


def find(evidence):
    """Findings: one bug that explains every wrong gradient and no right one; else one for each that can be explained.

    In a module a mistake spoils all gradients before it, so there only a bug that explains them all counts.
    """
    deadline = time.process_time() + SECONDS
    matches = []
    for bug in candidates(evidence):
        if time.process_time() > deadline:
            break
        names, spoilt = explained(evidence, bug, _examples(evidence))
        if names:
            names, spoilt = explained(evidence, bug, evidence.examples)    # the others too, in which it may be right
        if names and not spoilt and set(names) == set(evidence.wrong):
            return [_finding(bug, evidence.wrong, alone=True)]
        if names and not evidence.subject.is_module:
            matches.append((bug, names, spoilt))
    found, open_names = [], list(evidence.wrong)
    for bug, names, spoilt in sorted(matches, key=lambda match: (bool(match[2]), -len(match[1]))):
        new = [name for name in names if name in open_names]
        if new:
            found.append(_finding(bug, new, alone=False, similar=bool(spoilt)))
            open_names = [name for name in open_names if name not in new]
    return found


def _finding(bug, names, alone, similar=False):
    """similar: the bug would also spoil what is right here, so it is not quite what the learner did."""
    title = bug.title.rstrip(".")
    text = f"A known mistake gives exactly {'this' if alone else 'your'} {names_text(names)}: {title}."
    if similar:
        return Finding("similar", f"A mistake that is known from elsewhere gives the same {names_text(names)}: "
                                  f"{title}.",
                       bug=bug.name, names=tuple(names))
    return Finding("catalogue", f"{text} {bug.looks}".rstrip(), bug=bug.name, names=tuple(names))


def candidates(evidence):
    """The bugs that are planted in a function that our run calls, or in its lean form."""
    from parity_tests.harness.bugs import all_bugs

    called = {known.function for example in evidence.examples for known in example.known}
    lean = {name.replace("_backward", "_lean_backward") if name.endswith("_backward") else f"{name}_lean"
            for name in called}
    found = [bug for bug in all_bugs().values() if bug.function.partition(":")[2] in called | lean]
    return sorted(found, key=lambda bug: not bug.function.partition(":")[2].startswith(evidence.subject.name))


def explained(evidence, bug, examples):
    """(the wrong gradients that the bug gives, the right ones that it would spoil)."""
    fitting, spoilt = set(evidence.wrong), set()
    telling = {name: 0 for name in evidence.wrong}
    for example in examples:
        try:
            with bug.planted(), np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                gradients = gradients_of(evidence.subject, example, lean="_lean" in bug.function)
        except Exception:    # a bug may raise, or its text may no longer stand in the function
            return [], []
        for name, truth in example.results.items():
            actual = evidence.actual[id(example)].get(name)
            if actual is None or name not in gradients or gradients[name].shape != actual.shape:
                fitting.discard(name)
            elif not agrees(gradients[name], actual):
                fitting.discard(name)
                if name not in evidence.pairs:
                    spoilt.add(name)
            elif not agrees(gradients[name], truth):
                telling[name] = telling.get(name, 0) + 1
        if not fitting:
            return [], []
    return [name for name in evidence.wrong if name in fitting and telling[name]], sorted(spoilt)


def _examples(evidence):
    """A few examples in which something is wrong: those in other sizes first."""
    wrong = {id(example): example for pairs in evidence.pairs.values() for example, _, _ in pairs}
    return list(reversed(wrong.values()))[:MOST_EXAMPLES]


def gradients_of(subject, example, lean, inputs=None, upstreams=None):
    """{name: gradient} that our own code returns on an example's inputs. Recorder and torch are not involved."""
    from parity_tests.harness import runs

    case, built = example.case, example.case.numpy_twin(example.dtype)
    # Copies: a planted bug may change what it is given.
    inputs = copy.deepcopy(example.inputs if inputs is None else inputs)
    upstreams = copy.deepcopy(upstreams or example.upstreams)
    forward, backward = runs.numpy_forms(built, lean)
    outputs, cache = forward(inputs)
    returned = backward(upstreams, cache)
    gradients = runs.name_gradients(case, inputs, returned)
    found = name_outputs(outputs) | {f"d_{name}": gradient for name, gradient in gradients.items()}
    if subject.is_module:
        found |= {f"d_{path}": parameter.grad for path, parameter in built.named_parameters()}
    return found
