"""What to search for in a learner's code, and how to tell what was found without giving the answer away."""

import re

import numpy as np

from parity_tests.harness.doctor.evidence import meaning, numbers_of
from parity_tests.harness.doctor.jobs import Search
from parity_tests.harness.doctor.edits import Edit
from parity_tests.harness.doctor.source import DOCTOR
from parity_tests.harness.doctor.verdict import Finding, names_text

MOST_JOBS, MOST_RIGHT_JOBS = 4, 2
SAYINGS = {
    "axis": "the axis in `{detail}` is not the right one",
    "exchanged": "{detail} are exchanged",
    "axes": "the axes of its sums are not the right ones",
    "reduce": "`{detail}` must be summed, or averaged, over an axis there",
    "summed": "what is summed in `{detail}` is not the right thing",
    "order of the names": "`{detail}` are not in the order in which the cache has them",
    "keepdims": "`{detail}` must keep its axis (keepdims), so that the next step broadcasts as it should",
    "sign": "the sign of `{detail}` is wrong",
    "negation": "`{detail}` is the opposite of what is needed",
    "comparison": "the comparison `{detail}` is wrong",
    "operator": "the operator in `{detail}` is wrong",
    "power": "the exponent in `{detail}` is wrong",
    "number": "the number `{detail}` is wrong",
    "transpose": "`{detail}` has its axes in the wrong order: look at which axis is which",
    "matmul order": "the product `{detail}` has its factors in the wrong order, or one of them not transposed",
    "call": "`{detail}` is not the right function",
    "order of where": "the two choices in `{detail}` are exchanged",
    "order of the results": "the gradients are returned in the wrong order",
    "repeated index": "an index that occurs several times keeps only one of its values: contributions must pile up",
    "accumulate": "`=` and `+=` are exchanged",
    "overwritten": "each turn of the loop overwrites `{detail}`, where all turns must be added up",
    "too much": "something in `{detail}` is too much",
    "name": "`{detail}` is not the right array there",
    "factor": "a factor is missing: {detail}",
    "function": "`{detail}` itself is not what is needed there, but a function of it is (its exp, root, square, 1 "
                "minus it, ...)",
    "term": "a term is missing: something must be added or subtracted",
    "value": "`{detail}` goes wrong there",
    "reverse": "`{detail}` must be reversed there",
    "path": "a path is missing: the part of the gradient that comes through {detail}",
}


def examples(evidence):
    """A few examples in which, together, every wrong gradient is wrong: two for each, if there are two.

    Then some in which nothing is: an edit that helps the others must leave them right.
    """
    chosen = {}
    for pairs in evidence.pairs.values():
        for example, _, _ in [*pairs[-2:], *pairs[:1]]:
            chosen[id(example)] = example
    right = sorted(evidence.right_examples, key=_size)[-MOST_RIGHT_JOBS:]
    return sorted(chosen.values(), key=_size)[:MOST_JOBS] + right


def _size(example):
    return sum(array.size for array in example.results.values())


def search_for(subject, chosen, wrong, right, seconds):
    """The Search for an edit that makes a wrong gradient right and no right one wrong, in the chosen examples."""
    names = tuple(name for name in chosen[0].results if (name in wrong or name in right)
                  and all(name in example.results for example in chosen))
    return Search(
        truths=[{name: example.results[name] for name in names} for example in chosen], names=names,
        wrong=frozenset(wrong) & set(names), returned=[tuple(example.truth) for example in chosen],
        everything=[example.everything for example in chosen],
        factors=_common([_factors(example) for example in chosen]),
        terms=_common([_terms(subject, example) for example in chosen]),
        arrays=_common([_arrays(subject, example) for example in chosen]),
        values=_common([_values(subject, example) for example in chosen]),
        same_sizes=len({tuple(example.sizes.values()) for example in chosen}) == 1, seconds=seconds)


def _common(tables):
    """The tables with those of their keys that all have."""
    keys = set.intersection(*map(set, tables))
    return [{key: value for key, value in table.items() if key in keys} for table in tables]


def _factors(example):
    """The plainer ones of the numbers that may be missing."""
    def is_plain(text):
        is_composed = text.startswith("-") or " * " in text or " - 1" in text or text in ("3", "4", "1 / 3", "1 / 4")
        return not is_composed and not any(f"{name} / " in text for name in example.sizes)
    return {text: value for text, value in numbers_of(example).items() if is_plain(text)}


def _terms(subject, example):
    """{name of the forward's local: its gradient} of our plain backward pass, shares included."""
    functions = [f"{subject.name}_backward"] if not subject.is_module else [f"{subject.name}.backward"]
    return {f"`{known.name.rpartition('_from_')[2].removeprefix('d_')}`": known.value for known in example.known
            if known.function in functions}


def _values(subject, example):
    """{"the gradient of a local of the forward": its value} of our plain backward pass."""
    function = f"{subject.name}.backward" if subject.is_module else f"{subject.name}_backward"
    found, seen = {}, list(example.results.values())    # a result in the place of a result tells nothing
    for known in example.known:
        is_whole = known.function == function and "_from_" not in known.name
        if is_whole and not any(np.array_equal(known.value, other) for other in seen):
            seen.append(known.value)
            found[f"the gradient of `{known.name.removeprefix('d_')}`"] = known.value
    return found


def _arrays(subject, example):
    """{name: value} of the locals of our plain forward pass."""
    functions = (subject.name, "softmax") if not subject.is_module else (f"{subject.name}.forward",)
    return {f"{known.name} of the forward pass": known.value for known in example.known
            if known.function in functions and known.value.ndim}


def read(wrong, found):
    """Findings: the plainest edit for all wrong gradients, else one for each that can be made right."""
    found = [(Edit(*edit), names) for edit, names in found or []]
    found.sort(key=lambda pair: (-len(pair[1]), pair[0].rank + _doubt(pair[0], set(pair[1]) != set(wrong))))
    told, findings = set(), []
    for edit, names in found:
        if set(names) & told:
            continue
        told |= set(names)
        others = sorted({other.line for other, same in found if set(same) == set(names) and other.rank <= edit.rank}
                        - {edit.line})
        findings.append(_finding(edit, names, others, partial=set(names) != set(wrong)))
    return findings


def _doubt(edit, is_partial):
    """An order that is exchanged spoils all that depends on it: where it helps only some, it is hardly the cause."""
    return 3 if is_partial and edit.kind in ("order of the names", "exchanged") else 0


def _readable(source):
    """The edited statement, without the look-up of what the search put in."""
    return re.sub(rf"{DOCTOR}\['(.+?)'\]", r"(\1)", source)


def _finding(edit, names, others, partial):
    if edit.kind == "value":
        return _of_value(edit, names)
    saying = SAYINGS[edit.kind].format(detail=edit.detail)
    if edit.kind == "factor":
        saying += meaning(edit.detail)
    lines = f" (or at line {' or '.join(map(str, others[:3]))})" if others else ""
    text = (f"Look at line {edit.line}{lines}: {saying}. One small change there makes {names_text(names)} right"
            + (", whatever else is wrong." if partial else "."))
    return Finding("repair", text, answer=f"line {edit.line}: {_readable(edit.after)}", line=edit.line,
                   names=tuple(names))


def _of_value(edit, names):
    """The line at which it goes wrong, where no small change helps."""
    local, _, what = edit.detail.partition("|")
    return Finding("line", f"It goes wrong in line {edit.line}: `{local}` must be {what} there, and is not. With the "
                           f"right `{local}`, {names_text(names)} {'is' if len(names) == 1 else 'are'} right: what "
                           "follows that line is right, as far as it is about this",
                   line=edit.line, names=tuple(names))
