"""Runs a learner's code, in a process that may be killed: whatever it does, the doctor outside gets an answer.

`python -m parity_tests.harness.doctor.worker REQUEST ANSWERS` reads a pickled Request from one file, and appends what
it finds to the other as pickled messages, each as soon as it is known. A forked child calls `serve` itself.
torch is not needed here, and not loaded.
"""

import contextlib
import copy
import faulthandler
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from parity_tests.harness.doctor import loading
from parity_tests.harness.doctor.derivatives import run_check
from parity_tests.harness.doctor.failures import describe, innermost, locate
from parity_tests.harness.doctor.jobs import Failure, Result, as_tuple, portable
from parity_tests.harness.doctor.modules import run_module
from parity_tests.harness.doctor.watching import bytes_of, note_changes, recorded

MEMORY = 4 * 2**30      # bytes that the learner's code may take on top of what the process has


class Target:
    """The learner's code: backward and perhaps forward, or a class; files: its files, as code objects call them."""

    def __init__(self, backward=None, forward=None, module=None, file=None):
        self.backward, self.forward, self.module = backward, forward, module
        things = [backward, forward, *(vars(module).values() if module else ())]
        self.files = {code.co_filename for thing in things if (code := getattr(thing, "__code__", None))}
        self.files |= {str(Path(file).resolve())} if file else set()


class WrongCall(Exception):
    """What the learner's own forward pass returned cannot be used."""


def serve(request, send):
    """Do what a Request asks for, and `send` messages: (kind, value). Never raises."""
    files = {str(Path(request.file).resolve())} if request.file else set()
    send(("started", None))
    try:
        target = find(request)
        files |= target.files
        problem = _problem(request, target)
        send(("found", _about(target)))
        if problem:
            send(("failed", Failure("arguments", problem)))
            return
        _run_all(request, target, send)
    except BaseException as error:    # SystemExit and the like too: this is where they end
        send(("failed", describe(error, files)))
    send(("done", None))


def find(request):
    """The Target of a Request."""
    if request.objects:
        return Target(**request.objects, file=request.file)
    module = loading.load_file(request.file)
    if request.kind == "check":
        forward, backward = loading.find_pair(module, request.name, request.wanted)
        for job in request.jobs:
            job.inputs = loading.example_inputs(module) if job.inputs is None else job.inputs
        return Target(backward, forward, file=request.file)
    if request.kind == "module":
        return Target(module=loading.find_class(module, request.name, request.wanted), file=request.file)
    backward = loading.find_backward(module, request.name, request.wanted, request.signature)
    forward = loading.find_forward(module, request.name)
    return Target(backward, forward, file=request.file)


def _problem(request, target):
    """In words, what is wrong with the signature; None if nothing is."""
    return target.backward and request.arguments and loading.problem_with_arguments(target.backward, request.arguments)


def _about(target):
    """What was found, for the report."""
    function = target.backward or target.module
    return {"name": getattr(function, "__name__", "?"), "has_forward": target.forward is not None,
            "files": sorted(target.files)}


def _run_all(request, target, send):
    """All jobs in order; the first once more, which shows a result that depends on earlier calls; then the search.

    The search edits the learner's code, and comes last.
    """
    run = RUNS[request.kind]
    for index, job in enumerate(request.jobs):
        send(("running", job.label))
        send(("result", (index, attempt(run, target, job))))
    if request.repeat and len(request.jobs) > 1:
        send(("repeated", attempt(run, target, request.jobs[0], record_locals=False)))
    if request.search:
        from parity_tests.harness.doctor.repair import search
        send(("repairs", search(request, target, run)))
    if request.claims:
        from parity_tests.harness.doctor.repair import refuted
        send(("refuted", refuted(request, target, run)))


def attempt(run, target, job, record_locals=None):
    """The Result of a job, whose `failure` tells of an exception."""
    record_locals = job.record if record_locals is None else record_locals
    result = Result()
    try:
        run(target, job, result, record_locals)
    except WrongCall as error:
        result.failure = Failure("forward", str(error), job=job.label)
    except BaseException as error:    # sys.exit() too
        if record_locals and innermost_is_ours(error, target.files):
            return attempt(run, target, job, record_locals=False)    # code that cannot be watched may still run
        result.failure = describe(error, target.files, job.label)
    return result


def innermost_is_ours(error, files):
    """True if the recorder failed, not the learner's code."""
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1].endswith(("recorder.py", "statements.py"))


def run_primitive(target, job, result, record_locals):
    """Forward, where the learner has one, and backward; fills in `result`."""
    inputs, by_name, cache, upstreams = copy.deepcopy((job.inputs, job.by_name, job.cache, job.upstreams))
    watched = [(f"argument {index + 1} of the forward pass", value) for index, value in enumerate(inputs)]
    before = bytes_of(watched)
    with recorded(target, record_locals, result):
        if target.forward:
            returned = as_tuple(target.forward(*inputs, **by_name))
            if len(returned) < 2:
                raise WrongCall("your forward pass must return its output and the cache, it returned "
                                f"{portable(returned[0]) if returned[0] is None else 'one value'}")
            *outputs, cache = returned
            result.outputs = portable(tuple(outputs))
            note_changes(result, watched, before)
        watched = [(f"upstream {index}", value) for index, value in enumerate(upstreams)]
        if not target.forward:    # their own cache is their own affair
            watched += [(f"cache {index}", value) for index, value in enumerate(as_tuple(cache))]
        before = bytes_of(watched)
        returned = target.backward(*upstreams, cache)
    result.gradients = portable(returned)
    note_changes(result, watched, before)


# The process

def guard(request, send):
    """Limit memory, and be ready to tell where the code is when time is up."""
    faulthandler.enable(file=sys.stderr)
    _limit(request.time_limit)
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGALRM, lambda number, frame: _time_is_up(request, send, frame))
        signal.setitimer(signal.ITIMER_REAL, request.time_limit)


def _time_is_up(request, send, frame):
    """Tell at which line the learner's code is, and end the process: nothing there can catch this."""
    failure = Failure("timeout", f"still running after {request.time_limit:g} seconds")
    files = {str(Path(request.file).resolve())} if request.file else Target(**request.objects).files
    inner = innermost(frame, files)
    if inner is not None:
        locate(failure, inner, inner.f_lineno)
    send(("failed", failure))
    os._exit(0)


def _limit(time_limit):
    """Limit the memory; and the processor time, which ends an endless loop even when nobody is there to kill it."""
    try:
        import resource
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError):    # Windows has no limits of this kind, macOS does not keep them
        return
    used = int(time.process_time())
    for kind, limit in ((resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY),
                        (resource.RLIMIT_CPU, used + int(2 * time_limit) + 10)):
        _, hardest = resource.getrlimit(kind)
        if hardest == resource.RLIM_INFINITY or limit < hardest:
            resource.setrlimit(kind, (limit, limit))


def sender(file):
    """A function that appends a pickled message to an open file."""
    def send(message):
        pickle.dump(message, file)
        file.flush()
    return send


RUNS = {"primitive": run_primitive, "module": run_module, "check": run_check}


def main(serve=serve):
    request_path, answers_path = sys.argv[1:]
    with open(request_path, "rb") as file:
        request = pickle.load(file)
    with open(answers_path, "ab") as answers:
        send = sender(answers)
        guard(request, send)
        serve(request, send)
        answers.flush()
        with contextlib.suppress(Exception):    # the learner's code may have closed it
            sys.stdout.flush()
        os._exit(0)    # threads and exit handlers of the learner's file have no say any more


if __name__ == "__main__":
    main()
