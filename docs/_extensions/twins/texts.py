"""A bug of the catalogue and an exercise of the lab as MyST: what pages and notebooks show of them."""

import re

from twins.code import escaped

HINT, WHY = "Hint", "Why it is so"
GRADED = re.compile(r"^:{3,}\{graded\} (\w+)$", re.MULTILINE)    # where a page has an exercise of the lab


def bug_text(bug):
    """The story of a bug: what it looks like, the diff, why people make it, what it does, and who has seen it."""
    diff = "\n".join(line.rstrip() for line in bug.diff().splitlines()[2:]).rstrip()
    parts = [escaped(bug.looks), f"```diff\n{diff}\n```", escaped(bug.why), escaped(bug.training)]
    if bug.seen:
        parts.append("Seen:")
        parts += [f"- {escaped(what)} [{address(url)}]({url})" for url, what in bug.seen]
    noticed = f"the case *{escaped(bug.case)}*, {bug.form} form" if bug.case else f"the tests of {bug.file}"
    parts.append(f"*Catalogued as* `{bug.name}`*; noticed by* {noticed}.")
    return "\n\n".join(parts)


def address(url):
    """A link's text: "pytorch/pytorch#41508" for a thread on GitHub, else the host."""
    thread = re.match(r"https://github\.com/([^/]+/[^/]+)/(?:issues|pull|discussions)/(\d+)", url)
    return f"{thread[1]}#{thread[2]}" if thread else re.sub(r"^https?://(www\.)?([^/]+).*", r"\2", url)


def exercise_text(one):
    """An exercise of the lab: its task, the commands that hand it out and grade it, hints, and why it is so."""
    hints = "\n".join(f":::{{hint}} {HINT} {level}\n{escaped(one.hint(level))}\n:::" for level in (1, 2, 3))
    return (f"::::{{exercise}} `{one.asked}`, {one.title}\n"
            f"*{one.level.capitalize()}.* {escaped(one.task)}\n\n"
            f"This writes `{one.file_name}` for you to fill in, and grades it:\n"
            f"```sh\npython -m parity_tests exercise {one.name}\n"
            f"python -m parity_tests grade {one.name} {one.file_name}\n```\n"
            f"{hints}\n:::{{answer}} {WHY}\n{escaped(one.why)}\n\n"
            f"`python -m parity_tests exercise {one.name} --answer` prints the code.\n:::\n::::")
