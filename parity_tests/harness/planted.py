"""Plant a bug: change the source of one function while a `with` block runs."""

import contextlib
import dataclasses
import inspect
import itertools
import linecache
import pkgutil

_numbers = itertools.count()


@dataclasses.dataclass(frozen=True)
class Bug:
    """A realistic mistake. function: "module:qualified.name". old, new: what it says, and what somebody wrote instead.

    case: the name of a case that notices. form: the form in which it does.
    """

    name: str
    function: str
    old: str
    new: str
    case: str
    form: str = "plain"

    def __str__(self):
        return self.name

    def planted(self):
        """A context manager: inside, the function has the bug."""
        return planted(pkgutil.resolve_name(self.function), self.old, self.new)


@contextlib.contextmanager
def planted(function, old, new):
    """Inside, `function` runs with `old` in its source replaced by `new`, wherever it is called from.

    Raises ValueError unless `old` occurs exactly once in the function.
    """
    function = inspect.unwrap(function)
    block, first_line = inspect.getsourcelines(function)
    source = "".join(block)
    if source.count(old) != 1:
        raise ValueError(f"{old!r} occurs {source.count(old)} times in {function.__qualname__}, must occur once")
    original = function.__code__
    file = linecache.getlines(original.co_filename)
    edited = "".join(file[:first_line - 1]) + source.replace(old, new) + "".join(file[first_line - 1 + len(block):])
    # A file of its own in linecache: debugger, tracebacks and recorder see the source that runs.
    filename = f"{original.co_filename} (planted {next(_numbers)})"
    linecache.cache[filename] = len(edited), None, edited.splitlines(keepends=True), filename
    function.__code__ = _find_code(compile(edited, filename, "exec"), function.__qualname__)
    try:
        yield
    finally:
        function.__code__ = original
        del linecache.cache[filename]


def _find_code(code, qualified_name):
    """The code object of a function within the code of its file."""
    inner = [constant for constant in code.co_consts if inspect.iscode(constant)]
    found = [constant for constant in inner if constant.co_qualname == qualified_name]
    return found[0] if found else next(filter(None, (_find_code(constant, qualified_name) for constant in inner)), None)
