"""The counts of a running study, told often enough to watch and rarely enough to cost nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from medtransfer.store.records import Counts
from medtransfer.store.store import Store

PAUSE_S = 1.0
"""Seconds between two counts, unless a job starts."""
LARGEST_SHARE = 0.02
"""Share of the time that may go into counting: 100,000 open trials of a study take 70 ms to count."""


class PacedCounts:
    """Reads the counts of a study and tells them.

    Args:
        store: Where the study's records live.
        study: Name of the study in the store.
        on_counts: Told the counts.
    """

    def __init__(self, store: Store, study: str, on_counts: Callable[[Counts], None]) -> None:
        self._store = store
        self._study = study
        self._on_counts = on_counts
        self._told = float("-inf")
        self._cost_s = 0.0

    def tell(self, *, at_once: bool = False) -> None:
        """Tell the counts when it is time.

        Args:
            at_once: Whether something changed that a watcher waits for, such as a job that starts.
        """
        now = time.monotonic()
        pause = max(0.0 if at_once else PAUSE_S, self._cost_s / LARGEST_SHARE)
        if now - self._told >= pause:
            self.tell_now()
            self._cost_s = self._told - now

    def tell_now(self) -> Counts:
        """Tell the counts whatever they cost, and return them."""
        counts = self._store.counts(self._study)
        self._told = time.monotonic()
        self._on_counts(counts)
        return counts
