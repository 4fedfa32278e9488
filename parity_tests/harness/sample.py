"""Functions from a string, which the recorder takes for a layer file: for testing the harness itself."""

import itertools
import linecache
import textwrap

from parity_tests.harness.recorder import WATCHED

_numbers = itertools.count()


def define(source, **names):
    """Run the source of some functions; returns their namespace. names: what else it holds."""
    source = textwrap.dedent(source)
    filename = f"{WATCHED[0]}sample_{next(_numbers)}.py"
    linecache.cache[filename] = len(source), None, source.splitlines(keepends=True), filename
    exec(compile(source, filename, "exec"), names)
    return names
