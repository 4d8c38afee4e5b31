"""Entries of a study file: a task, source model or protocol, by name or by a name with its settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medtransfer.core.declaration_faults import declaration_faults
from medtransfer.core.errors import UsageError
from medtransfer.models.catalogue import declared_model, resolve_model
from medtransfer.models.source_model import SourceModel
from medtransfer.protocols.registry import protocols
from medtransfer.protocols.transfer_protocol import TransferProtocol
from medtransfer.tasks.own_data_declaration import parse_own_data
from medtransfer.tasks.registry import target_tasks

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class TaskEntry:
    """A target task as a study names it."""

    name: str
    """Registry name, or the user's name of own data."""
    folder: str | None = None
    """Where its data lies, when the study says so."""
    own_data: Settings | None = None
    """Declaration of own data; None for a registered task."""


@dataclass(frozen=True)
class Declarations:
    """What a study file declares in one place and may name in others."""

    folder: Path = field(default_factory=Path)
    """Folder of the study file; weights files may be named relative to it."""
    tasks: Settings = field(default_factory=dict)
    """Task name to its settings."""
    models: Settings = field(default_factory=dict)
    """Source model name to its settings."""

    def task(self, entry: object) -> TaskEntry:
        """Return the task an entry names or declares.

        Raises:
            UsageError: If the entry has no valid form, or the task is unknown or wrongly declared.
        """
        name, settings = named(entry, self.tasks)
        if name in target_tasks:
            unknown = sorted(set(settings or {}) - {"folder"})
            if unknown:
                raise UsageError(
                    f"task {name!r}: expected only the key 'folder' for a registered task, got {unknown!r}. "
                    "Give data of your own another name."
                )
            return TaskEntry(name, folder=_folder(name, settings or {}))
        if settings is None:
            target_tasks.get(name)
        parse_own_data(name, dict(settings or {}))
        return TaskEntry(name, own_data=settings)

    def model(self, entry: object) -> SourceModel:
        """Return the source model an entry names or declares.

        Raises:
            UsageError: If the entry has no valid form, or the model is unknown or wrongly declared.
        """
        name, settings = named(entry, self.models)
        if settings is None:
            return resolve_model(name)
        file = settings.get("file")
        if isinstance(file, str) and (self.folder / file).is_file():
            settings = {**settings, "file": str((self.folder / file).resolve())}
        return declared_model({"name": name, **settings})


def protocol(entry: object) -> TransferProtocol:
    """Return the protocol an entry names, with its settings.

    Raises:
        UsageError: If the entry has no valid form, or the protocol or a setting is unknown or wrong.
    """
    name, settings = named(entry, {})
    build = protocols.get(name)
    try:
        return build(**(settings or {}))
    except ValidationError as error:
        faults = declaration_faults(error, lambda _: inspect.signature(build).parameters)
        raise UsageError(f"protocol {name!r}: {' '.join(faults)}") from error


def named(entry: object, declared: Settings) -> tuple[str, Settings | None]:
    """Return the name of an entry and its settings; those declared elsewhere when it is only a name.

    Raises:
        UsageError: If it is neither a name nor one ``name: settings`` pair.
    """
    match entry:
        case str():
            return entry, declared.get(entry)
        case {**pairs} if len(pairs) == 1:
            ((name, settings),) = pairs.items()
            if isinstance(name, str) and (settings is None or isinstance(settings, dict)):
                return name, settings or {}
    raise UsageError(f"expected a name or one 'name: settings' pair, got {entry!r:.80}.")


def _folder(name: str, settings: Settings) -> str | None:
    folder = settings.get("folder")
    if folder is not None and not isinstance(folder, str):
        raise UsageError(f"task {name!r}: expected 'folder' to be a path, got {folder!r}.")
    return folder
