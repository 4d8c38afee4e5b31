"""The page of re-read studies in the documentation, written from the shipped numbers, with its pictures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import UsageError
from medtransfer.reports.document import Document, Notice, Paragraph, Part, Section
from medtransfer.reports.figures.kept_pictures import picture
from medtransfer.reports.published.material import shipped_material
from medtransfer.reports.published.rereadings import compose_rereadings
from medtransfer.reports.renderers.markdown import render_markdown

PICTURES: Final = "images/published"
"""Folder of the pictures, beside the page."""
_MARK: Final = (
    "<!-- Written by `make published-page` from the shipped numbers. Change those, or the program. -->"
)
_LEAD: Final = (
    "Three studies of transfer learning for medical images, their relatives and one independent rerun, rebuilt from "
    "the numbers they published. Each part shows what was printed, then what the same numbers say under the rules of "
    "this package, and says in plain words where the two differ and why. Nothing here is a result of this package, "
    "and nothing is averaged over sources. The same tables come from “medtransfer published show NAME”, and all of "
    "them, with the long lists that are left out here, from “medtransfer published report --out DIR”."
)


def page_document() -> Document:
    """Return the shipped re-readings as the documentation shows them: without the long folded lists."""
    document = compose_rereadings(shipped_material())
    lead = Section("how-to-read", "How to read this page", (Paragraph(_LEAD),))
    return replace(document, sections=(lead, *(_unfolded(section) for section in document.sections)))


def page_text() -> str:
    """Return the page as Markdown."""
    return f"{_MARK}\n\n{render_markdown(page_document(), PICTURES)}"


def write_page(path: Path) -> None:
    """Write the page and its pictures, and take away pictures that it no longer shows.

    Args:
        path: The Markdown file; pictures go into ``images/published`` beside it.
    """
    folder = path.parent / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {folder / f"{chart.id}.png": chart for chart in page_document().charts()}
    for place, chart in wanted.items():
        write_atomically(place, picture(chart, place))
    for old in set(folder.glob("*.png")) - set(wanted):
        old.unlink()
    write_atomically(path, page_text())


def _unfolded(section: Section) -> Section:
    kept = tuple(_unfolded(member) for member in section.sections if not member.folded)
    return replace(section, parts=tuple(_plain(section.parts)), sections=kept)


def _plain(parts: tuple[Part, ...]) -> Iterator[Part]:
    """Yield parts, with notices as paragraphs: the documentation has no sign for them."""
    for part in parts:
        yield Paragraph(part.text) if isinstance(part, Notice) else part


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise UsageError(f"page of published results: expected one file to write, got {sys.argv[1:]!r}.")
    write_page(Path(sys.argv[1]))
