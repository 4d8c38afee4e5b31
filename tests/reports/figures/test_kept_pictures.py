"""A picture is drawn again exactly when it would look different."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from medtransfer.reports.figures import picture_drawing
from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.figures.kept_pictures import picture

CHART = Chart(
    id="runs-1",
    title="Runs",
    description="Two runs",
    panels=(ChartPanel(Axis("run"), Axis("AUC"), (Series("a", (0.0, 1.0), (0.5, None), colour=0),)),),
    height=200,
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    titles: list[str] = []
    draw = picture_drawing.draw_png

    def counting(chart: Chart, texts: dict[str, str]) -> bytes:
        titles.append(chart.title)
        return draw(chart, texts)

    monkeypatch.setattr(picture_drawing, "draw_png", counting)
    return titles


def test_the_same_chart_is_drawn_once(tmp_path: Path, drawn: list[str]) -> None:
    path = tmp_path / "runs-1.png"
    path.write_bytes(picture(CHART, path))
    assert picture(CHART, path) == path.read_bytes()
    assert drawn == ["Runs"]


def test_another_chart_is_drawn(tmp_path: Path, drawn: list[str]) -> None:
    path = tmp_path / "runs-1.png"
    path.write_bytes(picture(CHART, path))
    changed = replace(CHART, title="Other runs")
    assert picture(changed, path) != path.read_bytes()
    assert drawn == ["Runs", "Other runs"]


@pytest.mark.parametrize("damage", [lambda whole: whole[:-20], lambda whole: b"", lambda whole: b"text"])
def test_what_is_no_whole_picture_is_drawn_again(tmp_path: Path, drawn: list[str], damage) -> None:
    path = tmp_path / "runs-1.png"
    whole = picture(CHART, path)
    path.write_bytes(damage(whole))
    assert picture(CHART, path) == whole
    assert len(drawn) == 2
