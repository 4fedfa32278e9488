"""A run to go through from a notebook or a program: `step(...)`."""

import html
from pathlib import Path

from parity_tests.harness.errors import UserError

HEIGHT = 760    # pixels of the page within a notebook


class Stepped:
    """A run that can be gone through. A notebook shows it as the page; `save` writes that, `show` is for terminals."""

    def __init__(self, trace):
        self.trace = trace

    def save(self, path):
        """Write the page, which needs no network, to a file. Returns its path."""
        return save(self.trace, path)

    def show(self):
        """Go through the run in the terminal, until the reader quits."""
        from parity_tests.harness.stepper.terminal import show
        show(self.trace)

    def __str__(self):
        from parity_tests.harness.stepper.text import lines_of
        return "\n".join(lines_of(self.trace))

    def __repr__(self):
        from parity_tests.harness.stepper.text import summary
        return f"<{self.trace.title}: {len(self.trace.steps)} steps; {summary(self.trace)}>"

    def _repr_html_(self):
        from parity_tests.harness.stepper.page import page
        return (f'<iframe srcdoc="{html.escape(page(self.trace))}" title="{html.escape(self.trace.title)}" '
                f'style="width: 100%; height: {HEIGHT}px; border: 0"></iframe>')


def step(what, inputs=None, backward=None, form="plain"):
    """Run something line by line, forward and backward. Returns a Stepped.

    what: the name of a case, such as "layer_norm" or "transformer", in its `form`, "plain" or "lean"; or any function
    of NumPy arrays, or a method `forward`. inputs: {argument: value}, or a tuple in the order of the arguments; without
    it `example_inputs()`, defined beside the function, is asked. backward: the function that takes (d_y, cache);
    without it the one called <function>_backward, if there is one.
    Raises UserError for what cannot be run.
    """
    if isinstance(what, str):
        return Stepped(trace_named(what, form))
    from parity_tests.harness.stepper.user_function import trace_object
    return Stepped(trace_object(what, inputs, backward))


def trace_named(name, form="plain"):
    """The Trace of a case. Raises UserError if there is none of this name, or not in this form."""
    from parity_tests.harness.stepper.showcases import find_case
    from parity_tests.harness.trace import trace_case

    case = find_case(name)
    if form not in case.forms():
        raise UserError(f"--form: {name} has no {form} form; it has {', '.join(case.forms()[:2])}")
    trace = trace_case(case, form)
    if not trace.steps:
        raise UserError("nothing was recorded: a debugger is at work, and tracing is its")
    return trace


def save(trace, path):
    """Write the page of a Trace. Returns its path; raises UserError if it cannot be written."""
    from parity_tests.harness.stepper.page import write_page
    try:
        write_page(trace, Path(path))
    except OSError as error:
        raise UserError(f"--output: was {path}, must be a file that can be written: {error.strerror}") from error
    return Path(path)
