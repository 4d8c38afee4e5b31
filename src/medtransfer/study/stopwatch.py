"""When the steps of a fit happened: a progress callback that notes the time, and optimiser steps beside it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from medtransfer.execution.memory import resident_bytes

STEP: Final = "optimiser step"
"""Name of the marks that optimiser steps leave."""


@dataclass(frozen=True)
class Mark:
    """Something that happened."""

    what: str
    """Name of the work, as it reports its progress."""
    done: int
    """Units of it that were done."""
    at_s: float
    """Seconds of the watch: of the processor on a CPU, else of the clock."""
    resident: int
    """Bytes of memory the process held."""


class Stopwatch:
    """Notes when progress is reported; usable as a :class:`~medtransfer.core.progress.Progress`.

    Args:
        device: Where the network runs. On a CPU the processor's time counts, because others may use it too;
            other devices are waited for.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self.marks: list[Mark] = []

    def __call__(self, what: str, done: int, total: int) -> None:
        """Note a step of some work."""
        del total
        self.marks.append(Mark(what, done, self._now(), resident_bytes()))

    @contextmanager
    def noting_optimiser_steps(self) -> Iterator[None]:
        """Note every step of any optimiser of torch inside the block."""
        from torch.optim.optimizer import register_optimizer_step_post_hook

        def note(optimiser: Any, arguments: Any, options: Any) -> None:
            del optimiser, arguments, options
            self(STEP, 1, 1)

        hook = register_optimizer_step_post_hook(note)
        try:
            yield
        finally:
            hook.remove()

    def of(self, what: str) -> list[Mark]:
        """Return the marks of one kind of work."""
        return [mark for mark in self.marks if mark.what == what]

    def before(self, mark: Mark) -> Mark:
        """Return the mark before another, which is not the first."""
        return self.marks[self.marks.index(mark) - 1]

    def _now(self) -> float:
        if self._device.partition(":")[0] == "cpu":
            return time.process_time()
        import torch

        torch.accelerator.synchronize(torch.device(self._device))
        return time.perf_counter()


def step_seconds(marks: list[Mark]) -> float:
    """Return the median time from one mark to the next; 0 with fewer than two."""
    gaps = [after.at_s - before.at_s for before, after in pairwise(marks)]
    return statistics.median(gaps) if gaps else 0.0


def per_unit(
    before: Mark, marks: list[Mark], *, once_s: float = 0.0, least_s: float = 0.0
) -> tuple[float, float]:
    """Return seconds and bytes for each unit of work that reports how much of it is done.

    With three reports and more the time is the median between them: what happens once, before the first or
    for a last one that is smaller, does not count.

    Args:
        before: The mark before the work began.
        marks: Its reports, at least one.
        once_s: Seconds from the mark before that are known to be for something else.
        least_s: Seconds a unit is known to take at least. With fewer than three reports the time rests on
            ``once_s``, which may be too large.
    """
    units = marks[-1].done
    seconds = max((marks[-1].at_s - before.at_s - once_s) / units, least_s)
    if len(marks) > 2:
        gaps = [(late.at_s - early.at_s) / (late.done - early.done) for early, late in pairwise(marks)]
        seconds = statistics.median(gaps)
    start = marks[0] if len(marks) > 1 else replace(before, done=0)
    return seconds, max(marks[-1].resident - start.resident, 0) / max(units - start.done, 1)
