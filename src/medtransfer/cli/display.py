"""Progress on the screen: a live bar on a terminal, plain lines elsewhere; all on standard error."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from medtransfer.store.records import Counts

_PLAIN_EVERY_S = 15.0
_FILE_WIDTH = 160


class Display:
    """Shows how far preparation and trials are.

    Args:
        console: Where to show it; a terminal gets live bars, anything else plain lines.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._started = time.monotonic()
        self._done_before: int | None = None
        self._last_line = float("-inf")
        self._last_step = self._started

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, what: str, done: int, total: int) -> None:
        """Show a preparation step; usable as a :class:`~medtransfer.core.progress.Progress`."""
        self._bar(what, done, total, "")
        if self.console.is_terminal:
            return
        if done == total:
            self.console.print(f"{what}: {total}", highlight=False)
        elif time.monotonic() - self._last_step >= _PLAIN_EVERY_S:
            self._last_step = time.monotonic()
            self.console.print(f"{what}: {done} of {total}", highlight=False)

    def counts(self, counts: Counts) -> None:
        """Show where the study is."""
        if self._done_before is None:
            self._done_before = counts.done + counts.failed
            self._started = time.monotonic()
        note = f"{counts.running} running, {counts.failed} failed, {self._time_left(counts)}"
        finished = counts.done + counts.failed
        self._bar("trials", finished, counts.total, note)
        due = time.monotonic() - self._last_line >= _PLAIN_EVERY_S or finished == counts.total
        if not self.console.is_terminal and due:
            self._last_line = time.monotonic()
            self.console.print(f"trials: {counts.done} of {counts.total} done, {note}", highlight=False)

    def _time_left(self, counts: Counts) -> str:
        finished = counts.done + counts.failed - (self._done_before or 0)
        left = counts.running + counts.pending
        if left == 0:
            return "finished"
        if finished == 0:
            return "time left unknown"
        return f"about {duration((time.monotonic() - self._started) / finished * left)} left"

    def _bar(self, what: str, done: int, total: int, note: str) -> None:
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(what, total=total, note=note)
        self._progress.update(self._bars[what], completed=done, total=total, note=note)


def output_console() -> Console:
    """Return where tables are printed: standard output, wide enough for names when it is no terminal.

    Text is printed as it is: no name can be markup.
    """
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    return console


def duration(seconds: float) -> str:
    """Return a length of time for people.

    Example:
        >>> duration(42), duration(605), duration(7300)
        ('42 s', '10 min', '2 h 2 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def gigabytes(number: int) -> str:
    """Return a size of memory for people.

    Example:
        >>> gigabytes(640_000_000), gigabytes(24_600_000_000)
        ('0.64 GB', '24.6 GB')
    """
    return f"{number / 1e9:.2f} GB" if number < 1e10 else f"{number / 1e9:.1f} GB"
