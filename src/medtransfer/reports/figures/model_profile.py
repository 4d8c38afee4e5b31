"""The profile of one source model over the tasks: distance to the best, and rank."""

from __future__ import annotations

from collections.abc import Sequence

from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.figures.ticks import count_ticks
from medtransfer.reports.phrases import listed, percent
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.subjects import ReportModel
from medtransfer.reports.tables.model_profile import DISTANCE_NOTE, Standing, rank_notes, standings
from medtransfer.reports.tables.pairwise import signed
from medtransfer.reports.tables.results import panel_title

_ROW_HEIGHT, _FRAME_HEIGHT = 28, 140
_DISTANCE, _RANK, _BEST = 0, 2, 6


def profile_charts(reading: StudyReading, model: ReportModel) -> list[Chart]:
    """Return a chart for every protocol with at least two tasks, each at its largest label fraction.

    Only rows with at least two models count: a model alone has neither rank nor distance.
    """
    found: dict[int, dict[str, Standing]] = {}
    for standing in standings(reading, model):
        if standing.of > 1:
            found.setdefault(standing.panel.number, {}).setdefault(standing.task.key, standing)
    return [_chart(reading, model, list(by_task.values())) for by_task in found.values() if len(by_task) > 1]


def _chart(reading: StudyReading, model: ReportModel, found: Sequence[Standing]) -> Chart:
    panel, models = found[0].panel, max(standing.of for standing in found)
    fractions = {standing.panel.fraction for standing in found}
    title = panel.block.label if len(fractions) > 1 else panel_title(panel)
    labels = [_tick(standing, several=len(fractions) > 1) for standing in found]
    ticks = tuple((float(place), label) for place, label in enumerate(labels))
    metrics = listed(list(dict.fromkeys(standing.task.primary.title for standing in found)))
    unnamed = tuple((float(place), "") for place in range(len(found)))
    return Chart(
        id=f"profile-{list(reading.models).index(model.key) + 1}-{panel.number + 1}",
        title=f"{model.label}: profile over tasks, {title}",
        description=(
            f"Left: distance to the best mean of each task, 0 at the right. {DISTANCE_NOTE} Right: rank. "
            f"{' '.join(rank_notes(found))} Metrics: {metrics}."
        ),
        panels=(
            ChartPanel(
                Axis("Distance to the best (metric units)"),
                Axis("", ticks, downwards=True),
                _distances(found),
            ),
            ChartPanel(
                Axis("Rank (1 is best)", count_ticks(models), limits=(0.5, models + 0.5)),
                Axis("", unnamed, downwards=True),
                _ranks(found),
            ),
        ),
        height=_FRAME_HEIGHT + _ROW_HEIGHT * len(found),
    )


def _tick(standing: Standing, *, several: bool) -> str:
    return f"{standing.task.label}, {percent(standing.panel.fraction)}" if several else standing.task.label


def _distances(found: Sequence[Standing]) -> tuple[Series, ...]:
    places = tuple(float(place) for place in range(len(found)))
    zero = Series(
        name="the best mean", x=(0.0, 0.0), y=(-0.5, len(found) - 0.5), colour=_BEST, draw="line", dashed=True
    )
    points = Series(
        name="distance to the best",
        x=tuple(standing.distance or 0.0 for standing in found),
        y=places,
        texts=tuple(f"{s.task.label}: {signed(s.distance)} {s.task.primary.title}" for s in found),
        low=tuple(standing.low for standing in found),
        high=tuple(standing.high for standing in found),
        along="x",
        colour=_DISTANCE,
        draw="estimate",
    )
    return zero, points


def _ranks(found: Sequence[Standing]) -> tuple[Series, ...]:
    sets = [standing.rank_set for standing in found]
    points = Series(
        name="rank",
        x=tuple(float(standing.rank) for standing in found),
        y=tuple(float(place) for place in range(len(found))),
        texts=tuple(f"{s.task.label}: rank {s.rank} of {s.of}" for s in found),
        low=tuple(None if ends is None else float(ends[0]) for ends in sets),
        high=tuple(None if ends is None else float(ends[1]) for ends in sets),
        along="x",
        colour=_RANK,
        symbol=1,
        draw="estimate",
    )
    return (points,)
