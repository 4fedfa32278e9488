"""Which way back is missing? Reads what `shares` has measured: what comes back through each use of a variable."""

import itertools

import numpy as np

from parity_tests.harness.doctor.compare import ALIASES, Row, agrees, error_of, judge
from parity_tests.harness.doctor.jobs import bare_name
from parity_tests.harness.doctor.products import as_product
from parity_tests.harness.doctor.verdict import Finding

MOST_USES = 8
MOST_LISTED = 4


def rows_of_locals(result, variables, about, inputs):
    """[(Row, Variable)] of the locals of backward that are called d_<a local of forward>, or so."""
    rows, last, backward = [], {}, about["name"]
    for local in result.locals:
        last[local.function, local.name] = local.number
    for local in result.locals:
        variable = _variable_of(local, variables, inputs)
        is_final = local.number == last[local.function, local.name]
        if variable is None or not is_final or local.function != backward:
            continue
        expected = variables[variable].gradient
        if local.value.shape == expected.shape and local.value.dtype.kind == "f":
            row = Row("your inputs", "local", local.name, local.value, expected, file=about["files"][0],
                      line=local.line, function=local.function, time=local.time)
            rows.append((judge(row), variables[variable]))
    return rows


def _variable_of(local, variables, inputs):
    """The forward's local whose gradient this one of backward is, by its name; None for any other.

    Not an input: what has its name before it is returned may be one share of it.
    """
    bare = bare_name(local.name)
    if not local.is_assigned or bare == local.name.lower():
        return None
    names = {name.lower(): name for name in variables if name not in inputs}
    return names.get(bare) or names.get(ALIASES.get(bare, bare))


def find(name, variable, actual, arrays, tolerance):
    """A Finding about the gradient `actual`, called `name`, of a Variable; None if its uses do not explain it.

    arrays: {name: array} that a missing share may be told in.
    """
    uses = variable.uses[:MOST_USES + 1]
    if not 2 <= len(uses) <= MOST_USES or actual.shape != variable.gradient.shape:
        return None
    what = bare_name(name)
    there = _missing(uses, actual, tolerance)
    if there is not None:
        missing = [use for index, use in enumerate(uses) if index not in there]
        present = [use for index, use in enumerate(uses) if index in there]
        if {(use.line, use.text) for use in missing} & {(use.line, use.text) for use in present}:
            return Finding("path", f"{name} counts but a part of the uses of `{what}` in {listed(uses)}: each of them "
                                   "sends its share back, and all are added")
        others = listed(present) if len(present) < 3 else f"the other {len(present)} uses"
        text = (f"{name} lacks what comes back through {listed(missing)}: it is exactly what comes back through "
                f"{others}. `{what}` is used {_times(len(uses))} in the forward pass, and the gradient is the sum over "
                "all uses")
        product = as_product(sum(use.share for use in missing), arrays, tolerance)
        return Finding("path", text + (f". What is missing is exactly `{product}`" if product else ""))
    weights = _weights(uses, actual, tolerance)
    if weights is None:
        return None
    told = [f"what comes back through {listed([use])} {_weighed(weight)}" for use, weight in zip(uses, weights)
            if abs(weight - 1) > 1e-6]
    return Finding("path", f"In {name}, {' and '.join(told)}. The other uses of `{what}` in the forward pass are "
                           "treated rightly" if len(told) < len(uses) else f"In {name}, {' and '.join(told)}")


def _times(count):
    return {2: "twice"}.get(count, f"{count} times")


def listed(uses):
    """The uses with their lines, such as "`x * gate` (line 5)"."""
    texts = {}
    for use in uses:
        texts.setdefault((use.text, use.line), []).append(use)
    told = [f"`{text}` (line {line}" + (f", {len(members)} uses)" if len(members) > 1 else ")")
            for (text, line), members in texts.items()]
    more = [f"{len(told) - MOST_LISTED} more"] if len(told) > MOST_LISTED else []
    told = told[:MOST_LISTED] + more
    return ", ".join(told[:-1]) + " and " + told[-1] if len(told) > 1 else told[0]


def _missing(uses, actual, tolerance):
    """The indices of the uses whose shares add up to `actual`: as many as possible, but not all; None if none do."""
    for count in range(len(uses) - 1, 0, -1):
        for chosen in itertools.combinations(range(len(uses)), count):
            total = sum(uses[index].share for index in chosen)
            if total.any() and agrees(actual, total, tolerance):
                return chosen
    return None


def _weights(uses, actual, tolerance):
    """The numbers w of `actual` = the sum of w * share, where there is but one solution; None if there is none."""
    shares = np.stack([use.share.reshape(-1) for use in uses], axis=1)
    if shares.shape[0] <= shares.shape[1] + 1:
        return None
    weights, _, rank, values = np.linalg.lstsq(shares, actual.reshape(-1), rcond=None)
    if rank < len(uses) or values[-1] < 1e-6 * values[0]:
        return None
    fits = error_of(shares @ weights, actual.reshape(-1)) <= 10 * tolerance
    return weights if fits and (abs(weights - 1) > 1e-6).any() else None


def _weighed(weight):
    if abs(weight) < 1e-6:
        return "is missing"
    if abs(weight + 1) < 1e-6:
        return "has the wrong sign"
    return f"is {weight:.6g} times what it must be"


# What people take for the gradient: the Jacobian used in a wrong way

def relative(name, actual, jacobian, upstreams, tolerance):
    """A Finding if `actual` is made of the right slopes, put together in a wrong way; None else.

    jacobian: (numbers of the input, numbers of all outputs). upstreams: {what backward calls it: array}.
    """
    upstream = np.concatenate([array.reshape(-1) for array in upstreams.values()])
    called = " and ".join(f"`{one}`" for one in upstreams)

    def is_it(array):
        return array.any() and agrees(actual.reshape(-1), array, tolerance)
    if is_it(jacobian.sum(axis=1)):
        return Finding("path", f"{name} is the gradient for an upstream gradient of all ones: {called} is not used")
    for index, one in enumerate(upstreams):
        others = [array if other != one else np.zeros_like(array) for other, array in upstreams.items()]
        if is_it(jacobian @ np.concatenate([array.reshape(-1) for array in others])):
            return Finding("output", f"{name} holds nothing of what comes back from output {index + 1}, whose gradient "
                                     f"is `{one}`: a gradient is the sum of what comes back from all outputs")
    if jacobian.shape[0] == jacobian.shape[1]:
        if is_it(np.diag(jacobian) * upstream):
            return Finding("path", f"{name} holds only how each output moves with the input at the same place, but "
                                   "each output depends on several inputs: for each input, what comes back from all "
                                   "outputs that it goes into must be summed")
        if is_it(upstream @ jacobian):
            return Finding("path", f"{name} is what the forward pass does with a small change {called} of its input: "
                                   "the Jacobian times the vector. A backward pass multiplies by the transposed "
                                   "Jacobian: it goes the other way, from outputs to inputs (a permutation is undone, "
                                   "a running sum runs backwards, a rotation turns back)")
        if is_it(np.diag(jacobian)):
            return Finding("path", f"{name} is the slope of the function at each place: {called} is not used")
    return None


def spread(name, masked, truth_masked, axis):
    """A Finding about which places of an axis the gradient mixes, where the upstream gradient is 0 but at index 0.

    masked, truth_masked: the gradient for that upstream gradient, and what it must be.
    """
    rest, scale = range(1, masked.shape[axis]), abs(truth_masked).max(initial=0)
    does_mix, must_mix = (abs(np.take(array, rest, axis)).max(initial=0) > 1e-9 * scale
                          for array in (masked, truth_masked))
    if does_mix and not must_mix:
        return Finding("path", f"{name} mixes what lies along axis {axis}: the upstream gradient at one index changes "
                               "it at others, though the forward pass treats each index on its own. Some sum or mean "
                               "(or a broadcast, or a product of matrices) runs over an axis that it must leave alone")
    if must_mix and not does_mix:
        return Finding("path", f"{name} at one index of axis {axis} depends on the upstream gradient at that index "
                               "alone, though in the forward pass each output depends on all inputs along that axis: a "
                               "sum over it is missing")
    return None
