"""What a study says without effect: settings that no task of a block uses, tasks that stand in no block."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from pydantic import BaseModel

from medtransfer.core.task_kind import TaskKind
from medtransfer.protocols.transfer_protocol import TransferProtocol
from medtransfer.study.entries import named
from medtransfer.study.preparation import PreparedTask
from medtransfer.study.study import Block, Study
from medtransfer.study.study_file import parse_yaml

_LABELS: Final = frozenset(kind for kind in TaskKind if kind.is_classification)
_MASKS: Final = frozenset(TaskKind) - _LABELS
KINDS_BY_WORD: Final[Mapping[str, frozenset[TaskKind]]] = {
    "Classification": _LABELS,
    "Labels": _LABELS,
    "Segmentation": _MASKS,
}
"""First word of a setting's description to the kinds of task that use it."""


def plan_remarks(study: Study, tasks: Mapping[str, PreparedTask]) -> list[str]:
    """Return what a user should know of a study that can be run as it is, one sentence or two each.

    Args:
        study: The study.
        tasks: Its tasks by name, opened.
    """
    kinds = {name: task.task.kind for name, task in tasks.items()}
    found = [remark for block in study.blocks for remark in _idle_settings(block, kinds)]
    return [*dict.fromkeys(found), *_idle_tasks(study)]


def unused_tasks(study: Study) -> list[str]:
    """Return the tasks that a study declares and no block uses, in the order of the file."""
    content = parse_yaml(study.source, "study file") if study.source else {}
    entries = content.get("tasks")
    names = [named(entry, {})[0] for entry in (entries if isinstance(entries, list) else [])]
    return [name for name in dict.fromkeys(names) if name not in study.tasks]


def kinds_that_use(protocol: TransferProtocol, setting: str) -> frozenset[TaskKind]:
    """Return the kinds of task a setting of a protocol means something for, by its description."""
    assert isinstance(protocol, BaseModel)
    description = type(protocol).model_fields[setting].description or ""
    return KINDS_BY_WORD.get(description.partition(":")[0], frozenset(TaskKind))


def _idle_settings(block: Block, kinds: Mapping[str, TaskKind]) -> Iterator[str]:
    present = {kinds[entry.name] for entry in block.tasks}
    for protocol in block.protocols:
        idle = [name for name in _written(protocol) if not present & kinds_that_use(protocol, name)]
        if idle:
            yield (
                f"protocol {protocol.name!r}: expected settings that a task of its block uses, got "
                f"{', '.join(map(repr, idle))}, without effect on {_listed_kinds(present)} tasks. Leave "
                f"{'them' if len(idle) > 1 else 'it'} out."
            )


def _written(protocol: TransferProtocol) -> list[str]:
    """Return the settings that were written down, in the order of the protocol."""
    if not isinstance(protocol, BaseModel):
        return []
    return [name for name in type(protocol).model_fields if name in protocol.model_fields_set]


def _listed_kinds(kinds: Collection[TaskKind]) -> str:
    return " and ".join(sorted(kind.value for kind in kinds))


def _idle_tasks(study: Study) -> Iterator[str]:
    for name in unused_tasks(study):
        yield (
            f"task {name!r}: expected a block that uses it, got none: it is declared, but in no block. "
            "Add it to the 'tasks' of a block, or leave it out."
        )
