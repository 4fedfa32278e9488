"""Watch a learner's code while it runs: its locals, and the arguments that it changes."""

import contextlib
import warnings

from parity_tests.harness.doctor.jobs import Watched, arrays_in
from parity_tests.harness.recorder import record


@contextlib.contextmanager
def recorded(target, wanted, result, root=None):
    """Put the locals of the learner's code into `result` while the block runs, if they are wanted.

    root: the learner's module, where it can tell the paths of its modules.
    """
    if not wanted:
        yield
        return
    with warnings.catch_warnings():
        # A RecursionError ends tracing; code that traces by itself is judged by its results.
        warnings.filterwarnings("ignore", "a debugger (was started|is at work)")
        with record(root, also=target.files) as recording:
            yield
    result.locals = watched_locals(recording, target.files)


def watched_locals(recording, files):
    """The locals of the calls in these files, in the order of execution."""
    found = []
    for call in recording.calls:
        if call.code.co_filename not in files:
            continue
        named = {name: call.versions(name) for name in call.locals}
        for name, assignments in [*named.items(), *call.attributes.items()]:
            found += [Watched(local.time, call.path, call.function, name, number, local.line, local.value,
                              name in call.arguments and number == 0) for number, local in enumerate(assignments)]
        found += [Watched(local.time, call.path, call.function, "", number, local.line, local.value, False)
                  for number, local in enumerate(call.returned)]
    return sorted(found, key=lambda local: local.time)


def bytes_of(named):
    """The bytes of all arrays in [(name, value), ...], to see later whether they were changed."""
    return [[array.tobytes() for array in arrays_in(value)] for _, value in named]


def note_changes(result, named, before):
    """Note the names whose arrays no longer have the bytes that they had `before`."""
    result.changed += [name for (name, value), old in zip(named, before)
                       if [array.tobytes() for array in arrays_in(value)] != old]
