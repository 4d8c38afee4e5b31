"""What pages show besides the records of their study: published results, and pictures on request."""

from __future__ import annotations

from dataclasses import dataclass

from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.worst_cases import Thumbnails


@dataclass(frozen=True)
class Extras:
    """Material of other origin."""

    published: tuple[PublishedResult, ...] = ()
    """Results that were imported into the store, besides those that are shipped."""
    thumbnails: Thumbnails | None = None
    """Makes pictures of test cases; null shows none."""


NO_EXTRAS = Extras()
"""Nothing but what is shipped."""
