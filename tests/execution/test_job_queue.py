"""Affinity keeps caches warm and never leaves a worker idle."""

from __future__ import annotations

from medtransfer.execution.job_queue import JobQueue
from medtransfer.execution.jobs import Job


def jobs(text: str) -> list[Job]:
    """Return jobs such as ``a1 a2 b1``; a name starting with ``-`` has no affinity."""
    return [Job(name, "m:f", affinity=None if name[0] == "-" else name[0]) for name in text.split()]


def take(queue: JobQueue, warm: object = None) -> tuple[object, str]:
    group, job = queue.pop(warm)
    return group, job.key


def test_a_worker_stays_with_its_group_and_others_get_fresh_groups() -> None:
    queue = JobQueue(jobs("a1 b1 a2 b2 c1"))
    first, key = take(queue)
    assert key == "a1"
    second, key = take(queue)
    assert key == "b1"
    assert take(queue, first)[1] == "a2"
    assert take(queue, second)[1] == "b2"
    assert take(queue, first)[1] == "c1"
    assert queue.pop(first) is None
    assert not queue


def test_an_idle_worker_helps_the_largest_group_rather_than_wait() -> None:
    queue = JobQueue(jobs("a1 a2 a3 a4 b1 b2 b3"))
    take(queue)
    take(queue)
    assert len(queue) == 5
    assert take(queue, "c")[1] == "a2"


def test_jobs_without_affinity_keep_their_order() -> None:
    queue = JobQueue(jobs("-1 -2 -3"))
    assert [take(queue)[1] for _ in range(3)] == ["-1", "-2", "-3"]


def test_the_group_of_a_dead_worker_is_served_before_new_groups() -> None:
    queue = JobQueue(jobs("a1 a2 b1"))
    group, _ = take(queue)
    queue.give_up(group)
    assert take(queue)[1] == "a2"


def test_giving_up_an_exhausted_group_changes_nothing() -> None:
    queue = JobQueue(jobs("a1 b1"))
    group, _ = take(queue)
    queue.give_up(group)
    assert take(queue)[1] == "b1"


def test_a_number_as_affinity_is_no_job_without_affinity() -> None:
    queue = JobQueue([Job("x", "m:f"), Job("y", "m:f", affinity="0"), Job("z", "m:f", affinity="0")])
    assert take(queue)[1] == "x"
    group, key = take(queue)
    assert (key, take(queue, group)[1]) == ("y", "z")
