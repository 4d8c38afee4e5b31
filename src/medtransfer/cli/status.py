"""``medtransfer status``: what is done, running, pending and failed, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from medtransfer.cli.json_output import print_json
from medtransfer.cli.options import json_option, store_argument

if TYPE_CHECKING:
    from medtransfer.store.records import Record


@click.command()
@store_argument
@click.option("--study", help="Only this study.")
@json_option
def status(store: str, study: str | None, as_json: bool) -> None:
    """Show what is done, running, pending and failed in STORE, and why."""
    from medtransfer.store.records import State
    from medtransfer.store.store import Store

    with Store.open(store, create=False) as opened:
        counts = opened.counts(study)
        failed = opened.records(study, states=[State.FAILED])
        studies = opened.studies()
    numbers = {name: getattr(counts, name) for name in ("done", "running", "pending", "failed")}
    if as_json:
        print_json({"studies": studies, **numbers, "failed_trials": [_failure(record) for record in failed]})
        return
    click.echo("  ".join(f"{name} {number}" for name, number in numbers.items()))
    for record in failed:
        click.echo(_line(record))


def _line(record: Record) -> str:
    from medtransfer.reports.printable import one_line

    trial = record.description
    place = f"{trial.task}, {trial.model}, {trial.protocol}"
    which = f"label fraction {trial.label_fraction:g}, repetition {trial.repetition}"
    return one_line(f"failed: {place}, {which}: {record.reason}: {record.message}")


def _failure(record: Record) -> dict[str, Any]:
    trial = record.description
    return {
        "fingerprint": trial.fingerprint,
        "task": trial.task,
        "model": trial.model,
        "protocol": trial.protocol,
        "label_fraction": trial.label_fraction,
        "repetition": trial.repetition,
        "reason": record.reason,
        "message": record.message,
    }
