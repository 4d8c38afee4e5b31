"""Charts as plotly figures: plain JSON, drawn in the page by the script that is embedded once."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import log10
from typing import Any

from medtransfer.reports.figures.chart import LIGHT_PALETTE, Axis, Chart, ChartPanel, Series
from medtransfer.reports.printable import printable

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "pentagon", "star", "hexagon")
_GAP = 0.11
_GROUND = "#ffffff"


def draw_plotly(chart: Chart) -> dict[str, Any]:
    """Return a chart as a plotly figure: ``data`` and ``layout``.

    Colours are those on a light ground; each trace carries its number in ``meta``, so that the
    page can change them with its theme. Names are escaped: plotly reads a subset of HTML in text.
    """
    layout: dict[str, Any] = {
        "height": chart.height,
        "margin": {"l": 64, "r": 16, "t": 16, "b": 48},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left"},
        "hovermode": "closest",
    }
    data: list[dict[str, Any]] = []
    shown: set[str] = set()
    for number, panel in enumerate(chart.panels):
        suffix = "" if number == 0 else str(number + 1)
        layout[f"xaxis{suffix}"] = _axis(panel.x) | {
            "domain": _domain(number, len(chart.panels)),
            "anchor": f"y{suffix}",
        }
        layout[f"yaxis{suffix}"] = _axis(panel.y) | {"anchor": f"x{suffix}"}
        data += _traces(panel, suffix, shown)
    return {"data": data, "layout": layout}


def text(value: str) -> str:
    """Return text as plotly shows it letter by letter, with line ends kept."""
    return "<br>".join(escape(printable(line), quote=False) for line in value.split("\n"))


def _traces(panel: ChartPanel, suffix: str, shown: set[str]) -> Iterator[dict[str, Any]]:
    for series in panel.series:
        in_legend = series.in_legend and series.name not in shown
        if in_legend:
            shown.add(series.name)
        yield _trace(series) | {
            "xaxis": f"x{suffix}",
            "yaxis": f"y{suffix}",
            "legendgroup": text(series.name),
            "showlegend": in_legend,
        }


def _trace(series: Series) -> dict[str, Any]:
    colour = LIGHT_PALETTE[series.colour % len(LIGHT_PALETTE)]
    trace: dict[str, Any] = {
        "type": "scatter",
        "name": text(series.name),
        "x": list(series.x),
        "y": list(series.y),
        "meta": {"colour": series.colour % len(LIGHT_PALETTE)},
    }
    if series.texts:
        trace |= {"text": [text(line) for line in series.texts], "hoverinfo": "text"}
    else:
        trace |= {"hoverinfo": "skip"}
    if series.draw in ("line", "rule"):
        width = 1.2 if series.draw == "line" else 4.5
        line = {"color": colour, "width": width, "dash": "dash" if series.dashed else "solid"}
        return trace | {"mode": "lines", "line": line, "opacity": 0.8}
    if series.draw == "band":
        return trace | _band(series, colour)
    symbol = _SYMBOLS[series.symbol % len(_SYMBOLS)] + ("-open" if series.hollow else "")
    large = series.draw == "estimate"
    outline = {"width": 1.6 if large else 0.8, "color": colour if large else _GROUND}
    marker = {"symbol": symbol, "size": 11 if large else 6, "color": colour, "line": outline}
    trace |= {"mode": "markers", "marker": marker}
    trace["meta"]["outlined"] = not large
    return trace | (_error_bars(series, colour) if large else {})


def _band(series: Series, colour: str) -> dict[str, Any]:
    """Return the outline of a band, walked there along its upper end and back along its lower one."""
    ends = [
        (x, low, high)
        for x, low, high in zip(series.x, series.low, series.high, strict=True)
        if low is not None and high is not None
    ]
    return {
        "x": [x for x, _, _ in ends] + [x for x, _, _ in reversed(ends)],
        "y": [high for _, _, high in ends] + [low for _, low, _ in reversed(ends)],
        "mode": "lines",
        "line": {"color": colour, "width": 0},
        "fill": "toself",
        "opacity": 0.4,
        "hoverinfo": "skip",
    }


def _error_bars(series: Series, colour: str) -> dict[str, Any]:
    centres = series.x if series.along == "x" else series.y
    ends = list(zip(centres, series.low, series.high, strict=True))
    above = [0 if c is None or high is None else high - c for c, _, high in ends]
    below = [0 if c is None or low is None else c - low for c, low, _ in ends]
    bars = {
        "type": "data",
        "array": above,
        "arrayminus": below,
        "symmetric": False,
        "thickness": 1.6,
        "width": 4,
    }
    return {f"error_{series.along}": bars | {"color": colour}}


def _axis(axis: Axis) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "title": {"text": text(axis.title), "standoff": 8},
        "automargin": True,
        "zeroline": False,
        "type": "log" if axis.logarithmic else "linear",
    }
    if axis.limits is not None:
        drawn["range"] = [log10(end) for end in axis.limits] if axis.logarithmic else list(axis.limits)
    if axis.ticks:
        drawn |= {
            "tickmode": "array",
            "tickvals": [place for place, _ in axis.ticks],
            "ticktext": [text(label) for _, label in axis.ticks],
        }
    if axis.downwards:
        places = [place for place, _ in axis.ticks]
        drawn["range"] = [max(places) + 0.6, min(places) - 0.6]
    return drawn


def _domain(number: int, panels: int) -> list[float]:
    width = (1 - _GAP * (panels - 1)) / panels
    start = number * (width + _GAP)
    return [round(start, 4), round(start + width, 4)]
