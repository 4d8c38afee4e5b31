"""``medtransfer tasks``: list, show and check target tasks, and write synthetic samples of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from medtransfer.cli.error_problems import error_problem
from medtransfer.cli.json_output import fact_line, print_json
from medtransfer.cli.options import FOLDER, cache_option, data_option, default_workers, json_option
from medtransfer.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from medtransfer.data.data_check import DataCheck
    from medtransfer.study.entries import TaskEntry
    from medtransfer.study.preparation import TaskLocation
    from medtransfer.tasks.target_task import TargetTask


_NOTHING_SEEN: Final[Mapping[str, Any]] = {
    "page": None,
    "remarks": [],
    "counts": {},
    "splits": [],
    "split_source": "",
    "sizes": {},
    "modes": {},
    "near_duplicates": [],
}
"""What a check of data that can be opened says besides."""


@click.group()
def tasks() -> None:
    """Target tasks: list, show, check a data folder, write a sample."""


@tasks.command("list")
@json_option
def list_tasks(as_json: bool) -> None:
    """List all registered tasks; own data needs no registration."""
    from medtransfer.tasks.registry import target_tasks

    if as_json:
        print_json([_facts(task) for task in target_tasks])
        return
    width = max(len(task.name) for task in target_tasks)
    for task in target_tasks:
        click.echo(f"{task.name:<{width}}  {task.kind:<12}  {task.title}")


@tasks.command("show")
@click.argument("name")
@click.option(
    "--study",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Study file that declares NAME: own data, which is opened to see what it holds.",
)
@data_option
@json_option
def show_task(name: str, study: Path | None, data: Path | None, as_json: bool) -> None:
    """Show the record of NAME: what it is, where to get it, how to lay it out, its split and its traps."""
    facts = _facts(_record(name, study, data))
    if as_json:
        print_json(facts)
        return
    page = facts.pop("page")
    for key, value in facts.items():
        click.echo(fact_line(key, value))
    for heading, text in (page or {}).items():
        lines = [f"- {trap}" for trap in text] if isinstance(text, tuple) else text.splitlines()
        click.echo("\n".join(["", f"{heading}:", *(f"  {line}" for line in lines)]))


@tasks.command("sample")
@click.argument("name")
@click.argument("folder", metavar="DIR", type=FOLDER)
@json_option
def sample_task(name: str, folder: Path, as_json: bool) -> None:
    """Write a small synthetic copy of NAME below DIR, in the data set's official layout.

    A study rehearses on it with --data DIR; its results are marked as those of generated images.
    """
    from medtransfer.tasks.registry import target_tasks
    from medtransfer.tasks.samples import write_sample

    root = write_sample(target_tasks.get(name), folder)
    if as_json:
        print_json({"name": name, "folder": str(root)})
        return
    click.echo(f"Sample of {name}: {root}")
    click.echo(f"Check it:  medtransfer tasks check {name} --data {shlex.quote(str(folder))}")


@tasks.command("check")
@click.argument("name")
@click.option(
    "--study",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Study file that declares NAME: own data, or another folder.",
)
@data_option
@cache_option
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with pictures.")
@click.option("--quick", is_flag=True, help="Do not look for near duplicates across splits.")
@json_option
def check_task(
    name: str,
    study: Path | None,
    data: Path | None,
    cache: Path | None,
    html: Path | None,
    quick: bool,
    as_json: bool,
) -> int:
    """Compare the data of NAME below the data folder with what the task expects."""
    entry = _entry(name, study)
    try:
        location, task, check = _check(entry, data, cache, near_duplicates=not quick)
    except DataError as error:
        return _unusable(name, error, as_json=as_json)
    if html is not None:
        _write_page(html, location, task, check)
    if as_json:
        print_json({"name": name, "page": None if html is None else str(html), **check.as_json()})
    else:
        _print_check(task, check, html)
    return 3 if check.problems else 0


def _entry(name: str, study: Path | None) -> TaskEntry:
    """Return the task as a study declares it, or as it is registered."""
    from medtransfer.study.entries import TaskEntry
    from medtransfer.study.study import Study
    from medtransfer.tasks.registry import target_tasks

    if study is None:
        target_tasks.get(name)
        return TaskEntry(name)
    from medtransfer.study.plan_remarks import unused_tasks

    read = Study.read(study)
    declared = read.tasks
    if name in unused_tasks(read):
        raise UsageError(
            f"study {study}: task {name!r}: expected a block that uses it, got none: it is declared, but in no "
            "block. Add it to the 'tasks' of a block."
        )
    if name not in declared:
        raise UsageError(f"study {study}: expected a task {name!r}, got only {sorted(declared)!r}.")
    return declared[name]


def _check(
    entry: TaskEntry, data: Path | None, cache: Path | None, *, near_duplicates: bool
) -> tuple[TaskLocation, TargetTask, DataCheck]:
    from medtransfer.cli.display import Display
    from medtransfer.core.locations import cache_folder
    from medtransfer.study.preparation import check_task as check_located
    from medtransfer.study.preparation import locate

    location = locate(entry, data)
    with Display() as display:
        task, check = check_located(
            location,
            cache or cache_folder(),
            workers=default_workers(),
            near_duplicates=near_duplicates,
            progress=display.step,
        )
    return location, task, check


def _unusable(name: str, error: DataError, *, as_json: bool) -> int:
    from medtransfer.reports.printable import one_line

    problem = error_problem("unusable-data", name, "data that can be opened", error, "Correct the data.")
    if as_json:
        print_json({"name": name, "ok": False, "problems": [problem.as_json()], **_NOTHING_SEEN})
    else:
        click.echo(one_line(problem.sentence()), err=True)
        click.echo("1 problem")
    return 3


def _write_page(path: Path, location: TaskLocation, task: TargetTask, check: DataCheck) -> None:
    from medtransfer.core.atomic import write_atomically
    from medtransfer.reports.data_check_report import CheckedTask, data_check_document
    from medtransfer.reports.renderers.page import render_page

    checked = CheckedTask(task.name, task.title, location.root.name, task.classes, task.caution)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, render_page(data_check_document(checked, check)))


def _print_check(task: TargetTask, check: DataCheck, html: Path | None) -> None:
    from medtransfer.cli.display import output_console
    from medtransfer.reports.data_check_report import class_table, split_table
    from medtransfer.reports.printable import one_line
    from medtransfer.reports.renderers.console import rich_table

    console = output_console()
    console.print(
        f"{task.name}: {task.title}; split: {check.cases.split_source}", markup=False, highlight=False
    )
    console.print(rich_table(split_table(check)))
    console.print(rich_table(class_table(task.classes, check)))
    sizes = ", ".join(f"{size} ({count:,})" for size, count in check.sizes[:4])
    modes = ", ".join(f"{count:,} {mode}" for mode, count in check.modes)
    click.echo(f"images: {modes}; {sizes}{' and others' if len(check.sizes) > 4 else ''}")
    for remark in check.remarks:
        click.echo(f"to look at: {one_line(remark.sentence())}")
    for problem in check.problems:
        click.echo(one_line(problem.sentence()), err=True)
    found = len(check.problems)
    click.echo("as expected" if not found else f"{found} problem{'s' * (found > 1)}")
    if html is not None:
        click.echo(f"Page: {html}")


def _record(name: str, study: Path | None, data: Path | None) -> TargetTask:
    """Return the record of a task; own data is opened, for its files decide what the study leaves open."""
    from medtransfer.tasks.registry import target_tasks

    if study is not None:
        from medtransfer.study.preparation import locate

        entry = _entry(name, study)
        if entry.own_data is not None:
            return locate(entry, data).open()[0]
    return target_tasks.get(name)


def _facts(task: TargetTask) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "name": task.name,
        "title": task.title,
        "kind": task.kind.value,
        "purpose": task.purpose,
        "family": task.family or task.name,
        "classes": list(task.classes),
        "metrics": list(task.metrics),
        "equivalence_margin": _margin(task),
        "revision": task.revision,
        "folders": list(task.folders),
        "licence": task.licence,
        "citation": task.citation,
        "url": task.url,
        "expected": [dict(counts) for counts in task.expected.variants] if task.expected else [],
        "image_sets": list(task.image_sets),
        "caution": task.caution,
        "phantom": task.phantom,
        "sample": task.write_sample is not None,
        "page": None if task.page is None else asdict(task.page),
    }


def _margin(task: TargetTask) -> float:
    """Return the difference of the primary metric that counts as equivalent: the task's, else the metric's."""
    from medtransfer.metrics.declared_metrics import metrics

    declared = task.equivalence_margin
    return metrics.get(task.primary_metric).equivalence_margin if declared is None else declared
