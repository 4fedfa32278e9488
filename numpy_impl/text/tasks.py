"""The registry of tasks."""

from collections.abc import Callable
from functools import partial

from numpy_impl import checks
from numpy_impl.text.arithmetic import ArithmeticTask
from numpy_impl.text.dates import dates, dates_full
from numpy_impl.text.sequences import SequenceTask
from numpy_impl.text.task import Task

TASKS: dict[str, Callable[..., Task]] = {
    "copy": partial(SequenceTask, "copy"),
    "reverse": partial(SequenceTask, "reverse"),
    "sort": partial(SequenceTask, "sort"),
    "arithmetic": ArithmeticTask,
    "dates": dates,
    "dates-full": dates_full,
}


def make_task(name, **options):
    """Return the `Task` called `name`: copy, reverse, sort, arithmetic, dates or dates-full.

    Args:
        name: a key of `TASKS`.
        options: what the task takes, such as `max_length=20`, `max_operators=6` or `first_year=1900`; and
            `vocabulary`, the one of a checkpoint. With a task's `name`,
            `options` and `vocabulary` one gets the same task again.

    Raises:
        ValueError: the name is unknown, or an option has a wrong value.
        TypeError: the task has no such option.
    """
    checks.choice("name", name, TASKS)
    return TASKS[name](**options)
