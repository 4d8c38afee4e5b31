"""Studies that are killed, interrupted or run twice at once end with the numbers of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from medtransfer.cli.run import run_and_report
from medtransfer.core.errors import MedtransferError
from medtransfer.store.records import Counts, Record, State
from medtransfer.store.store import Store
from medtransfer.study.session import RunRequest
from medtransfer.study.study import Study

STUDY: dict[str, Any] = {
    "name": "killed",
    "tasks": [{"lesions": {"root": "lesions", "patient_pattern": "^([a-z][0-9]+)_"}}],
    "models": ["resnet20.random"],
    "protocols": [{"linear": {"image_size": 32}}, {"finetune": {"image_size": 32, "epochs": 4}}],
    "label_fractions": [0.5, 1.0],
    "seeds": 5,
}
TRIALS = 6 + 10
START_S = 240.0

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def undisturbed(draw_lesions, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The CSV files of a run that nothing happens to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    request = RunRequest(
        store=str(folder / "store"), data=draw_lesions(folder / "data"), cache=folder / "cache", workers=0
    )
    assert run_and_report(Study.parse(STUDY), request, folder / "report") == 0
    return tables(folder / "report")


@pytest.fixture
def arguments(write_study, lesions: Path, tmp_path: Path) -> tuple[object, ...]:
    return ("run", write_study(STUDY), "--data", lesions, "--store", tmp_path / "store")


def tables(folder: Path) -> dict[str, bytes]:
    found = {name: (folder / name).read_bytes() for name in ("results.csv", "runs.csv")}
    assert found["runs.csv"].count(b",done,") == TRIALS
    return found


def wait_for(folder: Path, reached: Callable[[Counts], bool], process: subprocess.Popen[str]) -> None:
    """Wait until a running study has come so far."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()[1]
        if reached(counts(folder)):
            return
        time.sleep(0.01)
    pytest.fail(f"the study did not come so far within {START_S:g} s")


def counts(folder: Path) -> Counts:
    """The counts of the study; all zero before it is declared."""
    try:
        with Store.open(folder, create=False) as store:
            return store.counts("killed")
    except MedtransferError:
        return Counts(done=0, running=0, pending=0, failed=0)


def records(folder: Path) -> list[Record]:
    with Store.open(folder, create=False) as store:
        assert store.verify() == []
        return store.records("killed")


def test_killed_at_three_moments_and_run_again(
    medtransfer, start_medtransfer, undisturbed, arguments, tmp_path: Path
) -> None:
    draw = random.Random(7)
    killed_at = []
    for least_done in (0, draw.randint(6, 8), draw.randint(9, 11)):
        process = start_medtransfer(*arguments, "--workers", 1)
        wait_for(tmp_path / "store", lambda c, least=least_done: c.running > 0 and c.done >= least, process)
        time.sleep(draw.uniform(0.0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        left = records(tmp_path / "store")
        assert {record.state for record in left} <= {State.DONE, State.RUNNING, State.PENDING}
        killed_at.append(sum(record.state is State.DONE for record in left))
    assert killed_at == sorted(killed_at), "what was done stays done"
    assert killed_at[-1] < TRIALS, "a test of kills in which the study ends before them shows nothing"
    ended = medtransfer(*arguments, "--workers", 0, "--out", tmp_path / "report")
    assert ended.code == 0
    assert tables(tmp_path / "report") == undisturbed
    finished = records(tmp_path / "store")
    assert max(record.attempts for record in finished) > 1, "no kill hit a trial"

    again = medtransfer(*arguments, "--workers", 0, "--out", tmp_path / "report")
    assert again.code == 0
    assert records(tmp_path / "store") == finished, "the same command again runs nothing"
    assert tables(tmp_path / "report") == undisturbed


def test_two_runners_share_a_study(
    medtransfer, start_medtransfer, undisturbed, arguments, tmp_path: Path
) -> None:
    other = start_medtransfer(*arguments, "--workers", 1, "--out", tmp_path / "theirs")
    wait_for(tmp_path / "store", lambda c: c.running > 0, other)
    ours = medtransfer(*arguments, "--workers", 0, "--out", tmp_path / "ours")
    _, errors = other.communicate(timeout=START_S)
    assert (ours.code, other.returncode) == (0, 0), errors
    finished = records(tmp_path / "store")
    assert [record.attempts for record in finished] == [1] * TRIALS
    assert len({record.owner for record in finished}) == 2, "both had a share"
    assert tables(tmp_path / "ours") == tables(tmp_path / "theirs") == undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "a scheduler's signal"])
def test_interrupted_run_gives_its_trials_back(
    start_medtransfer, arguments, tmp_path: Path, number: signal.Signals
) -> None:
    process = start_medtransfer(*arguments, "--workers", 1)
    wait_for(tmp_path / "store", lambda c: c.running > 0, process)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=START_S)
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("Interrupted: finished trials are kept; run the same command again to go on.\n")
    assert "Traceback" not in err
    assert {record.state for record in records(tmp_path / "store")} <= {State.DONE, State.PENDING}
    assert living(process.pid) == [], "no worker is left in the group"


def living(group: int) -> list[list[str]]:
    """The processes of a group, after the moment the last of them may take to notice the end."""
    until = time.monotonic() + 10
    while True:
        found = [process.cmdline() for process in psutil.process_iter() if belongs(process, group)]
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.05)


def belongs(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False
