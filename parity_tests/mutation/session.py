"""The mutants of one source file and what became of them: kept in a file, so that an interrupted run goes on."""

import contextlib
import fcntl
import functools
import shutil
from pathlib import Path

from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult

from parity_tests.mutation.mutants import mutants_of
from parity_tests.mutation.sources import ROOT, hash_of, read_source

FOLDER = ROOT / "runs" / "mutation"
_COPIED = ("numpy_impl", "torch_impl", "parity_tests", "setup.cfg", "pyproject.toml")


class Session:
    """source: a path such as "numpy_impl/layers/linear.py". Another text of it makes another session."""

    def __init__(self, source):
        self.source = source
        self.stem = Path(source).stem
        self.test_file = f"parity_tests/test_{self.stem}.py"
        self.text = read_source(source)
        self.sha256 = hash_of(self.text)
        self.path = FOLDER / f"{self.stem}-{self.sha256[:12]}.sqlite"
        self.tree = FOLDER / f"{self.stem}.tree"

    @functools.cached_property
    def mutants(self):
        """{name: Mutant}, in the order of the lines."""
        return {mutant.name: mutant for mutant in mutants_of(self.text)}

    def outcomes(self):
        """{name: outcome} of the mutants that have been tested: "survived", or what killed it."""
        if not self.path.exists():
            return {}
        with self._database() as database:
            return {name: result.output for name, result in database.results if name in self.mutants}

    def survivors(self):
        """The Mutants that no test has noticed."""
        outcomes = self.outcomes()
        return [mutant for name, mutant in self.mutants.items() if outcomes.get(name) == "survived"]

    def pending(self):
        """The Mutants that are still to be tested."""
        outcomes = self.outcomes()
        return [mutant for name, mutant in self.mutants.items() if name not in outcomes]

    def start(self):
        """Write down every mutant that is not there yet; sessions of an earlier text of the source go."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        for old in FOLDER.glob(f"{self.stem}-*.sqlite"):
            if old != self.path:
                old.unlink()
        with self._database() as database:
            known = {item.job_id for item in database.work_items}
            database.add_work_items([_work_item(self.source, mutant) for name, mutant in self.mutants.items()
                                     if name not in known])

    def record(self, mutant, outcome):
        """Keep an outcome: "survived", or what killed the mutant."""
        fate = TestOutcome.SURVIVED if outcome == "survived" else TestOutcome.KILLED
        with self._database() as database:
            database.set_result(mutant.name, WorkResult(WorkerOutcome.NORMAL, outcome, fate,
                                                        f"- {mutant.line}\n+ {mutant.becomes}"))

    @contextlib.contextmanager
    def copied_tree(self):
        """Inside, `tree` holds a copy of what the tests need, which may be mutated; the checkout is never touched."""
        shutil.rmtree(self.tree, ignore_errors=True)
        self.tree.mkdir(parents=True)
        try:
            for name in _COPIED:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, self.tree / name, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / name, self.tree / name)
            (self.tree / self.source).write_text(self.text, encoding="utf-8")    # it may have changed since
            yield
        finally:
            shutil.rmtree(self.tree)

    @contextlib.contextmanager
    def locked(self):
        """Inside, no other process works on this source. Yields False if one does already."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        with open(FOLDER / f"{self.stem}.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    @contextlib.contextmanager
    def _database(self):
        database = WorkDB(self.path, WorkDB.Mode.create)
        try:
            yield database
        finally:
            database.close()


def _work_item(source, mutant):
    return WorkItem.single(mutant.name, MutationSpec(
        source, mutant.operator, mutant.occurrence, (mutant.row, 0), (mutant.row, 1), definition_name=mutant.function))
