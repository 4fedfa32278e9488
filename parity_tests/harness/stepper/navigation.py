"""Where to go from a step of a Trace, and what is to be seen there. It knows of no screen.

A step is named by its time, 0 to last. Each way takes a time and returns another one; where there is nothing further to
go to, it returns None. The page's script has the same ways.
"""

from parity_tests.harness.stepper.statement_lines import last_lines, statement_at
from parity_tests.harness.trace import KINDS

CALL = KINDS.index("call")


class Navigation:
    """The ways through one Trace. direction: 1 forwards, -1 backwards."""

    def __init__(self, trace):
        self.trace = trace
        self.last = len(trace.steps) - 1
        self.depths = []        # of each call: how many calls it was made in
        for call in trace.calls:
            self.depths.append(0 if call.parent is None else self.depths[call.parent] + 1)
        self.values_of = {}     # {call: its values in the order of assignment}
        for call, _, _, values in trace.steps:
            self.values_of.setdefault(call, []).extend(values)
        self.last_lines = {}    # {function: what `last_lines` returns}
        # The first step of the backward pass, or None.
        self.turn = self._first(-1, 1, lambda step: trace.calls[self.call_at(step)].reverses is not None)

    # Ways

    def step(self, time, direction=1):
        """The next step."""
        return self._first(time, direction, lambda step: True)

    def over(self, time, direction=1):
        """The next step that is no deeper: past the calls that are made from here."""
        depth = self.depths[self.call_at(time)]
        return self._first(time, direction, lambda step: self.depths[self.call_at(step)] <= depth)

    def out(self, time):
        """The next step of the caller."""
        depth = self.depths[self.call_at(time)]
        return self._first(time, 1, lambda step: self.depths[self.call_at(step)] < depth)

    def changed(self, time, direction=1):
        """The next step that assigns an array; what a call is given does not count as assigned anew."""
        return self._first(time, direction, lambda step: self.assigned(step) and self.trace.steps[step][1] != CALL)

    def wrong(self, time):
        """The next step that assigns a wrong array; after the last of them the first."""
        def is_wrong(step):
            return any(map(self.is_wrong, self.assigned(step)))

        found = self._first(time, 1, is_wrong)
        return self._first(-1, 1, is_wrong) if found is None else found

    def find(self, text, time):
        """The index of the next Value of this name, or, where nothing has this name, with this text in its name; after
        the last of them the first. None if there is none."""
        names = [value.name for value in self.trace.values]
        found = [index for index, name in enumerate(names) if (name == text if text in names else text in name)]
        later = [index for index in found if self.trace.values[index].time > time]
        return next(iter(later or found), None)

    def at_percent(self, percent):
        """The step so far into the run."""
        return round(self.last * min(max(percent, 0), 100) / 100)

    def counterpart(self, value):
        """From a gradient to the value that it is the gradient of, and from a value to its gradient: its index."""
        value = self.trace.values[value]
        return value.gradient if value.of is None else value.of

    def _first(self, time, direction, fits):
        steps = range(time + 1, self.last + 1) if direction > 0 else range(time - 1, -1, -1)
        return next(filter(fits, steps), None)

    # What is to be seen

    def call_at(self, time):
        """The index of the call that the step is in."""
        return self.trace.steps[time][0]

    def line_at(self, time):
        """The line of the step."""
        return self.trace.steps[time][2]

    def lines_at(self, time):
        """The range of lines that the statement of the step takes."""
        function = self.trace.calls[self.call_at(time)].function
        if function not in self.last_lines:
            self.last_lines[function] = last_lines(self.trace.functions[function])
        return statement_at(self.last_lines[function], self.line_at(time))

    def assigned(self, time):
        """The indices of the values that the step assigned."""
        return self.trace.steps[time][3]

    def function_of(self, call):
        """The Function that a call runs."""
        return self.trace.functions[self.trace.calls[call].function]

    def stack_of(self, call):
        """The indices of the calls that lead to this one and of itself, the outermost first."""
        stack = []
        while call is not None:
            stack.insert(0, call)
            call = self.trace.calls[call].parent
        return stack

    def locals_at(self, time):
        """The index of the newest value of each name in the call, what was assigned last first."""
        newest = {self.trace.values[index].name: index for index in self.values_of[self.call_at(time)]
                  if self.trace.values[index].time <= time}
        return sorted(newest.values(), key=lambda index: -self.trace.values[index].time)

    def notes_at(self, time):
        """{name: text} of the numbers, texts and shapes in the call."""
        notes = self.trace.calls[self.call_at(time)].notes
        known = {name: [text for when, text in found if when <= time] for name, found in notes.items()}
        return {name: texts[-1] for name, texts in known.items() if texts}

    def label_at(self, time):
        """The label of the equation that the statement computes, or None."""
        labels = self.function_of(self.call_at(time)).labels
        return next((labels[line] for line in self.lines_at(time) if line in labels), None)

    def is_wrong(self, value):
        """True if the array of this index differs from what it must be."""
        return self.trace.values[value].problem is not None
