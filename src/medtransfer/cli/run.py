"""``medtransfer run``: a study from file to report."""

from __future__ import annotations

from collections import Counter
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
    from medtransfer.store.store import Store
    from medtransfer.study.planner import Plan
    from medtransfer.study.session import RunRequest, StudySession
    from medtransfer.study.study import Study

_MOST_CAUSES = 5


@click.command()
@click.argument("study_file", metavar="STUDY.yaml", type=click.Path(path_type=Path))
@store_option
@data_option
@weights_option
@cache_option
@click.option(
    "--workers", type=click.IntRange(0), help="Worker processes; 0 runs in this one  [default: one per core]"
)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="Device of the networks, such as cuda, or several: cuda:0,cuda:1.",
)
@click.option(
    "--out",
    type=FOLDER,
    help="Folder of the report  [default: reports/<study> beside the records; a-reports/<study> for a file a.db]",
)
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Run failed trials again, and those whose predictions are missing or damaged.",
)
@click.option(
    "--dry-run", is_flag=True, help="Print the trials, what is done, and an estimate of time and memory."
)
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
    from medtransfer.study.session import RunRequest
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
    study = Study.read(study_file)
    if dry_run:
        from medtransfer.cli.plan_display import print_plan

        print_plan(plan_study(study, request))
        return 0
    return run_and_report(study, request, out)


def plan_study(study: Study, request: RunRequest) -> Plan:
    """Return what a study would run, after the same checks as a run; nothing is declared in the store."""
    from medtransfer.cli.display import Display

    session = _prepare(study, request, plan_only=True)
    with session.store, Display() as display:
        return session.estimate(progress=display.step)


def run_and_report(study: Study, request: RunRequest, out: Path | None = None) -> int:
    """Run a study, print its tables and the path of its report, and return the exit code."""
    from medtransfer.cli.display import Display
    from medtransfer.cli.report import write_and_print
    from medtransfer.reports.write_report import require_report_folder

    if out is not None:
        require_report_folder(out)
    session = _prepare(study, request)
    with session.store as store:
        with Display() as display:
            counts = session.run(display.counts)
        write_and_print(store, study.name, out)
        if counts.failed:
            print_failures(store, study.name)
    return 1 if counts.failed else 0


def _prepare(study: Study, request: RunRequest, *, plan_only: bool = False) -> StudySession:
    from medtransfer.cli.display import Display
    from medtransfer.reports.printable import one_line
    from medtransfer.study.session import StudySession

    with Display() as display:
        session = StudySession.prepare(study, request, plan_only=plan_only, progress=display.step)
    for remark in session.remarks:
        click.echo(one_line(f"Warning: {remark}"), err=True)
    if session.damaged:
        click.echo(
            f"Of the study's finished trials, {len(session.damaged)} run again: their predictions are missing "
            "or damaged.",
            err=True,
        )
    return session


def print_failures(store: Store, study: str) -> None:
    """Say on standard error why trials failed, most frequent first, and what can be done."""
    from medtransfer.reports.printable import one_line
    from medtransfer.store.records import State

    failed = store.records(study, states=[State.FAILED])
    causes = Counter(one_line(f"{record.reason}: {record.message}") for record in failed)
    for cause, number in causes.most_common(_MOST_CAUSES):
        click.echo(f"{number} failed: {cause}", err=True)
    click.echo(
        f"Of the study's trials, {len(failed)} failed; 'medtransfer status' names each. "
        "Once the cause is gone, run again with --retry-failed.",
        err=True,
    )
