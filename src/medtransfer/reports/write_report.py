"""Writing the report of a study: read once, compose once, then one file per format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import UsageError
from medtransfer.reports.composition import compose_report
from medtransfer.reports.evidence import Evidence, read_evidence
from medtransfer.reports.figures.kept_pictures import picture
from medtransfer.reports.renderers.csv_files import render_results_csv, render_runs_csv
from medtransfer.reports.renderers.json_file import render_json
from medtransfer.reports.renderers.markdown import render_markdown
from medtransfer.reports.renderers.page import render_page
from medtransfer.reports.study_reading import StudyReading, read_study

if TYPE_CHECKING:
    from medtransfer.store.store import Store

FIGURES = "figures"
"""Folder of the pictures, beside the Markdown file."""


@dataclass(frozen=True)
class ReportFiles:
    """Where the files of a report lie."""

    folder: Path
    """The folder that holds them all."""
    html: Path
    """One self-contained page."""
    markdown: Path
    """The same for GitHub, with pictures."""
    csv: Path
    """Results, one row per number."""
    runs_csv: Path
    """Trials, one row each."""
    json: Path
    """Everything for programs."""
    figures: tuple[Path, ...]
    """Pictures of the Markdown file."""
    reading: StudyReading
    """What they were written from; tables for a terminal are made from it."""


def write_report(store: Store, study: str | None, out: Path, *, command: str = "") -> ReportFiles:
    """Write the report of a study as page, Markdown, CSV and JSON.

    Args:
        store: Where the records are.
        study: Name of the study; None for everything in the store.
        out: Folder of the files; made when it does not exist.
        command: The command that asked for it, for provenance; places on this machine are cut out.

    Returns:
        Where the files lie.

    Raises:
        UsageError: If there is no such study, it has no trials, or ``out`` is not a folder.
        StoreError: If predictions that an interval needs are missing or damaged.
    """
    return write_report_of(read_evidence(store, study), out, command=command)


def write_report_of(evidence: Evidence, out: Path, *, command: str = "") -> ReportFiles:
    """Write the report of evidence that has been read; see :func:`write_report`."""
    if not evidence.records:
        raise UsageError(f"report of {evidence.study!r}: expected trials, got none. Run a study first.")
    if out.exists() and not out.is_dir():
        raise UsageError(f"report folder: expected a folder at {out}, got a file. Choose another place.")
    reading = read_study(evidence)
    document = compose_report(reading, command)
    places = {out / FIGURES / f"{chart.id}.png": chart for chart in document.charts()}
    figures = {path: picture(chart, path) for path, chart in places.items()}
    files = ReportFiles(
        folder=out,
        html=out / "report.html",
        markdown=out / "report.md",
        csv=out / "results.csv",
        runs_csv=out / "runs.csv",
        json=out / "report.json",
        figures=tuple(figures),
        reading=reading,
    )
    contents: dict[Path, str | bytes] = {
        **figures,
        files.csv: render_results_csv(reading),
        files.runs_csv: render_runs_csv(reading),
        files.json: render_json(reading, command),
        files.markdown: render_markdown(document, FIGURES),
        files.html: render_page(document),
    }
    for path, content in contents.items():
        write_atomically(path, content)
    return files
