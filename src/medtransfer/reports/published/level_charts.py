"""Figures of published levels: differences from a reference row, and mean ranks."""

from __future__ import annotations

from collections.abc import Sequence

from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.published.level_tables import Heading, headings, initialization
from medtransfer.reports.published.quantities import level_text, signed
from medtransfer.reports.published.records import PublishedResult

_DODGE = 0.7
_SERIES_HEIGHT, _ROW_HEIGHT, _FRAME_HEIGHT = 9, 18, 150


def difference_chart(
    name: str,
    title: str,
    results: Sequence[PublishedResult],
    reference: str,
    *,
    row: Heading = initialization,
) -> Chart:
    """Return differences from the level of a reference row, in points, a colour per task.

    Args:
        name: Anchor and file name.
        title: Heading.
        results: Levels of one table or figure.
        reference: Row every level is compared with.
        row: What makes a row.
    """
    base = {result.task: result for result in results if row(result) == reference}
    rows = [label for label in headings(results, row) if label != reference]
    tasks = [task for task in headings(results, lambda result: result.task) if task in base]
    series = [
        _differences(
            task,
            number,
            len(tasks),
            [r for r in results if r.task == task and row(r) in rows],
            base[task],
            rows,
            row,
        )
        for number, task in enumerate(tasks)
    ]
    ticks = tuple((float(place), label) for place, label in enumerate(rows))
    zero = Series(reference, (0.0, 0.0), (-0.5, len(rows) - 0.5), 6, draw="line", dashed=True)
    return Chart(
        id=name,
        title=title,
        description=(
            f"Difference from the level of {reference} on the same task, in points. The bar at a sign is the "
            "spread the source shows for that cell; it is no interval, and the number of runs is not known. Open "
            "signs: at least one level of the task is read off a figure."
        ),
        panels=(ChartPanel(Axis("difference in points"), Axis("", ticks, downwards=True), (zero, *series)),),
        height=_FRAME_HEIGHT + len(rows) * (_ROW_HEIGHT + _SERIES_HEIGHT * len(tasks)),
    )


def mean_rank_chart(
    name: str,
    title: str,
    description: str,
    ranks: Sequence[tuple[str, float, float, float]],
    critical_difference: float | None,
) -> Chart:
    """Return the mean rank of every model with the range that reading errors allow.

    Args:
        name: Anchor and file name.
        title: Heading.
        description: What it shows.
        ranks: Model, mean rank, and the ends of its range.
        critical_difference: Drawn from the best mean rank on; None where there is none.
    """
    ordered = sorted(ranks, key=lambda entry: (entry[1], entry[0]))
    places = tuple(float(place) for place in range(len(ordered)))
    means = tuple(entry[1] for entry in ordered)
    texts = tuple(f"{label}: {mean:.2f} ({low:.2f} to {high:.2f})" for label, mean, low, high in ordered)
    points = Series(
        name="mean rank, range within the reading error",
        x=means,
        y=places,
        colour=0,
        draw="estimate",
        texts=texts,
        low=tuple(entry[2] for entry in ordered),
        high=tuple(entry[3] for entry in ordered),
        along="x",
    )
    limit = [] if critical_difference is None else [_limit(means[0] + critical_difference, len(ordered))]
    ticks = tuple(zip(places, (entry[0] for entry in ordered), strict=True))
    return Chart(
        id=name,
        title=title,
        description=description,
        panels=(ChartPanel(Axis("mean rank, 1 is best"), Axis("", ticks, downwards=True), (*limit, points)),),
        height=_FRAME_HEIGHT + 20 * len(ordered),
    )


def _limit(place: float, rows: int) -> Series:
    name = "critical difference from the best mean rank"
    return Series(name, (place, place), (-0.5, rows - 0.5), 1, draw="line", dashed=True)


def _differences(
    task: str,
    number: int,
    groups: int,
    results: Sequence[PublishedResult],
    base: PublishedResult,
    rows: Sequence[str],
    row: Heading,
) -> Series:
    shift = _DODGE * ((number + 0.5) / groups - 0.5)
    values = [result.mean - base.mean for result in results]
    spreads = [result.std or 0.0 for result in results]
    return Series(
        name=task,
        x=tuple(values),
        y=tuple(rows.index(row(result)) + shift for result in results),
        colour=number,
        symbol=number,
        draw="estimate",
        texts=tuple(
            f"{row(result)} on {task}: {level_text(result)}, {signed(value)} points"
            for result, value in zip(results, values, strict=True)
        ),
        low=tuple(value - spread for value, spread in zip(values, spreads, strict=True)),
        high=tuple(value + spread for value, spread in zip(values, spreads, strict=True)),
        along="x",
        hollow=any(not result.exact for result in results),
    )
