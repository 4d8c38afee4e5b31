"""Cost and quality, and reliability, of one task."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from sklearn.calibration import calibration_curve

from medtransfer.metrics.declared_metrics import metrics
from medtransfer.reports.figures.calibration import calibration_charts
from medtransfer.reports.figures.frontier import frontier_charts, pareto_front
from medtransfer.reports.figures.picture_drawing import draw_png
from medtransfer.reports.figures.plotly_drawing import draw_plotly
from medtransfer.reports.figures.ticks import logarithmic_limits, logarithmic_ticks
from medtransfer.reports.study_reading import read_study


def _task(reading: Any, name: str) -> Any:
    return next(task for task in reading.tasks.values() if task.name == name)


def _point(chart: Any, panel: int, model: str) -> tuple[float, float]:
    series = next(s for s in chart.panels[panel].series if (s.name, s.draw) == (model, "estimate"))
    return series.x[0], series.y[0]


def _front(chart: Any, panel: int) -> list[tuple[float, float]]:
    series = next(s for s in chart.panels[panel].series if s.draw == "line")
    return list(zip(series.x, series.y, strict=True))


def _not_beaten(points: list[tuple[float, float]]) -> set[tuple[float, float]]:
    """Points (cost, quality) that none beats, by comparing all with all."""
    return {
        (cost, quality)
        for cost, quality in points
        if not any(c <= cost and q >= quality and (c, q) != (cost, quality) for c, q in points)
    }


def test_costs_are_means_over_runs(wide_reading: Any) -> None:
    (chart,) = frontier_charts(wide_reading, _task(wide_reading, "task-0"))
    assert [panel.x.title for panel in chart.panels] == [
        "Training time (CPU seconds)",
        "Trained parameters (millions)",
        "Training images per second",
    ]
    assert _point(chart, 0, "mobilenetv1_100.sup_in1k")[0] == pytest.approx(21)
    assert _point(chart, 1, "mobilenetv1_100.sup_in1k")[0] == pytest.approx(2)
    assert _point(chart, 2, "mobilenetv1_100.sup_in1k")[0] == pytest.approx(100)
    values = [
        r.outcome.metrics["test"]["auc"]["value"]
        for r in wide_reading.records
        if (r.description.task, r.description.protocol) == ("task-0", "finetune")
        and r.description.model == "mobilenetv1_100.sup_in1k"
    ]
    assert _point(chart, 0, "mobilenetv1_100.sup_in1k")[1] == pytest.approx(np.mean(values))


def test_the_front_holds_what_no_model_beats_in_both(wide_reading: Any, wide: ModuleType) -> None:
    for number in range(8):
        (chart,) = frontier_charts(wide_reading, _task(wide_reading, f"task-{number}"))
        for panel, sign in ((0, 1), (1, 1), (2, -1)):
            points = [(sign * x, y) for x, y in (_point(chart, panel, model) for model in wide.MODELS)]
            assert {(sign * x, y) for x, y in _front(chart, panel)} == _not_beaten(points)


def test_where_lower_is_better_the_front_goes_down(
    wide: ModuleType, synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(metrics._entries, "auc", replace(metrics.get("auc"), higher_is_better=False))
    reading = read_study(wide.wide_study(synthetic, tasks=1).evidence())
    (chart,) = frontier_charts(reading, _task(reading, "task-0"))
    points = [(x, -y) for x, y in (_point(chart, 0, model) for model in wide.MODELS)]
    assert {(x, -y) for x, y in _front(chart, 0)} == _not_beaten(points)


@pytest.mark.parametrize("seed", range(20))
def test_pareto_fronts_of_random_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = [tuple(pair) for pair in rng.integers(0, 6, (12, 2)).tolist()]
    found = pareto_front(points)
    assert {points[place] for place in found} == _not_beaten(points)
    assert [points[place][0] for place in found] == sorted(points[place][0] for place in found)


def test_heads_on_stored_features_have_no_costs_of_their_own(wide_reading: Any) -> None:
    charts = frontier_charts(wide_reading, _task(wide_reading, "task-0"))
    assert [chart.title for chart in charts] == ["task-0: cost and quality, finetune, 100\xa0% of the labels"]
    assert "a trial of linear: features are computed once" in charts[0].description


def test_without_recorded_costs_there_is_no_chart(reading: Any) -> None:
    assert frontier_charts(reading, _task(reading, "breastmnist")) == []


def test_what_some_runs_did_not_record_is_said(wide: ModuleType, synthetic: ModuleType) -> None:
    maker = wide.wide_study(synthetic, tasks=1)
    for place, record in enumerate(maker.records):
        if record.description.model == "resnet20.random" and record.outcome.details:
            lost = {k: v for k, v in record.outcome.details.items() if k != "trained_parameters"}
            maker.records[place] = replace(record, outcome=replace(record.outcome, details=lost))
    reading = read_study(maker.evidence())
    (chart,) = frontier_charts(reading, _task(reading, "task-0"))
    assert "Not recorded for every model: parameters." in chart.description
    names = {s.name for s in chart.panels[1].series if s.draw == "estimate"}
    assert names == set(wide.MODELS) - {"resnet20.random"}


def test_ticks_and_limits_hold_every_value() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        values = (10 ** rng.uniform(-4, 9, rng.integers(1, 6))).tolist()
        ticks = logarithmic_ticks(values)
        low, high = logarithmic_limits(values, ticks)
        places = [place for place, _ in ticks]
        assert 1 <= len(ticks) <= 5
        assert places == sorted(set(places))
        assert low < min(*values, *places)
        assert high > max(*values, *places)


def test_curves_are_those_of_scikit_learn(reading: Any, synthetic: ModuleType) -> None:
    linear, finetune = calibration_charts(reading, _task(reading, "breastmnist"))
    frames = synthetic.full_study().frames
    for chart, protocol in ((linear, "linear"), (finetune, "finetune")):
        labels, scores = [], []
        for record in reading.records:
            d = record.description
            place = (d.task, d.model, d.protocol, d.label_fraction)
            if record.outcome and place == ("breastmnist", "resnet20.random", protocol, 1.0):
                frame = frames[d.fingerprint]
                test = frame[(frame["checkpoint"] == "best") & (frame["split"] == "test")]
                labels.extend(test["label"])
                scores.extend(test["score:normal"])
        observed, predicted = calibration_curve(labels, scores, n_bins=15)
        points = next(s for s in chart.panels[0].series if (s.name, s.draw) == ("resnet20.random", "runs"))
        assert list(points.x) == pytest.approx(predicted.tolist())
        assert list(points.y) == pytest.approx(observed.tolist())
    assert "ece-equal-width-15" in finetune.description


def test_masks_have_no_reliability(reading: Any) -> None:
    assert calibration_charts(reading, _task(reading, "drive-vessel")) == []


def test_models_that_saw_the_images_have_no_curve(reading: Any) -> None:
    for chart in calibration_charts(reading, _task(reading, "dermamnist")):
        assert "resnet50.mocov2_ham10000" not in {series.name for series in chart.panels[0].series}


def test_everything_can_be_drawn(wide_reading: Any, reading: Any, hostile_reading: Any) -> None:
    hostile = next(iter(hostile_reading.tasks.values()))
    charts = [
        *frontier_charts(wide_reading, _task(wide_reading, "task-1")),
        *calibration_charts(reading, _task(reading, "phantom-chest")),
        *calibration_charts(hostile_reading, hostile),
    ]
    assert len(charts) == 4
    for chart in charts:
        assert draw_png(chart).startswith(b"\x89PNG")
        go.Figure(draw_plotly(chart))
