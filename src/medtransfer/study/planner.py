"""What a study would cost: what like trials cost in the store, else what a short probe of each network took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medtransfer.core.progress import Progress, no_progress
from medtransfer.execution.memory import machine_bytes
from medtransfer.store.records import State, TrialDescription
from medtransfer.store.store import Store
from medtransfer.store.trial_costs import MeasuredCost, cost_key
from medtransfer.study.decoding_cost import decoding_seconds
from medtransfer.study.plan import Trial
from medtransfer.study.preparation import Folders
from medtransfer.study.probing import RowCosts
from medtransfer.study.row_costs import RowCost


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
    cost: RowCost | None
    """Of the rest; None where it could not be found out."""
    basis: str
    """``done``, ``measured`` on like trials in the store, ``probe``, or ``unknown``."""
    fault: str = ""
    """Why a probe gave no cost; a trial would probably fail for the same reason."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Resolved settings of the protocol; some are left out at their defaults."""


@dataclass(frozen=True)
class Plan:
    """What a study would run."""

    rows: tuple[PlanRow, ...]
    """One per task, model, protocol and settings."""
    workers: int
    """Worker processes; 0 runs everything in this process."""
    decoding_s: float = 0.0
    """Seconds of one core for decoding images, before the first trial."""
    machine_bytes: int = 0
    """Memory that all processes may take together; 0 where it is not known."""

    @property
    def total(self) -> int:
        """All trials."""
        return sum(row.trials for row in self.rows)

    @property
    def done(self) -> int:
        """Trials that are done."""
        return sum(row.done for row in self.rows)

    @property
    def unknown(self) -> int:
        """Trials to run whose cost is not known."""
        return sum(row.trials - row.done for row in self.rows if row.cost is None)

    @property
    def cpu_s(self) -> float:
        """Expected seconds of one core."""
        return self.decoding_s + sum(cost.cpu_s for cost in self._costs)

    @property
    def seconds(self) -> float:
        """Expected wall-clock seconds; with many workers those of the longest job."""
        return self._shared(self.cpu_s, max((cost.longest_s for cost in self._costs), default=0.0))

    @property
    def most_seconds(self) -> float:
        """Wall-clock seconds if no training stops early."""
        stretch = max((c.most_s / c.cpu_s * c.longest_s for c in self._costs if c.cpu_s > 0), default=0.0)
        return self._shared(self.decoding_s + sum(cost.most_s for cost in self._costs), stretch)

    @property
    def worker_bytes(self) -> int:
        """Most memory one worker is expected to take, by the rows of which it is known; 0 where it is of none."""
        return max((cost.memory_bytes or 0 for cost in self._costs), default=0)

    @property
    def unmeasured(self) -> int:
        """Trials to run whose time is known and whose memory is not."""
        rows = [row for row in self.rows if row.cost is not None and row.cost.memory_bytes is None]
        return sum(row.trials - row.done for row in rows)

    @property
    def needs_too_much_memory(self) -> bool:
        """Whether all workers together may take more memory than there is."""
        return 0 < self.machine_bytes < max(self.workers, 1) * self.worker_bytes

    @property
    def _costs(self) -> list[RowCost]:
        return [row.cost for row in self.rows if row.cost is not None]

    def _shared(self, cpu_s: float, longest_s: float) -> float:
        return max(cpu_s / max(self.workers, 1), longest_s)


def estimate(
    trials: Sequence[Trial],
    store: Store,
    folders: Folders,
    workers: int,
    *,
    device: str = "cpu",
    damaged: Collection[str] = (),
    progress: Progress = no_progress,
) -> Plan:
    """Return the plan of a study's trials.

    Only the states of these trials and what like ones cost are read from the store, whatever else it holds.

    Args:
        trials: All trials of the study.
        store: Where done trials and costs of like trials are looked up.
        folders: Where weights are, for the probes, and decoded images.
        workers: Worker processes.
        device: Device of the networks.
        damaged: Fingerprints of done trials that run again.
        progress: Told about the probes.
    """
    states = store.states([trial.fingerprint for trial in trials])
    done = {name for name, state in states.items() if state is State.DONE} - set(damaged)
    left = [trial for trial in trials if trial.fingerprint not in done]
    measured = store.costs(trial.description for trial in left)
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(cost_key(trial.description), []).append(trial)
    names = {trial.fingerprint for trial in left}
    open_groups = {key: [t for t in group if t.fingerprint in names] for key, group in groups.items()}
    to_probe = [g for key, g in open_groups.items() if g and _measured_cost(key, g, measured) is None]
    begun = [group for key, group in groups.items() if len(open_groups[key]) < len(group)]
    probed = RowCosts.probe(to_probe, begun, folders, device, progress)
    rows = [_row(key, group, open_groups[key], measured, probed) for key, group in groups.items()]
    return Plan(tuple(rows), workers, decoding_seconds(left, folders.cache), machine_bytes())


def _row(
    key: str,
    group: Sequence[Trial],
    left: Sequence[Trial],
    measured: Mapping[tuple[str, float], MeasuredCost],
    probed: RowCosts,
) -> PlanRow:
    first: TrialDescription = group[0].description
    fault, basis = "", "done"
    cost: RowCost | None = RowCost(0.0, 0.0, 0.0, 0)
    if left:
        cost, basis = _measured_cost(key, left, measured), "measured"
        if cost is None:
            cost, fault = probed.of(left)
            basis = "probe" if cost is not None else "unknown"
    return PlanRow(
        task=first.task,
        model=first.model,
        protocol=first.protocol,
        fractions=Counter(trial.description.label_fraction for trial in group),
        trials=len(group),
        done=len(group) - len(left),
        cost=cost,
        basis=basis,
        fault=fault,
        settings=first.settings,
    )


def _measured_cost(
    key: str, left: Sequence[Trial], measured: Mapping[tuple[str, float], MeasuredCost]
) -> RowCost | None:
    """Return what these trials cost by the store; None where like ones of some fraction were never done."""
    looked_up = [measured.get((key, trial.description.label_fraction)) for trial in left]
    found = [cost for cost in looked_up if cost is not None]
    if len(found) < len(left):
        return None
    seconds = [cost.cpu_s for cost in found]
    peaks = [cost.peak_bytes for cost in found if cost.peak_bytes is not None]
    shares = left[0].protocol.shares_work(left[0].task.task.kind)
    return RowCost(
        cpu_s=sum(seconds),
        most_s=sum(seconds),
        longest_s=sum(seconds) if shares else max(seconds),
        memory_bytes=max(peaks) if len(peaks) == len(found) else None,
    )
