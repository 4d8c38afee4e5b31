"""Affinity keeps caches warm and never leaves a worker idle."""

from __future__ import annotations

from medtransfer.execution.job_queue import Group, JobQueue
from medtransfer.execution.jobs import Job


def jobs(text: str) -> list[Job]:
    """Return jobs such as ``a1 a2 b1``; a name starting with ``-`` has no affinity."""
    return [Job(name, "m:f", affinity=() if name[0] == "-" else (name[0],)) for name in text.split()]


def nested(text: str) -> list[Job]:
    """Return jobs such as ``a.x.1 a.y.1``, whose affinity is all but their last part."""
    return [Job(name, "m:f", affinity=tuple(name.split(".")[:-1])) for name in text.split()]


def take(queue: JobQueue, warm: Group = ()) -> tuple[Group, str]:
    taken = queue.pop(warm)
    assert taken is not None
    return taken[0], taken[1].key


def work_off(queue: JobQueue, workers: int) -> list[list[str]]:
    """Let workers take jobs in turns until none is left, and return what each got."""
    warm: list[Group] = [()] * workers
    got: list[list[str]] = [[] for _ in range(workers)]
    while queue:
        for worker in range(workers):
            if queue:
                warm[worker], key = take(queue, warm[worker])
                got[worker].append(key)
    return got


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
    assert take(queue, ("c",))[1] == "a2"


def test_within_a_task_a_worker_ends_a_model_before_the_next() -> None:
    queue = JobQueue(nested("t.m.1 t.n.1 u.m.1 t.m.2 t.n.2 u.m.2 t.m.3"))
    assert work_off(queue, 1) == [["t.m.1", "t.m.2", "t.m.3", "t.n.1", "t.n.2", "u.m.1", "u.m.2"]]


def test_two_workers_never_share_a_model_while_another_is_free() -> None:
    queue = JobQueue(nested("t.m.1 t.m.2 t.n.1 t.n.2 t.o.1 t.o.2"))
    first, second = work_off(queue, 2)
    assert first == ["t.m.1", "t.m.2", "t.o.1"]
    assert second == ["t.n.1", "t.n.2", "t.o.2"], "only the last model is shared, rather than wait"


def test_a_fresh_task_comes_before_help_with_a_taken_one() -> None:
    queue = JobQueue(nested("t.m.1 t.n.1 t.n.2 u.m.1"))
    first, _ = take(queue)
    assert take(queue)[1] == "u.m.1"
    assert take(queue, ("u", "m"))[1] == "t.n.1"
    assert take(queue, first)[1] == "t.n.2"


def test_help_goes_where_most_jobs_wait_and_there_to_a_model_nobody_has() -> None:
    queue = JobQueue(nested("t.m.1 t.m.2 u.m.1 u.m.2 u.m.3 u.n.1 u.n.2"))
    take(queue)
    take(queue)
    group, key = take(queue)
    assert (group, key) == (("u", "n"), "u.n.1")


def test_jobs_of_the_outer_group_alone_come_first() -> None:
    queue = JobQueue([Job("inner", "m:f", affinity=("t", "m")), Job("outer", "m:f", affinity=("t",))])
    assert work_off(queue, 1) == [["outer", "inner"]]


def test_jobs_without_affinity_keep_their_order() -> None:
    queue = JobQueue(jobs("-1 -2 -3"))
    assert [take(queue)[1] for _ in range(3)] == ["-1", "-2", "-3"]


def test_the_group_of_a_dead_worker_is_served_before_new_groups() -> None:
    queue = JobQueue(jobs("a1 a2 b1"))
    group, _ = take(queue)
    queue.give_up(group)
    assert take(queue)[1] == "a2"


def test_the_model_of_a_dead_worker_is_served_before_its_other_models() -> None:
    queue = JobQueue(nested("t.m.1 t.n.1 t.o.1 t.n.2 u.m.1"))
    take(queue)
    group, key = take(queue, ("t", "x"))
    assert key == "t.n.1"
    queue.give_up(group)
    assert work_off(queue, 1) == [["t.n.2", "t.o.1", "u.m.1"]]


def test_giving_up_an_exhausted_group_or_none_changes_nothing() -> None:
    queue = JobQueue(jobs("a1 b1"))
    group, _ = take(queue)
    queue.give_up(group)
    queue.give_up(())
    assert take(queue)[1] == "b1"


def test_a_number_as_affinity_is_no_job_without_affinity() -> None:
    queue = JobQueue([Job("x", "m:f"), Job("y", "m:f", affinity=("0",)), Job("z", "m:f", affinity=("0",))])
    assert take(queue)[1] == "x"
    group, key = take(queue)
    assert (key, take(queue, group)[1]) == ("y", "z")
