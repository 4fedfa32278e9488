"""What is known about a wrong gradient: its values in several examples, and what the truth is there."""

import itertools
import math

import numpy as np

from parity_tests.harness.doctor.compare import error_of
from parity_tests.harness.doctor.recipes import MEANING


class Evidence:
    """The wrong gradients of a learner.

    pairs: {name: [(Example, actual, truth)]} of the float64 examples where it is wrong. right: names that are right
    everywhere. right_examples: those where nothing is wrong. actual: {id of the Example: {name: array}} of all
    gradients of a fitting shape.
    """

    def __init__(self, subject, judged):
        self.subject = subject
        self.pairs, self.actual, self.examples, self.right_examples = {}, {}, [], []
        names = []
        for example, result, rows in judged.pairs:
            if example.dtype != "float64":
                continue
            self.examples.append(example)
            self.right_examples += [] if any(row.problem for row in rows) else [example]
            gradients = {row.name: row for row in rows if row.kind in ("output", "gradient", "parameter gradient")
                         and not example.is_zero(row.name)}
            names += [name for name in gradients if name not in names]
            usable = {name: row for name, row in gradients.items()
                      if isinstance(row.actual, np.ndarray) and row.actual.shape == row.expected.shape
                      and np.isfinite(row.actual).all() and row.actual.dtype.kind in "fiub"}
            self.actual[id(example)] = {name: row.actual.astype("float64") for name, row in usable.items()}
            for name, row in usable.items():
                if row.problem:
                    self.pairs.setdefault(name, []).append((example, row.actual.astype("float64"), row.expected))
        wrong_anyhow = {row.name for _, _, rows in judged.pairs for row in rows if row.problem}
        self.right = [name for name in names if name not in wrong_anyhow]

    @property
    def subject_case(self):
        """The name of the catalog's case that shows the subject best: its first."""
        return self.examples[0].case.name

    @property
    def wrong(self):
        return list(self.pairs)


def everywhere(pairs, holds):
    """True if `holds(example, actual, truth)` in each pair, of which one at least is large enough to tell something."""
    telling = [truth.size for _, _, truth in pairs if truth.any() and truth.size >= 3]
    return bool(telling) and all(holds(*pair) for pair in pairs)


def factor_between(actual, reference):
    """The number c with actual = c * reference, or None. Both of one shape."""
    actual, reference = np.broadcast_arrays(actual, reference)
    norm = float((reference * reference).sum())
    if not norm or not np.isfinite(norm):
        return None
    factor = float((actual * reference).sum()) / norm
    return factor if error_of(factor * reference, actual) <= 1e-9 and factor else None


def numbers_of(example):
    """{text: value} of the numbers that may turn up as a factor in this example."""
    found = {"-1": -1.0, "2": 2.0, "1 / 2": 0.5, "-2": -2.0, "-1 / 2": -0.5, "3": 3.0, "1 / 3": 1 / 3, "4": 4.0,
             "1 / 4": 0.25}
    sizes = {name: size for name, size in example.sizes.items() if size > 1}
    for name, size in sizes.items():
        found |= {name: size, f"1 / {name}": 1 / size, f"sqrt({name})": math.sqrt(size),
                  f"1 / sqrt({name})": 1 / math.sqrt(size), f"{name} / 2": size / 2, f"2 / {name}": 2 / size}
    for name, size in sizes.items():
        found |= {f"{name} - 1": size - 1, f"1 / ({name} - 1)": 1 / (size - 1),
                  f"({name} - 1) / {name}": (size - 1) / size, f"{name} / ({name} - 1)": size / (size - 1)}
    if example.case is not None:    # in somebody's own function the same names may mean anything
        found |= _options(example.inputs)
    for (one, first), (two, second) in itertools.combinations(sizes.items(), 2):
        found |= {f"{one} * {two}": first * second, f"1 / ({one} * {two})": 1 / (first * second),
                  f"{one} / {two}": first / second, f"{two} / {one}": second / first,
                  f"sqrt({one} / {two})": math.sqrt(first / second), f"sqrt({two} / {one})": math.sqrt(second / first)}
    found |= {f"-{text}" if " " not in text else f"-({text})": -value for text, value in list(found.items())
              if not text.startswith("-") and f"-{text}" not in found}
    return {text: float(value) for text, value in found.items() if value not in (0, 1)}


def _options(inputs):
    """Numbers that belong to the arguments: rates, scales, counts."""
    found = {}
    p, smoothing, scale = inputs.get("p"), inputs.get("label_smoothing"), inputs.get("scale")
    if p:
        found |= {"1 - p": 1 - p, "1 / (1 - p)": 1 / (1 - p), "p": p, "1 / p": 1 / p,
                  "(1 - p) / p": (1 - p) / p, "p / (1 - p)": p / (1 - p), "1 / (1 - p)²": 1 / (1 - p) ** 2}
    if smoothing:
        found |= {"1 - label_smoothing": 1 - smoothing, "1 / (1 - label_smoothing)": 1 / (1 - smoothing),
                  "label_smoothing": smoothing}
    if isinstance(scale, float):
        found |= {"scale": scale, "1 / scale": 1 / scale, "scale²": scale * scale,
                  "1 / scale²": 1 / (scale * scale)}
    if "targets" in inputs:
        targets, ignore_index = inputs["targets"], inputs.get("ignore_index", -100)
        count, total = int((targets != ignore_index).sum()), targets.size
        divisor = inputs.get("target_count") or count
        found |= {"the number of targets that count": divisor, "1 / (the number of targets that count)": 1 / divisor,
                  "(the number of targets that count) / (the number of all targets)": divisor / total,
                  "(the number of targets that count) / B": divisor / len(targets)}
    return found


def name_of_factor(pairs, factors):
    """The text of the number that all factors are, each in its example; None if there is none.

    factors: one for each pair. Numbers come in an order of their own, the plainest first.
    """
    common = None
    for (example, _, _), factor in zip(pairs, factors):
        fitting = [text for text, value in numbers_of(example).items() if math.isclose(value, factor, rel_tol=1e-8)]
        common = fitting if common is None else [text for text in common if text in fitting]
    named = [text for text in common or () if any(letter.isalpha() for letter in text)]
    if named and len({tuple(example.sizes.values()) for example, _, _ in pairs}) == 1 and common[0] != "-1":
        return f"{factors[0]:.6g} (perhaps {' or '.join(named[:2])})"    # one size cannot tell equal numbers apart
    return common[0] if common else None


def meaning(text):
    """What the sizes in the text of a number are, such as " (d_k: the width of a head)"."""
    words = text.replace("(", " ").replace(")", " ").split()
    told = [f"{name}: {what}" for name, what in MEANING.items() if name in words]
    return f" ({', '.join(told)})" if told else ""


def same_everywhere(pairs, factor):
    """The factor of each pair by `factor(example, actual, truth)`, or None if one has none."""
    factors = [factor(*pair) for pair in pairs]
    return None if None in factors or not factors else factors
