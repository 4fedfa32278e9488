"""Where is it wrong? Only at masked places, only where an id repeats, only in the first row, ..."""

import numpy as np

from parity_tests.harness.doctor.compare import agrees
from parity_tests.harness.doctor.show import differs
from parity_tests.harness.doctor.verdict import Finding, names_text

CHANCE = 1e-3    # how probable it may be that all wrong entries lie in a set of places by chance


def find(evidence, arrays=None):
    """For each wrong gradient the smallest named set of places that holds all wrong entries.

    arrays: {name: array} of somebody's own forward pass; places are told by their signs too.
    """
    found = {}
    for name, pairs in evidence.pairs.items():
        text = _only(name, pairs, arrays or {})
        if text:
            found.setdefault(text, []).append(name)
    return [Finding("place", f"{names_text(names)}: {text}", names=tuple(names)) for text, names in found.items()]


def _only(name, pairs, arrays):
    """The text of the smallest set of places that holds all wrong entries, unless that may be chance."""
    best, best_share = None, 0.9
    for text in dict.fromkeys(text for pair in pairs for text in conditions(name, pair[0], arrays)):
        telling = [(pair, place) for pair in pairs
                   if (place := conditions(name, pair[0], arrays).get(text)) is not None]
        if not telling or len(telling) < len(pairs) and text.startswith("it is wrong only at index"):
            continue
        shares, wrong_count, right_outside = [], 0, 0
        for (_, actual, truth), place in telling:
            wrong, place = differs(actual, truth), np.broadcast_to(place, truth.shape)
            if (wrong & ~place).any():
                break
            shares.append(place.mean())
            wrong_count += int(wrong.sum())
            right_outside += int(((truth != 0) & ~place).sum())
        else:
            share = float(np.mean(shares))
            if share ** wrong_count < CHANCE and right_outside >= 3 and share < best_share:
                best, best_share = text, share
    return best and best + _there(pairs)


def _there(pairs):
    """What it is at the wrong places, where that can be said in a word."""
    wrong = [differs(actual, truth) for _, actual, truth in pairs]
    mine = np.concatenate([actual[place] for place, (_, actual, _) in zip(wrong, pairs)])
    theirs = np.concatenate([truth[place] for place, (_, _, truth) in zip(wrong, pairs)])
    if not theirs.any():
        return ", where it must be 0"
    if not mine.any():
        return ", where it is 0"
    return ", where it has the wrong sign" if agrees(-mine, theirs) else ""


def conditions(name, example, arrays=None):
    """{text: boolean array that broadcasts to the gradient `name`}, of the places that have a name."""
    found = {}
    ours = (_dropped, _masked, _ids, _targets) if example.case is not None else ()    # arguments that mean the same
    for tell in (_signs, *ours, _ends):
        found |= tell(name, example.inputs, example.results[name].shape)
    shape = example.results[name].shape
    for other, array in (arrays or {}).items():
        if array.shape == shape:
            found |= {f"it is wrong only where `{other}` is {what}": place for what, place in (
                ("negative", array < 0), ("positive", array > 0), ("below -1", array < -1), ("above 1", array > 1))}
    return {text: place for text, place in found.items()
            if place.any() and not place.all() and _fits(place.shape, shape)}


def _fits(shape, wanted):
    """True if an array of `shape` broadcasts to `wanted`."""
    try:
        return np.broadcast_shapes(shape, wanted) == wanted
    except ValueError:
        return False


def _signs(name, inputs, shape):
    x = inputs.get(name.removeprefix("d_"))
    if not isinstance(x, np.ndarray) or x.shape != shape:
        return {}
    argument = name.removeprefix("d_")
    return {f"it is wrong only where {argument} is negative": x < 0,
            f"it is wrong only where {argument} is positive": x > 0,
            f"it is wrong only where |{argument}| is above 1": abs(x) > 1}


def _dropped(name, inputs, shape):
    keep = inputs.get("keep")
    if not isinstance(keep, np.ndarray) or keep.shape != shape:
        return {}
    return {"it is wrong only where dropout has set the value to 0": ~keep,
            "it is wrong only where dropout has kept the value": keep}


def _masked(name, inputs, shape):
    mask = inputs.get("mask")
    if not isinstance(mask, np.ndarray) or name not in ("d_query", "d_key", "d_value"):
        return {}
    by_query, by_key = (~mask).all(axis=-1, keepdims=True), (~mask).swapaxes(-1, -2)
    if name == "d_query":
        return {"it is wrong only for queries that may attend to nothing (fully masked rows)": by_query,
                "it is right for queries that see every key": ~mask.all(axis=-1, keepdims=True)}
    return {"it is wrong only at keys that no query may attend to": by_key.all(axis=-1, keepdims=True),
            "it is right at keys that every query may attend to": by_key.any(axis=-1, keepdims=True)}


def _ids(name, inputs, shape):
    ids = inputs.get("ids")
    if not isinstance(ids, np.ndarray) or name != "d_weight":
        return {}
    counts = np.bincount(ids.reshape(-1), minlength=shape[0])[:, None]
    found = {"it is wrong only in the rows of ids that occur several times": counts > 1,
             "it is wrong only in the rows of ids that do not occur": counts == 0,
             "it is wrong only in the rows of ids that occur": counts > 0}
    if inputs.get("padding_idx") is not None:
        found["it is wrong only in the padding's row"] = (np.arange(shape[0]) == inputs["padding_idx"])[:, None]
    return found


def _targets(name, inputs, shape):
    targets = inputs.get("targets")
    if not isinstance(targets, np.ndarray) or name != "d_logits":
        return {}
    ignored = (targets == inputs.get("ignore_index", -100))[..., None]
    at_target = targets[..., None] == np.arange(shape[-1])
    return {"it is wrong only in the rows whose target is ignored": np.broadcast_to(ignored, shape),
            "it is wrong only in the rows whose target counts": np.broadcast_to(~ignored, shape),
            "it is wrong only at the target's class": at_target & ~ignored,
            "it is wrong only at the classes that are not the target": ~at_target}


def _ends(name, inputs, shape):
    found = {}
    for axis, length in enumerate(shape):
        if length < 3:
            continue
        index = np.arange(length).reshape([-1 if other == axis else 1 for other in range(len(shape))])
        found |= {f"it is wrong only at index 0 of axis {axis}": index == 0,
                  f"it is right only at index 0 of axis {axis}": index > 0,
                  f"it is wrong only at the last index of axis {axis}": index == length - 1,
                  f"it is right only at the last index of axis {axis}": index < length - 1}
        if axis == len(shape) - 1 and length > 3:
            found |= {"it is wrong only in the even columns": index % 2 == 0,
                      "it is wrong only in the odd columns": index % 2 == 1}
            if length % 2 == 0:
                found |= {"it is wrong only in the first half of the columns": index < length // 2,
                          "it is wrong only in the second half of the columns": index >= length // 2}
    return found
