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
    """Show what is done, running, pending and failed of the studies in STORE, and why.

    Trials that a study listed before it was changed keep their records. They are counted apart.
    """
    from medtransfer.store.records import State
    from medtransfer.store.store import Store

    with Store.open(store, create=False) as opened:
        members, others = opened.counts_by_membership()
        counts = members if study is None else opened.counts(study)
        failed = opened.records(study, states=[State.FAILED], only_members=True)
        studies = opened.studies()
    numbers = {name: getattr(counts, name) for name in ("done", "running", "pending", "failed")}
    if as_json:
        failures = [_failure(record) for record in failed]
        print_json({"studies": studies, **numbers, "in_no_study": others.total, "failed_trials": failures})
        return
    click.echo("  ".join(f"{name} {number}" for name, number in numbers.items()))
    if others.total and study is None:
        click.echo(_left_over(others.total))
    for record in failed:
        click.echo(_line(record))


def _left_over(number: int) -> str:
    return f"{number:,} {'trial belongs' if number == 1 else 'trials belong'} to no study any more"


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
