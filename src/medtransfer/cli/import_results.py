"""``medtransfer import``: published tables and logs into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medtransfer.cli.json_output import print_json
from medtransfer.cli.options import json_option, store_option

if TYPE_CHECKING:
    from medtransfer.reports.published.import_batch import Ignored, ImportBatch
    from medtransfer.store.imported_rows import ImportCounts

_SHOWN = 10


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@store_option
@click.option(
    "--revise", is_flag=True, help="Keep numbers that differ from stored ones as a new revision of them."
)
@json_option
def import_results(path: Path, store: str, revise: bool, as_json: bool) -> None:
    """Read published results from PATH into the store: a CSV of results, of runs, or a folder of logs.

    All of it is written or nothing. Importing the same again changes nothing; other numbers under a
    known key are refused unless --revise is given. They are never mixed with your own trials.
    """
    from medtransfer.reports.published.read_import import import_name, read_import
    from medtransfer.reports.published.stored import store_batch
    from medtransfer.store.store import Store

    layout, batch = read_import(path)
    with Store.open(store) as opened:
        counts = store_batch(opened, batch, import_name(path), revise=revise)
        place = opened.name
    if as_json:
        print_json({"path": str(path), "store": place, "layout": layout, **_numbers(batch, counts)})
    else:
        _print(place, batch, counts)


def _numbers(batch: ImportBatch, counts: ImportCounts) -> dict[str, Any]:
    return {
        "read": batch.read,
        "new": counts.new,
        "already_there": counts.unchanged,
        "revised": counts.revised,
        "flagged": batch.flagged,
        "ignored": [{"where": ignored.where, "reason": ignored.reason} for ignored in batch.ignored],
    }


def _print(place: str, batch: ImportBatch, counts: ImportCounts) -> None:
    from medtransfer.reports.printable import one_line

    read = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in batch.read.items() if number)
    lines = [
        f"Read: {read or 'nothing'}",
        f"Store {place}: {counts.new:,} new, {counts.unchanged:,} already there, {counts.revised:,} revised",
    ]
    if batch.flagged:
        lines.append("Flagged: " + ", ".join(f"{number:,} {flag}" for flag, number in batch.flagged.items()))
    lines += [f"Ignored: {line}" for line in _ignored(batch.ignored)]
    for line in lines:
        click.echo(one_line(line))


def _ignored(ignored: tuple[Ignored, ...]) -> list[str]:
    shown = [f"{entry.where}: {entry.reason}" for entry in ignored[:_SHOWN]]
    return [*shown, f"and {len(ignored) - _SHOWN} more"] if len(ignored) > _SHOWN else shown
