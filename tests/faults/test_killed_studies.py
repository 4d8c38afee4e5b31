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

import pytest

from medtransfer.store.records import Counts, Record, State
from medtransfer.store.store import Store

STUDY: dict[str, Any] = {
    "name": "killed",
    "tasks": [{"lesions": {"root": "lesions", "patient_pattern": "^([a-z][0-9]+)_"}}],
    "models": ["resnet20.random"],
    "protocols": [
        {"linear": {"image_size": 32}},
        {"finetune": {"image_size": 32, "epochs": 6, "patience": 6}},
    ],
    "label_fractions": [0.5, 1.0],
    "seeds": 6,
}
TRIALS = 7 + 12
START_S = 60.0


@pytest.fixture
def undisturbed(medtransfer, write_study, lesions: Path, tmp_path: Path) -> dict[str, bytes]:
    """The CSV files of a run that nothing happens to, over a cache of its own."""
    ended = medtransfer(
        *("run", write_study(STUDY), "--data", lesions, "--workers", 0),
        *(
            "--store",
            tmp_path / "calm",
            "--out",
            tmp_path / "calm report",
            "--cache",
            tmp_path / "calm cache",
        ),
    )
    assert ended.code == 0
    return tables(tmp_path / "calm report")


@pytest.fixture
def arguments(lesions: Path, tmp_path: Path) -> tuple[object, ...]:
    return ("run", tmp_path / "study.yaml", "--data", lesions, "--store", tmp_path / "store")


def tables(folder: Path) -> dict[str, bytes]:
    found = {name: (folder / name).read_bytes() for name in ("results.csv", "runs.csv")}
    assert found["runs.csv"].count(b",done,") == TRIALS
    return found


def wait_for(folder: Path, reached: Callable[[Counts], bool], process: subprocess.Popen[str]) -> None:
    """Wait until a running study has come so far."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()[1]
        if (folder / "medtransfer.db").is_file():
            try:
                with Store.open(folder, create=False) as store:
                    if "killed" in store.studies() and reached(store.counts("killed")):
                        return
            except Exception:  # noqa: BLE001 - the store may be half made at this moment
                pass
        time.sleep(0.01)
    pytest.fail(f"the study did not come so far within {START_S:g} s")


def records(folder: Path) -> list[Record]:
    with Store.open(folder, create=False) as store:
        assert store.verify() == []
        return store.records("killed")


def test_killed_at_three_moments_and_run_again(
    medtransfer, start_medtransfer, undisturbed, arguments, tmp_path: Path
) -> None:
    draw = random.Random(7)
    killed_at = []
    for least_done in (0, draw.randint(7, 9), draw.randint(12, 15)):
        process = start_medtransfer(*arguments, "--workers", 1)
        wait_for(tmp_path / "store", lambda c, least=least_done: c.running > 0 and c.done >= least, process)
        time.sleep(draw.uniform(0.0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        left = records(tmp_path / "store")
        killed_at.append(sum(record.state is State.DONE for record in left))
        assert {record.state for record in left} <= {State.DONE, State.RUNNING, State.PENDING}
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
    wait_for(tmp_path / "store", lambda counts: counts.running > 0, other)
    ours = medtransfer(*arguments, "--workers", 0, "--out", tmp_path / "ours")
    _, errors = other.communicate(timeout=120)
    assert (ours.code, other.returncode) == (0, 0), errors
    finished = records(tmp_path / "store")
    assert [record.attempts for record in finished] == [1] * TRIALS
    assert len({record.owner for record in finished}) == 2, "both had a share"
    assert tables(tmp_path / "ours") == tables(tmp_path / "theirs") == undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "a scheduler's signal"])
def test_interrupted_run_gives_its_trials_back(
    start_medtransfer, write_study, arguments, tmp_path: Path, number: signal.Signals
) -> None:
    write_study(STUDY)
    process = start_medtransfer(*arguments, "--workers", 1)
    wait_for(tmp_path / "store", lambda counts: counts.running > 0, process)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("Interrupted: finished trials are kept; run the same command again to go on.\n")
    assert "Traceback" not in err
    assert {record.state for record in records(tmp_path / "store")} <= {State.DONE, State.PENDING}
    with pytest.raises(ProcessLookupError):  # no worker is left in the group
        os.killpg(process.pid, 0)
