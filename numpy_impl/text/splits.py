"""Training, validation and test: which split a thing belongs to."""

from hashlib import blake2b

SPLITS = ("train", "validation", "test")
HELD_OUT = 0.05  # the share of validation, and that of test


def split_of(key):
    """Return the split of the string `key`: "train" (90 %), "validation" (5 %) or "test" (5 %).

    The choice is a hash of the key and of nothing else: no seed, no list, no order of calls. So training can draw
    without end and never meets a held-out item, in any process. (Python's own `hash` of a str differs in each process.)
    """
    place = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") / 2**64
    if place < HELD_OUT:
        return "test"
    if place < 2 * HELD_OUT:
        return "validation"
    return "train"
