"""Compare two recordings, name by name: the local x_hat with torch's x_hat, d_x_hat with torch's x_hat.grad."""

import dataclasses
import math
from fnmatch import fnmatch

import numpy as np

from numpy_impl.module import Parameter
from parity_tests.harness.judge import Row, judge
from parity_tests.harness.statements import statements_of

ROUNDING = 1e-6    # relative: of a number that is computed from float32 arrays


def compare(ours, theirs, *, bound, reference=None, omitted=None, zero_gradients=()):
    """Compare NumPy's Recording with torch's; returns a list of Row. A Row with a `problem` is a failure.

    bound: in eps; a number, or a function of the module's path.
    reference: torch's Recording in float64, where `ours` and `theirs` are float32 (see `judge`).
    omitted: {function: names that this NumPy function leaves out}, ("*",) if it is never called. A name that is missing
    and not listed fails, and so does one that is listed and not missing.
    zero_gradients: "path.name" (* is a wildcard) of what has a gradient that is zero by analysis.
    Where `ours` ends with an exception, nothing that may have been yet to come is missing.
    """
    return _Comparison(ours, theirs, bound, reference, omitted or {}, zero_gradients).rows()


def twin_of(function):
    """What a NumPy function is called in torch: (the name of the forward function, whether this is its backward pass).

    "layer_norm_lean_backward" -> ("layer_norm", True); "Linear.backward" -> ("Linear.forward", True).
    """
    owner, dot, name = function.rpartition(".")
    if name == "backward":
        return f"{owner}{dot}forward", True
    forward = name.removesuffix("_backward")
    return owner + dot + forward.removesuffix("_lean"), forward != name


def bound_at(path, bound):
    """The bound at a module's path, where `bound` may be a function of it."""
    return bound(path) if callable(bound) else bound


def is_listed(path, name, patterns):
    """True if "path.name" fits one of the patterns."""
    return any(fnmatch(f"{path}.{name}".lstrip("."), pattern) for pattern in patterns)


class _Comparison:
    def __init__(self, ours, theirs, bound, reference, omitted, zero_gradients):
        self.calls, self.steps = ours.calls, ours.steps
        self.has_ended = all(call.end for call in ours.calls)
        self.forwards = pair_calls(ours)
        self.twins = _by_place(theirs)
        self.references = _references(self.twins, reference) if reference else {}
        self.bound = bound
        self.zero_gradients = zero_gradients
        self.listed = {(function, name) for function, names in omitted.items() for name in names}
        self.missing = set()

    def rows(self):
        rows = []
        done_forward, done_backward = set(), set()
        for call in self.calls:
            rows += [Row(call.key(name), "local", problem="the call changed this argument", time=time,
                         where=call.function, line=line) for name, (time, line) in call.changed.items()]
            rows += self._form(call)
            function, is_backward = twin_of(call.function)
            place = call.path, function, call.number
            if place not in self.twins:
                rows += [] if _is_private(function) else [_problem(call, "*", "torch makes no such call")]
            elif is_backward:
                done_backward.add(place)
                rows += self._kept(call) + self._gradients(call, self.twins[place]) + self._order(call)
            else:
                done_forward.add(place)
                rows += self._values(call, self.twins[place])
        for place, twin in self.twins.items():
            if _is_private(twin.function):
                continue
            if place not in done_forward:
                rows += self._missing(twin, twin.function, "*")
            elif place not in done_backward and _carries_gradient(twin):
                rows += self._missing(twin, f"{twin.function}_backward".replace("forward_backward", "backward"), "*")
        for function, name in sorted(self.listed - self.missing) if self.has_ended else ():
            rows.append(Row(f"{function}: {name}", "omission", problem="listed as omitted, but not missing"))
        return rows

    def _form(self, call):
        """A lean form is called only where the module has not been told to use the plain one."""
        if not (_is_lean(call) and call.parent and getattr(call.parent.module, "plain", False)):
            return []
        chooser = self.forwards.get(id(call.parent), call.parent)
        return [Row(call.key("*"), "call", problem="the lean form, though the plain one was asked for",
                    time=chooser.time, where=chooser.function)]

    def _missing(self, call, function, name):
        """`name` is missing in the NumPy `function`: a failure, unless the case lists it or an exception came before.

        call: of NumPy's; where the whole call is missing (name "*"), of torch's.
        """
        self.missing.add((function, name))
        if (function, name) in self.listed:
            return []
        if name != "*":
            return [_problem(call, name, f"missing in NumPy's {function}")] if call.end else []
        caller = self._caller(call, function)
        if not self.has_ended and not (caller and caller.end):
            return []
        row = Row(call.key(name)._replace(function=function), "call", problem=f"NumPy's {function} is never called")
        return [dataclasses.replace(row, where=caller.function, line=_line_of(call, caller)) if caller else row]

    def _caller(self, call, function):
        """The call of NumPy's that should have called the function, as torch's caller of `call` does; or None."""
        parent, is_backward = call.parent, twin_of(function)[1]
        return next((ours for ours in self.calls if parent and ours.path == parent.path
                     and twin_of(ours.function) == (parent.function, is_backward)), None)

    def _values(self, call, twin):
        """Forward: the same names have the same values."""
        rows = []
        for name, theirs in twin.locals.items():
            if name not in call.locals:
                rows += self._missing(call, call.function, name)
                continue
            assignments = call.locals[name]
            numbers = _matching_numbers(call, len(assignments), len(theirs))
            if numbers is None:
                problem = f"assigned {len(assignments)} times, in torch {len(theirs)} times"
                rows += [_problem(call, name, problem)] if call.end else []
                continue
            for mine, its in numbers:
                reference = self.references.get(id(theirs[its]))
                rows.append(_at(call, name, mine, judge(
                    call.key(name, mine), "value", assignments[mine].value, theirs[its].value,
                    bound_at(call.path, self.bound), reference=reference and reference.value)))
        for name in call.locals.keys() - twin.locals.keys():
            if not _is_lean(call) and not _is_returned_by_method(call, name):
                rows.append(_problem(call, name, "torch has no such local"))
        return rows + self._constants(call, twin) + (self._returned(call, twin) if call.end else [])

    def _constants(self, call, twin):
        """What is no array, such as an axis or a count, is equal; where an argument is not, the caller is at fault."""
        rows = []
        for name in call.others:
            for (time, ours), (_, theirs) in zip(call.others[name], twin.others.get(name, [])):
                if not _is_same_constant(ours, theirs):
                    row = _problem(call, name, f"is {ours}, torch's is {theirs}")
                    is_local = time != call.time
                    rows.append(dataclasses.replace(row, time=time, where=call.function, line=self.steps[time].line)
                                if is_local else row)
        return rows

    def _returned(self, call, twin):
        """What is returned without a name, `return np.concatenate(...)`; what has one is compared under that."""
        named = {id(local.source) for assignments in call.locals.values() for local in assignments}
        if len(call.returned) != len(twin.returned):
            row = Row(call.key("returned"), "returned",
                      problem=f"{len(call.returned)} arrays, torch returns {len(twin.returned)}")
            return [dataclasses.replace(row, time=call.time, where=call.function)]
        rows = []
        for number, (ours, theirs) in enumerate(zip(call.returned, twin.returned)):
            if id(ours.source) in named:
                mine, its = _names_of(ours, call), _names_of(theirs, twin)
                if mine and its and not mine & its:
                    rows.append(_returns(call, sorted(mine), sorted(its)))
            else:
                reference = self.references.get(id(theirs))
                row = judge(call.key("returned", number), "returned", ours.value, theirs.value,
                            bound_at(call.path, self.bound), reference=reference and reference.value)
                rows.append(dataclasses.replace(row, time=ours.time, where=call.function, line=ours.line))
        return rows

    def _kept(self, call):
        """Backward: what it takes from the cache under a name of the forward's is what the forward had under it."""
        forward = self.forwards.get(id(call))
        if forward is None:
            return []
        if "cache" in call.code.co_varnames[:call.code.co_argcount] and not _is_same_cache(call.cache, forward.cache):
            row = _problem(call, "cache", f"is not that of {forward.function}")
            saver = self.forwards.get(id(call.parent))
            if saver and call.cache is saver.cache:    # the method gives what its forward saved
                row = dataclasses.replace(row, time=saver.end[0], where=saver.function, line=None)
            return [row]
        rows = []
        for name in call.locals:
            if name in call.arguments or name not in forward.locals:
                continue
            kept, had = call.locals[name][0], forward.versions(name)[-1]
            if np.array_equal(kept.value, had.value, equal_nan=kept.value.dtype.kind in "fc"):
                continue
            if kept.source is had.source:
                rows.append(_problem(call, name, "was changed after the forward assigned it"))
            else:
                rows.append(_kept_wrong(forward, call.key(name)))
        return rows + [_kept_wrong(forward, call.key(name)) for name in call.others if name in forward.others
                       and call.others[name][0][1] != forward.others[name][-1][1]]

    def _order(self, call):
        """Backward: the gradients of the forward's arguments are returned in the order of the arguments."""
        forward = self.forwards.get(id(call))
        wanted = [f"d_{name}" for name in forward.arguments] if forward else []
        names = [_names_of(local, call) & set(wanted) for local in call.returned]
        found = [mine.pop() for mine in names if len(mine) == 1]
        in_order = sorted(found, key=wanted.index)
        return [_returns(call, found, in_order)] if found != in_order else []

    def _gradients(self, call, twin):
        """Backward: the local d_x is the gradient of the forward's local x."""
        rows = []
        for d_name in call.locals:
            if d_name.startswith("d_"):
                rows += self._gradient(call, twin, d_name) + self._shares(call, d_name)
        if "." not in call.function:
            for name, assignments in twin.locals.items():
                has_gradient = any(local.is_differentiable and local.gradient is not None for local in assignments)
                if has_gradient and f"d_{name}" not in call.locals:
                    rows += self._missing(call, call.function, f"d_{name}")
        return rows

    def _gradient(self, call, twin, d_name):
        name = d_name.removeprefix("d_")
        assignments = call.locals[d_name]
        if name in twin.locals:
            theirs = [local for local in twin.locals[name] if local.is_differentiable] or twin.locals[name]
        elif d_name in call.arguments:    # the gradient of what the forward returned without giving it a name
            theirs = twin.returned[call.arguments.index(d_name):][:1]
        else:
            theirs = []
        if not theirs:
            is_share = "_from_" in name
            is_parameter = isinstance(getattr(call.module, name, None), Parameter)    # compared as a parameter gradient
            return [] if is_share or is_parameter else [_problem(call, d_name, "the forward has nothing of this name")]
        numbers = _matching_numbers(call, len(assignments), len(theirs), backwards=True)
        if numbers is None:
            problem = f"assigned {len(assignments)} times, torch's {name} {len(theirs)} times"
            return [_problem(call, d_name, problem)] if call.end else []
        return [_at(call, d_name, mine, self._judge_gradient(call.key(d_name, mine), assignments[mine], theirs[its],
                                                             twin, name))
                for mine, its in numbers]

    def _shares(self, call, d_name):
        """torch knows no share of a fork (`d_x_from_query`), but in a plain form they must add up to the whole."""
        shares = [assignments[-1].value for name, assignments in call.locals.items()
                  if name.startswith(f"{d_name}_from_")]
        if len(shares) < 2 or _is_lean(call):
            return []
        whole = call.locals[d_name][-1]
        return [_at(call, d_name, -1, judge(call.key(d_name), "sum of the shares", whole.value, sum(shares),
                                            bound_at(call.path, self.bound)))]

    def _judge_gradient(self, key, local, theirs, twin, name):
        expected = theirs.gradient
        if expected is None:
            problem = "not zero, but torch's loss does not depend on it" if local.value.any() else None
            return Row(key, "gradient", local.value.shape, local.value.dtype.name, problem=problem)
        reference = self.references.get(id(theirs))
        return judge(key, "gradient", local.value, expected, bound_at(twin.path, self.bound),
                     reference=reference and reference.gradient,
                     is_zero=is_listed(twin.path, name, self.zero_gradients))


def pair_calls(recording):
    """{id of a backward Call of NumPy: the forward Call that it reverses}, at the same path, the same number."""
    forwards = {}
    for call in recording.calls:
        function, is_backward = twin_of(call.function)
        if not is_backward:
            forwards[call.path, function, call.number] = call
    pairs = {id(call): forwards.get((call.path, twin_of(call.function)[0], call.number)) for call in recording.calls
             if twin_of(call.function)[1]}
    return {backward: forward for backward, forward in pairs.items() if forward is not None}


def _by_place(recording):
    return {(call.path, call.function, call.number): call for call in recording.calls}


def _references(twins, reference):
    """{id of a float32 Local of torch: the float64 Local of the same name}."""
    pairs = {}
    for place, call in _by_place(reference).items():
        twin = twins[place]
        pairs |= {id(local): exact for local, exact in zip(twin.returned, call.returned)}
        for name, assignments in call.locals.items():
            pairs |= {id(local): exact for local, exact in zip(twin.locals[name], assignments)}
    return pairs


def _matching_numbers(call, ours, theirs, backwards=False):
    """Which assignment of ours belongs to which of torch's; None if they cannot be matched.

    A backward pass goes through the assignments from the last to the first. A lean form may build a value in several
    steps: there the finished value counts.
    """
    if ours == theirs:
        return [(ours - 1 - number if backwards else number, number) for number in range(theirs)]
    if _is_lean(call):
        return [(ours - 1, 0 if backwards else theirs - 1)]
    return None


def _is_lean(call):
    return call.function.removesuffix("_backward").endswith("_lean")


def _is_private(function):
    """Helpers that begin with an underscore may be one-sided; what they do is compared where it is used."""
    return function.rpartition(".")[2].startswith("_")


def _is_returned_by_method(call, name):
    """`y, cache = f(x)`, then `return y`, where torch writes `return f(x)`: the value is compared inside f."""
    return "." in call.function and any(call.locals[name][-1].source is local.source for local in call.returned)


def _carries_gradient(twin):
    """Does this forward call of torch need a backward call of ours?"""
    if "." in twin.function and not twin.function.endswith(".forward"):
        return False
    return any(local.gradient is not None and local.gradient.any()
               for assignments in twin.locals.values() for local in assignments)


def _at(call, name, number, row):
    """The row, and where and when its array was assigned. An argument, and a call that should not be: by the caller."""
    local = call.locals[name][number] if name in call.locals else None
    time = local.time if local else call.time
    passed = call.code.co_varnames[:call.code.co_argcount + call.code.co_kwonlyargcount]
    is_passed = name == "*" or name in passed or name.endswith("]")    # `context[0]` of *context
    if call.parent and time == call.time and is_passed:
        return dataclasses.replace(row, time=time, where=call.parent.function, line=call.called_from)
    return dataclasses.replace(row, time=time, where=call.function, line=local and local.line)


def _is_same_cache(ours, forwards):
    """Is it the object that the forward returned, or an equal number or shape?"""
    is_plain = not any(isinstance(part, np.ndarray) for part in (ours if isinstance(ours, tuple) else (ours,)))
    return ours is forwards or is_plain and type(ours) is type(forwards) and ours == forwards


def _line_of(call, caller):
    """The line in NumPy's `caller` that assigns what torch's `call` gives; None where the caller is a backward."""
    names = statements_of(call.parent.code)[call.called_from].names if not twin_of(caller.function)[1] else ()
    return next((caller.locals[name][-1].line for name in names if name in caller.locals), None)


def _names_of(local, call):
    """The names of the array that `local` is, in this call."""
    return {name for name, assignments in call.locals.items() if assignments[-1].source is local.source}


def _returns(call, ours, theirs):
    """A Row of arrays that are returned in another order."""
    return Row(call.key("returned"), "returned", problem=f"returns {', '.join(ours)}, must return {', '.join(theirs)}",
               time=call.end[0], where=call.function, line=call.end[1])


def _is_same_constant(ours, theirs):
    """Are two texts of numbers and the like equal? Fractions may be the sums of arrays, and then differ by rounding."""
    if ours == theirs:
        return True
    try:
        return "." in ours and math.isclose(float(ours), float(theirs), rel_tol=ROUNDING)
    except ValueError:
        return False


def _kept_wrong(forward, key):
    """A Row of something else in the cache than its name says: the forward put it there, in its last statement."""
    return Row(key, "local", problem="is not what the forward has under this name", time=forward.end[0],
               where=forward.function, line=forward.end[1])


def _problem(call, name, text):
    return _at(call, name, -1, Row(call.key(name), "call" if name == "*" else "local", problem=text))
