"""Writing all re-readings into a folder: a page, Markdown with pictures, CSV and JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import UsageError
from medtransfer.reports.figures.kept_pictures import picture
from medtransfer.reports.published.material import Material
from medtransfer.reports.published.rereadings import compose_rereadings
from medtransfer.reports.published.tidy import section_object, tables_of, tidy_csv
from medtransfer.reports.renderers.markdown import render_markdown
from medtransfer.reports.renderers.page import render_page

FIGURES: Final = "figures"
"""Folder of the pictures, beside the Markdown file."""


@dataclass(frozen=True)
class RereadingFiles:
    """Where the files lie."""

    html: Path
    """One self-contained page."""
    markdown: Path
    """The same with pictures."""
    csv: Path
    """Every cell of every table."""
    json: Path
    """Everything for programs."""
    figures: tuple[Path, ...]
    """Pictures of the Markdown file."""


def write_rereadings(material: Material, out: Path) -> RereadingFiles:
    """Write all re-readings.

    Args:
        material: What they are made from.
        out: Folder of the files; made when it does not exist.

    Raises:
        UsageError: If ``out`` is a file.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(
            f"folder of published results: expected a folder at {out}, got a file. Choose another place."
        )
    document = compose_rereadings(material)
    pictures = {out / FIGURES / f"{chart.id}.png": chart for chart in document.charts()}
    files = RereadingFiles(
        html=out / "published.html",
        markdown=out / "published.md",
        csv=out / "published.csv",
        json=out / "published.json",
        figures=tuple(pictures),
    )
    sections = [section_object(section) for section in document.sections]
    contents: dict[Path, str | bytes] = {
        **{path: picture(chart, path) for path, chart in pictures.items()},
        files.csv: tidy_csv([table for section in document.sections for table in tables_of(section)]),
        files.json: json.dumps(sections, indent=1, allow_nan=False) + "\n",
        files.markdown: render_markdown(document, FIGURES),
        files.html: render_page(document),
    }
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    return files
