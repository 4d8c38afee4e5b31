"""``medtransfer run``: a study from file to report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medtransfer.cli.options import (
    FOLDER,
    cache_option,
    data_option,
    default_workers,
    store_option,
    weights_option,
)

if TYPE_CHECKING:
    from medtransfer.study.planner import Plan
    from medtransfer.study.session import StudySession


@click.command()
@click.argument("study_file", metavar="STUDY.yaml", type=click.Path(path_type=Path))
@store_option
@data_option
@weights_option
@cache_option
@click.option(
    "--workers", type=click.IntRange(0), help="Worker processes; 0 runs in this one  [default: one per core]"
)
@click.option("--device", default="cpu", show_default=True, help="Device of the networks, such as cuda.")
@click.option(
    "--out", type=FOLDER, help="Folder of the report  [default: reports/<study> beside the records]"
)
@click.option("--retry-failed", is_flag=True, help="Run failed trials again.")
@click.option("--dry-run", is_flag=True, help="Print the trials, what is done, and an estimate of the time.")
def run(
    study_file: Path,
    store: str,
    data: Path | None,
    weights: Path | None,
    cache: Path | None,
    workers: int | None,
    device: str,
    out: Path | None,
    retry_failed: bool,
    dry_run: bool,
) -> int:
    """Run a study: every trial that is not done yet, then the report.

    A trial that is done is never run again, in any study that shares the store. Kill the command
    at any moment and start it again: it goes on where it was.
    """
    from medtransfer.cli.display import Display
    from medtransfer.study.session import RunRequest, StudySession
    from medtransfer.study.study import Study

    request = RunRequest(
        store=store,
        data=data,
        weights=weights,
        cache=cache,
        workers=default_workers() if workers is None else workers,
        device=device,
        retry_failed=retry_failed,
    )
    with Display() as display:
        session = StudySession.prepare(Study.read(study_file), request, progress=display.step)
        plan = session.estimate() if dry_run else None
        counts = None if dry_run else session.run(display.counts)
    if plan is not None:
        print_plan(plan)
        return 0
    assert counts is not None
    print_report(session, out)
    return 1 if counts.failed else 0


def print_report(session: StudySession, out: Path | None) -> None:
    """Write the report of a session and print its tables and its path."""
    from medtransfer.cli.report import write_and_print

    write_and_print(session.store, session.study.name, out)


def print_plan(plan: Plan) -> None:
    """Print what would run."""
    from rich.console import Console
    from rich.table import Table

    from medtransfer.cli.display import duration

    table = Table("task", "model", "protocol", "trials", "done", "one core", "estimated from")
    for row in plan.rows:
        table.add_row(
            row.task,
            row.model,
            row.protocol,
            str(row.trials),
            str(row.done),
            duration(row.seconds),
            row.basis,
        )
    console = Console()
    console.print(table)
    console.print(
        f"{plan.total} trials, {plan.done} done, {plan.total - plan.done} to run: "
        f"about {duration(plan.seconds)} with {max(plan.workers, 1)} worker(s).",
        highlight=False,
    )
