"""Every run of study C as a point, a panel per task and metric."""

from __future__ import annotations

from collections.abc import Mapping

from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.phrases import number
from medtransfer.reports.published.run_cells import INITIALIZATIONS, RunCell, Score


def runs_chart(name: str, title: str, cells: Mapping[Score, Mapping[str, RunCell]]) -> Chart:
    """Return every run as a point, a panel per score.

    Args:
        name: Anchor and file name.
        title: Heading.
        cells: Cells by score and initialization; at most five scores fit side by side.
    """
    models = [model for model in INITIALIZATIONS if any(model in found for found in cells.values())]
    ticks = tuple((float(place), model) for place, model in enumerate(models))
    panels = tuple(
        ChartPanel(
            Axis(f"{score.label}, %"),
            Axis("", ticks, downwards=True),
            tuple(_cell_series(found[model], models.index(model)) for model in models if model in found),
        )
        for score, found in cells.items()
    )
    return Chart(
        name,
        title,
        "Every run is a point, four seeds per model. No intervals: they stand in the tables.",
        panels,
        height=140 + 34 * len(models),
    )


def _cell_series(cell: RunCell, place: int) -> Series:
    values = tuple(100 * value for value in cell.values)
    texts = tuple(
        f"{cell.initialization}, run {run}: {number(100 * cell.runs[run], 2)}" for run in sorted(cell.runs)
    )
    colour = list(INITIALIZATIONS).index(cell.initialization)
    return Series(cell.initialization, values, (float(place),) * len(values), colour, colour, "runs", texts)
