"""How much memory a piece of work takes at most, in a process that does one after another."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from medtransfer.execution.memory import file_bytes, forget_peak, mapped_bytes, peak_bytes

WORTH_A_LOOK: Final = 128 << 20
"""Bytes of mapped files that are left counted, because finding out which files they are of takes 10 ms and more."""


class MemoryWatch:
    """Measures the most memory this process holds from :meth:`begin` on, without large files that others share.

    Usable as a :class:`~medtransfer.core.progress.Progress`: on every report it looks how much of the
    process's memory is pages of files, because files may be closed again before the end. What the process
    has kept from earlier work counts; so do the program's own files.

    Args:
        shared: Folder of files that processes map and share. More than :data:`WORTH_A_LOOK` bytes of them do
            not count; should the peak lie before they were mapped, too much is taken off.
    """

    def __init__(self, shared: Path) -> None:
        self._shared = shared
        self._own_files = self._most_files = file_bytes()
        self._counts = False

    def __call__(self, what: str, done: int, total: int) -> None:
        """Look how much is pages of files now."""
        del what, done, total
        self._most_files = max(self._most_files, file_bytes())

    def begin(self) -> None:
        """Begin anew, where the system can forget an earlier peak."""
        self._counts = forget_peak()
        self._most_files = file_bytes()

    def most_bytes(self) -> int | None:
        """Return the most memory since :meth:`begin`; None before it and where the system measures none."""
        if not self._counts:
            return None
        most = peak_bytes()
        self("end", 1, 1)
        return most - self._shared_bytes()

    def _shared_bytes(self) -> int:
        if self._most_files - self._own_files <= WORTH_A_LOOK:
            return 0
        now = file_bytes()
        self._own_files = now - mapped_bytes(self._shared)  # with libraries that were loaded since
        found = self._most_files - self._own_files
        return found if found > WORTH_A_LOOK else 0
