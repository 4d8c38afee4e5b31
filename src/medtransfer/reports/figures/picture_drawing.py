"""Charts as PNG, SVG or PDF pictures, drawn by matplotlib without any global state."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Any, Literal

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator

from medtransfer.reports.figures.chart import LIGHT_PALETTE, Axis, Chart, ChartPanel, Series
from medtransfer.reports.printable import one_line

_SYMBOLS = ("o", "s", "D", "^", "P", "p", "*", "h")
_STYLE: Any = {
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e6ea",
    "axes.edgecolor": "#8a9099",
    "svg.hashsalt": "medtransfer",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}
_NARROW_TICKS = 4
"""Steps of an axis that shares the width with others, so that its labels do not run into each other."""
_WIDTH_IN, _DPI, _PIXELS_PER_IN = 9.0, 150, 96


def draw_png(chart: Chart, texts: Mapping[str, str] | None = None) -> bytes:
    """Return a chart as a PNG picture on white; the same chart gives the same bytes.

    Args:
        chart: What to draw.
        texts: What the picture says of itself, by key.
    """
    return _drawn(chart, "png", {"Software": None, **(texts or {})}, titled=True)


def draw_vector(chart: Chart, kind: Literal["svg", "pdf"]) -> bytes:
    """Return a chart as SVG or PDF for a paper, without title; the same chart gives the same bytes.

    Args:
        chart: What to draw.
        kind: Format. Text stays text in both.
    """
    undated = {"Date": None} if kind == "svg" else {"CreationDate": None}
    return _drawn(chart, kind, undated, titled=False)


def _drawn(chart: Chart, kind: str, metadata: Mapping[str, str | None], *, titled: bool) -> bytes:
    with _let_go_at_the_end():
        return _drawn_figure(chart, kind, metadata, titled=titled)


@contextmanager
def _let_go_at_the_end() -> Iterator[None]:
    """Free what was made inside at once.

    A figure is part of reference cycles, and the pixels of a long chart take 50 MB: a program with much in
    memory rarely looks for such cycles, and would keep the figures of many charts. What was made since the
    collector stopped is all it has to look through.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect(0)
        if collects:
            gc.enable()


def _drawn_figure(chart: Chart, kind: str, metadata: Mapping[str, str | None], *, titled: bool) -> bytes:
    with mpl.rc_context(rc=_STYLE):
        figure = Figure(figsize=(_WIDTH_IN, chart.height / _PIXELS_PER_IN), dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, len(chart.panels), squeeze=False)[0]
        for panel, place in zip(chart.panels, axes, strict=True):
            _draw_panel(place, panel)
            if len(chart.panels) > 1 and not (panel.x.ticks or panel.x.logarithmic):
                place.locator_params(axis="x", nbins=_NARROW_TICKS)
        if titled:
            figure.suptitle(drawable(chart.title), fontsize=11, x=0.01, ha="left", fontweight="bold")
        _draw_legend(figure, chart)
        buffer = BytesIO()
        figure.savefig(buffer, format=kind, metadata=dict(metadata))
    return buffer.getvalue()


def drawable(text: str) -> str:
    """Return text on one line with a box for every sign the font does not have."""
    font = _font()
    return "".join(sign if font.get_char_index(ord(sign)) else "\u25a1" for sign in one_line(text))


@cache
def _font() -> FT2Font:
    return font_manager.get_font(font_manager.findfont("DejaVu Sans"))


def _draw_panel(place: Axes, panel: ChartPanel) -> None:
    for order, series in enumerate(panel.series):
        _draw_series(place, series, order + 3)
    _set_axis(place, "x", panel.x)
    _set_axis(place, "y", panel.y)


def _draw_series(place: Axes, series: Series, order: int) -> None:
    colour = LIGHT_PALETTE[series.colour % len(LIGHT_PALETTE)]
    y = [float("nan") if value is None else value for value in series.y]
    if series.draw in ("line", "rule"):
        width = 0.9 if series.draw == "line" else 3.4
        place.plot(
            series.x, y, color=colour, lw=width, ls="--" if series.dashed else "-", alpha=0.8, zorder=order
        )
        return
    if series.draw == "band":
        low = [float("nan") if value is None else value for value in series.low]
        high = [float("nan") if value is None else value for value in series.high]
        place.fill_between(series.x, low, high, color=colour, alpha=0.18, lw=0, zorder=order)
        return
    large = series.draw == "estimate"
    if large:
        _draw_intervals(place, series, y, colour, order)
    place.plot(
        series.x,
        y,
        linestyle="none",
        marker=_SYMBOLS[series.symbol % len(_SYMBOLS)],
        markersize=6.5 if large else 3.8,
        markerfacecolor="white" if series.hollow else colour,
        markeredgecolor=colour if large else "white",
        markeredgewidth=1.3 if large else 0.5,
        zorder=order,
    )


def _draw_intervals(place: Axes, series: Series, y: list[float], colour: str, order: int) -> None:
    for x, height, low, high in zip(series.x, y, series.low, series.high, strict=True):
        if low is None or high is None:
            continue
        ends = ([low, high], [height, height]) if series.along == "x" else ([x, x], [low, high])
        place.plot(
            *ends, color=colour, lw=1.4, marker="|" if series.along == "x" else "_", ms=5, zorder=order
        )


def _set_axis(place: Axes, which: str, axis: Axis) -> None:
    set_label, set_scale = getattr(place, f"set_{which}label"), getattr(place, f"set_{which}scale")
    set_label(drawable(axis.title))
    if axis.logarithmic:
        set_scale("log")
    if axis.limits is not None:
        getattr(place, f"set_{which}lim")(*axis.limits)
    if axis.ticks:
        places, labels = [at for at, _ in axis.ticks], [drawable(label) for _, label in axis.ticks]
        getattr(place, f"set_{which}ticks")(places, labels)
        getattr(place, f"{which}axis").set_minor_locator(NullLocator())
        getattr(place, f"{which}axis").set_minor_formatter(NullFormatter())
    if axis.downwards:
        places = [at for at, _ in axis.ticks]
        getattr(place, f"set_{which}lim")(max(places) + 0.6, min(places) - 0.6)


def _draw_legend(figure: Figure, chart: Chart) -> None:
    """Show every name once; handles are given so that no name is left out or read as markup."""
    entries: dict[str, Series] = {}
    for panel in chart.panels:
        for series in panel.series:
            if series.in_legend:
                entries.setdefault(series.name, series)
    handles = [_handle(series) for series in entries.values()]
    labels = [drawable(name) for name in entries]
    if handles:
        figure.legend(
            handles, labels, loc="outside lower left", ncols=min(3, len(handles)), frameon=False, fontsize=8
        )


def _handle(series: Series) -> Line2D:
    colour = LIGHT_PALETTE[series.colour % len(LIGHT_PALETTE)]
    if series.draw in ("line", "rule", "band"):
        return Line2D([], [], color=colour, lw=1.5, ls="--" if series.dashed else "-")
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=_SYMBOLS[series.symbol % len(_SYMBOLS)],
        markerfacecolor="white" if series.hollow else colour,
        markeredgecolor=colour,
    )
