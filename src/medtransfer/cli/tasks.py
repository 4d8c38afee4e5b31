"""``medtransfer tasks``: list, show and check target tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from medtransfer.cli.json_output import fact_line, print_json
from medtransfer.cli.options import cache_option, data_option, default_workers, json_option
from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem


@click.group()
def tasks() -> None:
    """Target tasks: list, show, check a data folder."""


@tasks.command("list")
@json_option
def list_tasks(as_json: bool) -> None:
    """List all registered tasks; own data needs no registration."""
    from medtransfer.tasks.registry import target_tasks

    if as_json:
        print_json([_facts(task.name) for task in target_tasks])
        return
    width = max(len(task.name) for task in target_tasks)
    for task in target_tasks:
        click.echo(f"{task.name:<{width}}  {task.kind:<12}  {task.title}")


@tasks.command("show")
@click.argument("name")
@json_option
def show_task(name: str, as_json: bool) -> None:
    """Show the record of NAME."""
    facts = _facts(name)
    if as_json:
        print_json(facts)
        return
    for key, value in facts.items():
        click.echo(fact_line(key, value))


@tasks.command("check")
@click.argument("name")
@data_option
@cache_option
@json_option
def check_task(name: str, data: Path | None, cache: Path | None, as_json: bool) -> int:
    """Compare the data of NAME below the data folder with what the task expects."""
    try:
        counts, problems = _inspect(name, data, cache)
    except DataError as error:
        counts = {}
        problems = [Problem("unusable-data", name, "data that can be opened", str(error).rstrip("."))]
    if as_json:
        found = [problem.as_json() for problem in problems]
        print_json({"name": name, "ok": not problems, "counts": counts, "problems": found})
    else:
        click.echo("  ".join(f"{split} {number}" for split, number in counts.items()))
        for problem in problems:
            click.echo(problem.sentence(), err=True)
        click.echo("as expected" if not problems else f"{len(problems)} problem(s)")
    return 3 if problems else 0


def _inspect(name: str, data: Path | None, cache: Path | None) -> tuple[dict[str, int], list[Problem]]:
    from medtransfer.cli.display import Display
    from medtransfer.core.locations import cache_folder
    from medtransfer.study.entries import TaskEntry
    from medtransfer.study.preparation import inspect_task, locate
    from medtransfer.tasks.registry import target_tasks

    target_tasks.get(name)
    location = locate(TaskEntry(name), data)
    with Display() as display:
        prepared, problems = inspect_task(
            location, cache or cache_folder(), workers=default_workers(), progress=display.step
        )
    counts = prepared.cases.frame["split"].value_counts()
    return {str(split): int(counts[split]) for split in counts.index}, problems


def _facts(name: str) -> dict[str, Any]:
    from medtransfer.tasks.registry import target_tasks

    task = target_tasks.get(name)
    return {
        "name": task.name,
        "title": task.title,
        "kind": task.kind.value,
        "classes": list(task.classes),
        "metrics": list(task.metrics),
        "revision": task.revision,
        "folders": list(task.folders),
        "licence": task.licence,
        "citation": task.citation,
        "url": task.url,
        "expected": [dict(counts) for counts in task.expected.variants] if task.expected else [],
        "image_sets": list(task.image_sets),
        "caution": task.caution,
        "phantom": task.phantom,
    }
