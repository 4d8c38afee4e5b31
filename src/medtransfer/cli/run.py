"""``medtransfer run``: a study from file to report."""

from __future__ import annotations

from pathlib import Path

import click

from medtransfer.cli.display import Display, duration
from medtransfer.cli.options import FOLDER, cache_option, data_option, default_workers, store_option, weights_option


@click.command()
@click.argument("study_file", metavar="STUDY.yaml", type=click.Path(path_type=Path))
@store_option
@data_option
@weights_option
@cache_option
@click.option("--workers", type=click.IntRange(0), help="Worker processes; 0 runs in this one  [default: one per core]")
@click.option("--device", default="cpu", show_default=True, help="Device of the networks, such as cuda.")
@click.option("--out", type=FOLDER, help="Folder of the report  [default: reports/<study> beside the store]")
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
    from medtransfer.study.session import RunRequest, StudySession

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
        session = StudySession.prepare(study_file, request, progress=display.step)
        if dry_run:
            plan = session.estimate()
        else:
            counts = session.run(display.counts)
    if dry_run:
        _print_plan(plan)
        return 0
    _print_report(session, out)
    return 1 if counts.failed else 0


def _print_plan(plan: object) -> None:
    from rich.console import Console

    from medtransfer.study.planner import Plan

    assert isinstance(plan, Plan)
    console = Console()
    console.print(plan.table())
    console.print(
        f"{plan.total} trials, {plan.done} done, {plan.to_run} to run: "
        f"about {duration(plan.seconds)} with {plan.workers} worker{'s' * (plan.workers != 1)}.",
        highlight=False,
    )


def _print_report(session: object, out: Path | None) -> None:
    from rich.console import Console

    from medtransfer.study.session import StudySession

    assert isinstance(session, StudySession)
    console = Console()
    files, tables = session.report(out)
    for table in tables:
        console.print(table)
    console.print(f"Report: {files.html}", soft_wrap=True, highlight=False)
