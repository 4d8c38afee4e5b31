"""Worker processes: warm, quiet, replaced when they die, gone when the parent is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from medtransfer.execution.jobs import Job, JobFailed, JobFinished, JobStarted, JobYielded, WorkerDied
from medtransfer.execution.local_processes import WorkerStartError
from medtransfer.execution.run_jobs import run_jobs


def wait_for(condition, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def read_pid(path: Path) -> int:
    wait_for(lambda: path.exists() and path.read_text())
    return int(path.read_text())


def values(events) -> dict[str, list]:
    found: dict[str, list] = {}
    for event in events:
        if isinstance(event, JobYielded):
            found.setdefault(event.key, []).append(event.value)
    return found


def test_jobs_of_one_affinity_share_a_warm_worker_and_no_worker_idles(jobs_module: str) -> None:
    jobs = [
        Job(f"{group}{n}", f"{jobs_module}:slow_where", 0.02, affinity=(group,))
        for n in range(6)
        for group in "ab"
    ]
    pids = {key: found[0] for key, found in values(run_jobs(jobs, workers=2)).items()}
    assert os.getpid() not in pids.values()
    assert len({pids[f"a{n}"] for n in range(2)}) == 1
    assert len(set(pids.values())) == 2
    changes = sum(len({pids[f"{group}{n}"] for n in range(6)}) - 1 for group in "ab")
    assert changes <= 1, "one group may be helped when the other has ended, never both"


def test_jobs_run_at_the_same_time(jobs_module: str) -> None:
    jobs = [Job(str(n), f"{jobs_module}:when", 0.4) for n in range(4)]
    spans = [found[0] for found in values(run_jobs(jobs, workers=2)).values()]
    overlaps = [a for a in spans for b in spans if a is not b and a[0] < b[1] and b[0] < a[1]]
    assert overlaps


@pytest.mark.parametrize(
    ("how", "code", "name"),
    [("SIGKILL", -9, "SIGKILL"), ("SIGSEGV", -11, "SIGSEGV"), ("exit", 7, None), ("sys.exit", 9, None)],
)
def test_a_dead_worker_costs_only_its_own_job(
    jobs_module: str, how: str, code: int, name: str | None
) -> None:
    jobs = [
        Job("bad", f"{jobs_module}:end", how, affinity=("x",)),
        Job("good", f"{jobs_module}:double", 4, affinity=("x",)),
    ]
    events = list(run_jobs(jobs, workers=1))
    assert [event for event in events if event.key == "bad"] == [
        JobStarted("bad"),
        JobYielded("bad", "before"),
        WorkerDied("bad", code),
    ]
    assert events[-2:] == [JobYielded("good", 8), JobFinished("good")]
    died = WorkerDied("bad", code)
    assert died.signal_name == name
    assert (name or f"exit code {code}") in died.sentence()


def test_a_job_sent_to_a_worker_that_has_just_died_is_reported_and_the_next_one_runs(
    jobs_module: str,
) -> None:
    pids: list[int] = []

    def admit(job: Job) -> Job:
        if job.key == "b":
            os.kill(pids[0], signal.SIGKILL)
            wait_for(lambda: not is_alive(pids[0]))
        return job

    events = []
    for event in run_jobs([Job(key, f"{jobs_module}:where") for key in "abc"], workers=1, admit=admit):
        events.append(event)
        if isinstance(event, JobYielded):
            pids.append(event.value)
    assert events[3:5] == [JobStarted("b"), WorkerDied("b", -9)]
    assert events[-1] == JobFinished("c")
    assert pids[0] != pids[1]


def test_the_death_of_an_idle_worker_disturbs_nobody(jobs_module: str) -> None:
    jobs = [Job("slow", f"{jobs_module}:slow_where", 1.0), Job("quick", f"{jobs_module}:where")]
    events = []
    for event in run_jobs(jobs, workers=2):
        events.append(event)
        if isinstance(event, JobYielded) and event.key == "quick":
            quick = event.value
        if event == JobFinished("quick"):
            os.kill(quick, signal.SIGKILL)
    assert JobFinished("slow") in events
    assert not any(isinstance(event, WorkerDied) for event in events)


def test_values_that_cannot_be_sent_fail_their_job_alone(jobs_module: str) -> None:
    jobs = [
        Job("value", f"{jobs_module}:unpicklable"),
        Job("payload", f"{jobs_module}:double", lambda: None),
        Job("good", f"{jobs_module}:double", 1),
    ]
    events = list(run_jobs(jobs, workers=1))
    assert {event.key for event in events if isinstance(event, JobFailed)} == {"value", "payload"}
    assert values(events) == {"value": [1], "good": [2]}


def test_a_payload_the_worker_cannot_read_fails_its_job_alone(
    jobs_module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import types

    module = types.ModuleType("only_in_the_parent")
    exec("class Thing: pass", module.__dict__)
    module.Thing.__module__ = "only_in_the_parent"
    monkeypatch.setitem(sys.modules, "only_in_the_parent", module)
    jobs = [
        Job("bad", f"{jobs_module}:double", module.Thing()),
        Job("good", f"{jobs_module}:double", 1),
    ]
    events = list(run_jobs(jobs, workers=1))
    failed = next(event for event in events if isinstance(event, JobFailed))
    assert (failed.key, failed.error_type) == ("bad", "ModuleNotFoundError")
    assert values(events) == {"good": [2]}


def test_a_job_over_its_time_limit_is_killed_with_its_children(jobs_module: str, tmp_path: Path) -> None:
    child = tmp_path / "child"
    jobs = [
        Job("slow", f"{jobs_module}:with_child", str(child), timeout_s=1.5),
        Job("next", f"{jobs_module}:double", 5, timeout_s=60.0),
    ]
    events = list(run_jobs(jobs, workers=1))
    failed = next(event for event in events if isinstance(event, JobFailed))
    assert failed.key == "slow"
    assert failed.exception.reason == "timeout"
    assert "within 1.5 s" in failed.message
    wait_for(lambda: not is_alive(read_pid(child)))
    assert values(events) == {"next": [10]}


def test_a_slow_reader_does_not_turn_an_ended_job_into_a_timeout(jobs_module: str) -> None:
    events = []
    for event in run_jobs([Job("a", f"{jobs_module}:count", 3, timeout_s=1.0)], workers=1):
        events.append(event)
        if event == JobYielded("a", 0):
            time.sleep(1.5)
    assert events[-1] == JobFinished("a")


def test_large_values_and_many_of_them_arrive_whole(jobs_module: str) -> None:
    jobs = [Job("big", f"{jobs_module}:big", 5_000_000), Job("flood", f"{jobs_module}:flood", 10)]
    found = values(run_jobs(jobs, workers=1))
    assert len(found["big"][0]) == 5_000_000
    assert [len(part) for part in found["flood"]] == [300_000] * 10


def test_workers_use_the_threads_they_are_given_and_the_parent_keeps_its_own(
    jobs_module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = values(run_jobs([Job("a", f"{jobs_module}:threads")], workers=1, threads_per_worker=3))
    assert found == {"a": [["3", "3", "3"]]}
    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert "MKL_NUM_THREADS" not in os.environ


def test_what_jobs_print_goes_to_standard_error(jobs_module: str, capfd: pytest.CaptureFixture[str]) -> None:
    list(run_jobs([Job("a", f"{jobs_module}:chatter")], workers=1))
    output = capfd.readouterr()
    assert output.out == ""
    assert "to standard output" in output.err
    assert "from a child" in output.err


def test_an_interrupt_does_not_reach_a_job(jobs_module: str, tmp_path: Path) -> None:
    payload = {"pid_file": str(tmp_path / "pid"), "seconds": 0.5}
    events = run_jobs([Job("a", f"{jobs_module}:sleep", payload)], workers=1)
    assert next(events) == JobStarted("a")
    os.kill(read_pid(tmp_path / "pid"), signal.SIGINT)
    assert list(events) == [JobYielded("a", "slept"), JobFinished("a")]


@pytest.mark.parametrize("how", ["close", "raise"])
def test_leaving_early_kills_the_workers(jobs_module: str, tmp_path: Path, how: str) -> None:
    payload = {"pid_file": str(tmp_path / "pid"), "seconds": 60}
    events = run_jobs([Job("a", f"{jobs_module}:sleep", payload)], workers=1)
    assert next(events) == JobStarted("a")
    pid = read_pid(tmp_path / "pid")
    assert is_alive(pid)
    if how == "close":
        events.close()
    else:
        with pytest.raises(KeyError):
            events.throw(KeyError("in the reader"))
    assert not is_alive(pid)


def test_a_failing_initialiser_is_an_error_with_its_traceback(jobs_module: str) -> None:
    with pytest.raises(WorkerStartError, match="no such device"):
        list(
            run_jobs(
                [Job("a", f"{jobs_module}:where")], workers=1, initialiser=f"{jobs_module}:initialise_badly"
            )
        )


def test_workers_that_die_at_the_start_end_the_run(jobs_module: str) -> None:
    with pytest.raises(WorkerStartError, match="exit code 4 3 times"):
        list(
            run_jobs(
                [Job("a", f"{jobs_module}:where")], workers=1, initialiser=f"{jobs_module}:exit_at_start"
            )
        )


SCRIPTS = {
    "guarded": """
        from medtransfer.execution.jobs import Job
        from medtransfer.execution.run_jobs import run_jobs
        if __name__ == "__main__":
            import sys
            seconds = float(sys.argv[2])
            job = Job("a", "functions_for_jobs:sleep", {"pid_file": sys.argv[1], "seconds": seconds})
            try:
                for event in run_jobs([job], workers=1):
                    print(event, flush=True)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
                sys.exit(130)
    """,
    "unguarded": """
        from medtransfer.execution.jobs import Job
        from medtransfer.execution.run_jobs import run_jobs
        list(run_jobs([Job("a", "functions_for_jobs:double", 1)], workers=1))
    """,
}


@pytest.fixture
def scripts(jobs_module: str, tmp_path: Path) -> dict[str, str]:
    for name, text in SCRIPTS.items():
        (tmp_path / "importable" / f"script_{name}.py").write_text(textwrap.dedent(text))
    path = os.pathsep.join([str(tmp_path / "importable"), *sys.path])
    return {**os.environ, "PYTHONPATH": path}


def start(scripts: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=scripts,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_it_works_from_python_dash_m(scripts: dict[str, str], tmp_path: Path) -> None:
    process = start(scripts, "script_guarded", str(tmp_path / "pid"), "0")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "JobYielded(key='a', value='slept')" in output


def test_workers_end_when_the_parent_is_killed(scripts: dict[str, str], tmp_path: Path) -> None:
    with start(scripts, "script_guarded", str(tmp_path / "pid"), "60") as process:
        worker = read_pid(tmp_path / "pid")
        process.kill()
    wait_for(lambda: not is_alive(worker), 5.0)


def test_ctrl_c_is_the_parents_to_handle(scripts: dict[str, str], tmp_path: Path) -> None:
    process = start(scripts, "script_guarded", str(tmp_path / "pid"), "60")
    worker = read_pid(tmp_path / "pid")
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output.endswith("interrupted\n")
    assert errors == "", "a worker must not print a traceback of its own"
    assert not is_alive(worker)


def test_a_script_without_guard_is_told_so(scripts: dict[str, str]) -> None:
    process = start(scripts, "script_unguarded")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "WorkerStartError: worker processes: expected to start" in errors
    assert "if __name__ ==" in errors
