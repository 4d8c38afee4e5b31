"""Stands in for real trials: a job does what a folder of scripts says; imported by worker processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from medtransfer.core.errors import StoreError, TrialError
from medtransfer.store.records import Outcome
from medtransfer.study.trial import TrialDone, TrialFailed, TrialJob

FOLDER = "SCRIPTED_TRIALS"
"""Environment variable that names the folder."""


def script(folder: Path, repetition: int, *acts: str) -> None:
    """Say what a trial does, one word per attempt; without words it ends well."""
    (folder / str(repetition)).write_text(" ".join(acts))


def performed(folder: Path) -> list[int]:
    """The repetitions that were started, in order."""
    return [int(line) for line in (folder / "log").read_text().split()]


def run(job: TrialJob) -> Iterator[TrialDone | TrialFailed]:
    """Perform the trials of a job as the scripts say."""
    folder = Path(os.environ[FOLDER])
    for fingerprint, _, repetition, _ in job.trials:
        with (folder / "log").open("a") as log:
            log.write(f"{repetition}\n")
        act = _next_act(folder / str(repetition))
        yield _perform(act, fingerprint, repetition)


def _next_act(path: Path) -> str:
    if not path.exists():
        return "done"
    act, *rest = path.read_text().split()
    path.write_text(" ".join(rest)) if rest else path.unlink()
    return act


def _perform(act: str, fingerprint: str, repetition: int) -> TrialDone | TrialFailed:
    match act:
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "raises":
            raise RuntimeError("a defect")
        case "changed":
            raise TrialError("data_changed", "other files")
        case "full":
            raise StoreError("cache: expected room, got none")
        case "no-room":
            raise OSError(28, "No space left on device")
        case "slow":
            time.sleep(2.5)
        case "nan":
            return TrialFailed(fingerprint, "non_finite_loss", "nan in step 3", "where")
        case "interrupt":
            raise KeyboardInterrupt
    value = float("nan") if act == "nan-outcome" else repetition / 100
    outcome = Outcome({"test": {"auc": {"value": value, "note": None, "per_class": {}}}}, 10)
    peak_bytes = 1000 + repetition if act == "measured" else None
    return TrialDone(
        fingerprint, outcome, pd.DataFrame({"case_id": ["a"], "score": [repetition]}), peak_bytes
    )


def nothing() -> None:
    """Set up nothing."""
