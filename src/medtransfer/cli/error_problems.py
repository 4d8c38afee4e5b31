"""An error as a problem: what is the matter, and the next step apart from it, for ``--json`` answers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from medtransfer.core.errors import MedtransferError
from medtransfer.core.problems import Problem

_FIRST_SENTENCE: Final = re.compile(
    r"(?P<found>.*?(?:expected.*?\bgot\b)?.*?)\.\s+(?P<next_step>[A-Z].*)", re.DOTALL
)


def error_problem(what: str, where: str, expected: str, error: MedtransferError, otherwise: str) -> Problem:
    """Return an error as a problem.

    Args:
        what: Code of the problem.
        where: What it is about.
        expected: What would have been right.
        error: Its message is *Subject: expected X, got Y. Next step.*
        otherwise: Next step where the message has none.
    """
    return with_next_step(Problem(what, where, expected, str(error).rstrip(".")), otherwise)


def with_next_step(problem: Problem, otherwise: str) -> Problem:
    """Return a problem whose next step stands apart from what was found.

    Example:
        >>> told = Problem("absent", "x", "a file", "x: expected a.pt, got none. Check --data")
        >>> with_next_step(told, "Ask.").found, with_next_step(told, "Ask.").next_step
        ('x: expected a.pt, got none', 'Check --data.')
    """
    if problem.next_step:
        return problem
    parts = _FIRST_SENTENCE.fullmatch(problem.found)
    if parts is None:
        return replace(problem, next_step=otherwise)
    return replace(problem, found=parts["found"], next_step=f"{parts['next_step'].rstrip('.')}.")
