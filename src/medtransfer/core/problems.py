"""A problem found by a check, in the one form every report and ``--json`` answer uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is not as expected."""

    what: str
    """Kebab-case code, such as ``unexpected-count``; a user accepts a problem by it."""
    where: str
    """File, row, key or split concerned."""
    expected: str
    """What would have been right."""
    found: str
    """What is there."""
    next_step: str = ""
    """What the user can do about it."""

    def sentence(self) -> str:
        """Return the problem as one line of text."""
        text = f"{self.what}: {self.where}: expected {self.expected}, got {self.found}."
        return f"{text} {self.next_step}".rstrip()

    def as_json(self) -> dict[str, str]:
        """Return the fields as a JSON object."""
        return asdict(self)


def describe_problems(problems: Iterable[Problem]) -> str:
    """Return all problems as an indented list, one per line."""
    return "\n".join(f"  - {problem.sentence()}" for problem in problems)
