"""What beam search finds, for both twins."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One target that beam search found.

    ids: list of ints, without the begin and end symbols. log_probability: of these symbols and the end. score: that,
    divided by the length penalty; hypotheses are ranked by it. finished: False if max_length cut it off.
    """

    ids: list
    log_probability: float
    score: float
    finished: bool


def length_penalty(length, alpha):
    """((5 + length) / 6)^alpha, by which a log-probability is divided, so that long targets are not at a disadvantage.

    Source: Wu et al. (2016), "Google's Neural Machine Translation System", eq. 14.
    """
    return ((5 + length) / 6) ** alpha


def make_hypotheses(ids, log_probability, scores, finished, *, end, padding, n_best):
    """The first n_best Hypotheses of each source, from lists of K rows for each source, the best first.

    There are fewer where fewer targets exist: the other beams have the log-probability -inf.
    """
    def one(symbols, *rest):
        return Hypothesis([symbol for symbol in symbols if symbol not in (end, padding)], *rest)

    found = [[one(*row) for row in zip(*rows)] for rows in zip(ids, log_probability, scores, finished)]
    return [[best for best in hypotheses[:n_best] if best.log_probability > -math.inf] for hypotheses in found]
