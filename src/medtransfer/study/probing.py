"""Probes for the rows of a plan: as few as tell their costs apart, run one after another in a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from medtransfer.core.fingerprints import hash_json
from medtransfer.core.progress import Progress, no_progress
from medtransfer.execution.jobs import Event, Job, JobFailed, JobYielded, WorkerDied
from medtransfer.execution.run_jobs import run_jobs
from medtransfer.models.source_model import SourceModel
from medtransfer.study.decoding_cost import decoded_side
from medtransfer.study.drawn_cases import CaseShape
from medtransfer.study.plan import Trial
from medtransfer.study.preparation import Folders
from medtransfer.study.probe import Probe, ProbeRequest
from medtransfer.study.row_costs import RowCost, RowWork, cost_of, recipe_of

_PROBE_FUNCTION = "medtransfer.study.probe:run_probe"
_WORKER_SETUP = "medtransfer.study.worker_setup:use_one_thread"
_OF_EMBEDDINGS = ("image_size", "engine", "feature_precision", "normalization")
"""Settings on which embeddings depend; those at their defaults may be left out."""


@dataclass(frozen=True)
class RowCosts:
    """What rows of a plan will cost, by the probes that were run for them."""

    probes: Mapping[str, Probe | str] = field(default_factory=dict)
    """By :func:`_likeness`: what a probe took, or why it failed."""
    having_features: frozenset[str] = frozenset()
    """Fingerprints of trials whose embeddings an earlier row computes."""

    @classmethod
    def probe(
        cls,
        rows: Sequence[Sequence[Trial]],
        begun: Sequence[Sequence[Trial]],
        folders: Folders,
        device: str,
        progress: Progress = no_progress,
    ) -> RowCosts:
        """Return the costs of rows, after trying each kind of them in a process like a worker's.

        Args:
            rows: The trials to run of each task, model and protocol.
            begun: Rows of which some trials are done, so that their embeddings are on disk.
            folders: Where weights are.
            device: Device of the networks.
            progress: Told about the probes.
        """
        alike: dict[str, list[Sequence[Trial]]] = {}
        for row in rows:
            alike.setdefault(_likeness(row[0]), []).append(row)
        requests = {key: _request(group, folders, device) for key, group in alike.items()}
        return cls(run_probes(requests, progress), _having_features(rows, begun))

    def of(self, row: Sequence[Trial]) -> tuple[RowCost | None, str]:
        """Return the cost of a row, or None and why there is none."""
        probe = self.probes[_likeness(row[0])]
        if isinstance(probe, str):
            return None, probe
        return cost_of(probe, _work(row, has_features=row[0].fingerprint in self.having_features)), ""


def run_probes(
    requests: Mapping[str, ProbeRequest], progress: Progress = no_progress
) -> dict[str, Probe | str]:
    """Run probes one by one in a worker process, and return what each took or why it failed."""
    jobs = [Job(key, _PROBE_FUNCTION, request) for key, request in requests.items()]
    found: dict[str, Probe | str] = {}
    for event in run_jobs(jobs, workers=1, initialiser=_WORKER_SETUP):
        known = len(found)
        found |= _finding(event)
        if len(found) > known:
            progress("probes", len(found), len(jobs))
    return found


def _finding(event: Event) -> dict[str, Probe | str]:
    if isinstance(event, JobYielded):
        return {event.key: event.value}
    if isinstance(event, JobFailed):
        return {event.key: event.message}
    return {event.key: event.sentence()} if isinstance(event, WorkerDied) else {}


def _request(rows: Sequence[Sequence[Trial]], folders: Folders, device: str) -> ProbeRequest:
    """Return what to try for rows that are alike: the largest of each."""
    first = rows[0][0]
    recipe = recipe_of(first.description.settings)
    train = max(cases for row in rows for cases in _train_cases(row))
    return ProbeRequest(
        shape=CaseShape.of(first.task.cases),
        metrics=first.task.task.metrics,
        selection_metric=first.task.task.primary_metric,
        model=first.model.model,
        protocol=first.protocol,
        weights_folder=folders.weights,
        side=decoded_side(first),
        train_cases=train,
        batch_size=None if recipe is None else recipe.batch_size_for(train),
        device=device,
    )


def _work(row: Sequence[Trial], *, has_features: bool) -> RowWork:
    first, cases = row[0], row[0].task.cases
    recipe = recipe_of(first.description.settings)
    return RowWork(
        train_cases=_train_cases(row),
        val_cases=len(cases.indices("val")),
        test_cases=len(cases.indices("test")),
        cases=len(cases),
        recipe=recipe,
        trainings=len(first.description.settings.get("learning_rates", [0])),
        has_features=has_features and recipe is None,
        is_one_job=first.protocol.shares_work(first.task.task.kind),
    )


def _train_cases(row: Sequence[Trial]) -> tuple[int, ...]:
    """Return about how many training cases each trial has; whole patients make it a little more or less."""
    cases = len(row[0].task.cases.indices("train"))
    return tuple(max(round(cases * trial.description.label_fraction), 1) for trial in row)


def _likeness(trial: Trial) -> str:
    """Return what rows share that cost the same per case: network, protocol, and what cases are like."""
    task = trial.task.task
    return hash_json(
        {
            "network": _network(trial.model.model),
            "protocol": trial.protocol.name,
            "settings": dict(trial.description.settings),
            "kind": task.kind,
            "classes": len(task.classes),
            "side": decoded_side(trial),
        }
    )


def _network(model: SourceModel) -> dict[str, Any]:
    """Return what decides the size of a network, not its weights."""
    return {
        "architecture": asdict(model.architecture),
        "input": None if model.input_from_library else asdict(model.input),
    }


def _having_features(rows: Sequence[Sequence[Trial]], begun: Sequence[Sequence[Trial]]) -> frozenset[str]:
    """Return the first trials of rows that find the embeddings of their task and model on disk."""
    seen = {_embeddings(row[0]) for row in begun}
    found: set[str] = set()
    for row in rows:
        embeddings = _embeddings(row[0])
        if embeddings is not None and embeddings in seen:
            found.add(row[0].fingerprint)
        seen.add(embeddings)
    return frozenset(found)


def _embeddings(trial: Trial) -> tuple[object, ...] | None:
    """Return what tells the embeddings a trial reads from others; None for one that reads none."""
    d = trial.description
    if recipe_of(d.settings) is not None:
        return None
    return d.task, d.model, *(d.settings.get(name) for name in _OF_EMBEDDINGS)
