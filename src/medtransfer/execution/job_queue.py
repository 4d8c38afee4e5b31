"""Which job an idle worker gets: one that its caches suit, else a fresh group, else help for the largest."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

from medtransfer.execution.jobs import Job

Group = str | int
"""Affinity of a job; a number of its own for a job without."""


class JobQueue:
    """Waiting jobs in groups of one affinity; a group belongs to the worker that took its first job.

    Args:
        jobs: All jobs; groups are served in the order of their first job.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._fresh: OrderedDict[Group, deque[Job]] = OrderedDict()
        self._taken: dict[Group, deque[Job]] = {}
        for number, job in enumerate(jobs):
            self._fresh.setdefault(number if job.affinity is None else job.affinity, deque()).append(job)

    def __len__(self) -> int:
        return sum(len(group) for groups in (self._fresh, self._taken) for group in groups.values())

    def __bool__(self) -> bool:
        return bool(self._fresh or self._taken)

    def pop(self, warm: Group | None) -> tuple[Group, Job] | None:
        """Take the best job for a worker.

        Args:
            warm: Group of the worker's last job, if any.

        Returns:
            The group that the worker is warm for from now on, and the job; None when nothing waits.
        """
        group = self._choose(warm)
        if group is None:
            return None
        if group in self._fresh:
            self._taken[group] = self._fresh.pop(group)
        waiting = self._taken[group]
        job = waiting.popleft()
        if not waiting:
            del self._taken[group]
        return group, job

    def give_up(self, group: Group) -> None:
        """Make a group fresh again because its worker is gone."""
        if group in self._taken:
            self._fresh[group] = self._taken.pop(group)
            self._fresh.move_to_end(group, last=False)

    def _choose(self, warm: Group | None) -> Group | None:
        if warm is not None and warm in self._taken:
            return warm
        if self._fresh:
            return next(iter(self._fresh))
        return max(self._taken, key=lambda group: len(self._taken[group]), default=None)
