"""How long work reports its progress without knowing who shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with how far a piece of work is; the command line draws a bar from it."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` units of ``what`` are finished."""


def no_progress(what: str, done: int, total: int) -> None:
    """Report to nobody."""
