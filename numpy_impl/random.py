"""Dropout masks from a counter-based generator: a mask's element depends on its position, not on what was drawn before.

So both twins draw the same masks, a run that resumes draws the masks that it would have drawn, and a part of a batch
(a micro-batch of gradient accumulation, a shard) redraws its own part of the batch's mask.
"""

import hashlib
import math

import numpy as np

_WORDS_PER_BLOCK = 8    # one Philox counter value gives four 64-bit words: eight 32-bit words


def dropout_keep(shape, p, *, seed, step, path, first_row=0):
    """Boolean array of `shape`: True where a value is kept, False (with probability p) where it is dropped.

    shape: the first axis is the batch. seed, step: ints >= 0. path: str, the module's place in its model.
    first_row: int, the index of row 0 in the step's whole batch; rows of equal index get equal masks.
    Source: Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3" (Philox 4x64).
    """
    row_size = math.prod(shape[1:])
    begin, count = first_row * row_size, shape[0] * row_size
    words = _random_words(f"{seed}/{step}/{path}", begin, count)
    threshold = round(p * 2**32)    # a word is below it with probability p, to 1 in 4 thousand million
    return (words >= threshold).reshape(shape)


def _random_words(key, begin, count):
    """The 32-bit words begin .. begin + count - 1 of the stream that belongs to `key`."""
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    generator = np.random.Philox(key=np.frombuffer(digest, "<u8"))
    skipped_blocks, skipped_words = divmod(begin, _WORDS_PER_BLOCK)
    generator.advance(skipped_blocks)
    raw = generator.random_raw((skipped_words + count + 1) // 2)
    return raw.astype("<u8", copy=False).view("<u4")[skipped_words:skipped_words + count]
