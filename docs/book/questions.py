"""The pages of the learners' questions, in their order."""

import re
from pathlib import Path

import yaml

FRONT_MATTER = re.compile(r"^---\n(.*?)^---\n", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def questions(folder):
    """[(number, path, title, one-line answer)] of the pages in a folder, in their order: Q1, Q2, ..., N1, ...

    A page says it in its front matter: `question: {number: Q5, answer: "..."}`. Raises ValueError where one does not.
    """
    found = []
    for path in sorted(Path(folder).glob("*.md")):
        if path.stem == "index":
            continue
        text = path.read_text(encoding="utf-8")
        entry = (yaml.safe_load(FRONT_MATTER.match(text)[1]) if FRONT_MATTER.match(text) else {}).get("question") or {}
        number, answer = entry.get("number"), entry.get("answer")
        if not (re.fullmatch(r"[QN]\d+", str(number)) and answer):
            raise ValueError(f'{path} has no `question: {{number: Q1, answer: "..."}}` in its front matter')
        found.append((number, path, TITLE.search(text)[1], answer))
    return sorted(found, key=lambda one: (one[0][0] != "Q", int(one[0][1:])))
