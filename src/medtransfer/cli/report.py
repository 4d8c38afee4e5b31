"""``medtransfer report``: tables, figures and pages from a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medtransfer.cli.json_output import print_json
from medtransfer.cli.options import FOLDER, json_option, store_argument
from medtransfer.core.errors import UsageError
from medtransfer.core.provenance import command_line

if TYPE_CHECKING:
    from medtransfer.store.store import Store


@click.command()
@store_argument
@click.option("--study", help="Name of the study  [default: the only one]")
@click.option(
    "--out", type=FOLDER, help="Folder of the report  [default: reports/<study> beside the records]"
)
@json_option
def report(store: str, study: str | None, out: Path | None, as_json: bool) -> None:
    """Write the report of a study that is in STORE: HTML, Markdown, CSV, JSON."""
    from medtransfer.store.store import Store

    with Store.open(store, create=False) as opened:
        name = study or only_study(opened)
        if as_json:
            _print_json(opened, name, out)
        else:
            write_and_print(opened, name, out)


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
    """Write the report of a study, print its tables and the path of its page."""
    from medtransfer.cli.display import output_console
    from medtransfer.reports.renderers.console import console_tables
    from medtransfer.reports.write_report import write_report

    files = write_report(store, study, out or report_folder(store, study), command=command_line())
    console = output_console()
    for table in console_tables(files.reading):
        console.print(table)
    click.echo(f"Report: {files.html}")


def report_folder(store: Store, study: str) -> Path:
    """Return where a study's report lies unless the user says otherwise."""
    return store.artifacts.parent / "reports" / study


def _print_json(store: Store, study: str, out: Path | None) -> None:
    from medtransfer.reports.write_report import write_report

    files = write_report(store, study, out or report_folder(store, study), command=command_line())
    found = {name: str(getattr(files, name)) for name in ("html", "markdown", "csv", "runs_csv", "json")}
    print_json({"study": study, "files": found})
