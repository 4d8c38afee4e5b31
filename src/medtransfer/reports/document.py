"""A report as data: sections of paragraphs, notices, tables and charts, before any renderer sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from medtransfer.reports.figures.chart import Chart
from medtransfer.reports.tables.table import LegendEntry, Table, TableCell


@dataclass(frozen=True)
class Paragraph:
    """One paragraph of text."""

    text: str
    """Plain text."""


@dataclass(frozen=True)
class Notice:
    """Something a reader must not miss."""

    level: Literal["note", "caution", "warning"]
    """``note``: good to know; ``caution``: changes how to read results; ``warning``: something went wrong."""
    text: str
    """Plain text."""


@dataclass(frozen=True)
class Facts:
    """Short facts shown side by side."""

    entries: tuple[tuple[str, str], ...]
    """Name and value."""


@dataclass(frozen=True)
class Terms:
    """Terms, each with its explanation."""

    entries: tuple[tuple[str, str], ...]
    """Term and explanation."""


@dataclass(frozen=True)
class Listing:
    """Text of a file, letter by letter."""

    title: str
    """What it is."""
    text: str
    """The text, with its line ends."""


@dataclass(frozen=True)
class Picture:
    """A small picture with words."""

    lines: tuple[str, ...]
    """What it shows, first the name."""
    png: bytes | None
    """Encoded as PNG; None where there is nothing to show."""


@dataclass(frozen=True)
class Gallery:
    """Small pictures side by side; those of one group belong together."""

    title: str
    """What they have in common."""
    groups: tuple[tuple[Picture, ...], ...]
    """Pictures, in groups such as the two of a pair."""


@dataclass(frozen=True)
class Heading:
    """What a row or a column of a matrix is about."""

    id: str
    """Name in addresses: the same in every panel, and in every report that shows the same subject."""
    label: str
    """Name for people."""
    details: tuple[str, ...] = ()
    """Further lines under the name."""
    link: str = ""
    """Address of its page from the root of the site."""
    words: str = ""
    """What a search finds it by, besides its label and details."""
    best: Literal["high", "low"] = "high"
    """For columns: which numbers are better, so that sorting starts with the best."""


@dataclass(frozen=True)
class MatrixPanel:
    """One view of a matrix: a protocol at a label fraction."""

    id: str
    """Anchor, unique in a page."""
    name: str
    """Name in addresses."""
    protocol: str
    """Name of the protocol, with the settings that tell it from others."""
    fraction: str
    """Label fraction in words."""
    caption: str
    """What it shows."""
    columns: tuple[Heading, ...]
    """Headings of the columns."""
    rows: tuple[tuple[Heading, tuple[TableCell, ...]], ...]
    """Heading of each row and its cells, as many as there are columns."""
    legend: tuple[LegendEntry, ...] = ()
    """Signs that occur in it."""
    notes: tuple[str, ...] = ()
    """Sentences under it."""


@dataclass(frozen=True)
class Matrix:
    """Tables of the same kind between which a reader switches; without scripts they stand one after another."""

    id: str
    """Anchor, unique in a page."""
    corner: str
    """What the rows are, as the heading of the first column."""
    rows: str
    """What the rows are, plural."""
    columns: str
    """What the columns are, plural."""
    panels: tuple[MatrixPanel, ...]
    """At least one."""


Part = Paragraph | Notice | Facts | Terms | Listing | Gallery | Table | Chart | Matrix


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading."""

    id: str
    """Anchor, unique in the report."""
    title: str
    """Heading."""
    parts: tuple[Part, ...] = ()
    """Content."""
    sections: Sequence[Section] = ()
    """Subsections; large ones are made when they are asked for."""
    folded: bool = False
    """Whether it is closed until a reader opens it."""


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    """Name of the study."""
    subtitle: str
    """One line about it."""
    sections: tuple[Section, ...]
    """Content."""
    product: str = "medtransfer report"
    """What kind of page it is."""

    def charts(self) -> Iterator[Chart]:
        """Yield all charts in reading order."""
        for section in self.sections:
            yield from _charts(section)


def _charts(section: Section) -> Iterator[Chart]:
    yield from (part for part in section.parts if isinstance(part, Chart))
    for subsection in section.sections:
        yield from _charts(subsection)
