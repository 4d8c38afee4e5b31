"""The runner's states: every trial ends done or failed, once, whatever workers and other runners do."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from medtransfer.core.errors import StoreError
from medtransfer.store.owners import this_owner
from medtransfer.store.records import Counts, Outcome, Record, State
from medtransfer.store.store import Store
from medtransfer.study import runner as module
from medtransfer.study.plan import Trial
from medtransfer.study.preparation import Folders
from medtransfer.study.runner import RunOptions, StudyRunner
from medtransfer.study.session import RunRequest, StudySession
from medtransfer.study.study import Study

TRIALS = 5
DONE = Outcome({"test": {"auc": {"value": 0.9, "note": None, "per_class": {}}}}, 10)
FRAME = pd.DataFrame({"case_id": ["other"]})


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of scripted trials, in the place of the real ones, here and in workers."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    spec = importlib.util.find_spec("scripted_trials")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "scripted_trials", found)
    spec.loader.exec_module(found)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "log").touch()
    monkeypatch.setenv(found.FOLDER, str(tmp_path / "scripts"))
    monkeypatch.setattr(module, "_WORKER_FUNCTION", "scripted_trials:run")
    monkeypatch.setattr(module, "_WORKER_SETUP", "scripted_trials:nothing")
    monkeypatch.setattr(module, "POLL_S", 0.02)
    return found


@pytest.fixture
def say(scripts: ModuleType, tmp_path: Path) -> Callable[..., None]:
    """Say what a repetition does, one word per attempt."""
    return lambda repetition, *acts: scripts.script(tmp_path / "scripts", repetition, *acts)


@pytest.fixture
def performed(scripts: ModuleType, tmp_path: Path) -> Callable[[], list[int]]:
    return lambda: scripts.performed(tmp_path / "scripts")


class Bench:
    """A store with one study of five trials, and runners for it.

    Args:
        session: The prepared study.
        folders: Where nothing is read.
    """

    def __init__(self, session: StudySession, folders: Folders) -> None:
        self.store, self.trials, self.name = session.store, list(session.trials), session.study.name
        self.folders = folders
        self.told: list[Counts] = []
        self.store.submit(self.name, [trial.description for trial in self.trials])

    def run(self, workers: int = 0) -> Counts:
        options = RunOptions(folders=self.folders, workers=workers, on_counts=self.told.append)
        return StudyRunner(self.store, self.name, options).run(self.trials)

    def records(self) -> list[Record]:
        assert self.store.verify() == []
        return self.store.records(self.name)

    def states(self) -> list[str]:
        return [record.state.value for record in self.records()]

    def trial(self, repetition: int) -> Trial:
        return next(trial for trial in self.trials if trial.description.repetition == repetition)


@pytest.fixture(params=["apart", "together"])
def sharing(request: pytest.FixtureRequest) -> str:
    """Whether each trial is a job of its own, or all are one job."""
    return str(request.param)


@pytest.fixture
def bench(sharing: str, lesions: Path, tmp_path: Path, scripts: ModuleType) -> Bench:
    protocol = "finetune" if sharing == "apart" else "linear"
    content: dict[str, Any] = {
        "name": "scripted",
        "tasks": [{"lesions": {"root": "lesions"}}],
        "models": ["resnet20.random"],
        "protocols": [protocol],
        "label_fractions": [0.5],
        "seeds": TRIALS,
    }
    request = RunRequest(store=str(tmp_path / "store"), data=lesions, cache=tmp_path / "cache")
    return Bench(StudySession.prepare(Study.parse(content), request), request.folders)


def test_everything_is_done_once_and_in_order(bench: Bench, performed) -> None:
    assert bench.run() == Counts(done=TRIALS, running=0, pending=0, failed=0)
    assert bench.states() == ["done"] * TRIALS
    assert sorted(performed()) == list(range(TRIALS))
    before = bench.records()
    assert bench.run() == Counts(done=TRIALS, running=0, pending=0, failed=0)
    assert len(performed()) == TRIALS, "nothing is run twice"
    assert bench.records() == before
    assert bench.told[-1] == Counts(done=TRIALS, running=0, pending=0, failed=0)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_memory_that_a_worker_measured_is_kept_for_plans(bench: Bench, say, workers: int) -> None:
    say(1, "measured")
    say(3, "measured")
    bench.run(workers)
    (cost,) = bench.store.costs([bench.trial(0).description]).values()
    assert (cost.trials, cost.peak_bytes) == (TRIALS, 1003)


def test_a_failed_trial_is_a_row_and_is_not_tried_again(bench: Bench, say, performed) -> None:
    say(2, "nan")
    assert bench.run() == Counts(done=4, running=0, pending=0, failed=1)
    (failed,) = bench.store.records(bench.name, states=[State.FAILED])
    assert (failed.reason, failed.message, failed.traceback) == ("non_finite_loss", "nan in step 3", "where")
    assert failed.description.repetition == 2
    assert failed.attempts == 1
    bench.run()
    assert len(performed()) == TRIALS
    bench.store.retry_failed(bench.name)
    assert bench.run().done == TRIALS, "on request it is"


def test_a_result_that_is_not_finite_fails_its_trial(bench: Bench, say) -> None:
    say(1, "nan-outcome")
    assert bench.run() == Counts(done=4, running=0, pending=0, failed=1)
    (failed,) = bench.store.records(bench.name, states=[State.FAILED])
    assert failed.reason == "non_finite_outcome"
    assert failed.attempts == 1


@pytest.mark.parametrize(("act", "reason"), [("raises", "error"), ("changed", "data_changed")])
def test_a_job_that_breaks_fails_one_trial_and_the_others_go_on(
    bench: Bench, say, performed, act: str, reason: str
) -> None:
    say(2, act)
    assert bench.run() == Counts(done=4, running=0, pending=0, failed=1)
    (failed,) = bench.store.records(bench.name, states=[State.FAILED])
    assert (failed.reason, failed.description.repetition) == (reason, 2)
    assert failed.traceback is not None
    assert "scripted_trials.py" in failed.traceback
    assert sorted(performed()) == list(range(TRIALS)), "what was done before the fault is not done again"


@pytest.mark.parametrize("act", ["full", "no-room"])
def test_a_full_disk_stops_the_run_and_fails_nothing(bench: Bench, say, act: str) -> None:
    say(2, act)
    with pytest.raises((StoreError, OSError), match=r"room|space"):
        bench.run()
    states = bench.states()
    assert set(states) == {"done", "pending"}
    assert states.count("done") == 2
    assert bench.run().done == TRIALS


def test_an_interrupt_gives_claimed_trials_back(bench: Bench, say) -> None:
    say(3, "interrupt")
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert set(bench.states()) == {"done", "pending"}
    assert bench.run().done == TRIALS


# Workers


@pytest.mark.parametrize("sharing", ["apart"], indirect=True)
def test_a_lost_worker_is_replaced_and_its_trial_tried_again(bench: Bench, say, performed) -> None:
    say(1, "killed")
    assert bench.run(workers=1) == Counts(done=TRIALS, running=0, pending=0, failed=0)
    assert sorted(performed()) == [0, 1, 1, 2, 3, 4]
    attempts = {r.description.repetition: r.attempts for r in bench.records()}
    assert attempts[1] == 2


@pytest.mark.parametrize("sharing", ["together"], indirect=True)
def test_a_trial_that_kills_every_worker_fails_alone(
    bench: Bench, say, performed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ATTEMPTS", 2)
    say(1, "killed", "killed")
    assert bench.run(workers=1) == Counts(done=4, running=0, pending=0, failed=1)
    (failed,) = bench.store.records(bench.name, states=[State.FAILED])
    assert (failed.reason, failed.description.repetition) == ("worker_died", 1)
    assert "SIGKILL" in str(failed.message)
    assert "attempt 2 of 2" in str(failed.message)
    assert sorted(performed()) == [0, 1, 1, 2, 3, 4]


# Other runners


def test_trials_of_a_dead_runner_are_taken_at_once(bench: Bench) -> None:
    host, _, _ = this_owner().rsplit(":", 2)
    claims = bench.store.claim([t.fingerprint for t in bench.trials], f"{host}:4194303:1", 600)
    assert len(claims) == TRIALS
    started = time.monotonic()
    assert bench.run().done == TRIALS
    assert time.monotonic() - started < 60


def test_trials_of_a_living_runner_are_waited_for(bench: Bench, performed, tmp_path: Path) -> None:
    (claim,) = bench.store.claim([bench.trial(3).fingerprint], "another-host:1:1", 600)

    def finish_later() -> None:
        time.sleep(0.3)
        with Store.open(tmp_path / "store") as store:
            store.finish(claim, DONE, FRAME)

    other = threading.Thread(target=finish_later)
    other.start()
    assert bench.run().done == TRIALS
    other.join()
    assert sorted(performed()) == [0, 1, 2, 4]
    theirs = next(r for r in bench.records() if r.description.repetition == 3)
    assert theirs.outcome == DONE


def test_no_worker_starts_while_another_runner_holds_all_that_is_left(
    bench: Bench, performed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (claim,) = bench.store.claim([bench.trial(3).fingerprint], "another-host:1:1", 600)
    rounds: list[int] = []
    naps: list[float] = []

    def run_jobs(jobs: list[Any], **options: Any) -> Any:
        rounds.append(len(naps))
        return module_run_jobs(jobs, **options)

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 5:
            with Store.open(tmp_path / "store") as store:
                store.release([claim])

    module_run_jobs = module.run_jobs
    monkeypatch.setattr(module, "run_jobs", run_jobs)
    monkeypatch.setattr(module.time, "sleep", sleep)
    assert bench.run().done == TRIALS
    assert performed()[-1] == 3
    assert rounds == [0, 5], "what is free at once, then what was given back"


@pytest.mark.parametrize("act", ["done", "nan", "raises"])
def test_a_result_of_a_lost_lease_is_not_written(
    bench: Bench, scripts: ModuleType, say, act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(2, act)
    perform = scripts._perform

    def taken_over(act: str, fingerprint: str, repetition: int) -> object:
        if repetition == 2:
            with Store.open(tmp_path / "store") as store:
                store.expire_owner(this_owner())
                (claim,) = store.claim([fingerprint], "another-host:1:1", 600)
                store.finish(claim, DONE, FRAME)
        return perform(act, fingerprint, repetition)

    monkeypatch.setattr(scripts, "_perform", taken_over)
    assert bench.run().done == TRIALS
    theirs = next(r for r in bench.records() if r.description.repetition == 2)
    assert (theirs.outcome, theirs.owner) == (DONE, "another-host:1:1")


def test_heartbeats_keep_the_lease_of_a_slow_trial(
    bench: Bench, say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEASE_S", 1.5)
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.1)
    say(2, "slow")
    stolen: list[object] = []
    ended = threading.Event()

    def steal() -> None:
        with Store.open(tmp_path / "store") as store:
            while not ended.wait(0.02):
                running = store.records(bench.name, states=[State.RUNNING])
                stolen.extend(store.claim([r.description.fingerprint for r in running], "thief:1:1", 600))

    thief = threading.Thread(target=steal)
    thief.start()
    try:
        assert bench.run().done == TRIALS
    finally:
        ended.set()
        thief.join()
    assert stolen == []


def test_a_store_that_is_busy_at_one_heartbeat_is_tried_again(
    bench: Bench, say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.05)
    say(2, "slow")
    beats: list[int] = []
    real = Store.heartbeat

    def busy_once(self: Store, claims: Any, lease_s: float) -> None:
        beats.append(len(claims))
        if len(beats) == 1:
            raise StoreError("database is locked")
        real(self, claims, lease_s)

    monkeypatch.setattr(Store, "heartbeat", busy_once)
    assert bench.run().done == TRIALS
    assert len(beats) > 3
