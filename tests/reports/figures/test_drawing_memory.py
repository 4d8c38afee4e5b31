"""Figures of many charts are not kept."""

from __future__ import annotations

import gc

from matplotlib.figure import Figure

from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.figures.picture_drawing import draw_png, draw_vector

CHART = Chart(
    "a", "title", "words", (ChartPanel(Axis("x"), Axis("y"), (Series("s", (1.0, 2.0), (1.0, 3.0), 0),)),), 200
)


def _figures() -> int:
    return sum(type(each) is Figure for each in gc.get_objects())


def test_no_figure_waits_for_the_collector() -> None:
    gc.collect()
    before = _figures()
    assert gc.isenabled()
    pictures = [draw_png(CHART), draw_png(CHART)]
    assert _figures() == before
    draw_vector(CHART, "svg")
    assert _figures() == before
    assert gc.isenabled()
    assert pictures[0] == pictures[1]


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        draw_png(CHART)
        assert not gc.isenabled()
    finally:
        gc.enable()
