"""What rows, columns and sections of a report are about: tasks, source models, protocols with settings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import Metric, metrics
from medtransfer.reports.disclosure import hide_places, without_places
from medtransfer.reports.evidence import fact, model_key, settings_hash, task_key
from medtransfer.reports.phrases import setting, settings, short_hash
from medtransfer.reports.printable import one_line
from medtransfer.store.records import Record

_MOST_SETTINGS_IN_LABEL = 3
_HOME = re.compile(r"~([A-Za-z_][\w.-]*)?/")
_IDENTITY = ("kind", "metrics", "primary_metric", "data_hash")
"""Facts by which results are found: they stay as they are."""


@dataclass(frozen=True)
class ReportTask:
    """A target task as a report shows it."""

    key: str
    """Identity: name, data and metrics."""
    name: str
    """Registry name."""
    label: str
    """Name for people; says so when the images are generated, and which data when there are two versions."""
    facts: Mapping[str, Any]
    """What the trials say of it, without places on a machine."""
    raw_classes: tuple[str, ...]
    """Class names in label order as predictions are stored by; not to be shown."""
    scored: tuple[str, ...]
    """Those of the raw classes that metrics over scored classes cover; empty: all."""

    @property
    def kind(self) -> TaskKind:
        """What is predicted."""
        return TaskKind(self.facts["kind"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order, fit to be shown."""
        return tuple(self.facts["classes"])

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All its metrics, the primary one first."""
        primary = self.facts["primary_metric"]
        return tuple(metrics.get(name) for name in dict.fromkeys([primary, *self.facts["metrics"]]))

    @property
    def primary(self) -> Metric:
        """The metric that selects on validation and is shown first."""
        return self.metrics[0]

    @property
    def equivalence_margin(self) -> float:
        """Difference of the primary metric that counts as equivalent: the task's, else the metric's."""
        declared = self.facts.get("equivalence_margin")
        return self.primary.equivalence_margin if declared is None else float(declared)

    @property
    def phantom(self) -> bool:
        """Whether its images are generated."""
        return bool(self.facts.get("phantom", False))

    @property
    def data_hash(self) -> str:
        """Digest of its images, labels and splits."""
        return str(self.facts.get("data_hash", ""))


@dataclass(frozen=True)
class ReportModel:
    """A source model as a report shows it."""

    key: str
    """Identity: name and weights."""
    label: str
    """Name for people."""
    facts: Mapping[str, Any]
    """What the trials say of it."""

    @property
    def weights_hash(self) -> str:
        """Digest of its weights, or ``random``."""
        return str(self.facts.get("weights_hash") or "")


@dataclass(frozen=True)
class Block:
    """A protocol with its settings: what one results table has in common."""

    protocol: str
    """Registry name."""
    label: str
    """Protocol, and the settings in which it differs from other blocks of the protocol."""
    settings: Mapping[str, Mapping[str, Any]]
    """Resolved parameters by kind of task; one protocol may resolve otherwise for masks than for labels."""
    hashes: frozenset[str]
    """Digests of these settings."""

    def settings_text(self) -> str:
        """Return all parameters as text, those of a kind of task under its name where kinds differ."""
        by_text: dict[str, list[str]] = {}
        for kind, values in self.settings.items():
            by_text.setdefault(settings(values), []).append(kind)
        if len(by_text) == 1:
            return next(iter(by_text)) or "none"
        return ". ".join(f"{', '.join(kinds)}: {text}" for text, kinds in by_text.items())


def read_tasks(records: Iterable[Record]) -> tuple[ReportTask, ...]:
    """Return the tasks in the order in which the records name them."""
    firsts = _firsts(records, task_key)
    repeated = Counter(record.description.task for record in firsts.values())
    return tuple(_task(key, record, repeated[record.description.task] > 1) for key, record in firsts.items())


def read_models(records: Iterable[Record]) -> tuple[ReportModel, ...]:
    """Return the source models in the order in which the records name them."""
    firsts = _firsts(records, model_key)
    names = [one_line(hide_places(record.description.model)) for record in firsts.values()]
    hashes = [short_hash(str(fact(record, "weights_hash", ""))) for record in firsts.values()]
    labels = _distinct(_distinct(names, [f" [{digest}]" for digest in hashes]))
    facts = (
        *("weights_hash", "pretraining", "architecture"),
        *("model_licence", "model_citation", "model_note"),
    )
    return tuple(
        ReportModel(key, label, {name: fact(record, name) for name in facts})
        for label, (key, record) in zip(labels, firsts.items(), strict=True)
    )


def read_blocks(records: Iterable[Record]) -> tuple[Block, ...]:
    """Return the protocols with their settings, in the order in which the records name them.

    A protocol that has one set of parameters per kind of task is one block. Where a kind has
    several, nothing says which of them belongs with which of another kind: each is a block.
    """
    found: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {}
    for record in records:
        d = record.description
        by_kind = found.setdefault(d.protocol, {}).setdefault(str(d.facts["kind"]), {})
        by_kind.setdefault(settings_hash(record), d.settings)
    return tuple(block for protocol, by_kind in found.items() for block in _blocks(protocol, by_kind))


def _firsts(records: Iterable[Record], key: Any) -> dict[str, Record]:
    firsts: dict[str, Record] = {}
    for record in records:
        firsts.setdefault(key(record), record)
    return firsts


def _task(key: str, record: Record, repeated: bool) -> ReportTask:
    raw = record.description.facts
    facts = _shown_facts(raw)
    name = one_line(hide_places(record.description.task))
    marks = ["phantom"] if facts.get("phantom") else []
    if repeated:
        marks.append(f"data {key[:8]}")
    label = f"{name} ({', '.join(marks)})" if marks else name
    return ReportTask(
        key=key,
        name=name,
        label=label,
        facts=facts,
        raw_classes=tuple(raw["classes"]),
        scored=tuple(raw.get("scored", ())),
    )


def _shown_facts(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts without places on a machine; class names are words, in which a stroke is no path."""
    facts: dict[str, Any] = without_places(raw)
    facts |= {name: raw[name] for name in _IDENTITY if name in raw}
    facts |= {name: _shown_names(raw[name]) for name in ("classes", "scored") if name in raw}
    if "structures" in raw:
        unions = raw["structures"].items()
        facts["structures"] = {_shown_name(name): _shown_names(union) for name, union in unions}
    return facts


def _shown_names(names: Iterable[str]) -> list[str]:
    return [_shown_name(name) for name in names]


def _shown_name(name: str) -> str:
    """Return a class name, of one that is an absolute path the last part."""
    windows = PureWindowsPath(name)
    absolute = PurePosixPath(name).is_absolute() or windows.is_absolute() or _HOME.match(name)
    return f"…/{windows.name}" if absolute and windows.name not in {"", name} else name


def _blocks(protocol: str, by_kind: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Block]:
    if all(len(choices) == 1 for choices in by_kind.values()):
        chosen = {kind: without_places(dict(next(iter(c.values())))) for kind, c in by_kind.items()}
        return [
            Block(protocol, protocol, chosen, frozenset(digest for c in by_kind.values() for digest in c))
        ]
    kinds: dict[str, list[str]] = {}
    values: dict[str, Mapping[str, Any]] = {}
    for kind, choices in by_kind.items():
        for digest, chosen_settings in choices.items():
            kinds.setdefault(digest, []).append(kind)
            values[digest] = without_places(dict(chosen_settings))
    labels = _distinct_labels(protocol, list(values.values()))
    return [
        Block(protocol, label, dict.fromkeys(kinds[digest], values[digest]), frozenset([digest]))
        for label, digest in zip(labels, values, strict=True)
    ]


def _distinct_labels(protocol: str, choices: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a label per choice that names in what it differs from most of the others.

    The preset comes first, groups of values last; settings that only some choices have are named where
    the others do not tell two choices apart. A choice that has the usual value of everything is called
    by its protocol alone.
    """
    texts = [{name: _shown(value) for name, value in values.items()} for values in choices]
    names = sorted({name for values in choices for name in values})
    grouped = {n for n in names if any(isinstance(values.get(n), Mapping) for values in choices)}
    everywhere = {name for name in names if all(name in values for values in texts)}
    order = sorted(names, key=lambda n: (n != "preset", n in grouped, n not in everywhere, n))
    labels = _told(protocol, texts, [name for name in order if name in everywhere])
    return _distinct(labels if len(set(labels)) == len(labels) else _told(protocol, texts, order))


def _told(protocol: str, texts: Sequence[Mapping[str, str]], names: Sequence[str]) -> list[str]:
    """Return the protocol with the first few settings whose value is not the usual one."""
    usual = {name: _usual([values.get(name) for values in texts]) for name in names}
    labels = []
    for values in texts:
        own = [name for name in names if name in values and values[name] != usual[name]]
        told = ", ".join(f"{name.replace('_', ' ')} {values[name]}" for name in own[:_MOST_SETTINGS_IN_LABEL])
        labels.append(f"{protocol} ({told})" if told else protocol)
    return labels


def _shown(value: Any) -> str:
    return f"[{setting(value)}]" if isinstance(value, list | tuple) else setting(value)


def _usual(texts: Sequence[str | None]) -> str | None:
    """Return the value that more than half of the choices have; None without one."""
    value, times = Counter(texts).most_common(1)[0]
    return value if 2 * times > len(texts) else None


def _distinct(labels: Sequence[str], marks: Sequence[str] | None = None) -> list[str]:
    """Return the labels, those that occur twice with a mark; with their number when there are no marks."""
    repeated = Counter(labels)
    added = marks or [f" #{number}" for number in range(1, len(labels) + 1)]
    return [label + mark if repeated[label] > 1 else label for label, mark in zip(labels, added, strict=True)]
