"""Writing the report of a study: read once, composed once, then a site and one file per other format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import UsageError
from medtransfer.reports.composition import compose_report
from medtransfer.reports.document import Document
from medtransfer.reports.evidence import Evidence, read_evidence
from medtransfer.reports.figures.kept_pictures import picture
from medtransfer.reports.published.stored import stored_results
from medtransfer.reports.renderers.csv_files import render_results_csv, render_runs_csv
from medtransfer.reports.renderers.json_file import render_json
from medtransfer.reports.renderers.markdown import render_markdown
from medtransfer.reports.renderers.site import GENERATOR, render_site
from medtransfer.reports.site.addresses import OVERVIEW, STUDY
from medtransfer.reports.site.compose_site import compose_site
from medtransfer.reports.site.extras import NO_EXTRAS, Extras
from medtransfer.reports.site.manifest import (
    MANIFEST,
    listed_files,
    read_manifest,
    refuse_foreign_pages,
    remove_leftovers,
    write_manifest,
)
from medtransfer.reports.study_reading import StudyReading, read_study
from medtransfer.reports.worst_cases import Thumbnails

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
    """First page of the site."""
    pages: tuple[Path, ...]
    """All pages of the site, the first page first."""
    assets: tuple[Path, ...]
    """Scripts and styles that the pages share, and the list of what belongs to the report."""
    markdown: Path
    """The report as one document for GitHub, with pictures."""
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


def write_report(
    store: Store,
    study: str | None,
    out: Path,
    *,
    command: str = "",
    thumbnails: Thumbnails | None = None,
) -> ReportFiles:
    """Write the report of a study as a site of pages, Markdown, CSV and JSON.

    Pages and pictures that an earlier report of this folder wrote, and this one does not have, are
    removed; nothing else in the folder is.

    Args:
        store: Where the records are.
        study: Name of the study; None for everything in the store.
        out: Folder of the files; made when it does not exist.
        command: The command that asked for it, for provenance; places on this machine are cut out.
        thumbnails: Makes small pictures of test cases for the page of a task; None shows none, for
            pictures of patients leave their folder with the report.

    Returns:
        Where the files lie.

    Raises:
        UsageError: If there is no such study, it has no trials, ``out`` is not a folder, or it holds
            pages that no report wrote.
        StoreError: If predictions that an interval needs are missing or damaged.
    """
    extras = Extras(published=stored_results(store), thumbnails=thumbnails)
    return write_report_of(read_evidence(store, study), out, command=command, extras=extras)


def write_report_of(
    evidence: Evidence, out: Path, *, command: str = "", extras: Extras = NO_EXTRAS
) -> ReportFiles:
    """Write the report of evidence that has been read; see :func:`write_report`."""
    if not evidence.records:
        raise UsageError(f"report of {evidence.study!r}: expected trials, got none. Run a study first.")
    if out.exists() and not out.is_dir():
        raise UsageError(f"report folder: expected a folder at {out}, got a file. Choose another place.")
    refuse_foreign_pages(out, [OVERVIEW, STUDY], GENERATOR)
    reading = read_study(evidence)
    document = compose_report(reading, command)
    pictures = _draw(document, out)
    places = {Path(address).stem: address for address in pictures}
    site = render_site(compose_site(reading, command, extras), places)
    _write(
        out,
        {
            **pictures,
            "results.csv": render_results_csv(reading),
            "runs.csv": render_runs_csv(reading),
            "report.json": render_json(reading, command),
            "report.md": render_markdown(document, FIGURES),
            **site,
        },
    )
    return _files(out, reading, list(pictures), list(site))


def _draw(document: Document, out: Path) -> dict[str, bytes]:
    """Return the pictures of a document's charts by their address."""
    addresses = {f"{FIGURES}/{chart.id}.png": chart for chart in document.charts()}
    return {address: picture(chart, out / address) for address, chart in addresses.items()}


def _write(out: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write all files, then remove what an earlier report left.

    The list of files is written before them with those of both reports, so that a report that is
    cut short leaves nothing that a later one does not know.
    """
    before, now = read_manifest(out), listed_files(contents)
    write_manifest(out, before | now)
    for address, content in contents.items():
        write_atomically(out / address, content)
    remove_leftovers(out, before, now)
    write_manifest(out, now)


def _files(out: Path, reading: StudyReading, pictures: list[str], site: list[str]) -> ReportFiles:
    pages = [address for address in site if address.endswith(".html")]
    assets = [address for address in site if address not in pages]
    return ReportFiles(
        folder=out,
        html=out / OVERVIEW,
        pages=tuple(out / address for address in pages),
        assets=tuple(out / address for address in (*assets, MANIFEST)),
        markdown=out / "report.md",
        csv=out / "results.csv",
        runs_csv=out / "runs.csv",
        json=out / "report.json",
        figures=tuple(out / address for address in pictures),
        reading=reading,
    )
