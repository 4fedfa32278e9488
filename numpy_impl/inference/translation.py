"""Translating texts with a trained model, on either twin."""

from numpy_impl import checks
from numpy_impl.text.batches import pad


def translate(twin, model, task, texts, *, beam_size=1, alpha=0.6, n_best=1):
    """Translate `texts`; greedily with beam_size 1, else by beam search.

    twin: numpy_impl.twin or torch_impl.twin, the model's. task: a Task. Returns for each text a list of n_best pairs
    (translation, score): the score is the log-probability divided by the length penalty, None for greedy decoding.
    Errors: ValueError for a text that the task can't read (an unknown symbol, too long) or wrong sizes.
    """
    checks.beam(beam_size, alpha, n_best)
    vocabulary = task.vocabulary
    source_ids = twin.from_numpy(pad([task.encode_source(text) for text in texts]))
    limits = {"begin": vocabulary.BOS, "end": vocabulary.EOS, "max_length": task.max_target_length}
    if beam_size == 1:
        rows = twin.to_numpy(twin.greedy_decode(model, source_ids, **limits)).tolist()
        return [[(vocabulary.decode(row), None)] for row in rows]
    found = twin.beam_search(model, source_ids, beam_size=beam_size, alpha=alpha, n_best=n_best, **limits)
    return [[(vocabulary.decode(hypothesis.ids), hypothesis.score) for hypothesis in best] for best in found]
