"""``medtransfer report``: tables, figures and pages from a store, and on request what a paper needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medtransfer.cli.json_output import print_json
from medtransfer.cli.options import FOLDER, cache_option, data_option, json_option, store_argument
from medtransfer.core.errors import UsageError
from medtransfer.core.provenance import command_line

if TYPE_CHECKING:
    from medtransfer.reports.paper.write_paper import PaperFiles
    from medtransfer.reports.worst_cases import Thumbnails
    from medtransfer.reports.write_report import ReportFiles
    from medtransfer.store.store import Store


@dataclass(frozen=True)
class ReportRequest:
    """What is to be written of a study."""

    study: str
    """Name of the study."""
    out: Path
    """Folder of the report."""
    paper: Path | None = None
    """Folder of the files for a paper; None for none."""
    thumbnails: Thumbnails | None = None
    """Makes pictures of test cases; None shows none."""


@click.command()
@store_argument
@click.option("--study", help="Name of the study  [default: the only one]")
@click.option(
    "--out",
    type=FOLDER,
    help="Folder of the report  [default: reports/<study> beside the records; a-reports/<study> for a file a.db]",
)
@click.option(
    "--paper",
    type=FOLDER,
    help="Also write, into this folder, tables (LaTeX, Markdown, CSV), figures (PDF, SVG), the methods in words "
    "and BibTeX.",
)
@click.option(
    "--pictures",
    is_flag=True,
    help="Show images of the test cases on which most results are most wrong. They leave the data folder with "
    "the report.",
)
@data_option
@cache_option
@json_option
def report(
    store: str,
    study: str | None,
    out: Path | None,
    paper: Path | None,
    pictures: bool,
    data: Path | None,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Write the report of a study that is in STORE: a site, Markdown, CSV, JSON.

    --data and --cache are used by --pictures only.
    """
    from medtransfer.store.store import Store

    with Store.open(store, create=False) as opened:
        name = study or only_study(opened)
        request = ReportRequest(
            study=name,
            out=out or report_folder(opened, name),
            paper=paper,
            thumbnails=_thumbnails(opened, name, data, cache) if pictures else None,
        )
        if as_json:
            _print_json(opened, request)
        else:
            _print(opened, request)


def only_study(store: Store) -> str:
    """Return the name of the one study in a store.

    Raises:
        UsageError: If there is none, or several.
    """
    names = store.studies()
    if len(names) != 1:
        raise UsageError(f"store {store.name}: expected one study, got {names!r}. Name one with --study.")
    return names[0]


def write_and_print(store: Store, study: str, out: Path | None) -> None:
    """Write the report of a study, print its tables and the path of its first page."""
    _print(store, ReportRequest(study, out or report_folder(store, study)))


def report_folder(store: Store, study: str) -> Path:
    """Return where a study's report lies unless the user says otherwise.

    Several database files may lie in one folder; each has reports of its own there.
    """
    from medtransfer.store.location import DATABASE_FILE

    if "://" in store.name:  # on a server: beside the prediction files
        return store.artifacts.parent / "reports" / study
    file = Path(store.name)
    folder = "reports" if file.name == DATABASE_FILE else f"{file.stem}-reports"
    return file.parent / folder / study


def _print(store: Store, request: ReportRequest) -> None:
    from medtransfer.cli.display import output_console
    from medtransfer.reports.renderers.console import console_tables

    files, paper = _write(store, request)
    console = output_console()
    for table in console_tables(files.reading):
        console.print(table)
    click.echo(f"Report: {files.html}")
    if paper is not None:
        click.echo(f"Paper: {paper.main}")


def _print_json(store: Store, request: ReportRequest) -> None:
    files, paper = _write(store, request)
    names = ("html", "markdown", "csv", "runs_csv", "json")
    found: dict[str, object] = {
        "study": request.study,
        "files": {name: str(getattr(files, name)) for name in names},
    }
    if paper is not None:
        single = ("main", "methods", "methods_markdown", "references")
        found["paper"] = {name: str(getattr(paper, name)) for name in single} | {
            name: [str(path) for path in getattr(paper, name)] for name in ("tables", "figures")
        }
    print_json(found)


def _write(store: Store, request: ReportRequest) -> tuple[ReportFiles, PaperFiles | None]:
    from medtransfer.reports.paper.write_paper import write_paper
    from medtransfer.reports.write_report import write_report

    command = command_line()
    files = write_report(store, request.study, request.out, command=command, thumbnails=request.thumbnails)
    if request.paper is None:
        return files, None
    return files, write_paper(files.reading, request.paper, command=command)


def _thumbnails(store: Store, study: str, data: Path | None, cache: Path | None) -> Thumbnails:
    from medtransfer.study.case_pictures import case_pictures

    return case_pictures(store, study, data, cache)
