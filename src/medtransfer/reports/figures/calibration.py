"""Reliability curves: predicted probability against observed frequency."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.calibration import ReliabilityCurve
from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.phrases import listed, number, percent
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportTask
from medtransfer.reports.tables.calibration import reliabilities

_HEIGHT = 520
_DIAGONAL = 6
_COLOURS = 8
_X_TITLES = {
    TaskKind.BINARY: "Predicted probability of the positive class",
    TaskKind.MULTI_CLASS: "Probability of the predicted class",
    TaskKind.MULTI_LABEL: "Predicted probability, all classes",
}


def calibration_charts(reading: StudyReading, task: ReportTask) -> list[Chart]:
    """Return a chart for every protocol, at its largest label fraction; none for masks."""
    found: dict[int, tuple[Panel, list[tuple[str, ReliabilityCurve]]]] = {}
    for panel, _, label, cell in reliabilities(reading, task):
        if cell.curve is not None:
            found.setdefault(panel.number, (panel, []))[1].append((label, cell.curve))
    return [_chart(reading, task, panel, curves) for panel, curves in found.values()]


def _chart(
    reading: StudyReading, task: ReportTask, panel: Panel, curves: Sequence[tuple[str, ReliabilityCurve]]
) -> Chart:
    places = {model.label: place for place, model in enumerate(reading.models.values())}
    diagonal = Series(
        name="probabilities that are true",
        x=(0.0, 1.0),
        y=(0.0, 1.0),
        colour=_DIAGONAL,
        draw="line",
        dashed=True,
    )
    series = [s for label, curve in curves for s in _curve(label, curve, places[label])]
    ends = (-0.02, 1.02)
    errors = [f"{label} {number(curve.expected_error)}" for label, curve in curves]
    first = curves[0][1]
    return Chart(
        id=f"calibration-{reading.number_of(task)}-{panel.number + 1}",
        title=f"{task.label}: reliability, {panel.block.label}, {percent(panel.fraction)} of the labels",
        description=(
            "Observed frequency against predicted probability on test, the predictions of all runs of a cell "
            f"in {first.bins} bins of equal width; bins without a prediction are left out. Below the dashed "
            "line probabilities are too high, above it too low. Bins with few predictions scatter. Calibration "
            f"error of these curves ({first.error_id}): {listed(errors, most=12)}."
        ),
        panels=(
            ChartPanel(
                Axis(_X_TITLES[task.kind], limits=ends),
                Axis("Observed frequency", limits=ends),
                (diagonal, *series),
            ),
        ),
        height=_HEIGHT,
    )


def _curve(label: str, curve: ReliabilityCurve, place: int) -> Iterator[Series]:
    yield Series(name=label, x=curve.predicted, y=curve.observed, colour=place, draw="line", in_legend=False)
    yield Series(
        name=label,
        x=curve.predicted,
        y=curve.observed,
        texts=tuple(
            f"{label}: predicted {number(p, 2)}, observed {number(o, 2)}, {n:,} predictions"
            for p, o, n in zip(curve.predicted, curve.observed, curve.counts, strict=True)
        ),
        colour=place,
        symbol=place // _COLOURS + place,
    )
