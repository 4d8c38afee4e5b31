"""A study as a report reads it: subjects, rows of cells, and trials that did not end well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from medtransfer.reports.cells import Cell, Row, gather_cells
from medtransfer.reports.depth import choose_depth
from medtransfer.reports.evidence import Evidence
from medtransfer.reports.kept_pairs import PairsKeeper
from medtransfer.reports.rows import RowReading, read_row
from medtransfer.reports.subjects import Block, ReportModel, ReportTask, read_blocks, read_models, read_tasks
from medtransfer.store.records import Record, State


@dataclass(frozen=True)
class Panel:
    """One results table: a block at one label fraction."""

    number: int
    """Number of the block, from 0."""
    block: Block
    """Protocol and settings."""
    fraction: float
    """Label fraction."""
    rows: tuple[RowReading, ...]
    """One row per task, in the order of the study."""


@dataclass(frozen=True)
class StudyReading:
    """All that tables, figures and files are made from; computed once."""

    evidence: Evidence
    """What was read."""
    tasks: Mapping[str, ReportTask]
    """Tasks by key, in the order of the study."""
    models: Mapping[str, ReportModel]
    """Source models by key, in the order of the study."""
    panels: tuple[Panel, ...]
    """Results tables: by block, then by label fraction, largest first."""

    @property
    def study(self) -> str:
        """Name of the study."""
        return self.evidence.study

    @property
    def records(self) -> tuple[Record, ...]:
        """All trials."""
        return tuple(self.evidence.records)

    @property
    def failures(self) -> tuple[Record, ...]:
        """Trials that ended without a result."""
        return tuple(record for record in self.records if record.state is State.FAILED)

    @property
    def fractions(self) -> tuple[float, ...]:
        """All label fractions, largest first."""
        return tuple(sorted({panel.fraction for panel in self.panels}, reverse=True))

    def cells(self) -> Iterator[tuple[Panel, RowReading, Cell]]:
        """Yield every cell that has trials, in the order of the tables."""
        for panel in self.panels:
            for row in panel.rows:
                for model in self.models:
                    if model in row.cells:
                        yield panel, row, row.cells[model]

    def number_of(self, task: ReportTask) -> int:
        """Return the number of a task, from 1; part of the anchors of what is about it."""
        return list(self.tasks).index(task.key) + 1

    def rows_of(self, task: ReportTask, *, most_labels: bool = False) -> Iterator[tuple[Panel, RowReading]]:
        """Yield the rows of a task, in the order of the tables.

        Args:
            task: The task.
            most_labels: Whether only the largest label fraction of each protocol is wanted.
        """
        seen = set()
        for panel in self.panels:
            for row in panel.rows:
                if row.row.task == task.key and not (most_labels and panel.number in seen):
                    seen.add(panel.number)
                    yield panel, row

    def models_of(self, panel: Panel) -> tuple[ReportModel, ...]:
        """Return the models that have a trial in a table."""
        return tuple(
            model for key, model in self.models.items() if any(key in row.cells for row in panel.rows)
        )


def read_study(evidence: Evidence) -> StudyReading:
    """Compute everything a report shows.

    Raises:
        DataError: If two models of one task were scored on other test cases.
        StoreError: If predictions of a deterministic result are missing or damaged.
    """
    tasks = {task.key: task for task in read_tasks(evidence.records)}
    models = {model.key: model for model in read_models(evidence.records)}
    blocks = read_blocks(evidence.records)
    by_row: dict[Row, dict[str, Cell]] = {}
    for place, cell in gather_cells(evidence.records, blocks).items():
        by_row.setdefault(place.row, {})[place.model] = cell
    labels = {key: model.label for key, model in models.items()}
    depth = choose_depth(by_row, tasks)
    keeper = PairsKeeper()
    rows = {}
    for row, cells in by_row.items():
        read = read_row(row, tasks[row.task], cells, labels, evidence.predictions, depth[row])
        rows[row] = replace(read, pairs=keeper.keep(read.pairs))
    return StudyReading(evidence, tasks, models, tuple(_panels(blocks, tasks, rows)))


def _panels(
    blocks: tuple[Block, ...], tasks: Mapping[str, ReportTask], rows: Mapping[Row, RowReading]
) -> Iterator[Panel]:
    for number, block in enumerate(blocks):
        fractions = {row.fraction for row in rows if row.block == number}
        for fraction in sorted(fractions, reverse=True):
            places = [Row(number, fraction, task) for task in tasks]
            yield Panel(number, block, fraction, tuple(rows[place] for place in places if place in rows))
