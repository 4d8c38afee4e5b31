"""Every run of a task as a point: source models on one axis, protocols and label fractions as groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medtransfer.reports.cells import Cell
from medtransfer.reports.estimates import Estimate, Slot
from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.phrases import number, percent
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportModel, ReportTask
from medtransfer.reports.tables.cell_text import OVERLAP_MARKS, interval_lines, value_text

_DODGE = 0.7
_ROW_HEIGHT, _GROUP_HEIGHT, _FRAME_HEIGHT = 26, 13, 150


def runs_chart(reading: StudyReading, task: ReportTask) -> Chart | None:
    """Return the chart of a task; None when no trial of it has a value."""
    panels = [panel for panel in reading.panels if any(row.row.task == task.key for row in panel.rows)]
    models = [model for model in reading.models.values() if any(_cell(p, task, model) for p in panels)]
    series = [
        s for number_of, panel in enumerate(panels) for s in _group(reading, task, panels, number_of, models)
    ]
    if not series:
        return None
    ticks = tuple((float(place), _tick(panels, task, model)) for place, model in enumerate(models))
    return Chart(
        id=f"runs-{list(reading.tasks).index(task.key) + 1}",
        title=f"{task.label}: every run",
        description=(
            f"{task.primary.title} on test, every run a small point. Large filled signs: mean over "
            "training runs with "
            "its 95 % t interval. Large open signs: one deterministic result with its 95 % interval over "
            "test "
            "patients. A single run of a training that depends on a seed has no interval."
        ),
        panels=(
            ChartPanel(Axis(f"{task.primary.title} (test)"), Axis("", ticks, downwards=True), tuple(series)),
        ),
        height=_FRAME_HEIGHT + len(models) * (_ROW_HEIGHT + _GROUP_HEIGHT * len(panels)),
    )


def group_name(panel: Panel) -> str:
    """Return the legend entry of a protocol at a label fraction."""
    return f"{panel.block.label}, {percent(panel.fraction)}"


def _group(
    reading: StudyReading,
    task: ReportTask,
    panels: Sequence[Panel],
    number_of: int,
    models: Sequence[ReportModel],
) -> Iterator[Series]:
    """Yield the estimates of one group over runs and over patients, then its runs, on top."""
    panel = panels[number_of]
    shift = _DODGE * ((number_of + 0.5) / len(panels) - 0.5)
    fraction = reading.fractions.index(panel.fraction)
    several_blocks = len({other.number for other in panels}) > 1
    colour = panel.number if several_blocks else fraction
    found = [
        (place + shift, model, estimate)
        for place, model in enumerate(models)
        if (estimate := _estimate(panel, task, model)) is not None
    ]
    if not found:
        return
    points = [
        (value, y, f"{model.label}: {number(value, 4)}, repetition {repetition}")
        for y, model, estimate in found
        for repetition, value in estimate.runs
    ]
    name = group_name(panel)
    with_interval = [entry for entry in found if entry[2].over]
    for hollow in (False, True):
        part = [entry for entry in with_interval if (entry[2].over == "test patients") is hollow]
        if part:
            yield _estimates(name, part, colour, fraction, hollow)
    yield Series(
        name=name,
        x=tuple(x for x, _, _ in points),
        y=tuple(y for _, y, _ in points),
        texts=tuple(text for _, _, text in points),
        colour=colour,
        symbol=fraction,
        in_legend=not with_interval,
    )


def _estimates(
    name: str, found: Sequence[tuple[float, ReportModel, Estimate]], colour: int, symbol: int, hollow: bool
) -> Series:
    return Series(
        name=name,
        x=tuple(estimate.mean or 0.0 for _, _, estimate in found),
        y=tuple(y for y, _, _ in found),
        texts=tuple(
            f"{model.label}: {value_text(estimate)}\n{' '.join(interval_lines(estimate))}"
            for _, model, estimate in found
        ),
        low=tuple(estimate.low for _, _, estimate in found),
        high=tuple(estimate.high for _, _, estimate in found),
        along="x",
        colour=colour,
        symbol=symbol,
        draw="estimate",
        hollow=hollow,
    )


def _cell(panel: Panel, task: ReportTask, model: ReportModel) -> Cell | None:
    return next((row.cells.get(model.key) for row in panel.rows if row.row.task == task.key), None)


def _estimate(panel: Panel, task: ReportTask, model: ReportModel) -> Estimate | None:
    cell = _cell(panel, task, model)
    estimate = cell.estimates.get(Slot(task.primary.name)) if cell else None
    return estimate if estimate is not None and estimate.mean is not None else None


def _tick(panels: Sequence[Panel], task: ReportTask, model: ReportModel) -> str:
    cell = next(cell for panel in panels if (cell := _cell(panel, task, model)))
    mark = OVERLAP_MARKS.get(cell.overlap, "") if cell.applicable else "– not applicable"
    return f"{model.label} {mark}".rstrip()
