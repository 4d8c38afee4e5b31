"""The critical-difference diagram: mean ranks over tasks, and which of them lie too close to tell apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.phrases import count, number
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.tables.ranks import fell_out, why_no_critical_difference
from medtransfer.reports.tables.results import panel_id, panel_title
from medtransfer.reports.tables.scores_over_tasks import scores_over_tasks
from medtransfer.stats.ranks import critical_difference, rank_models

_ROW_HEIGHT, _FRAME_HEIGHT = 26, 150
_BAR_GAP = 0.03
"""Distance of bars from the ranks and from each other, as a share of the axis."""
_POINTS, _BARS, _LENGTH = 0, 1, 6


def critical_difference_chart(reading: StudyReading, panel: Panel) -> Chart | None:
    """Return the diagram of a panel; None below six complete tasks, where it would mislead."""
    scores = scores_over_tasks(reading, panel)
    if why_no_critical_difference(scores):
        return None
    means = rank_models(scores.values).mean(axis=0)
    order = np.argsort(means, kind="stable")
    ranks = [float(means[place]) for place in order]
    labels = [scores.models[place].label for place in order]
    distance = critical_difference(len(labels), len(scores.tasks))
    groups = close_groups(ranks, distance)
    ticks = ((-1.0, "critical difference"), *((float(i), label) for i, label in enumerate(labels)))
    series, right = _series(labels, ranks, distance, groups)
    return Chart(
        id=panel_id(panel, "critical-difference"),
        title=f"Mean ranks and critical difference, {panel_title(panel)}",
        description=_description(labels, groups, distance, len(scores.tasks), " ".join(fell_out(scores))),
        panels=(
            ChartPanel(
                Axis("Mean rank (1 is best)", limits=(0.7, right)),
                Axis("", ticks, downwards=True),
                series,
            ),
        ),
        height=_FRAME_HEIGHT + _ROW_HEIGHT * (len(labels) + 1),
    )


def close_groups(ranks: Sequence[float], distance: float) -> list[tuple[int, int]]:
    """Return the largest runs of models that lie within a distance, as first and last place.

    Args:
        ranks: Mean ranks, ascending.
        distance: Critical difference.

    Example:
        >>> close_groups([1.0, 1.5, 2.4, 4.0], 1.0)
        [(0, 1), (1, 2)]
    """
    groups: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(place for place, other in enumerate(ranks) if other - rank <= distance)
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups


def _series(
    labels: Sequence[str], ranks: Sequence[float], distance: float, groups: Sequence[tuple[int, int]]
) -> tuple[tuple[Series, ...], float]:
    """Return what is drawn, and where the axis ends."""
    end = max(ranks[-1], 1 + distance)
    step = _BAR_GAP * end
    bars = [
        Series(
            name="not separated by rank",
            x=(end + step * (number_of + 2),) * 2,
            y=(first - 0.3, last + 0.3),
            colour=_BARS,
            draw="rule",
        )
        for number_of, (first, last) in enumerate(groups)
    ]
    length = Series(
        name="critical difference", x=(1.0, 1 + distance), y=(-1.0, -1.0), colour=_LENGTH, draw="rule"
    )
    points = Series(
        name="mean rank",
        x=tuple(ranks),
        y=tuple(float(place) for place in range(len(ranks))),
        texts=tuple(
            f"{label}: mean rank {number(rank, 2)}" for label, rank in zip(labels, ranks, strict=True)
        ),
        colour=_POINTS,
        low=(None,) * len(ranks),
        high=(None,) * len(ranks),
        along="x",
        draw="estimate",
    )
    return (length, *bars, points), end + step * (len(groups) + 3)


def _description(
    labels: Sequence[str], groups: Sequence[tuple[int, int]], distance: float, tasks: int, fell: str
) -> str:
    told = "; ".join(f"{labels[first]} to {labels[last]}" for first, last in groups)
    return (
        f"Mean rank of {count(len(labels), 'model')} over {count(tasks, 'complete task')}. Models joined by a "
        f"bar at the right lie within Nemenyi's critical difference of {number(distance, 2)} (alpha 0.05): "
        f"{told or 'none'}. The difference depends on which models take part; decisions are the pairwise tests "
        f"of the table. {fell}"
    ).strip()
