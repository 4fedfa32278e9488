"""Decoding with an encoder-decoder: from a source to the target that the model finds most probable."""

import numpy as np

from numpy_impl import checks
from numpy_impl.inference.hypotheses import length_penalty, make_hypotheses
from numpy_impl.layers.softmax import log_softmax
from numpy_impl.module import no_grad


def next_log_probabilities(model, ids, memory, source_mask, forbidden):
    """Log-probabilities (N, V) of the symbol after ids (N, T); the `forbidden` ids are never written."""
    logits = model.decode(ids, memory, source_mask)[:, -1]       # (N, V)
    logits[:, forbidden] = -np.inf
    log_probabilities, _ = log_softmax(logits)
    return log_probabilities


def greedy_decode(model, source_ids, *, begin, end, max_length):
    """Write the most probable symbol, again and again, until the end symbol.

    model: a Transformer in evaluation mode. source_ids: (B, Ts). begin, end: ids of these symbols. max_length: the most
    symbols to write, the end symbol included. Returns ids (B, T), T <= max_length: each row ends with the end symbol,
    unless max_length cut it off, and is filled with the padding id. Errors: ValueError for a model in training mode.
    """
    checks.decoding(model, max_length)
    padding = model.config.padding_idx
    with no_grad():
        memory, source_mask = model.encode(source_ids)
        ids = np.full((source_ids.shape[0], 1), begin)           # (B, 1)
        finished = np.zeros(source_ids.shape[0], dtype=bool)     # (B,)
        for _ in range(max_length):
            log_probabilities = next_log_probabilities(model, ids, memory, source_mask, [padding, begin])
            next_ids = np.where(finished, padding, log_probabilities.argmax(axis=-1))        # (B,)
            ids = np.concatenate([ids, next_ids[:, None]], axis=1)                           # (B, 1 + t)
            finished = finished | (next_ids == end)
            if finished.all():
                break
    return ids[:, 1:]


def lengthened(model, ids, log_probability, finished, memory, source_mask, begin):
    """Log-probabilities (B, K, V) of the K beams of each source, ids (B, K, T), lengthened by each of the V symbols."""
    padding, vocabulary_size = model.config.padding_idx, model.config.target_vocabulary_size
    batch, beam_size, length = ids.shape
    step = next_log_probabilities(model, ids.reshape(batch * beam_size, length), memory, source_mask,
                                  [padding, begin]).reshape(batch, beam_size, vocabulary_size)
    stay = np.full(vocabulary_size, -np.inf, step.dtype)         # (V,): a finished beam goes on with padding, for free
    stay[padding] = 0
    step = np.where(finished[:, :, None], stay, step)            # (B, K, V)
    return log_probability[:, :, None] + step


def beam_search(model, source_ids, *, begin, end, max_length, beam_size=4, alpha=0.6, n_best=1):
    """Keep the `beam_size` best beginnings of a target, lengthen each by every symbol, keep the best again, and so on.

    A finished beam stays and competes with the open ones by score; the search ends when all are finished.
    model: a Transformer in evaluation mode. source_ids: (B, Ts). begin, end: ids of these symbols. max_length: the most
    symbols to write, the end symbol included. alpha: of the length penalty, 0 for none.
    Returns for each of the B sources a list of its n_best Hypotheses, the best first (fewer where fewer targets exist).
    Errors: ValueError for a model in training mode, or n_best above beam_size.
    Source: Wu et al. (2016), "Google's Neural Machine Translation System", sec. 7.
    """
    checks.decoding(model, max_length)
    checks.beam(beam_size, alpha, n_best)
    padding, vocabulary_size = model.config.padding_idx, model.config.target_vocabulary_size
    batch = source_ids.shape[0]
    with no_grad():
        memory, source_mask = model.encode(source_ids)
        memory = np.repeat(memory, beam_size, axis=0)            # (B * K, Ts, D), K beams for each source
        source_mask = np.repeat(source_mask, beam_size, axis=0)
        ids = np.full((batch, beam_size, 1), begin)              # (B, K, 1)
        log_probability = np.full((batch, beam_size), -np.inf, memory.dtype)     # (B, K); all are alike: one counts
        log_probability[:, 0] = 0
        length = np.zeros((batch, beam_size), memory.dtype)      # (B, K)
        finished = np.zeros((batch, beam_size), dtype=bool)      # (B, K)
        for _ in range(max_length):
            candidates = lengthened(model, ids, log_probability, finished, memory, source_mask, begin)   # (B, K, V)
            lengths = length + ~finished                                                     # (B, K)
            scores = candidates / length_penalty(lengths, alpha)[:, :, None]                 # (B, K, V)
            best = np.argsort(-scores.reshape(batch, beam_size * vocabulary_size), kind="stable")[:, :beam_size]
            beam, symbol = np.divmod(best, vocabulary_size)                                  # (B, K) each
            log_probability = np.take_along_axis(candidates.reshape(batch, beam_size * vocabulary_size), best, axis=-1)
            length = np.take_along_axis(lengths, beam, axis=-1)
            finished = np.take_along_axis(finished, beam, axis=-1) | (symbol == end)
            beginnings = np.take_along_axis(ids, beam[:, :, None], axis=1)                   # (B, K, 1 + t)
            ids = np.concatenate([beginnings, symbol[:, :, None]], axis=2)                   # (B, K, 2 + t)
            if finished.all():
                break
    scores = log_probability / length_penalty(length, alpha)     # (B, K), the best first
    return make_hypotheses(ids[:, :, 1:].tolist(), log_probability.tolist(), scores.tolist(), finished.tolist(),
                           end=end, padding=padding, n_best=n_best)
