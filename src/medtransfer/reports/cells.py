"""Cells: the trials of one task, source model, protocol and label fraction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from medtransfer.reports.estimates import Estimate, Slot
from medtransfer.reports.evidence import fact, model_key, settings_hash, task_key
from medtransfer.reports.subjects import Block
from medtransfer.store.records import Record, State


@dataclass(frozen=True)
class Place:
    """Where a cell stands."""

    block: int
    """Number of the block, from 0."""
    fraction: float
    """Label fraction."""
    task: str
    """Key of the task."""
    model: str
    """Key of the source model."""

    @property
    def row(self) -> Row:
        """The row it belongs to."""
        return Row(self.block, self.fraction, self.task)


@dataclass(frozen=True)
class Row:
    """One task under one protocol at one label fraction: the family of a comparison."""

    block: int
    """Number of the block, from 0."""
    fraction: float
    """Label fraction."""
    task: str
    """Key of the task."""


@dataclass(frozen=True)
class Cell:
    """The trials of one place and what their numbers say."""

    place: Place
    """Where it stands."""
    records: tuple[Record, ...]
    """Its trials by repetition, at least one, in whatever state."""
    estimates: Mapping[Slot, Estimate] = field(default_factory=dict)
    """What the finished trials say, by metric, checkpoint and split; filled by the study reading."""

    def number_in(self, *states: State) -> int:
        """Return how many of its trials are in one of the states."""
        return sum(record.state in states for record in self.records)

    @property
    def finished(self) -> tuple[Record, ...]:
        """Its finished trials."""
        return tuple(record for record in self.records if record.outcome is not None)

    @property
    def failed(self) -> int:
        """Number of failed trials."""
        return self.number_in(State.FAILED)

    @property
    def waiting(self) -> int:
        """Number of trials that are not finished yet."""
        return self.number_in(State.PENDING, State.RUNNING)

    @property
    def deterministic(self) -> bool:
        """Whether no seed can change its numbers."""
        return not any(record.description.varied for record in self.records)

    @property
    def varied(self) -> tuple[str, ...]:
        """What differs between its runs besides the seed's value."""
        return tuple(dict.fromkeys(name for record in self.records for name in record.description.varied))

    @property
    def settings_hash(self) -> str:
        """Digest of the protocol's settings."""
        return settings_hash(self.records[0])

    @property
    def overlap(self) -> str:
        """``clean``, ``same``, ``source`` or ``unknown``: whether pretraining has seen the images."""
        return str(fact(self.records[0], "overlap", "unknown"))

    @property
    def overlap_reason(self) -> str:
        """Why, as one clause."""
        return str(fact(self.records[0], "overlap_reason", ""))

    @property
    def applicable(self) -> bool:
        """Whether the result means transfer; false when the model was pretrained on these images."""
        return self.overlap != "same"

    def with_estimates(self, estimates: Mapping[Slot, Estimate]) -> Cell:
        """Return a copy with estimates."""
        return replace(self, estimates=estimates)


def gather_cells(records: Iterable[Record], blocks: Sequence[Block]) -> dict[Place, Cell]:
    """Return the cells by place, in the order in which the records name them."""
    numbers = {
        (block.protocol, digest): number for number, block in enumerate(blocks) for digest in block.hashes
    }
    gathered: dict[Place, list[Record]] = {}
    for record in records:
        d = record.description
        block = numbers[d.protocol, settings_hash(record)]
        place = Place(block, d.label_fraction, task_key(record), model_key(record))
        gathered.setdefault(place, []).append(record)
    return {
        place: Cell(place, tuple(sorted(found, key=lambda r: r.description.repetition)))
        for place, found in gathered.items()
    }
