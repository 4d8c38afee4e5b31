"""Critical difference, performance profiles and model profiles against scipy and by counting."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from scipy import stats

from medtransfer.reports.figures.critical_difference import close_groups, critical_difference_chart
from medtransfer.reports.figures.model_profile import profile_charts
from medtransfer.reports.figures.performance_profiles import performance_profiles_chart
from medtransfer.reports.figures.picture_drawing import draw_png
from medtransfer.reports.figures.plotly_drawing import draw_plotly
from medtransfer.reports.study_reading import read_study


def _panel(reading: Any, protocol: str) -> Any:
    return next(p for p in reading.panels if (p.block.protocol, p.fraction) == (protocol, 1.0))


def _model(reading: Any, label: str) -> Any:
    return next(model for model in reading.models.values() if model.label == label)


def _runs(reading: Any, protocol: str) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    for record in reading.records:
        d = record.description
        if d.protocol == protocol and record.outcome:
            value = record.outcome.metrics["test"]["auc"]["value"]
            found.setdefault(d.model, {}).setdefault(d.task, []).append(value)
    return found


def test_the_diagram_has_mean_ranks_and_nemenyis_difference(wide_reading: Any) -> None:
    chart = critical_difference_chart(wide_reading, _panel(wide_reading, "finetune"))
    runs = _runs(wide_reading, "finetune")
    values = np.array([[np.mean(runs[m][t]) for m in runs] for t in runs["resnet20.random"]])
    ranks = dict(zip(runs, stats.rankdata(-values, axis=1).mean(axis=0), strict=True))
    (panel,) = chart.panels
    points = next(s for s in panel.series if s.name == "mean rank")
    labels = dict(panel.y.ticks)
    assert [labels[y] for y in points.y] == sorted(ranks, key=ranks.get)
    assert list(points.x) == pytest.approx(sorted(ranks.values()))
    length = next(s for s in panel.series if s.name == "critical difference")
    distance = stats.studentized_range.ppf(0.95, 4, np.inf) / np.sqrt(2) * np.sqrt(4 * 5 / (6 * 8))
    assert length.x[1] - length.x[0] == pytest.approx(distance)
    ordered = sorted(ranks.values())
    for bar in (s for s in panel.series if s.name == "not separated by rank"):
        first, last = round(bar.y[0] + 0.3), round(bar.y[1] - 0.3)
        assert ordered[last] - ordered[first] <= distance
        assert panel.x.limits[1] > bar.x[0] > max(ordered)
    assert f"{distance:.2f}" in chart.description


@pytest.mark.parametrize(
    ("ranks", "distance", "groups"),
    [
        ([1.0, 2.0, 3.0, 4.0], 0.5, []),
        ([1.0, 2.0, 3.0, 4.0], 9.0, [(0, 3)]),
        ([1.0, 2.0, 3.0], 1.0, [(0, 1), (1, 2)]),
        ([2.0, 2.0], 0.1, [(0, 1)]),
        ([1.0, 1.2, 3.0, 3.1, 3.9], 1.0, [(0, 1), (2, 4)]),
    ],
)
def test_groups_are_the_longest_runs_within_the_distance(
    ranks: list[float], distance: float, groups: list[tuple[int, int]]
) -> None:
    assert close_groups(ranks, distance) == groups


def test_below_six_complete_tasks_there_is_no_diagram(
    reading: Any, wide: ModuleType, synthetic: ModuleType
) -> None:
    assert critical_difference_chart(reading, _panel(reading, "finetune")) is None
    five = read_study(wide.wide_study(synthetic, tasks=5, runs=1).evidence())
    assert critical_difference_chart(five, _panel(five, "finetune")) is None
    maker = wide.wide_study(synthetic, tasks=7, runs=1)
    maker.records = [
        r for r in maker.records if (r.description.task, r.description.model) != ("task-0", "resnet20.random")
    ]
    six = read_study(maker.evidence())
    chart = critical_difference_chart(six, _panel(six, "finetune"))
    assert "1 of 7 tasks fell out: task-0 (no value of resnet20.random)." in chart.description


def test_profiles_are_shares_of_normalised_runs_above_each_score(wide_reading: Any) -> None:
    chart = performance_profiles_chart(wide_reading, _panel(wide_reading, "finetune"))
    runs = _runs(wide_reading, "finetune")
    (panel,) = chart.panels
    for model, by_task in runs.items():
        scores = []
        for task, values in by_task.items():
            means = [np.mean(runs[m][task]) for m in runs]
            scores += [(v - min(means)) / (max(means) - min(means)) for v in values]
        line = next(s for s in panel.series if (s.name, s.draw) == (model, "line"))
        band = next(s for s in panel.series if (s.name, s.draw) == (model, "band"))
        apart = [place for place, at in enumerate(line.x) if np.abs(np.array(scores) - at).min() > 1e-9]
        assert len(apart) > 90
        for place in apart:
            assert line.y[place] == pytest.approx(np.mean(np.array(scores) > line.x[place]))
        assert all(low <= high for low, high in zip(band.low, band.high, strict=True))
    assert (line.x[0], line.x[-1]) == (-0.25, 1.25)
    assert chart.description.startswith("Descriptive: ")
    assert "too narrow to test anything" in chart.description


def test_deterministic_results_have_no_bands(wide_reading: Any) -> None:
    chart = performance_profiles_chart(wide_reading, _panel(wide_reading, "linear"))
    assert {series.draw for series in chart.panels[0].series} == {"line"}
    assert "No bands" in chart.description


def test_one_task_or_one_model_has_no_profiles(wide: ModuleType, synthetic: ModuleType) -> None:
    one = read_study(wide.wide_study(synthetic, tasks=1, runs=2).evidence())
    assert performance_profiles_chart(one, _panel(one, "finetune")) is None
    maker = wide.wide_study(synthetic, tasks=3, runs=2)
    maker.records = [r for r in maker.records if r.description.model == "resnet20.random"]
    alone = read_study(maker.evidence())
    assert performance_profiles_chart(alone, _panel(alone, "finetune")) is None


def test_a_model_profile_shows_distance_and_rank_of_every_task(reading: Any) -> None:
    linear, finetune = profile_charts(reading, _model(reading, "resnet20.random"))
    distances, ranks = finetune.panels
    assert [label for _, label in distances.y.ticks] == [task.label for task in reading.tasks.values()]
    points = next(s for s in distances.series if s.name == "distance to the best")
    assert all(x <= 0 for x in points.x)
    assert points.low[1] is None, "a single run has no interval"
    found = ranks.series[0]
    assert all(low <= rank <= high for low, rank, high in zip(found.low, found.x, found.high, strict=True))
    assert linear.id != finetune.id


def test_a_model_alone_or_on_one_task_has_no_profile_chart(wide: ModuleType, synthetic: ModuleType) -> None:
    one = read_study(wide.wide_study(synthetic, tasks=1, runs=1).evidence())
    assert profile_charts(one, _model(one, "resnet20.random")) == []
    maker = wide.wide_study(synthetic, tasks=3, runs=1)
    maker.records = [r for r in maker.records if r.description.model == "resnet20.random"]
    alone = read_study(maker.evidence())
    assert profile_charts(alone, _model(alone, "resnet20.random")) == []


def test_everything_can_be_drawn(wide_reading: Any, reading: Any) -> None:
    charts = [
        critical_difference_chart(wide_reading, _panel(wide_reading, "finetune")),
        performance_profiles_chart(wide_reading, _panel(wide_reading, "finetune")),
        *profile_charts(reading, _model(reading, "resnet20.random")),
    ]
    for chart in charts:
        assert draw_png(chart).startswith(b"\x89PNG")
        go.Figure(draw_plotly(chart))
