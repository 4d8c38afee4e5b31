"""How a task's metric grows with the number of labels, one line per source model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medtransfer.reports.estimates import Estimate, Over, Slot
from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.phrases import percent
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportModel, ReportTask
from medtransfer.reports.tables.cell_text import interval_lines, value_text

_APART = 1.03
_HEIGHT = 420


def label_efficiency_charts(reading: StudyReading) -> list[Chart]:
    """Return a chart for every task and protocol with at least two label fractions."""
    charts = []
    for number, task in enumerate(reading.tasks.values(), start=1):
        for block in dict.fromkeys(panel.number for panel in reading.panels):
            panels = [p for p in reading.panels if p.number == block and _has(p, task)]
            if len(panels) > 1:
                chart = _chart(reading, task, panels, f"labels-{number}-{block + 1}")
                charts.extend([chart] if chart else [])
    return charts


def _chart(reading: StudyReading, task: ReportTask, panels: Sequence[Panel], name: str) -> Chart | None:
    models = list(enumerate(reading.models.values()))
    series = tuple(
        s for place, model in models for s in _lines(task, panels, model, place - len(models) / 2, place)
    )
    if not series:
        return None
    fractions = sorted(panel.fraction for panel in panels)
    ticks = tuple((fraction, percent(fraction)) for fraction in fractions)
    return Chart(
        id=name,
        title=f"{task.label}: label efficiency, {panels[0].block.label}",
        description=(
            f"{task.primary.title} on test against the share of training labels. Filled signs: mean over "
            "training "
            "runs with its 95 % t interval; open signs: one deterministic result with its 95 % interval "
            "over test "
            "patients; small signs: no interval. The models stand slightly apart so that intervals can be "
            "told apart."
        ),
        panels=(
            ChartPanel(
                Axis("Training labels", ticks, logarithmic=True),
                Axis(f"{task.primary.title} (test)"),
                series,
            ),
        ),
        height=_HEIGHT,
    )


def _lines(
    task: ReportTask, panels: Sequence[Panel], model: ReportModel, offset: float, colour: int
) -> Iterator[Series]:
    """Yield the line through a model's means, then the means with their intervals."""
    found = [
        (panel.fraction, estimate)
        for panel in sorted(panels, key=lambda panel: panel.fraction)
        for row in panel.rows
        if row.row.task == task.key and model.key in row.cells
        if (estimate := row.cells[model.key].estimates.get(Slot(task.primary.name)))
        and estimate.mean is not None
    ]
    if not found:
        return
    apart = _APART**offset
    yield Series(
        name=model.label,
        x=tuple(fraction * apart for fraction, _ in found),
        y=tuple(estimate.mean for _, estimate in found),
        colour=colour,
        draw="line",
        in_legend=False,
    )
    for over in ("training runs", "test patients", None):
        part = [entry for entry in found if entry[1].over == over]
        if part:
            yield _estimates(model, part, apart, colour, over)


def _estimates(
    model: ReportModel, found: Sequence[tuple[float, Estimate]], apart: float, colour: int, over: Over | None
) -> Series:
    return Series(
        name=model.label,
        x=tuple(fraction * apart for fraction, _ in found),
        y=tuple(estimate.mean for _, estimate in found),
        texts=tuple(
            f"{model.label}, {percent(fraction)} of labels: "
            f"{value_text(estimate)}\n{' '.join(interval_lines(estimate))}"
            for fraction, estimate in found
        ),
        low=tuple(estimate.low for _, estimate in found),
        high=tuple(estimate.high for _, estimate in found),
        colour=colour,
        symbol=colour,
        draw="estimate" if over else "runs",
        hollow=over == "test patients",
    )


def _has(panel: Panel, task: ReportTask) -> bool:
    return any(row.row.task == task.key for row in panel.rows)
