"""The chart every drawing function understands: panels of series, with colours and signs by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LIGHT_PALETTE = ("#0072b2", "#c04f00", "#00795a", "#a8458a", "#7a5c00", "#2a6f97", "#5b5b5b", "#8c2d2d")
"""Colours on a light ground: after Okabe and Ito, darkened to a contrast of at least 4.5 on white."""
DARK_PALETTE = ("#56b4e9", "#f0a03c", "#33c796", "#e59cc9", "#e8d85a", "#9dc6ff", "#c9c9c9", "#ff9d8a")
"""The same colours on a dark ground."""


@dataclass(frozen=True)
class Axis:
    """One axis."""

    title: str
    """What it shows, with unit."""
    ticks: tuple[tuple[float, str], ...] = ()
    """Positions and labels; empty for a numeric scale."""
    logarithmic: bool = False
    """Whether equal distances are equal factors."""
    downwards: bool = False
    """Whether small numbers are at the top."""
    limits: tuple[float, float] | None = None
    """First and last value that are shown; None leaves it to the drawing."""


@dataclass(frozen=True)
class Series:
    """Points or a line of one colour."""

    name: str
    """Legend entry."""
    x: tuple[float, ...]
    """Positions."""
    y: tuple[float | None, ...]
    """Values; null breaks a line."""
    colour: int
    """Number of the colour."""
    symbol: int = 0
    """Number of the sign."""
    draw: Literal["runs", "estimate", "line", "rule", "band"] = "runs"
    """``runs``: small points; ``estimate``: large points with intervals; ``line``: a thin line; ``rule``: a
    thick line, for bars that join things; ``band``: the area between ``low`` and ``high`` over ``x``."""
    texts: tuple[str, ...] = ()
    """What to say about each point."""
    low: tuple[float | None, ...] = ()
    """Lower ends of intervals, null for none."""
    high: tuple[float | None, ...] = ()
    """Upper ends."""
    along: Literal["x", "y"] = "y"
    """Direction of the intervals."""
    hollow: bool = False
    """Whether signs are open; they stand for intervals over patients."""
    dashed: bool = False
    """Whether the line is dashed."""
    in_legend: bool = True
    """Whether the legend shows it; series of one name share an entry."""


@dataclass(frozen=True)
class ChartPanel:
    """One pair of axes."""

    x: Axis
    """Horizontal axis."""
    y: Axis
    """Vertical axis."""
    series: tuple[Series, ...]
    """What is drawn, later ones on top."""


@dataclass(frozen=True)
class Chart:
    """A figure as data."""

    id: str
    """Anchor and file name, unique in a report: lower-case letters, digits and hyphens."""
    title: str
    """Heading."""
    description: str
    """What it shows in words, for the caption and for readers who do not see it."""
    panels: tuple[ChartPanel, ...]
    """Side by side."""
    height: int
    """Height in CSS pixels at a width of 900."""
