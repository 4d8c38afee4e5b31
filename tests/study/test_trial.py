"""A job in its process: what a device does to one trial does not touch the others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import medtransfer as mt
from medtransfer.core.errors import TrialError
from medtransfer.execution import memory
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


@dataclass(frozen=True)
class Holding:
    """A protocol whose trials hold so many MiB each for a moment."""

    mib: tuple[int, ...]

    def fit(self, bench: Bench, requests: Sequence[TransferRequest]) -> Iterator[Transfer]:
        """Yield what the real protocol yields, having held memory before."""
        for request, transfer in zip(requests, Knn(image_size=32).fit(bench, requests), strict=True):
            memory.give_memory_back()
            assert int(np.ones(self.mib[request.repetition] << 20, dtype=np.uint8).sum())
            yield transfer


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


@pytest.mark.skipif(sys.platform != "linux", reason="the peak can be forgotten on Linux only")
def test_a_worker_tells_the_most_memory_of_each_trial(job: Any) -> None:
    held = replace(job(MemoryError(), workers=1), protocol=Holding((400, 1, 200)))
    peaks = [result.peak_bytes for result in run_trials(held)]
    assert peaks[0] - peaks[1] == pytest.approx(400 << 20, rel=0.15)
    assert peaks[2] - peaks[1] == pytest.approx(200 << 20, rel=0.15)


def test_a_trial_after_a_failed_one_is_measured_by_itself(job: Any) -> None:
    first, failed, third = run_trials(job(MemoryError(), workers=1))
    assert isinstance(failed, TrialFailed)
    assert third.peak_bytes is not None
    assert third.peak_bytes <= 1.2 * first.peak_bytes


def test_a_process_that_is_no_worker_is_not_measured(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> bool:
        raise AssertionError("the peak of this process is not ours to forget")

    monkeypatch.setattr("medtransfer.execution.memory_watch.forget_peak", refuse)
    held = replace(job(MemoryError()), protocol=Holding((1, 1, 1)))
    assert [result.peak_bytes for result in run_trials(held)] == [None] * 3


def test_where_the_system_measures_no_memory_trials_run_all_the_same(
    job: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "_RESET", tmp_path / "absent" / "reset")
    held = replace(job(MemoryError(), workers=1), protocol=Holding((1, 1, 1)))
    assert [result.peak_bytes for result in run_trials(held)] == [None] * 3


def test_a_share_that_cannot_be_drawn_fails_alone_and_by_its_kind(job: Any) -> None:
    whole = replace(job(MemoryError()), protocol=Knn(image_size=32))
    shares = (("first", 1.0, 0, 0), ("second", 0.01, 0, 0), ("third", 0.5, 0, 0))
    found = {result.fingerprint: result for result in run_trials(replace(whole, trials=shares))}
    assert isinstance(found["first"], TrialDone)
    assert isinstance(found["third"], TrialDone)
    failed = found["second"]
    assert isinstance(failed, TrialFailed)
    assert failed.reason == "data_error"
    assert failed.message.startswith("label fraction 0.01: expected about")
    assert "Traceback" in failed.traceback
