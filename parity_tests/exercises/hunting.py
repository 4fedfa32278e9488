"""Find the bug: a copy of a layer with one planted mistake, and a check that says when it has been found."""

import ast
import dataclasses
import difflib
import hashlib
import math
import pkgutil
import random
import re
import shlex
from pathlib import Path

from parity_tests.exercises.files import write_new
from parity_tests.exercises.model import LEVELS, Text
from parity_tests.exercises.sources import WIDTH, wrapped
from parity_tests.harness.bugs import Bug, all_bugs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.doctor import isolation
from parity_tests.harness.doctor.jobs import Request
from parity_tests.harness.doctor.show import side_by_side
from parity_tests.harness.errors import UserError
from parity_tests.harness.planted import edited_file

LAYERS = "numpy_impl/layers/"
TIME_LIMIT = 60    # seconds, for all cases of a layer in all forms, twice
AROUND = 3         # lines before and after the bug that the second hint names
TOKEN = re.compile(r"^# hunt: ([0-9a-f]{8})-([0-9a-f]{16})$", re.MULTILINE)
HEADER = (
    "Find the bug.",
    "",
    "This is a copy of {path} with one mistake in it, of a kind that people really make. Find it, mend it in this "
    "file, and ask whether that was it:",
    "",
    "    python -m parity_tests hunt {file}",
    "",
    "If not, you hear which tensor comes out wrong first. --hint 1, 2 and 3 tell more, --reveal tells all. (To "
    "compare this file with the original would end the hunt at once. Nothing keeps you from it, but you learn more by "
    "reading.)",
    "",
    "The next line tells the check which bug it is, and must stay.",
    "hunt: {token}")


def hunt(target=None, *, bug=None, seed=None, output=None):
    """Start a hunt, or go on with one. Returns a Hunt.

    target: the name of a layer's file, such as "normalization", whose bug is drawn; None draws from all layers.
    bug: the name of a bug of the catalogue instead. seed: an int, which makes the draw repeatable. output: where the
    copy goes (default: hunt_<layer>.py in the current folder). If target is a file that was made so, nothing is
    written. Raises UserError for an unknown layer or bug, and for an output that exists.
    """
    if names_a_file(target):
        if (bug, seed, output) != (None, None, None):
            raise UserError(f"hunt: was given the file {str(target)!r} and what only a new hunt needs, must have one")
        return Hunt.of(target)
    draw = random.Random(seed)
    chosen = _chosen(target, bug, draw)
    path = Path(output or f"hunt_{chosen.file}.py")
    write_new(path, file_text(chosen, path, f"{draw.getrandbits(32):08x}"))
    return Hunt(path, chosen)


def names_a_file(target):
    """True for a file, to go on with; False for the name of a layer, or None."""
    return target is not None and (Path(target).suffix == ".py" or Path(target).is_file())


def quarry():
    """{name: Bug} of all bugs that can be hunted: those in layers that a case notices."""
    return {name: bug for name, bug in all_bugs().items() if bug.path.startswith(LAYERS) and bug.case}


def file_text(bug, path, salt):
    """The text of a file to hunt in. salt: 8 hexadecimal digits; two files with the same bug have different tokens."""
    values = {"path": bug.path, "file": _quoted(path), "token": f"{salt}-{_digest(salt, bug)}"}
    header = [wrapped(line.format(**values), "# ") if line else "#" for line in HEADER]
    return "\n".join([*header, "", _texts(bug)[1]])


def shows_at_once(bug):
    """True for a bug that any linter points at: a local that nobody reads any more, a line that is too long."""
    text = _texts(bug)[1]
    function = _function(text, bug.qualified_name)
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    assigned = {target.id for node in ast.walk(function) if isinstance(node, ast.Assign)
                for target in node.targets if isinstance(target, ast.Name)}
    lines = text.splitlines()[function.lineno - 1:function.end_lineno]
    return not assigned <= read or any(len(line) > WIDTH or ";" in line.partition("#")[0] for line in lines)


@dataclasses.dataclass(frozen=True)
class Check:
    """found: whether the bug is gone, and nothing else is wrong. text: what there is to say."""

    found: bool
    text: str

    def __str__(self):
        return self.text

    def _repr_markdown_(self):
        return f"```text\n{self.text}\n```"


@dataclasses.dataclass(frozen=True)
class Hunt:
    """A file with a planted bug. path: the file."""

    path: Path
    bug: Bug = dataclasses.field(repr=False)

    @classmethod
    def of(cls, path):
        """The Hunt in a file that exists. Raises UserError if it is none."""
        path = Path(path)
        if not path.is_file():
            raise UserError(f"FILE: was {str(path)!r}, must be a file that exists")
        found = TOKEN.search(path.read_text(encoding="utf-8", errors="replace"))
        if not found:
            raise UserError(f"FILE: was {str(path)!r}, must have the line `# hunt: ...` that it was made with")
        for bug in quarry().values():
            if _digest(found[1], bug) == found[2]:
                return cls(path, bug)
        raise UserError(f"FILE: was {str(path)!r}, must be of this version: the catalogue has no bug of that token")

    def __str__(self):
        return (f"{self.path} is a copy of {self.bug.path} with one bug in it. Find it, mend it, and check:\n\n"
                f"    python -m parity_tests hunt {_quoted(self.path)}")

    def check(self, hint=0, time_limit=TIME_LIMIT):
        """Is the bug gone? Returns a Check. hint: 1, 2 or 3 tells more if it is not; ValueError for another number.

        The file runs in a process of its own, for `time_limit` seconds at most.
        """
        if hint not in (0, *LEVELS):
            raise ValueError(f"hint is {hint!r}, must be 0, 1, 2 or 3")
        module = self.bug.function.partition(":")[0]
        options = {"module": module, "case_names": case_names(self.bug), "planted": _texts(self.bug)[1]}
        outcome = isolation.run(Request("hunt", self.bug.file, [], file=str(self.path), time_limit=time_limit,
                                        options=options, program="parity_tests.exercises.examination"))
        if outcome.failure is not None:
            return Check(False, _with_hint(_does_not_run(outcome.failure), self.hint(hint)))
        runs, wrong = outcome.results[0]
        if wrong:
            return Check(False, _with_hint(_not_yet(self.bug, runs, wrong), self.hint(hint)))
        return Check(True, f"Found: {self.bug.title}\n\n{self.bug.story()}\n\nAll {runs} runs are right now.")

    def hint(self, level):
        """Hint 1: which function. 2: about which lines. 3: what the bug looks like. 0: nothing."""
        return Text({0: "", 1: f"Hint 1: the bug is in {self.bug.qualified_name}.",
                     2: f"Hint 2: the bug is in {self.bug.qualified_name}, {self._where()}.",
                     3: f"Hint 3: {self.bug.looks}"}[level])

    def reveal(self):
        """The bug's title, what it changed, and its story."""
        return Text(f"{self.bug.title}\n\n{self.bug.diff()}\n{self.bug.story()}")

    def _where(self):
        """On about which lines of the file, as it is now, the bug stands, or stood."""
        right, wrong = _texts(self.bug)
        planted = _function(wrong, self.bug.qualified_name)
        now = _function(self.path.read_text(encoding="utf-8"), self.bug.qualified_name)
        if now is None:
            return "which the file does not have now"
        matcher = difflib.SequenceMatcher(None, right.splitlines(), wrong.splitlines(), autojunk=False)
        changed = [(begin + 1, max(begin + 1, end)) for tag, *_, begin, end in matcher.get_opcodes() if tag != "equal"]
        shift = now.lineno - planted.lineno
        first, last = changed[0][0] + shift - AROUND, changed[-1][1] + shift + AROUND
        return f"between lines {max(first, now.lineno)} and {min(last, now.end_lineno)}"


def case_names(bug):
    """The cases that a file is checked with: all of its layer, and the one that notices the bug."""
    return list(dict.fromkeys([*(name for name in all_cases() if name.startswith(f"{bug.file}:")), bug.case]))


def _chosen(layer, name, draw):
    """The bug to plant."""
    bugs = quarry()
    layers = sorted({bug.file for bug in bugs.values()})
    if layer is not None and layer not in layers:
        raise UserError(f"LAYER: was {layer!r}, must be one of {', '.join(layers)}, or a file that a hunt has written")
    fitting = [bug for bug in bugs.values() if layer in (None, bug.file) and name in (None, bug.name)]
    if not fitting:
        raise UserError(f"--bug: was {name!r}, must be a bug of {layer or 'a layer'} that a case notices "
                        "(`python -m parity_tests bugs list`)")
    drawn = draw.sample(fitting, len(fitting))
    return next((bug for bug in drawn if not shows_at_once(bug)), drawn[0])


def _texts(bug):
    """The layer's source without the bug, and with it: comments stay in their columns, where a change would show."""
    right, wrong = edited_file(pkgutil.resolve_name(bug.function), bug.old, bug.new)
    theirs, ours = right.split("\n"), wrong.split("\n")
    if len(theirs) == len(ours):
        ours = [line if line == its else _aligned(line, its) for line, its in zip(ours, theirs)]
    return right, "\n".join(ours)


def _aligned(line, original):
    """The line with its comment in the column where it would stand had the line been written so."""
    (code, mark, comment), (its_code, its_mark, _) = line.partition("  # "), original.partition("  # ")
    if not (mark and its_mark):
        return line
    column, code = len(its_code) + 2, code.rstrip()
    if column == _column(its_code.rstrip()) or column < len(code) + 2:
        column = _column(code)
    return f"{code:<{column}}# {comment}"


def _column(code):
    """Where a comment stands behind this code: in one column, or a few steps to the right of it."""
    return 65 + 4 * max(0, math.ceil((len(code) - 63) / 4))


def _quoted(path):
    """A path as one types it in a shell."""
    return shlex.quote(str(path))


def _digest(salt, bug):
    """What the token says about a bug: enough to recognize it, not to read it."""
    return hashlib.blake2b(f"{salt} {bug.name}".encode(), digest_size=8).hexdigest()


def _function(text, qualified_name):
    """The node of a function in a file; None if the file has no such function, or is not Python."""
    try:
        node = ast.parse(text)
    except SyntaxError:
        return None
    for name in qualified_name.split("."):
        found = [inner for inner in node.body if getattr(inner, "name", None) == name]
        if not found:
            return None
        node = found[-1]
    return node


# What is said when it was not found

def _with_hint(text, hint):
    return f"{text}\n\n{hint}" if hint else text


def _does_not_run(failure):
    where = f" (line {failure.line}: {failure.source})" if failure.line else ""
    return f"Not yet: the file does not run. {failure.message}{where}"


def _not_yet(bug, runs, wrong):
    """Which run goes wrong first, and where. What the planted bug does not touch comes before what it does."""
    touched = (bug.qualified_name, *bug.qualified_name.split("."))
    others = [one for one in wrong if not one.expected_to and one.function not in touched]
    count = f"{len(wrong)} of {runs} runs go wrong."
    if not others:
        return "\n".join([f"Not yet: {count}", "", *_trace(wrong[0])])
    if len(others) == len(wrong):
        text = "The planted bug is gone, but something is wrong that it has nothing to do with"
    else:
        text = "Something is wrong that the planted bug has nothing to do with"
    return "\n".join([f"Not yet: {count} {text}: {others[0].function or others[0].case}.", "", *_trace(others[0])])


def _trace(one):
    """Lines: the first wrong tensor of a run, as something to follow."""
    run = f"(case {one.case!r}, {one.form})"
    if not one.name:
        line = f", line {one.line}" if one.line else ""
        return [f"In {one.function or 'the file'}{line}: {one.problem} {run}"]
    lines = [f"First wrong tensor: {one.name} in {one.function}: {one.problem} {run}"]
    if _can_be_shown(one.actual) and _can_be_shown(one.expected) and one.actual.shape == one.expected.shape:
        lines += [f"    {line}" for line in side_by_side(one.actual, one.expected)]
    return lines


def _can_be_shown(array):
    return array is not None and array.size and array.dtype != bool
