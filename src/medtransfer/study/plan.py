"""From a study and its prepared parts to the list of trials, each with its fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medtransfer.core.errors import DataError, UsageError
from medtransfer.core.fingerprints import fingerprint, hash_json
from medtransfer.core.seeds import seed_from
from medtransfer.data.label_fractions import LabelOrder, label_subset
from medtransfer.models.overlap import overlap
from medtransfer.models.source_model import SourceModel, WeightsFile
from medtransfer.protocols.transfer_protocol import TransferProtocol
from medtransfer.store.records import TrialDescription
from medtransfer.study.metric_problems import metric_problems
from medtransfer.study.preparation import PreparedModel, PreparedTask
from medtransfer.study.study import Block, Study


@dataclass(frozen=True)
class Trial:
    """One (source model, target task, protocol, label fraction, repetition), ready to run."""

    description: TrialDescription
    """What the store keeps of it."""
    task: PreparedTask
    """The target task."""
    model: PreparedModel
    """The source model."""
    protocol: TransferProtocol
    """The protocol with its settings."""
    label_order: LabelOrder = "patients"
    """Order of the training cases; without influence on trials with all labels."""

    @property
    def fingerprint(self) -> str:
        """The key of the trial in every store."""
        return self.description.fingerprint

    @property
    def seed(self) -> int:
        """The seed of everything random in it except the choice of the training cases."""
        d = self.description
        return seed_from("trial", d.task, d.model, d.protocol, d.label_fraction, d.repetition)

    @property
    def group(self) -> tuple[str, ...]:
        """Trials with the same group run as one job."""
        shared = (self.description.task, self.description.model, self.description.protocol)
        settings = hash_json(dict(self.description.settings))
        if self.protocol.shares_work(self.task.task.kind):
            return (*shared, settings)
        return (*shared, settings, self.fingerprint)


@dataclass(frozen=True)
class _Pair:
    """A task and a model, with what their trials share, looked up once."""

    task: PreparedTask
    model: PreparedModel
    network: Mapping[str, Any]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class _Labels:
    """Which training labels a trial may use."""

    fraction: float
    order: LabelOrder

    def facts(self) -> dict[str, Any]:
        """Return the order where it matters and is not the usual one, so that fingerprints stay."""
        return {} if self.fraction == 1 or self.order == "patients" else {"label_order": self.order}

    def varied(self, protocol: TransferProtocol, task: PreparedTask) -> tuple[str, ...]:
        """Return what differs between repetitions; ``shuffle99`` gives all of them the same subset."""
        found = protocol.varied(task.task.kind, self.fraction)
        return tuple(name for name in found if name != "label subset") if self.facts() else found


def plan_trials(
    study: Study, tasks: Mapping[str, PreparedTask], models: Mapping[str, PreparedModel]
) -> list[Trial]:
    """Return the trials of a study in the order of the file, each once.

    Raises:
        UsageError: If a protocol or a metric cannot do a task's kind, or a task cannot be cut to a label fraction.
    """
    faults = list(_metric_faults(tasks.values()))
    if faults:
        raise UsageError(f"study {study.name!r}: {' '.join(faults)}")
    unsupported = [
        f"protocol {protocol.name!r} cannot do {tasks[entry.name].task.kind} (task {entry.name!r})"
        for block in study.blocks
        for entry in block.tasks
        for protocol in block.protocols
        if not protocol.supports(tasks[entry.name].task.kind)
    ]
    if unsupported:
        listed = "; ".join(dict.fromkeys(unsupported))
        raise UsageError(f"study {study.name!r}: {listed}. Put these tasks in a block of their own.")
    trials = [trial for block in study.blocks for trial in _block_trials(block, tasks, models)]
    impossible = list(_impossible_fractions(trials))
    if impossible:
        raise UsageError("\n".join(f"study {study.name!r}: {fault}" for fault in impossible))
    return list({trial.fingerprint: trial for trial in trials}.values())


def group_trials(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Return the trials as jobs: those that share a task, then a model, follow each other, in the study's order."""
    order = {name: number for number, name in enumerate(dict.fromkeys(t.description.task for t in trials))}
    models = {name: number for number, name in enumerate(dict.fromkeys(t.description.model for t in trials))}
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for trial in sorted(trials, key=lambda t: (order[t.description.task], models[t.description.model])):
        groups.setdefault(trial.group, []).append(trial)
    return list(groups.values())


def _metric_faults(tasks: Iterable[PreparedTask]) -> Iterator[str]:
    for task in tasks:
        for found in metric_problems(task.task, task.cases):
            yield f"{found.where}: expected {found.expected}, got {found.found}. {found.next_step}"


def _impossible_fractions(trials: Iterable[Trial]) -> Iterator[str]:
    """Yield why tasks cannot be cut to a label fraction, each reason once, by drawing the smallest ones.

    A repetition that has its smallest fraction has the larger ones too.
    """
    smallest: dict[tuple[str, LabelOrder, int], Trial] = {}
    for trial in trials:
        d = trial.description
        key = (d.task, trial.label_order, d.repetition if trial.label_order == "patients" else 0)
        if d.label_fraction < smallest.setdefault(key, trial).description.label_fraction:
            smallest[key] = trial
    yield from dict.fromkeys(fault for trial in smallest.values() if (fault := _fraction_fault(trial)))


def _fraction_fault(trial: Trial) -> str | None:
    d, subject = trial.description, f"task {trial.description.task!r}: "
    if d.label_fraction == 1:
        return None
    try:
        label_subset(
            trial.task.cases,
            d.label_fraction,
            task=d.task,
            repetition=d.repetition,
            order=trial.label_order,
        )
    except DataError as error:
        return subject + str(error).removeprefix(subject)
    return None


def _block_trials(
    block: Block, tasks: Mapping[str, PreparedTask], models: Mapping[str, PreparedModel]
) -> list[Trial]:
    return [
        trial
        for entry in block.tasks
        for model in block.models
        for trial in _pair_trials(block, tasks[entry.name], models[model.name])
    ]


def _pair_trials(block: Block, task: PreparedTask, model: PreparedModel) -> list[Trial]:
    pair = _Pair(task, model, _network_facts(model.model), _task_facts(task) | _pair_facts(task, model))
    return [
        _trial(pair, protocol, _Labels(fraction, block.label_order), repetition)
        for protocol in block.protocols
        for fraction in block.label_fractions
        for repetition in _repetitions(protocol, task, _Labels(fraction, block.label_order), block.seeds)
    ]


def _repetitions(protocol: TransferProtocol, task: PreparedTask, labels: _Labels, seeds: int) -> range:
    return range(seeds if labels.varied(protocol, task) else 1)


def _trial(pair: _Pair, protocol: TransferProtocol, labels: _Labels, repetition: int) -> Trial:
    task, model = pair.task, pair.model
    settings = protocol.settings(task.task.kind)
    identity: dict[str, Any] = {
        "task": task.task.name,
        "task_revision": task.task.revision,
        "data": task.data_hash,
        "metrics": list(task.task.metrics),
        "model": model.model.name,
        "weights": model.weights_hash,
        "network": pair.network,
        "protocol": protocol.name,
        "protocol_revision": protocol.revision,
        "settings": settings,
        "label_fraction": labels.fraction,
        "repetition": repetition,
        **labels.facts(),
    }
    description = TrialDescription(
        fingerprint=fingerprint(identity),
        task=task.task.name,
        model=model.model.name,
        protocol=protocol.name,
        settings=settings,
        label_fraction=labels.fraction,
        repetition=repetition,
        varied=labels.varied(protocol, task),
        facts={**pair.facts, "protocol_revision": protocol.revision, **labels.facts()},
    )
    return Trial(description, task, model, protocol, labels.order)


def _network_facts(model: SourceModel) -> dict[str, Any]:
    """Return what builds the network and fills it: all of the record but names, places and words."""
    architecture, weights = model.architecture, model.weights
    facts: dict[str, Any] = {
        "library": architecture.library,
        "builder": architecture.builder,
        "options": [list(pair) for pair in architecture.options],
        "trunk": architecture.trunk,
        "input": "library" if model.input_from_library else asdict(model.input),
    }
    if weights is not None:
        facts["loading"] = {
            "container": weights.container,
            "prefix": weights.prefix,
            "rename": [list(pair) for pair in weights.rename],
            "drop": sorted(weights.drop),
            "gaps": sorted(gap.prefix for gap in weights.gaps),
            **_later_rules(weights),
        }
    return facts


def _later_rules(weights: WeightsFile) -> dict[str, Any]:
    """Return the loading rules younger than the first fingerprints, those that differ from their default."""
    plain = WeightsFile()
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name in ("containers", "strip", "scheme", "ignore", "adapt", "converter")
        if (value := getattr(weights, name)) != getattr(plain, name)
    }


def _task_facts(task: PreparedTask) -> dict[str, Any]:
    record, cases = task.task, task.cases
    counts = cases.frame["split"].value_counts()
    return {
        "title": record.title,
        "task_revision": record.revision,
        "kind": record.kind.value,
        "classes": list(record.classes),
        "scored": list(cases.scored),
        "structures": {name: list(union) for name, union in cases.structures.items()},
        "volumes": int(cases.frame["volume_id"].nunique()) if cases.has_volumes else None,
        "metrics": list(record.metrics),
        "primary_metric": record.primary_metric,
        "split_source": cases.split_source,
        "split_counts": {str(split): int(counts[split]) for split in counts.index},
        "patients": int(cases.frame["patient_id"].nunique()),
        "patients_known": cases.patients_known,
        "accepted": [problem.as_json() for problem in task.accepted],
        "data_hash": task.data_hash,
        "equivalence_margin": record.equivalence_margin,
        "caution": record.caution,
        "phantom": record.phantom,
        "licence": record.licence,
        "citation": record.citation,
    }


def _pair_facts(task: PreparedTask, model: PreparedModel) -> dict[str, Any]:
    pretraining = model.model.pretraining
    found = overlap(pretraining.data, pretraining.objective, task.task.image_sets)
    return {
        "overlap": found.status,
        "overlap_reason": found.reason,
        "weights_hash": model.weights_hash,
        "pretraining": {
            "objective": pretraining.objective,
            "data": list(pretraining.data),
            "year": pretraining.year,
        },
        "architecture": model.model.architecture.name,
        "model_licence": model.model.licence,
        "model_citation": model.model.citation,
        "model_note": model.model.note,
    }
