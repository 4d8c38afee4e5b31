"""A study: blocks of tasks, source models, protocols, label fractions and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medtransfer.core.errors import MedtransferError, UsageError
from medtransfer.models.catalogue import declared_model, resolve_model
from medtransfer.models.source_model import SourceModel
from medtransfer.protocols.registry import protocols
from medtransfer.protocols.transfer_protocol import TransferProtocol
from medtransfer.study.study_file import (
    Entry,
    StudyFile,
    entries,
    entry_name,
    entry_options,
    read_yaml,
    structure_faults,
)
from medtransfer.tasks.own_data_declaration import parse_own_data
from medtransfer.tasks.registry import target_tasks


@dataclass(frozen=True)
class TaskEntry:
    """A target task as a study names it."""

    name: str
    """Registry name, or the user's name of own data."""
    folder: str | None = None
    """Where its data lies, when the study says so."""
    own_data: Mapping[str, Any] | None = None
    """Declaration of own data; None for a registered task."""


@dataclass(frozen=True)
class Block:
    """Every task with every model under every protocol, at every label fraction, ``seeds`` times."""

    tasks: tuple[TaskEntry, ...]
    """Target tasks."""
    models: tuple[SourceModel, ...]
    """Source models."""
    protocols: tuple[TransferProtocol, ...]
    """Protocols with their settings."""
    label_fractions: tuple[float, ...] = (1.0,)
    """Shares of the training split, each in (0, 1]."""
    seeds: int = 5
    """Repetitions of every trial that a seed can change."""


@dataclass(frozen=True)
class Study:
    """A declared set of trials."""

    name: str
    """Name in the store and in reports."""
    blocks: tuple[Block, ...]
    """At least one."""
    accept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Task to the codes of the problems that must not stop it."""
    source: str = ""
    """Text of the study file."""

    @property
    def tasks(self) -> dict[str, TaskEntry]:
        """All task entries by name, in the order of the file."""
        return {entry.name: entry for block in self.blocks for entry in block.tasks}

    @property
    def models(self) -> dict[str, SourceModel]:
        """All source models by name, in the order of the file."""
        return {model.name: model for block in self.blocks for model in block.models}

    @classmethod
    def read(cls, path: Path) -> Study:
        """Return the study a YAML file declares.

        Raises:
            UsageError: If anything in the file is wrong; the message lists every fault.
        """
        text, content = read_yaml(path)
        faults = [*structure_faults(content), *name_faults(content, path.parent)]
        if faults:
            listed = "\n".join(f"  - {fault}" for fault in faults)
            raise UsageError(f"study file {path}: {len(faults)} fault{'s' * (len(faults) > 1)}:\n{listed}")
        return build_study(StudyFile.model_validate(content), path.parent, text)


def build_study(parsed: StudyFile, folder: Path, text: str) -> Study:
    """Return the study of a parsed file whose names are all known."""
    declared = {
        entry_name(entry): entry
        for block in [parsed, *(parsed.blocks or [])]
        for entry in block.tasks or []
        if not isinstance(entry, str)
    }
    models = {
        entry_name(entry): entry
        for block in [parsed, *(parsed.blocks or [])]
        for entry in block.models or []
        if not isinstance(entry, str)
    }
    blocks = tuple(
        Block(
            tasks=tuple(_task(declared.get(entry_name(e), e)) for e in block.tasks or parsed.tasks or []),
            models=tuple(
                _model(models.get(entry_name(e), e), folder) for e in block.models or parsed.models or []
            ),
            protocols=tuple(_protocol(e) for e in block.protocols or parsed.protocols or []),
            label_fractions=tuple(block.label_fractions or parsed.label_fractions or (1.0,)),
            seeds=block.seeds or parsed.seeds or 5,
        )
        for block in (parsed.blocks or [parsed])
    )
    accept = {task: tuple(codes) for task, codes in parsed.accept.items()}
    return Study(name=parsed.name, blocks=blocks, accept=accept, source=text)


def name_faults(content: Mapping[str, Any], folder: Path) -> list[str]:
    """Return what is wrong with the tasks, models and protocols a file names, one sentence each."""
    faults = [*_form_faults(content)]
    declared = {entry_name(e) for _, e in entries(content, "tasks") if isinstance(e, dict)}
    models = {entry_name(e) for _, e in entries(content, "models") if isinstance(e, dict)}
    for place, entry in entries(content, "tasks"):
        if entry_name(entry) and not (isinstance(entry, str) and entry in declared):
            faults += _fault_of(place, _task, entry)
    for place, entry in entries(content, "models"):
        if entry_name(entry) and not (isinstance(entry, str) and entry in models):
            faults += _fault_of(place, lambda e: _model(e, folder), entry)
    for place, entry in entries(content, "protocols"):
        if entry_name(entry):
            faults += _fault_of(place, _protocol, entry)
    return [*faults, *_missing_parts(content), *_accept_faults(content)]


def _form_faults(content: Mapping[str, Any]) -> list[str]:
    return [
        f"{place}: expected a name or one 'name: settings' pair, got {entry!r:.80}."
        for key in ("tasks", "models", "protocols")
        for place, entry in entries(content, key)
        if entry_name(entry) is None or not isinstance(_options_or_none(entry), dict | None)
    ]


def _options_or_none(entry: Any) -> Any:
    return entry_options(entry) if isinstance(entry, dict) else None


def _fault_of(place: str, build: Callable[[Any], Any], entry: Any) -> list[str]:
    if not isinstance(_options_or_none(entry), dict | None):
        return []
    try:
        build(entry)
    except MedtransferError as error:
        return [f"{place}: {error}"]
    return []


def _missing_parts(content: Mapping[str, Any]) -> list[str]:
    blocks = content.get("blocks")
    parts = blocks if isinstance(blocks, list) and blocks else [content]
    return [
        f"{key}: expected at least one{f' in block {number}' if blocks else ''}, got none."
        for number, part in enumerate(parts)
        for key in ("tasks", "models", "protocols")
        if isinstance(part, dict) and not part.get(key) and not content.get(key)
    ]


def _accept_faults(content: Mapping[str, Any]) -> list[str]:
    accept = content.get("accept")
    if not isinstance(accept, dict):
        return []
    named = {entry_name(entry) for _, entry in entries(content, "tasks")}
    return [
        f"accept.{task}: expected a task of this study, got {task!r}." for task in accept if task not in named
    ]


def _task(entry: Entry) -> TaskEntry:
    name, options = str(entry_name(entry)), entry_options(entry)
    if name in target_tasks:
        unknown = sorted(set(options or {}) - {"folder"})
        if unknown:
            raise UsageError(f"task {name!r}: expected only the key 'folder', got {unknown!r}.")
        return TaskEntry(name, folder=(options or {}).get("folder"))
    if options is None:
        target_tasks.get(name)
    parse_own_data(name, options or {})
    return TaskEntry(name, own_data=options)


def _model(entry: Entry, folder: Path) -> SourceModel:
    name, options = str(entry_name(entry)), entry_options(entry)
    if options is None:
        return resolve_model(name)
    file = options.get("file")
    if isinstance(file, str) and (folder / file).is_file():
        options = {**options, "file": str((folder / file).resolve())}
    return declared_model({"name": name, **options})


def _protocol(entry: Entry) -> TransferProtocol:
    name, options = str(entry_name(entry)), entry_options(entry)
    kind = protocols.get(name)
    try:
        return kind(**(options or {}))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}, got {fault['input']!r:.60}"
            for fault in error.errors(include_url=False)
        )
        raise UsageError(f"protocol {name!r}: {faults}.") from error
