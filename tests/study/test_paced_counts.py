"""Counting is paced by its own cost."""

from __future__ import annotations

import time

import pytest

from medtransfer.store.records import Counts
from medtransfer.study.paced_counts import PacedCounts


class SlowStore:
    def __init__(self, clock: list[float], cost_s: float) -> None:
        self.clock, self.cost_s, self.counted = clock, cost_s, 0

    def counts(self, study: str) -> Counts:
        assert study == "mine"
        self.clock[0] += self.cost_s
        self.counted += 1
        return Counts(done=self.counted, running=0, pending=0, failed=0)


@pytest.mark.parametrize(
    ("cost_s", "at_once", "expected"), [(0.0, True, 100), (0.0, False, 10), (0.1, True, 2), (0.1, False, 2)]
)
def test_ten_seconds_of_telling(
    monkeypatch: pytest.MonkeyPatch, cost_s: float, at_once: bool, expected: int
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    store, told = SlowStore(clock, cost_s), []
    counts = PacedCounts(store, "mine", told.append)
    for step in range(100):
        clock[0] = max(clock[0], step / 10)
        counts.tell(at_once=at_once)
    assert store.counted == expected
    assert counts.tell_now().done == len(told) == expected + 1
