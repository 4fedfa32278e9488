"""Plant a bug: change the source of one function while a `with` block runs."""

import contextlib
import inspect
import itertools
import linecache

_numbers = itertools.count()


@contextlib.contextmanager
def planted(function, old, new):
    """Inside, `function` runs with `old` in its source replaced by `new`, wherever it is called from.

    Raises ValueError unless `old` occurs exactly once in the function.
    """
    function = inspect.unwrap(function)
    _, edited = edited_file(function, old, new)
    original = function.__code__
    # A file of its own in linecache: debugger, tracebacks and recorder see the source that runs.
    filename = f"{original.co_filename} (planted {next(_numbers)})"
    linecache.cache[filename] = len(edited), None, edited.splitlines(keepends=True), filename
    function.__code__ = _find_code(compile(edited, filename, "exec"), function.__qualname__)
    try:
        yield
    finally:
        function.__code__ = original
        del linecache.cache[filename]


def edited_file(function, old, new):
    """The text of the file that `function` stands in, as it is and with `old` replaced by `new` in the function.

    Raises ValueError unless `old` occurs exactly once in the function.
    """
    function = inspect.unwrap(function)
    block, first_line = inspect.getsourcelines(function)
    source = "".join(block)
    if source.count(old) != 1:
        raise ValueError(f"{old!r} occurs {source.count(old)} times in {function.__qualname__}, must occur once")
    file = linecache.getlines(function.__code__.co_filename)
    before, after = file[:first_line - 1], file[first_line - 1 + len(block):]
    return "".join(file), "".join([*before, source.replace(old, new), *after])


def _find_code(code, qualified_name):
    """The code object of a function within the code of its file."""
    inner = [constant for constant in code.co_consts if inspect.iscode(constant)]
    found = [constant for constant in inner if constant.co_qualname == qualified_name]
    return found[0] if found else next(filter(None, (_find_code(constant, qualified_name) for constant in inner)), None)
