"""Exercises: for each primitive, and for some modules, a stub, hints in three levels and an answer; and bug hunts."""

import difflib
import functools
import importlib
import pkgutil

from parity_tests.exercises import texts
from parity_tests.exercises.model import Exercise
from parity_tests.harness.errors import UserError

__all__ = ["Exercise", "all_exercises", "exercise"]


@functools.cache
def _load():
    files = [importlib.import_module(f"{texts.__name__}.{file.name}") for file in pkgutil.iter_modules(texts.__path__)]
    found = {exercise.name: exercise for file in files for exercise in file.EXERCISES}

    def depth(exercise):
        return 1 + max((depth(found[name]) for name in exercise.after), default=0)

    return {one.name: one for one in sorted(found.values(), key=lambda one: (one.difficulty, depth(one)))}


def all_exercises():
    """{name: Exercise}, from easy to hard; what an exercise builds on comes before it."""
    return dict(_load())


def exercise(name):
    """The Exercise of this name, such as "layer_norm" or "FeedForward". Raises UserError if there is none."""
    exercises = all_exercises()
    if name not in exercises:
        near = difflib.get_close_matches(name, exercises, n=1)
        hint = f"; is it {near[0]}?" if near else ""
        raise UserError(f"NAME: was {name!r}, must be one of those that `exercise` alone lists{hint}")
    return exercises[name]
