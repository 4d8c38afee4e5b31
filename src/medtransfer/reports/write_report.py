"""Writing the report of a study: read once, then one page and one file after another."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.core.atomic import atomic_writer
from medtransfer.core.errors import UsageError
from medtransfer.reports.composition import compose_report
from medtransfer.reports.document import Document
from medtransfer.reports.evidence import Evidence, read_evidence
from medtransfer.reports.figures.kept_pictures import picture
from medtransfer.reports.published.stored import stored_results
from medtransfer.reports.rendered_files import RenderedFiles
from medtransfer.reports.renderers.csv_files import results_csv_lines, runs_csv_lines
from medtransfer.reports.renderers.json_file import json_parts
from medtransfer.reports.renderers.markdown import render_markdown
from medtransfer.reports.renderers.site import GENERATOR, site_files
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
    require_report_folder(out)
    reading = read_study(evidence)
    files = RenderedFiles()
    pictures = _add_document(files, compose_report(reading, command), out)
    files.add_text("results.csv", results_csv_lines(reading))
    files.add_text("runs.csv", runs_csv_lines(reading))
    files.add_text("report.json", json_parts(reading, command))
    places = {Path(address).stem: address for address in pictures}
    site = []
    for address, text in site_files(compose_site(reading, command, extras), places):
        files.add_text(address, [text])
        site.append(address)
    _write(out, files)
    return _files(out, reading, pictures, site)


def require_report_folder(out: Path) -> None:
    """Check that a report may be written to a folder, before there is anything to write.

    Args:
        out: Folder of the report; it need not exist.

    Raises:
        UsageError: If a file lies in its way, it cannot be written, or it holds pages that no report wrote.
    """
    there = next(place for place in (out.absolute(), *out.absolute().parents) if place.exists())
    if not there.is_dir():
        raise UsageError(f"report folder: expected a folder at {there}, got a file. Choose another place.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(
            f"report folder: expected one that can be written at {out}, got no permission in {there}. Choose another "
            "place, or make that folder writable."
        )
    refuse_foreign_pages(out, [OVERVIEW, STUDY], GENERATOR)


def _add_document(files: RenderedFiles, document: Document, out: Path) -> list[str]:
    """Add a document as Markdown with its pictures, and return their addresses."""
    addresses = []
    for chart in document.charts():
        addresses.append(f"{FIGURES}/{chart.id}.png")
        files.add_picture(addresses[-1], picture(chart, out / addresses[-1]))
    files.add_text("report.md", [render_markdown(document, FIGURES)])
    return addresses


def _write(out: Path, contents: RenderedFiles) -> None:
    """Write all files, then remove what an earlier report left.

    The list of files is written before them with those of both reports, so that a report that is
    cut short leaves nothing that a later one does not know.
    """
    before, now = read_manifest(out), listed_files(contents)
    write_manifest(out, before | now)
    for address in contents:
        with atomic_writer(out / address) as stream:
            stream.writelines(contents.parts(address))
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
