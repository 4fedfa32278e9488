"""A user's mistake, as opposed to ours."""


class UserError(Exception):
    """What was given cannot be used. The message is one line: what it was, and what it must be.

    `python -m parity_tests` prints it without a traceback, and ends with status 2.
    """
