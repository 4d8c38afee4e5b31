"""``medtransfer compare``: two source models of a store, or of two stores, with a verdict in words."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from medtransfer.cli.json_output import print_json
from medtransfer.cli.options import json_option
from medtransfer.core.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from medtransfer.reports.comparison import ModelComparison, Selection

NOTHING_COMPARED = 1
"""Exit code when no row could be compared."""


@click.command()
@click.argument("store", metavar="STORE")
@click.argument("first", metavar="A")
@click.argument("second", metavar="[B]", required=False)
@click.option("--against", metavar="STORE", help="Take B from another store; without B the same model.")
@click.option("--study", help="Only trials of this study  [default: all]")
@click.option("--task", help="Only this task.")
@click.option("--protocol", help="Only this protocol.")
@click.option(
    "--label-fraction",
    type=click.FloatRange(0, 1, min_open=True),
    help="Only this share of the training labels.",
)
@click.option("--metric", help="Metric to compare  [default: the primary one of each task]")
@json_option
def compare(
    store: str,
    first: str,
    second: str | None,
    against: str | None,
    study: str | None,
    task: str | None,
    protocol: str | None,
    label_fraction: float | None,
    metric: str | None,
    as_json: bool,
) -> int:
    """Compare two source models: is A better than B in STORE, is it as good, and what would settle it?"""
    from medtransfer.reports.comparison import Selection

    if second is None and against is None:
        raise UsageError(
            f"compare: expected a second source model to compare with {first!r}, got none. Name it, or another "
            "store with --against."
        )
    selection = Selection(task, protocol, label_fraction, metric)
    comparison = _compare((store, against), (first, second), study, selection)
    if as_json:
        from medtransfer.reports.comparison.comparison_json import comparison_object

        print_json(comparison_object(comparison))
    else:
        _print(comparison)
    return 0 if comparison.rows else NOTHING_COMPARED


def _compare(
    stores: tuple[str, str | None],
    names: tuple[str, str | None],
    study: str | None,
    selection: Selection,
) -> ModelComparison:
    from medtransfer.cli.display import Display
    from medtransfer.reports.comparison import compare_models
    from medtransfer.reports.evidence import read_evidence
    from medtransfer.store.store import Store

    with ExitStack() as opened:
        found = [
            read_evidence(opened.enter_context(Store.open(place, create=False)), study)
            for place in stores
            if place is not None
        ]
        display = opened.enter_context(Display())
        other = found[1] if len(found) > 1 else None
        places = (stores[0], stores[1]) if stores[1] is not None else ("", "")
        return compare_models(found[0], other, *names, selection, places=places, progress=display.step)


def _print(comparison: ModelComparison) -> None:
    from medtransfer.cli.display import output_console
    from medtransfer.reports.comparison.comparison_table import (
        comparison_table,
        missing_table,
        note_lines,
        verdict_lines,
    )
    from medtransfer.reports.printable import one_line
    from medtransfer.reports.renderers.console import rich_table

    console = output_console()
    if comparison.rows:
        console.print(_narrow(rich_table(comparison_table(comparison))))
        for line in verdict_lines(comparison):
            console.print(one_line(line))
    if comparison.missing:
        console.print(rich_table(missing_table(comparison)))
    for line in note_lines(comparison) if comparison.rows else ():
        console.print(one_line(line), style="dim")


def _narrow(table: Table) -> Table:
    """Return a table whose lines of numbers fit a terminal of 80 columns."""
    from rich import box

    table.box = box.SIMPLE_HEAD
    table.show_edge = False
    for column in table.columns:
        column.justify = "left"
        column.no_wrap = column is not table.columns[0]
    return table
