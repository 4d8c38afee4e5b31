from __future__ import annotations

from types import ModuleType
from typing import Any

import plotly.graph_objects as go
import pytest

from medtransfer.reports.composition import compose_report
from medtransfer.reports.figures.chart import DARK_PALETTE, LIGHT_PALETTE
from medtransfer.reports.figures.label_efficiency import label_efficiency_charts
from medtransfer.reports.figures.picture_drawing import draw_png, drawable
from medtransfer.reports.figures.plotly_drawing import draw_plotly, text
from medtransfer.reports.figures.runs import runs_chart
from medtransfer.reports.figures.training_curves import training_curves_charts
from medtransfer.reports.study_reading import read_study


def _task(reading: Any, name: str) -> Any:
    return next(task for task in reading.tasks.values() if task.name == name)


def test_every_run_is_a_point_and_cells_that_saw_the_images_have_none(reading: Any) -> None:
    chart = runs_chart(reading, _task(reading, "dermamnist"))
    points = [x for s in chart.panels[0].series if s.draw == "runs" for x in s.x]
    expected = [
        record.outcome.metrics["test"]["auc"]["value"]
        for record in reading.records
        if record.outcome
        and record.description.task == "dermamnist"
        and record.description.model != "resnet50.mocov2_ham10000"
    ]
    assert sorted(points) == sorted(expected)
    labels = [label for _, label in chart.panels[0].y.ticks]
    assert "resnet50.mocov2_ham10000 – not applicable" in labels


def test_intervals_over_patients_are_hollow_and_those_over_runs_are_filled(reading: Any) -> None:
    chart = runs_chart(reading, _task(reading, "breastmnist"))
    estimates = [s for s in chart.panels[0].series if s.draw == "estimate"]
    assert {(s.name, s.hollow) for s in estimates} == {
        ("linear, 100\xa0%", True),
        ("linear, 10\xa0%", False),
        ("finetune, 100\xa0%", False),
        ("finetune, 10\xa0%", False),
    }
    assert all(low < x < high for s in estimates for x, low, high in zip(s.x, s.low, s.high, strict=True))


def test_label_efficiency_needs_two_fractions(reading: Any, synthetic: ModuleType) -> None:
    charts = label_efficiency_charts(reading)
    assert len(charts) == len(reading.tasks) * 2
    assert [place for place, _ in charts[0].panels[0].x.ticks] == [0.1, 1.0]
    maker = synthetic.StudyMaker()
    maker.add(synthetic.TASKS[0], "resnet20.random", "linear")
    assert label_efficiency_charts(read_study(maker.evidence())) == []


def test_training_curves_show_every_run_of_protocols_with_epochs(reading: Any) -> None:
    charts = training_curves_charts(reading)
    assert len(charts) == 8
    chart = next(c for c in charts if c.title.startswith("breastmnist: training curves, finetune, 100"))
    losses, values = chart.panels
    finished = [
        record
        for record in reading.records
        if record.outcome
        and (record.description.task, record.description.protocol) == ("breastmnist", "finetune")
        and record.description.label_fraction == 1.0
    ]
    assert len(values.series) == len(finished)
    assert len(losses.series) == 2 * len(finished)
    assert sum(series.dashed for series in losses.series) == len(finished)


def test_ids_are_unique(reading: Any) -> None:
    names = [chart.id for chart in compose_report(reading).charts()]
    assert len(names) == len(set(names))


def test_plotly_accepts_every_figure(reading: Any, hostile_reading: Any) -> None:
    for study in (reading, hostile_reading):
        for chart in compose_report(study).charts():
            go.Figure(draw_plotly(chart))


def test_names_are_no_markup_for_plotly() -> None:
    assert text("<b>x</b> & y\nz\x1b") == "&lt;b&gt;x&lt;/b&gt; &amp; y<br>z\\x1b"


def test_pictures_are_png_and_repeat_byte_for_byte(reading: Any, hostile_reading: Any) -> None:
    for study, kind in ((reading, "labels"), (hostile_reading, "runs")):
        chart = next(c for c in compose_report(study).charts() if c.id.startswith(kind))
        picture = draw_png(chart)
        assert picture.startswith(b"\x89PNG\r\n")
        assert picture == draw_png(chart)
        assert b"Software" not in picture


def test_signs_the_font_lacks_become_boxes() -> None:
    assert drawable("网络 a\u0001") == "\u25a1\u25a1 a\\x01"


@pytest.mark.parametrize(
    ("palette", "ground"), [(LIGHT_PALETTE, "#ffffff"), (DARK_PALETTE, "#19212a")], ids=["light", "dark"]
)
def test_colours_stand_out_from_their_ground(palette: tuple[str, ...], ground: str) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colour in palette:
        light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, colour
