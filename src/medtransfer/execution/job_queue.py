"""Which job an idle worker gets: one that its caches suit, else a fresh group, else help for the largest."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

from medtransfer.execution.jobs import Job

Group = tuple[str | int, ...]
"""Affinity of a job, coarsest part first; a number of its own for a job without."""


class JobQueue:
    """Waiting jobs in groups within groups; a group belongs to the worker that took its first job.

    A worker first stays in its innermost group, then takes another one of the same outer group, then a fresh
    outer group. When no group is fresh it helps where most jobs wait, there again beginning with an inner
    group that nobody has taken.

    Args:
        jobs: All jobs; groups are served in the order of their first job.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._groups = _Level()
        for number, job in enumerate(jobs):
            self._groups.add(job.affinity or (number,), job)

    def __len__(self) -> int:
        return len(self._groups)

    def pop(self, warm: Group = ()) -> tuple[Group, Job] | None:
        """Take the best job for a worker.

        Args:
            warm: Group of the worker's last job; empty for a worker that has had none.

        Returns:
            The group that the worker is warm for from now on, and the job; None when nothing waits.
        """
        return self._groups.pop(warm) if len(self._groups) else None

    def give_up(self, group: Group) -> None:
        """Make a group, and those around it, fresh again because its worker is gone."""
        self._groups.give_up(group)


class _Level:
    """The jobs that share the affinity up to here: those without a further part, and groups by the next part."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._fresh: OrderedDict[str | int, _Level] = OrderedDict()
        self._taken: dict[str | int, _Level] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, affinity: Group, job: Job) -> None:
        self._count += 1
        if not affinity:
            self._jobs.append(job)
        else:
            self._fresh.setdefault(affinity[0], _Level()).add(affinity[1:], job)

    def pop(self, warm: Group) -> tuple[Group, Job]:
        self._count -= 1
        if self._jobs:
            return (), self._jobs.popleft()
        name = self._choose(warm)
        if name in self._fresh:
            self._taken[name] = self._fresh.pop(name)
        rest, job = self._taken[name].pop(warm[1:] if warm[:1] == (name,) else ())
        if not self._taken[name]:
            del self._taken[name]
        return (name, *rest), job

    def give_up(self, group: Group) -> None:
        if group and group[0] in self._taken:
            level = self._fresh[group[0]] = self._taken.pop(group[0])
            self._fresh.move_to_end(group[0], last=False)
            level.give_up(group[1:])

    def _choose(self, warm: Group) -> str | int:
        if warm and warm[0] in self._taken:
            return warm[0]
        if self._fresh:
            return next(iter(self._fresh))
        return max(self._taken, key=lambda name: len(self._taken[name]))
