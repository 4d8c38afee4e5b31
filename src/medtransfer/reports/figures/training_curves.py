"""Training curves: loss and validation metric per epoch, every run a thin line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.on_demand import OnDemand
from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.tables.results import panel_id, panel_title
from medtransfer.store.records import Outcome

_HEIGHT = 400


def training_curves_charts(reading: StudyReading) -> OnDemand[Chart]:
    """Return a chart for every task, protocol and label fraction whose trials have epochs.

    A chart holds every epoch of every run of its row, so each is made when it is asked for.
    """
    rows = [(panel, row) for panel in reading.panels for row in panel.rows if any(_runs(reading, row))]
    return OnDemand([partial(_chart, reading, panel, row) for panel, row in rows])


def _chart(reading: StudyReading, panel: Panel, row: RowReading) -> Chart:
    runs = list(_runs(reading, row))
    task = reading.tasks[row.row.task]
    epochs = Axis("Epoch")
    losses = tuple(s for run in runs for s in (_line(run, "train_loss"), _line(run, "val_loss", dashed=True)))
    values = tuple(_line(run, "val_metric", in_legend=False) for run in runs)
    return Chart(
        id=f"{panel_id(panel, 'curves')}-{list(reading.tasks).index(task.key) + 1}",
        title=f"{task.label}: training curves, {panel_title(panel)}",
        description=(
            "Left: loss per epoch, training solid and validation dashed. "
            f"Right: {task.primary.title} on validation. Every run is a thin line; colours are source models."
        ),
        panels=(
            ChartPanel(epochs, Axis("Loss"), losses),
            ChartPanel(epochs, Axis(f"{task.primary.title} (validation)"), values),
        ),
        height=_HEIGHT,
    )


Run = tuple[int, str, int, Outcome]
"""Number of the model, its label, repetition, outcome."""


def _runs(reading: StudyReading, row: RowReading) -> Iterator[Run]:
    for number, (key, model) in enumerate(reading.models.items()):
        if key not in row.cells or not row.cells[key].applicable:
            continue
        for record in row.cells[key].finished:
            if record.outcome is not None and len(record.outcome.curve) > 1:
                yield number, model.label, record.description.repetition, record.outcome


def _line(run: Run, name: str, *, dashed: bool = False, in_legend: bool | None = None) -> Series:
    number, label, repetition, outcome = run
    values = _values(outcome, name)
    return Series(
        name=label,
        x=tuple(float(epoch["epoch"] or 0) for epoch in outcome.curve),
        y=tuple(values),
        texts=(f"{label}, repetition {repetition}, {name.replace('_', ' ')}",) * len(values),
        colour=number,
        draw="line",
        dashed=dashed,
        in_legend=not dashed if in_legend is None else in_legend,
    )


def _values(outcome: Outcome, name: str) -> Sequence[float | None]:
    return [None if epoch.get(name) is None else float(epoch[name] or 0.0) for epoch in outcome.curve]
