"""One page of the site, before it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medtransfer.reports.document import Document


@dataclass(frozen=True)
class Link:
    """A way to another page."""

    text: str
    """What it leads to."""
    address: str
    """From the root of the site, with an anchor where it leads into a page."""


@dataclass(frozen=True)
class SitePage:
    """A page and the ways from it."""

    address: str
    """From the root of the site."""
    document: Document
    """What it says."""
    trail: tuple[Link, ...] = ()
    """Pages above it, the first page first."""
    before: Link | None = None
    """The page before it of its kind."""
    after: Link | None = None
    """The page after it of its kind."""

    @property
    def root(self) -> str:
        """What leads from its folder to the root of the site."""
        return "../" * self.address.count("/")


@dataclass(frozen=True)
class Site:
    """All pages of a report."""

    study: str
    """Name of the study."""
    pages: Sequence[SitePage]
    """The first page first; composed when they are asked for, so that not all are in memory at once."""
    menu: tuple[Link, ...]
    """Ways that every page offers."""
