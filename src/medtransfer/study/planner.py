"""What a study would cost: measured durations of like trials where the store has them, else a short probe."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medtransfer.core.fingerprints import hash_json
from medtransfer.models.source_model import SourceModel
from medtransfer.store.records import Record, State, TrialDescription
from medtransfer.store.store import Store
from medtransfer.study.plan import Trial
from medtransfer.study.preparation import Folders
from medtransfer.study.worker_setup import use_one_thread

if TYPE_CHECKING:
    from torch import Tensor

    from medtransfer.models.network import Encoder

_Kind = tuple[str, str, str, str]
"""Task, model, protocol and hash of its settings: trials alike in these cost about the same."""
_PROBE_IMAGES, _PROBE_PASSES = 8, 4
_TRAINING_COST = 3.0
"""Forward, backward and update together, in forward passes."""
_DECODER_COST = 2.0
"""A U-Net against its encoder alone, in forward passes."""
_FROZEN_COST = 0.6
"""The narrow decoder of a frozen encoder against that encoder, in forward passes."""
_HEADS_S = 0.5
"""Seconds to solve the heads of one training subset."""


@dataclass(frozen=True)
class PlanRow:
    """The trials of one task, model and protocol with its settings."""

    task: str
    """Target task."""
    model: str
    """Source model."""
    protocol: str
    """Protocol."""
    fractions: Mapping[float, int]
    """Label fraction to its number of trials."""
    trials: int
    """All of them."""
    done: int
    """Those that are done."""
    seconds: float
    """Estimated seconds of one core for the rest."""
    basis: str
    """``measured`` on like trials in the store, or ``probe``."""


@dataclass(frozen=True)
class Plan:
    """What a study would run."""

    rows: tuple[PlanRow, ...]
    """One per task, model, protocol and settings."""
    workers: int
    """Worker processes."""

    @property
    def total(self) -> int:
        """All trials."""
        return sum(row.trials for row in self.rows)

    @property
    def done(self) -> int:
        """Trials that are done."""
        return sum(row.done for row in self.rows)

    @property
    def seconds(self) -> float:
        """Estimated wall-clock seconds."""
        return sum(row.seconds for row in self.rows) / max(self.workers, 1)


def estimate(trials: Sequence[Trial], store: Store, folders: Folders, workers: int) -> Plan:
    """Return the plan of a study's trials.

    Args:
        trials: All trials of the study.
        store: Where done trials and durations of like trials are looked up.
        folders: Where weights are, for the probe.
        workers: Worker processes.
    """
    records = store.records(states=[State.DONE])
    done = {record.description.fingerprint for record in records}
    measured = _durations(records)
    groups: dict[_Kind, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(_kind(trial.description), []).append(trial)
    speeds: dict[tuple[str, int], float] = {}
    rows = [_row(key, group, done, measured, folders, speeds) for key, group in groups.items()]
    return Plan(tuple(rows), workers)


def _row(
    key: _Kind,
    group: Sequence[Trial],
    done: set[str],
    measured: Mapping[_Kind, float],
    folders: Folders,
    speeds: dict[tuple[str, int], float],
) -> PlanRow:
    left = [trial for trial in group if trial.fingerprint not in done]
    if not left or key in measured:
        seconds, basis = measured.get(key, 0.0) * len(left), "measured"
    else:
        seconds, basis = _probe(left, folders, speeds), "probe"
    fractions = Counter(trial.description.label_fraction for trial in group)
    done_here = len(group) - len(left)
    return PlanRow(*key[:3], fractions, trials=len(group), done=done_here, seconds=seconds, basis=basis)


def _kind(trial: TrialDescription) -> _Kind:
    return trial.task, trial.model, trial.protocol, hash_json(dict(trial.settings))


def _durations(records: Sequence[Record]) -> dict[_Kind, float]:
    found: dict[_Kind, list[float]] = {}
    for record in records:
        if record.outcome is not None:
            found.setdefault(_kind(record.description), []).append(record.outcome.duration_s)
    return {key: statistics.fmean(values) for key, values in found.items()}


def _probe(trials: Sequence[Trial], folders: Folders, speeds: dict[tuple[str, int], float]) -> float:
    """Estimate from the time of one forward pass of the network at the protocol's image size."""
    first = trials[0]
    kind, cases = first.task.task.kind, first.task.cases
    size = int(first.description.settings.get("image_size") or first.model.model.input.size)
    key = (first.model.model.name, size)
    if key not in speeds:
        speeds[key] = _forward_seconds(first.model.model, size, folders)
    per_image, once = speeds[key], len(cases) * speeds[key]
    epochs = first.description.settings.get("epochs")
    if epochs is None:
        return once + _HEADS_S * len(trials)
    frozen = first.protocol.shares_work(kind)
    train = len(cases.indices("train"))
    shares = sum(trial.description.label_fraction for trial in trials)
    held = len(cases.indices("val")) * int(epochs) + len(cases.indices("test"))
    passes = _TRAINING_COST * train * int(epochs) * shares + held * len(trials)
    if kind.is_classification:
        return per_image * passes
    return once * frozen + per_image * passes * (_FROZEN_COST if frozen else _DECODER_COST)


def _forward_seconds(model: SourceModel, size: int, folders: Folders) -> float:
    """Return the processor time of an image on one thread, as a worker has it; the least of a few passes."""
    import torch

    from medtransfer.models.network import build_encoder

    encoder = build_encoder(model, weights_folder=folders.weights, seed=0, image_size=size)
    images = torch.zeros((_PROBE_IMAGES, 3, size, size), dtype=torch.uint8)
    use_one_thread()
    with torch.inference_mode():
        return min(_pass_seconds(encoder, images) for _ in range(_PROBE_PASSES)) / _PROBE_IMAGES


def _pass_seconds(encoder: Encoder, images: Tensor) -> float:
    start = time.process_time()
    encoder(images)
    return time.process_time() - start
