"""A job in its process: what a device does to one trial does not touch the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import medtransfer as mt
from medtransfer.core.errors import TrialError
from medtransfer.models.catalogue import resolve_model
from medtransfer.protocols.knn import Knn
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from medtransfer.study.preparation import Folders
from medtransfer.study.trial import TrialDone, TrialFailed, TrialJob, run_trials
from medtransfer.training.device_faults import DEVICE_LOST, OUT_OF_MEMORY

NAMES = ("first", "second", "third")


@dataclass(frozen=True)
class Breaking:
    """A protocol whose second trial is broken by its device."""

    error: Exception

    def fit(self, bench: Bench, requests: Sequence[TransferRequest]) -> Iterator[Transfer]:
        """Yield what the real protocol yields, but break at the second repetition."""
        for request in requests:
            if request.repetition == 1:
                raise self.error
            yield from Knn(image_size=32).fit(bench, [request])


@pytest.fixture
def job(lesions: Path, tmp_path: Path) -> Callable[..., TrialJob]:
    """Return a job of three trials whose second meets an error."""
    task = mt.load_task({"lesions": {"root": "lesions"}}, data=lesions, cache=tmp_path / "cache")

    def build(error: Exception, workers: int = 0) -> TrialJob:
        return TrialJob(
            location=task.location,
            data_hash=task.data_hash,
            model=resolve_model("resnet20.random"),
            protocol=Breaking(error),  # type: ignore[arg-type]
            folders=Folders(data=lesions, weights=None, cache=tmp_path / "cache"),
            trials=tuple((name, 1.0, number, 0) for number, name in enumerate(NAMES)),
            workers=workers,
        )

    return build


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError("Unable to allocate 7.11 PiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000 bytes."),
        RuntimeError("std::bad_alloc"),
        torch.AcceleratorError("CUDA error: out of memory"),
    ],
)
def test_a_trial_without_memory_fails_alone_and_says_what_helps(job: Any, error: Exception) -> None:
    first, second, third = run_trials(job(error))
    assert isinstance(first, TrialDone)
    assert isinstance(third, TrialDone)
    assert isinstance(second, TrialFailed)
    assert (second.fingerprint, second.reason) == ("second", OUT_OF_MEMORY)
    assert second.message.startswith("device 'cpu': expected memory enough for the trial, got ")
    assert "micro_batch" in second.message
    assert type(error).__name__ in second.traceback


def test_real_exhaustion_is_recognised(job: Any) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    _, second, _ = run_trials(job(caught.value))
    assert isinstance(second, TrialFailed)
    assert second.reason == OUT_OF_MEMORY


def test_a_device_that_is_full_is_not_said_to_be_missing(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(text: str, workers: int) -> str:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("medtransfer.study.trial.claim_device", full)
    with pytest.raises(TrialError, match="expected memory enough") as refused:
        next(run_trials(job(MemoryError())))
    assert refused.value.reason == OUT_OF_MEMORY


def test_a_worker_that_lost_its_device_ends_after_the_trial_is_told(job: Any) -> None:
    results = run_trials(job(torch.AcceleratorError("CUDA error: device-side assert triggered"), workers=1))
    assert isinstance(next(results), TrialDone)
    failed = next(results)
    assert isinstance(failed, TrialFailed)
    assert failed.reason == DEVICE_LOST
    assert "got 'CUDA error: device-side assert triggered'" in failed.message
    with pytest.raises(SystemExit):
        next(results)


def test_without_workers_this_process_goes_on(job: Any) -> None:
    results = list(run_trials(job(torch.AcceleratorError("CUDA error: unknown error"))))
    assert [type(result) for result in results] == [TrialDone, TrialFailed, TrialDone]


def test_a_defect_ends_the_job(job: Any) -> None:
    results = run_trials(job(RuntimeError("shapes differ")))
    assert isinstance(next(results), TrialDone)
    with pytest.raises(RuntimeError, match="shapes differ"):
        next(results)
