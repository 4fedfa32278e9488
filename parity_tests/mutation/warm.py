"""Runs one test file after the other, each in a forked child, so that only the first one pays for slow imports."""

import gc
import importlib
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

# What the tests import and a mutation cannot change. Our own packages are loaded anew by each child.
SLOW_IMPORTS = ("numpy", "scipy.special", "scipy.sparse", "torch", "pytest", "hypothesis.strategies")
_OWN = ("numpy_impl", "torch_impl", "parity_tests")
_PASSED, _FAILED, _INTERRUPTED = 0, 1, 2    # pytest's; a test file that cannot be imported interrupts it


class WarmTests:
    """Runs test files of the project in the folder `tree`. log: the file that holds what the last run printed."""

    def __init__(self, tree, log):
        self.tree, self.log = Path(tree), Path(log)
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[variable] = "1"
        for name in SLOW_IMPORTS:
            importlib.import_module(name)
        gc.freeze()     # the children need not look through what is loaded already
        self.processes = multiprocessing.get_context("fork")

    def run(self, test_file, timeout):
        """Run a test file up to its first failure. Returns "passed", or how it failed, and the seconds it took.

        A failure is the first failing test as pytest names it, "timeout", or "signal 11", for instance.
        Raises RuntimeError if pytest cannot run at all.
        """
        start = time.monotonic()
        child = self.processes.Process(target=self._run_pytest, args=(test_file,))
        child.start()
        try:
            child.join(timeout)
            outcome = "timeout" if child.is_alive() else self._outcome(child.exitcode)
        finally:
            if child.is_alive():
                os.killpg(child.pid, signal.SIGKILL)
                child.join()
        return outcome, time.monotonic() - start

    def _run_pytest(self, test_file):
        os.setsid()     # with a group of its own, so that what the tests start ends with it
        os.chdir(self.tree)
        with open(self.log, "wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        for name in [name for name in sys.modules if name.partition(".")[0] in _OWN]:
            del sys.modules[name]
        sys.path.insert(0, str(self.tree))
        sys.dont_write_bytecode = True      # bytecode is told apart by time and size of the source alone
        import pytest
        code = pytest.main(["-x", "-q", "--tb=line", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:pytest_cov",
                            "-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning", test_file])
        loaded = Path(sys.modules["numpy_impl"].__file__) if "numpy_impl" in sys.modules else None
        if loaded and not loaded.is_relative_to(self.tree):
            print(f"numpy_impl was loaded from {loaded}")
            code = 70
        sys.stdout.flush()
        os._exit(code)      # without the exit handlers of what the parent has loaded

    def _outcome(self, code):
        if code == _PASSED:
            return "passed"
        if code < 0:
            return f"signal {-code}"
        output = self.log.read_text(errors="replace")
        named = [line for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        if code not in (_FAILED, _INTERRUPTED) or not named:
            raise RuntimeError(f"pytest ended with status {code}:\n{output}")
        return named[0].partition(" - ")[0]
