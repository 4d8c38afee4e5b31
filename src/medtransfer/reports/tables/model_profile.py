"""The profile of one source model: where it stands on every task, and how far from the best."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from medtransfer.reports.cells import Cell
from medtransfer.reports.estimates import Estimate, Slot
from medtransfer.reports.phrases import NONE, listed
from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportModel, ReportTask
from medtransfer.reports.tables.cell_text import result_cell
from medtransfer.reports.tables.pairwise import signed
from medtransfer.reports.tables.results import interval_notes, panel_title, used_legend
from medtransfer.reports.tables.table import Column, Table, TableCell

RANKS_NOTE = (
    "Rank: by mean. Brackets: the best and the worst rank that all pairwise tests of the row leave open (Holm "
    "over all pairs, alpha 0.05); they hold for all models of a row at once. Models that were not separated "
    "share their ranks."
)
"""How ranks of single tasks are to be read."""
DISTANCE_NOTE = (
    "Distance to the best: difference of means, 0 for the best mean, negative for all others in the sense of "
    "the metric's direction; 95 % interval, not adjusted. The best was chosen by the same results, so its "
    "lead tends to be too large."
)
"""How distances are to be read."""


@dataclass(frozen=True)
class Standing:
    """One model in one row."""

    panel: Panel
    """Protocol and label fraction."""
    row: RowReading
    """The row."""
    task: ReportTask
    """Its task."""
    cell: Cell
    """The model's cell."""
    estimate: Estimate
    """Its primary metric on test, with a mean."""
    rank: int
    """1 plus the number of models with a better mean."""
    of: int
    """Models of the row that have a mean."""
    rank_set: tuple[int, int] | None
    """Best and worst rank the tests leave open; null without tests."""
    distance: float | None
    """Mean minus the best mean, turned so that it is never above 0; null for the only model."""
    low: float | None
    """Lower end of the distance; null for the best and without a test."""
    high: float | None
    """Upper end of the distance."""


def standings(reading: StudyReading, model: ReportModel) -> Iterator[Standing]:
    """Yield where a model stands in every row in which it has a value."""
    for panel in reading.panels:
        for row in panel.rows:
            task = reading.tasks[row.row.task]
            means = _means(row, task)
            if model.key in means:
                yield _standing(reading, panel, row, model, means)


def rank_notes(found: Iterable[Standing]) -> Iterator[str]:
    """Yield how ranks are to be read, and where too few draws or patients leave every rank open."""
    yield RANKS_NOTE
    places: dict[str, list[str]] = {}
    for standing in found:
        pairs = standing.row.pairs
        if (
            standing.rank_set is not None
            and pairs
            and pairs.pairwise.smallest_adjusted_p >= pairs.pairwise.alpha
        ):
            place = f"{standing.task.label} ({panel_title(standing.panel)})"
            places.setdefault(f"{pairs.pairwise.smallest_adjusted_p:.3f}", []).append(place)
    for smallest, rows in places.items():
        yield (
            f"Brackets of {listed(rows)} span every rank whatever the results: no pair can be significant with "
            f"so few draws or patients (smallest adjusted p {smallest})."
        )


def profile_table(reading: StudyReading, model: ReportModel) -> Table | None:
    """Return the results of one model on every task; None when it has no trial."""
    by_row = {id(found.row): found for found in standings(reading, model)}
    rows = tuple(
        _cells(reading, panel, row, model, by_row.get(id(row)))
        for task in reading.tasks.values()
        for panel, row in reading.rows_of(task)
        if model.key in row.cells
    )
    if not rows:
        return None
    found = [row for panel in reading.panels for row in panel.rows if model.key in row.cells]
    return Table(
        id=f"profile-{list(reading.models).index(model.key) + 1}",
        caption=f"{model.label}: primary metric on test, by task",
        columns=(
            Column("Task"),
            Column("Protocol", "and training labels"),
            Column("Value", numeric=True),
            Column("Rank", numeric=True),
            Column("Distance to the best", numeric=True),
        ),
        rows=rows,
        legend=tuple(used_legend(rows)),
        notes=(*rank_notes(by_row.values()), DISTANCE_NOTE, *interval_notes(found)),
    )


def _means(row: RowReading, task: ReportTask) -> Mapping[str, float]:
    """Return the means of a row by model key, turned so that higher is better."""
    slot, sign = Slot(task.primary.name), task.primary.sign
    found = {key: cell.estimates.get(slot) for key, cell in row.cells.items()}
    return {key: sign * e.mean for key, e in found.items() if e is not None and e.mean is not None}


def _standing(
    reading: StudyReading, panel: Panel, row: RowReading, model: ReportModel, means: Mapping[str, float]
) -> Standing:
    task = reading.tasks[row.row.task]
    best = max(means, key=lambda key: means[key])
    own = means[model.key]
    low, high = _interval(row, task, model.label, reading.models[best].label)
    return Standing(
        panel=panel,
        row=row,
        task=task,
        cell=row.cells[model.key],
        estimate=row.cells[model.key].estimates[Slot(task.primary.name)],
        rank=1 + sum(mean > own for mean in means.values()),
        of=len(means),
        rank_set=row.pairs.rank_sets.get(model.label) if row.pairs else None,
        distance=own - means[best] if len(means) > 1 else None,
        low=low,
        high=high,
    )


def _interval(row: RowReading, task: ReportTask, label: str, best: str) -> tuple[float | None, float | None]:
    """Return the interval of a model minus the best, turned so that higher is better."""
    compared = row.pairs.pairwise.comparisons.get((label, best)) if row.pairs else None
    if compared is None or compared.low is None or compared.high is None:
        return None, None
    ends = (task.primary.sign * compared.low, task.primary.sign * compared.high)
    return min(ends), max(ends)


def _cells(
    reading: StudyReading, panel: Panel, row: RowReading, model: ReportModel, found: Standing | None
) -> tuple[TableCell, ...]:
    task = reading.tasks[row.row.task]
    value = result_cell(row.cells[model.key], Slot(task.primary.name), model.label, row.ties)
    heading = (TableCell(task.label, (task.primary.title,)), TableCell(panel_title(panel)))
    if found is None:
        return (*heading, value, TableCell(NONE, tone="absent"), TableCell(NONE, tone="absent"))
    return (*heading, value, _rank_cell(found), _distance_cell(found))


def _rank_cell(found: Standing) -> TableCell:
    text = f"{found.rank} of {found.of}"
    details = () if found.rank_set is None else (f"[{found.rank_set[0]}, {found.rank_set[1]}]",)
    return TableCell(text, details, value=float(found.rank))


def _distance_cell(found: Standing) -> TableCell:
    if found.distance is None:
        return TableCell("only model")
    details = () if found.low is None else (f"[{signed(found.low)}, {signed(found.high)}]",)
    return TableCell(signed(found.distance), details, value=found.distance)
