"""Mutate the arithmetic of the layers and optimizers, and see that the tests notice.

Run takes about half an hour of one core, may be interrupted at any time and goes on where it was; two at once share the
work. Report writes score.json beside this file. Both need `pip install -e ".[test,mutation]"`.
"""

import argparse

from cosmic_ray.mutating import use_mutation

from parity_tests.mutation import scoring
from parity_tests.mutation.mutants import OPERATORS
from parity_tests.mutation.session import Session
from parity_tests.mutation.sources import SOURCES
from parity_tests.mutation.warm import WarmTests


def run(sources, survivors):
    """Test what is pending, or, with `survivors`, again what survived and is not explained. Returns an exit status."""
    status = 0
    for session in map(Session, sources):
        with session.locked() as ours:
            if not ours:
                print(f"{session.source}: another run works on it")
                continue
            session.start()
            mutants = scoring.unexplained(session) if survivors else session.pending()
            if mutants:
                with session.copied_tree():
                    status |= _test(session, mutants)
    return status


def _test(session, mutants):
    """Test each mutant. Returns an exit status: 1 if the tests fail without any mutation; then no mutant is tested."""
    tests = WarmTests(session.tree, session.tree / "output.txt")
    outcome, seconds = tests.run(session.test_file, timeout=600)
    if outcome != "passed":
        print(f"{session.source}: without a mutation {session.test_file} fails: {outcome}\n{tests.log.read_text()}")
        return 1
    print(f"{session.source}: {len(mutants)} to test; {session.test_file} takes {seconds:.1f} s", flush=True)
    for mutant in mutants:
        with use_mutation(session.tree / session.source, OPERATORS[mutant.operator], mutant.occurrence):
            outcome, _ = tests.run(session.test_file, timeout=20 + 10 * seconds)
        session.record(mutant, "survived" if outcome == "passed" else outcome)
        if outcome == "passed":
            print(f"  survived in {mutant.function}: {mutant.line}\n{'':>13}becomes: {mutant.becomes}", flush=True)
    return 0


def status(sources):
    """Print how far each session is."""
    for session in map(Session, sources):
        outcomes = session.outcomes()
        survived = sum(outcome == "survived" for outcome in outcomes.values())
        print(f"{session.source}: {len(outcomes)} of {len(session.mutants)} tested, {survived} survived, "
              f"{len(scoring.unexplained(session))} of them unexplained")
    return 0


def main(arguments=None):
    """Returns the exit status: 1 where tests fail without a mutation, or where `report` finds something to do."""
    parser = argparse.ArgumentParser("python -m parity_tests.mutation", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="run|status|report")
    for verb, help_text in (("run", "test the mutants that have not been tested"), ("status", "say how far the run is"),
                            ("report", "write score.json from the finished sessions")):
        verbs.add_parser(verb, help=help_text).add_argument(
            "file", nargs="*", help="part of a path, such as softmax or training/; default: all files")
    verbs.choices["run"].add_argument("--survivors", action="store_true", help="test again, after better tests were "
                                      "written, the mutants that survived and are not explained")
    chosen = parser.parse_args(arguments)
    sources = [source for source in SOURCES if not chosen.file or any(part in source for part in chosen.file)]
    if not sources:
        parser.error(f"file was {' '.join(chosen.file)}, must be part of one of: {', '.join(SOURCES)}")
    if chosen.verb == "run":
        try:
            return run(sources, chosen.survivors)
        except KeyboardInterrupt:
            print("interrupted; the next run goes on from here")
            return 130
        except RuntimeError as error:
            print(error)
            return 1
    return status(sources) if chosen.verb == "status" else scoring.report(map(Session, sources))
