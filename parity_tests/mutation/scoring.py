"""What the last full run found: score.json, and survivors.toml, which explains each survivor. Needs no cosmic-ray."""

import importlib.metadata
import json
import tomllib
from pathlib import Path

from numpy_impl.training.files import write_atomically
from parity_tests.mutation.sources import hash_of, read_source

SCORE_FILE = Path(__file__).with_name("score.json")
SURVIVORS_FILE = Path(__file__).with_name("survivors.toml")


def score():
    """The score as a dict that JSON can hold.

    "tool": the mutation tester. "files": for each mutated source its test file, the sha256 that it was measured on,
    how many mutants there were, were killed, survived with an explanation and without one; "stale", whether the source
    has changed since; "survivors", each with function, line, becomes and why. "total": the same numbers, of all files.
    """
    result = json.loads(SCORE_FILE.read_text(encoding="utf-8"))
    explanations = read_explanations()
    for source, row in result["files"].items():
        row["stale"] = hash_of(read_source(source)) != row["sha256"]
        row["survivors"] = [{"function": function, "line": line, "becomes": becomes, "why": why}
                            for (function, line, becomes), why in explanations.get(source, {}).items()]
    result["total"] = {name: sum(row[name] for row in result["files"].values())
                       for name in ("mutants", "killed", "explained", "unexplained")}
    result["total"]["stale"] = any(row["stale"] for row in result["files"].values())
    return result


def read_explanations():
    """{source: {(function, line, becomes): why no test can notice}}, from survivors.toml."""
    found = {}
    for entry in tomllib.loads(SURVIVORS_FILE.read_text(encoding="utf-8"))["equivalent"]:
        for function, line, becomes in entry["mutants"]:
            found.setdefault(entry["file"], {})[function, line, becomes] = entry["why"]
    return found


def unexplained(session):
    """The Mutants of a session that survived and that survivors.toml does not list."""
    explanations = read_explanations().get(session.source, {})
    return [mutant for mutant in session.survivors() if mutant.place not in explanations]


def report(sessions):
    """Write score.json, and print it with whatever is left to do. Returns an exit status.

    A session that is not finished leaves the row of its file in score.json as it is.
    """
    rows = json.loads(SCORE_FILE.read_text(encoding="utf-8"))["files"] if SCORE_FILE.exists() else {}
    problems = []
    for session in sessions:
        if session.pending():
            problems.append(f"{session.source}: {len(session.pending())} mutants are still to be tested")
        else:
            rows[session.source], found = _judge(session)
            problems += found
    result = {"tool": f"cosmic-ray {importlib.metadata.version('cosmic-ray')}", "files": dict(sorted(rows.items()))}
    write_atomically(SCORE_FILE, f"{json.dumps(result, indent=2)}\n".encode())
    print(as_text(score()), *problems, sep="\n")
    return 1 if problems else 0


def _judge(session):
    """The row of a finished session in score.json, and a list of what is wrong with it."""
    survivors, surprising = session.survivors(), unexplained(session)
    listed = read_explanations().get(session.source, {})
    killed_after_all = listed.keys() - {mutant.place for mutant in survivors}
    problems = [f"{session.source}: survived and is not explained, in {mutant.function}: "
                f"{mutant.line}  ->  {mutant.becomes}" for mutant in surprising]
    problems += [f"{session.source}: is in {SURVIVORS_FILE.name}, but did not survive: {' | '.join(place)}"
                 for place in sorted(killed_after_all)]
    row = {"test": session.test_file, "sha256": session.sha256, "mutants": len(session.mutants),
           "killed": len(session.mutants) - len(survivors), "explained": len(survivors) - len(surprising),
           "unexplained": len(surprising)}
    return row, problems


def as_text(result):
    """What `score` returns as a table in plain text."""
    lines = [f"{'':42}{'mutants':>9}{'killed':>9}{'explained':>11}{'unexplained':>13}"]
    for name, row in [*result["files"].items(), ("total", result["total"])]:
        numbers = f"{row['mutants']:9}{row['killed']:9}{row['explained']:11}{row['unexplained']:13}"
        lines.append(f"{name:42}{numbers}{'  (an earlier version of the file)' if row['stale'] else ''}")
    return "\n".join(lines)
