"""``medtransfer status``: what is done, running, pending and failed, and why."""

from __future__ import annotations

import json

import click

from medtransfer.cli.options import json_option
from medtransfer.core.locations import STORE_VARIABLE


@click.command()
@click.argument("store", metavar="[STORE]", default="medtransfer-store", envvar=STORE_VARIABLE)
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
    reasons = [
        {
            "fingerprint": record.description.fingerprint,
            "task": record.description.task,
            "model": record.description.model,
            "protocol": record.description.protocol,
            "label_fraction": record.description.label_fraction,
            "repetition": record.description.repetition,
            "reason": record.reason,
            "message": record.message,
        }
        for record in failed
    ]
    if as_json:
        click.echo(json.dumps({"studies": studies, **numbers, "failed_trials": reasons}))
        return
    click.echo("  ".join(f"{name} {number}" for name, number in numbers.items()))
    for row in reasons:
        place = f"{row['task']}  {row['model']}  {row['protocol']}  {row['label_fraction']:g}  #{row['repetition']}"
        click.echo(f"failed: {place}: {row['reason']}: {row['message']}")
