"""``medtransfer published``: list, show and report what other studies published, read again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medtransfer.cli.json_output import print_json
from medtransfer.cli.options import FOLDER, json_option
from medtransfer.core.errors import UsageError

if TYPE_CHECKING:
    from medtransfer.reports.document import Section
    from medtransfer.reports.published.material import Material

logs_option = click.option(
    "--store", metavar="STORE", help="Store with imported logs of study C, in place of the shipped runs."
)


@click.group()
def published() -> None:
    """What other studies published, read again: list, show, report."""


@published.command("list")
@json_option
def list_published(as_json: bool) -> None:
    """List what can be shown."""
    from medtransfer.reports.published.rereadings import REREADINGS

    entries = list(REREADINGS.values())
    if as_json:
        print_json([{"name": e.name, "about": e.about, "needs_store": e.needs_curves} for e in entries])
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        click.echo(f"{entry.name:<{width}}  {entry.about}{' (needs --store)' if entry.needs_curves else ''}")


@published.command("show")
@click.argument("name")
@logs_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print every cell of every table as CSV.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
@click.option("--latex", "as_latex", is_flag=True, help="Print the tables as LaTeX.")
def show_published(
    name: str, store: str | None, as_json: bool, as_csv: bool, as_markdown: bool, as_latex: bool
) -> None:
    """Show NAME: as printed, and as our rules read the same numbers."""
    from medtransfer.reports.published.rereadings import find_rereading
    from medtransfer.reports.published.study_c_convergence import NO_CURVES

    if as_json + as_csv + as_markdown + as_latex > 1:
        raise UsageError("published show: expected one of --json, --csv, --markdown, --latex, got several.")
    rereading = find_rereading(name)
    material = _material(store)
    if rereading.needs_curves and not material.curves:
        raise UsageError(f"published {name}: expected imported logs, got none. {NO_CURVES}")
    section = rereading.compose(material)
    if as_json:
        from medtransfer.reports.published.tidy import section_object

        print_json(section_object(section))
    elif as_csv:
        from medtransfer.reports.published.tidy import tables_of, tidy_csv

        click.echo(tidy_csv(tables_of(section)), nl=False)
    elif as_markdown:
        _print_markdown(section)
    elif as_latex:
        _print_latex(section)
    else:
        _print_section(section)


@published.command("report")
@click.option("--out", type=FOLDER, required=True, help="Folder of the page and its files.")
@logs_option
@json_option
def report_published(out: Path, store: str | None, as_json: bool) -> None:
    """Write a page with everything, and the same as Markdown, CSV and JSON."""
    from medtransfer.reports.published.write_rereadings import write_rereadings

    files = write_rereadings(_material(store), out)
    if as_json:
        names = ("html", "markdown", "csv", "json")
        print_json({"files": {name: str(getattr(files, name)) for name in names}})
    else:
        click.echo(f"Page: {files.html}")


def _material(store: str | None) -> Material:
    from medtransfer.reports.published.material import material_of, shipped_material

    if store is None:
        return shipped_material()
    from medtransfer.store.store import Store

    with Store.open(store, create=False) as opened:
        return material_of(opened)


def _print_markdown(section: Section) -> None:
    from medtransfer.reports.document import Document
    from medtransfer.reports.published.rereadings import SUBTITLE
    from medtransfer.reports.renderers.markdown import render_markdown

    click.echo(render_markdown(Document(section.title, SUBTITLE, (section,))), nl=False)


def _print_latex(section: Section) -> None:
    from medtransfer.reports.paper.latex_table import latex_table
    from medtransfer.reports.published.tidy import tables_of

    for table in tables_of(section):
        click.echo(latex_table(table, table.caption))


def _print_section(section: Section) -> None:
    from medtransfer.cli.display import output_console
    from medtransfer.reports.document import Notice, Paragraph, Terms
    from medtransfer.reports.printable import one_line
    from medtransfer.reports.renderers.console import rich_table
    from medtransfer.reports.tables.table import Table

    console = output_console()
    console.print(section.title, style="bold")
    for part in section.parts:
        if isinstance(part, Paragraph | Notice):
            console.print(one_line(part.text))
        elif isinstance(part, Terms):
            for term, explanation in part.entries:
                console.print(one_line(f"  {term}: {explanation}"))
        elif isinstance(part, Table):
            console.print(rich_table(part))
    for member in section.sections:
        if member.folded:
            click.echo(f"{one_line(member.title)}: with --csv or --json")
        else:
            _print_section(member)
