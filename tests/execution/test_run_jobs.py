"""The same jobs give the same events in this process and in workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pytest

from medtransfer.core.errors import TrialError, UsageError
from medtransfer.execution.jobs import (
    Event,
    Job,
    JobFailed,
    JobFinished,
    JobStarted,
    JobYielded,
)
from medtransfer.execution.run_jobs import run_jobs


def by_key(events: Iterable[Event]) -> dict[str, list[Event]]:
    grouped: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        grouped[event.key].append(event)
    return dict(grouped)


@pytest.fixture(params=[0, 1], ids=["inline", "worker"])
def workers(request: pytest.FixtureRequest) -> int:
    return request.param


def test_every_kind_of_job_gives_its_events_in_order(jobs_module: str, workers: int) -> None:
    jobs = [
        Job("one", f"{jobs_module}:double", 21),
        Job("many", f"{jobs_module}:count", 3),
        Job("none", f"{jobs_module}:count", 0),
        Job("bad", f"{jobs_module}:fail_after", 2),
        Job("stubborn", f"{jobs_module}:fail_stubbornly"),
        Job("chained", f"{jobs_module}:fail_with_big_frame"),
        Job("no module", "absent_module:name"),
        Job("no function", f"{jobs_module}:absent"),
        Job("no name", "nonsense"),
    ]
    events = by_key(run_jobs(jobs, workers=workers))
    assert events["one"] == [JobStarted("one"), JobYielded("one", 42), JobFinished("one")]
    assert events["many"] == [
        JobStarted("many"),
        *(JobYielded("many", n) for n in range(3)),
        JobFinished("many"),
    ]
    assert events["none"] == [JobStarted("none"), JobFinished("none")]
    started, *values, failed = events["bad"]
    assert (started, values) == (JobStarted("bad"), [JobYielded("bad", 0), JobYielded("bad", 1)])
    assert (failed.error_type, failed.message) == ("ValueError", "failed after 2")
    assert "in fail_after" in failed.traceback
    assert isinstance(failed.exception, ValueError)
    stubborn = events["stubborn"][-1]
    assert (stubborn.message, stubborn.exception) == ("this and that", None)
    chained = events["chained"][-1]
    assert "KeyError: 'inner'" in chained.traceback
    assert chained.exception.__traceback__ is None
    assert [events[key][-1].error_type for key in ("no module", "no function", "no name")] == [
        "ModuleNotFoundError",
        "UsageError",
        "UsageError",
    ]


def test_the_initialiser_runs_once_in_the_process_of_the_jobs(jobs_module: str, workers: int) -> None:
    jobs = [Job(str(n), f"{jobs_module}:state") for n in range(2)]
    events = run_jobs(jobs, workers=workers, initialiser=f"{jobs_module}:initialise")
    assert [event.value for event in events if isinstance(event, JobYielded)] == [["initialised"]] * 2


def test_admission_can_change_a_job_or_leave_it_out(jobs_module: str, workers: int) -> None:
    jobs = [Job(str(n), f"{jobs_module}:double", n, affinity=("same",)) for n in range(4)]

    def admit(job: Job) -> Job | None:
        return None if job.key in {"0", "3"} else Job(job.key, job.function, job.payload + 10)

    events = by_key(run_jobs(jobs, workers=workers, admit=admit))
    assert {key: entries[1].value for key, entries in events.items()} == {"1": 22, "2": 24}


def test_all_jobs_left_out_is_an_end(jobs_module: str, workers: int) -> None:
    jobs = [Job(str(n), f"{jobs_module}:double", n) for n in range(2)]
    assert list(run_jobs(jobs, workers=workers, admit=lambda job: None)) == []


def test_no_jobs_is_an_end(workers: int) -> None:
    assert list(run_jobs([], workers=workers)) == []


def test_admission_is_asked_when_the_job_is_about_to_start(jobs_module: str) -> None:
    asked: list[str] = []

    def admit(job: Job) -> Job:
        asked.append(job.key)
        return job

    events = run_jobs([Job(n, f"{jobs_module}:double", 1) for n in "abc"], workers=0, admit=admit)
    assert asked == []
    assert next(events) == JobStarted("a")
    assert asked == ["a"]
    events.close()


@pytest.mark.parametrize(
    ("jobs", "options", "words"),
    [
        ([], {"workers": -1}, "workers: expected at least 0"),
        ([], {"workers": 1, "threads_per_worker": 0}, "at least 1 thread"),
        ([Job("a", "m:f"), Job("a", "m:f")], {"workers": 0}, "'a' more than once"),
        ([Job("a", "m:f", timeout_s=1.0)], {"workers": 0}, "no time limit without worker"),
    ],
)
def test_wrong_use_is_refused_before_anything_runs(jobs: list[Job], options: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run_jobs(jobs, **options)


def test_errors_of_the_package_travel_whole(jobs_module: str) -> None:
    event = JobFailed("a", "TrialError", "m", "", TrialError("non_finite_loss", "m"))
    import pickle

    assert pickle.loads(pickle.dumps(event)).exception.reason == "non_finite_loss"
