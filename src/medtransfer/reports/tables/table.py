"""The table every renderer understands: columns, cells with a tone, notes and a legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["plain", "best", "tied", "undetermined", "absent", "failed"]
"""How a cell stands out: best value, not separable from it, not testable, nothing to show, or failed."""


@dataclass(frozen=True)
class TableCell:
    """One cell."""

    text: str
    """Main line; never empty."""
    details: tuple[str, ...] = ()
    """Further lines: interval, runs, failures."""
    marks: str = ""
    """Signs explained in the legend, such as †."""
    tone: Tone = "plain"
    """How it stands out."""
    value: float | None = None
    """Number a reader may sort by; None sorts last."""
    link: str = ""
    """Relative address of the page that says more; empty for none. Only pages follow it."""


@dataclass(frozen=True)
class Column:
    """One column."""

    title: str
    """Heading; never empty."""
    detail: str = ""
    """Second line of the heading."""
    numeric: bool = False
    """Whether it is set flush right."""


@dataclass(frozen=True)
class LegendEntry:
    """A sign of a table and what it means."""

    sign: str
    """As it stands in the table."""
    meaning: str
    """In one clause or sentence."""
    tone: Tone = "plain"
    """Tone of the cells it explains."""


@dataclass(frozen=True)
class Table:
    """A table with what must be read with it."""

    id: str
    """Anchor, unique in a report: lower-case letters, digits and hyphens."""
    caption: str
    """What it shows."""
    columns: tuple[Column, ...]
    """At least one; the first holds the row headings."""
    rows: tuple[tuple[TableCell, ...], ...]
    """Cells, as many per row as there are columns."""
    legend: tuple[LegendEntry, ...] = ()
    """Signs that occur in it."""
    notes: tuple[str, ...] = ()
    """Sentences under it."""


def plain_row(*texts: str) -> tuple[TableCell, ...]:
    """Return cells without any emphasis; an empty text becomes a dash."""
    return tuple(TableCell(text or "–") for text in texts)
