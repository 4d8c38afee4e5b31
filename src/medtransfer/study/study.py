"""A study: blocks of tasks, source models, protocols, label fractions and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medtransfer.data.label_fractions import LabelOrder
from medtransfer.models.source_model import SourceModel
from medtransfer.protocols.transfer_protocol import TransferProtocol
from medtransfer.study.entries import TaskEntry
from medtransfer.study.study_file import BlockFile, StudyFile, dump_yaml, parse_study, read_yaml

DEFAULT_SEEDS = 5
"""Repetitions when a study does not say how many."""


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
    seeds: int = DEFAULT_SEEDS
    """Repetitions of every trial that a seed can change."""
    label_order: LabelOrder = "patients"
    """Order in which shares of the training split are taken; one for the whole study."""


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
        return _build(parse_study(content, path.parent, f"study file {path}"), text)

    @classmethod
    def parse(cls, content: Mapping[str, Any], folder: Path | None = None) -> Study:
        """Return the study a mapping declares, with the keys of a study file.

        Args:
            content: Plain strings, numbers, lists and mappings.
            folder: Where weights files named relative to the study lie; the current folder if None.

        Raises:
            UsageError: If anything in it is wrong; the message lists every fault.
        """
        parsed = parse_study(content, folder or Path(), f"study {content.get('name', '')!r}")
        return _build(parsed, dump_yaml(content))


def _build(parsed: StudyFile, text: str) -> Study:
    return Study(
        name=parsed.name,
        blocks=tuple(_block(block, parsed) for block in parsed.blocks or [parsed]),
        accept={task: tuple(codes) for task, codes in parsed.accept.items()},
        source=text,
    )


def _block(block: BlockFile, study: StudyFile) -> Block:
    """Return a block with what it leaves out taken from the study."""
    return Block(
        tasks=tuple(block.tasks or study.tasks or ()),
        models=tuple(block.models or study.models or ()),
        protocols=tuple(block.protocols or study.protocols or ()),
        label_fractions=tuple(block.label_fractions or study.label_fractions or (1.0,)),
        seeds=block.seeds or study.seeds or DEFAULT_SEEDS,
        label_order=study.label_order,
    )
