"""Launching programs in turns, each in processes of its own, and what to say of the machine.

BLAS threads spin for a while after the last product and slow what runs next in the same process; a machine's clock and
its other work change over time. Hence processes of their own, in turns, after a pause, and medians.
"""

import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from parity_tests.harness.threads import THREAD_VARIABLES

ROOT = Path(__file__).resolve().parents[2]


def in_turns(commands, launches, threads, pause):
    """Launch each of `commands` in turn, and all of them `launches` times.

    commands: {name: (arguments of Python, what to give it on standard input)}. Each prints JSON. threads: of BLAS and
    of torch. pause: seconds before each launch. Returns {name: [what each launch printed]}.
    """
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    printed = {name: [] for name in commands}
    for _ in range(launches):
        for name, (arguments, text) in commands.items():
            time.sleep(pause)
            ran = subprocess.run([sys.executable, *arguments], input=text, env=environment, cwd=ROOT, check=True,
                                 stdout=subprocess.PIPE, encoding="utf-8")
            printed[name].append(json.loads(ran.stdout))
    return printed


def table(seconds, first=None):
    """Lines with each name's median, its launches and, if given, how `first` compares. seconds: {name: [numbers]}."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        launches = " ".join(f"{value * 1e3:.1f}" for value in values)
        ratio = "" if first in (None, name) else f"   {first} takes {medians[first] / medians[name]:.2f} times as long"
        yield f"  {name:<18} {medians[name] * 1e3:8.1f} ms   ({launches}){ratio}"


def machine(threads):
    """One line: processor, cores, Python, and with how many threads the benchmark runs."""
    return f"{cpu_model()}, {os.cpu_count()} cores; Python {platform.python_version()}; {threads} thread(s) a process"


def cpu_model():
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def libraries():
    """The BLAS libraries that this process has loaded: a list of texts, empty without the package threadpoolctl."""
    try:
        threadpoolctl = importlib.import_module("threadpoolctl")
    except ImportError:
        return []
    return [f"{pool['internal_api']} {pool['version']} (kernel {pool.get('architecture', 'unknown')}, "
            f"{pool['num_threads']} thread(s))" for pool in threadpoolctl.threadpool_info()]
