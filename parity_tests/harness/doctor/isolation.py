"""Run a learner's code where it can do no harm: a file in a fresh interpreter, a notebook's function in a forked child.

The child has a process group of its own, which is killed whole when time is up. What it prints is read while it runs,
and kept short. Its answers go into a file, message by message, so that a crash loses only what had not been done.
"""

import contextlib
import dataclasses
import io
import linecache
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

from parity_tests.harness.doctor import worker
from parity_tests.harness.doctor.jobs import Failure
from parity_tests.harness.threads import THREAD_VARIABLES

ROOT = Path(__file__).resolve().parents[3]
GRACE = 2.0             # seconds after its time limit in which the child can say for itself where it was
STARTING = 20.0         # seconds in which a busy machine must have started it
KEPT = 2000             # characters of what it prints: so many from the beginning, and so many from the end
MARK = "PARITY_TESTS_DOCTOR"    # in the environment of a child, and so of all that it starts


@dataclasses.dataclass
class Outcome:
    """What a process said. results: {index of the job: Result}. failure: why it did not get through; None if it did.
    about: what was found in the file. repeated: the first job's second Result. repairs, refuted: what `repair` found.
    printed: shortened. notes: remarks. """

    results: dict = dataclasses.field(default_factory=dict)
    failure: Failure | None = None
    about: dict = dataclasses.field(default_factory=dict)
    repeated: object = None
    repairs: list = dataclasses.field(default_factory=list)
    refuted: list = dataclasses.field(default_factory=list)
    printed: str = ""
    notes: list = dataclasses.field(default_factory=list)


def run(request):
    """Do what a Request asks for in another process; returns an Outcome, whatever happens there."""
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        answers = Path(folder, "answers")
        answers.touch()
        if not request.objects:
            process = _start(request, Path(folder, "request"), answers)
        elif hasattr(os, "fork"):
            process = _Fork(request, answers)
        else:
            return _in_process(request)
        output = _Output(process.stdout)
        try:
            timed_out = _wait(process, answers, request.time_limit)
        finally:
            _kill_marked(answers)
        printed = output.text()
        return _outcome(answers, request, process.returncode, timed_out, printed)


def _start(request, path, answers):
    """A fresh interpreter; the learner's file is loaded there."""
    path.write_bytes(pickle.dumps(request))
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1"), MARK: str(answers),
                   "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen([sys.executable, "-m", request.program, str(path), str(answers)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
                            start_new_session=os.name == "posix")


class _Fork:
    """A forked child that looks like a Popen: the function of a notebook cannot be sent to a fresh interpreter."""

    def __init__(self, request, answers):
        reading, writing = os.pipe()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)    # threads of ours are not needed in the child
            self.pid = os.fork()
        if not self.pid:
            _live(request, answers, reading, writing)
        os.close(writing)
        self.stdout = os.fdopen(reading, "rb")
        self.returncode = None

    def poll(self):
        """The exit status, negative for a signal; None while the child runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self):
        """Wait until the child has ended."""
        while self.poll() is None:
            time.sleep(0.005)


def _live(request, answers, reading, writing):
    """The life of a forked child. It never returns."""
    try:
        os.setsid()
        os.environ[MARK] = str(answers)
        os.close(reading)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin = open(0, encoding="utf-8")
        sys.stdout = sys.stderr = open(1, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)
        sys.settrace(None)
        with open(answers, "ab") as file:
            send = worker.sender(file)
            worker.guard(request, send)
            worker.serve(request, send)
        sys.stdout.flush()
    finally:
        os._exit(0)


class _Output:
    """Reads what the child prints, in a thread, so that it never has to wait for us; keeps the two ends of it."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.beginning, self.end, self.length = b"", b"", 0
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while chunk := self.pipe.read1(65536):
            self.length += len(chunk)
            room = KEPT - len(self.beginning)
            self.beginning += chunk[:max(room, 0)]
            self.end = (self.end + chunk[max(room, 0):])[-KEPT:]

    def text(self):
        """What was printed; the middle is left out if it is long."""
        self.thread.join(timeout=1)
        if not self.thread.is_alive():
            self.pipe.close()
        left_out = self.length - len(self.beginning) - len(self.end)
        middle = f"\n... {left_out} characters left out ...\n".encode() if left_out > 0 else b""
        return (self.beginning + middle + self.end).decode("utf-8", "replace")


def _wait(process, answers, time_limit):
    """Wait until the child has ended, and kill all that it started. Returns True if it had to be stopped."""
    begun = time.monotonic()
    deadline = begun + STARTING + time_limit
    started = False
    try:
        while process.poll() is None:
            if not started and answers.stat().st_size:
                started, deadline = True, time.monotonic() + time_limit + GRACE
            if time.monotonic() > deadline:
                return True
            time.sleep(0.002)
        return False
    finally:
        _kill(process)
        process.wait()


def _kill(process):
    """Kill the child's process group: what it has started too."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()


def _kill_marked(answers):
    """Kill what the child has started in a group of its own; only Linux shows other processes' environment."""
    mark = f"{MARK}={answers}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):    # of another user, or gone
            if mark in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), signal.SIGKILL)


def _outcome(answers, request, status, timed_out, printed):
    outcome = Outcome(printed=printed.partition("Fatal Python error")[0])    # faulthandler's part is read below
    running, ended = "", False
    for kind, value in _messages(answers):
        if kind == "running":
            running = value
        ended = ended or kind == "done"
        _note(outcome, kind, value)
    if outcome.failure is None and not ended:
        outcome.failure = _death(request, status, timed_out, printed)
    if outcome.failure is not None and not outcome.failure.job:
        outcome.failure.job = running
    return outcome


def _note(outcome, kind, value):
    if kind == "result":
        outcome.results[value[0]] = value[1]
    elif kind == "failed":
        outcome.failure = value
    elif kind == "found":
        outcome.about = value
    elif kind in ("repeated", "repairs", "refuted"):
        setattr(outcome, kind, value)


def _messages(answers):
    """The messages in the file; the last one may be cut off."""
    with open(answers, "rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except (EOFError, pickle.UnpicklingError):
                return


def _death(request, status, timed_out, printed):
    """The Failure of a process that ended without a word."""
    if timed_out:
        return Failure("timeout", f"still running after {request.time_limit:g} seconds")
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            status = signal.Signals(-status).name
        message = f"the process was killed by {status}"
    else:
        message = f"the process ended by itself with status {status}, as os._exit() does"
    failure = Failure("killed", message)
    # What faulthandler prints after a crash: 'File "...", line 3 in f', innermost first.
    for file, line, function in re.findall(r'File "([^"]+)", line (\d+) in (\S+)', printed):
        if request.file and Path(file) == Path(request.file).resolve():
            failure.file, failure.line, failure.function = file, int(line), function
            failure.source = linecache.getline(file, int(line)).strip()
            break
    return failure


def _in_process(request):
    """Where there is no fork: the code runs here."""
    messages, printed = [], io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        worker.serve(request, messages.append)
    outcome = Outcome(printed=printed.getvalue()[:KEPT],
                      notes=["this system cannot fork: the function ran in this process, without a time limit"])
    for kind, value in messages:
        _note(outcome, kind, value)
    return outcome
