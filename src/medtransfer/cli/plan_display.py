"""How the plan of a study looks on the screen: groups of rows that fit 80 columns, then what it all takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from medtransfer.cli.display import duration, gigabytes, output_console
from medtransfer.core.fingerprints import hash_json

if TYPE_CHECKING:
    from rich.table import Table

    from medtransfer.study.planner import Plan, PlanRow

_HEADINGS: Final = ("task and model", "done", "one core", "at most", "memory", "basis")
_INDENT: Final = "  "
_MOST_FRACTIONS: Final = 5
_MOST_SETTINGS: Final = 4
"""Where more settings differ than these, only as many are shown as tell them apart."""


def print_plan(plan: Plan) -> None:
    """Print what would run, how long it would take and how much memory; warnings go to standard error."""
    console = output_console()
    console.print(_table(plan), "")
    for sentence in (*_sentences(plan), *_differences(plan)):
        console.print(sentence)
    differing = _differing(plan.rows)
    for row in plan.rows:
        if row.fault:
            told = _told_settings(row, differing)
            place = f"{row.task}, {row.model}, {row.protocol}" + f" ({told})" * bool(told)
            click.echo(f"Warning: {place}: expected a probe that ends, got: {row.fault}", err=True)
    if plan.needs_too_much_memory:
        click.echo(_memory_warning(plan), err=True)


def _table(plan: Plan) -> Table:
    """Return the models below each task and protocol; only names are folded where the screen is narrow."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    first, *others = _HEADINGS
    table.add_column(first, overflow="fold")
    for heading in others:
        table.add_column(heading, no_wrap=True, justify="left" if heading == "basis" else "right")
    differing = _differing(plan.rows)
    for group in _groups(plan.rows):
        table.add_row(f"{group[0].task}, {group[0].protocol}")
        if told := _told_settings(group[0], differing):
            table.add_row(f"{_INDENT}{told}")
        table.add_row(f"{_INDENT}labels {_fractions(group[0].fractions)}")
        for row in group:
            table.add_row(*_cells(row))
        table.add_section()
    return table


def _groups(rows: Sequence[PlanRow]) -> list[list[PlanRow]]:
    groups: dict[object, list[PlanRow]] = {}
    for row in rows:
        key = (row.task, row.protocol, hash_json(dict(row.settings)), tuple(row.fractions.items()))
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _differing(rows: Sequence[PlanRow]) -> dict[tuple[str, str], list[str]]:
    """Return, for each task and protocol, the names of the settings in which its rows differ."""
    found: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row.task, row.protocol), {})[hash_json(dict(row.settings))] = row.settings
    return {place: _names_that_differ(list(choices.values())) for place, choices in found.items()}


def _names_that_differ(choices: Sequence[Mapping[str, Any]]) -> list[str]:
    every = sorted({name for values in choices for name in values}, key=lambda name: (name != "preset", name))
    names = [name for name in every if _distinct(choices, [name]) > 1]
    if len(names) <= _MOST_SETTINGS:
        return names
    needed: list[str] = []
    for name in names:
        if _distinct(choices, [*needed, name]) > _distinct(choices, needed):
            needed.append(name)
    return needed


def _distinct(choices: Sequence[Mapping[str, Any]], names: Sequence[str]) -> int:
    """Return how many choices there are as far as some settings tell."""
    return len({hash_json({name: v[name] for name in names if name in v}) for v in choices})


def _told_settings(row: PlanRow, differing: Mapping[tuple[str, str], Sequence[str]]) -> str:
    """Return the settings that tell a row from others of its task and protocol; nothing where it is alone."""
    from medtransfer.reports.phrases import setting

    def value(name: str) -> str:
        return setting(row.settings[name]) if name in row.settings else "as usual"

    names = differing[row.task, row.protocol]
    return "; ".join(f"{name.replace('_', ' ')} {value(name)}" for name in names)


def _fractions(fractions: Mapping[float, int]) -> str:
    told = [f"{fraction:g} (x {number})" for fraction, number in fractions.items()]
    hidden = len(told) - _MOST_FRACTIONS
    return ", ".join(told[:_MOST_FRACTIONS] + [f"{hidden} more"] * (hidden > 0))


def _cells(row: PlanRow) -> tuple[str, ...]:
    known = ("?", "?", "?")
    if row.cost is not None:
        memory = "not measured" if row.cost.memory_bytes is None else gigabytes(row.cost.memory_bytes)
        known = (duration(row.cost.cpu_s), duration(row.cost.most_s), memory)
    if row.basis == "done":
        known = ("", "", "")
    return (_INDENT + row.model, f"{row.done} of {row.trials}", *known, row.basis)


def _sentences(plan: Plan) -> Iterator[str]:
    workers = max(plan.workers, 1)
    bound = f", {duration(plan.most_seconds)} if no training stops early" * (plan.most_seconds > plan.seconds)
    unknown = f", without the {plan.unknown} that are unknown" if plan.unknown else ""
    yield (
        f"{plan.total} trial{'s' * (plan.total != 1)}, {plan.done} done, {plan.total - plan.done} to run: "
        f"about {duration(plan.seconds)} with {workers} worker(s){bound}{unknown}."
    )
    if plan.decoding_s:
        yield f"Decoding images first takes about {duration(plan.decoding_s)} of one core of it."
    if plan.worker_bytes:
        yield (
            f"A worker takes about {gigabytes(plan.worker_bytes)} of memory, {workers} about "
            f"{gigabytes(workers * plan.worker_bytes)}; there are {gigabytes(plan.machine_bytes)}."
        )
    if plan.unmeasured:
        more = "; they may take more" * bool(plan.worker_bytes)
        yield f"Memory was not measured for {plan.unmeasured} of the trials to run{more}."


def _differences(plan: Plan) -> Iterator[str]:
    """Say, for each number of repetitions of trials to run, how small a difference it lets be found."""
    to_run = [row for row in plan.rows if row.done < row.trials]
    numbers = {number for row in to_run for number in row.fractions.values() if number > 1}
    if numbers:
        from medtransfer.stats.power import POWER, minimum_detectable_difference

        found = ", ".join(
            f"{minimum_detectable_difference(1.0, number):.1f} with {number}" for number in sorted(numbers)
        )
        yield (
            f"Smallest difference between two models that is found with a chance of {POWER:.0%}, in standard "
            f"deviations between runs: {found} runs of each."
        )


def _memory_warning(plan: Plan) -> str:
    workers = max(plan.workers, 1)
    fit = max(plan.machine_bytes // plan.worker_bytes, 1)
    step = f"--workers {fit}, or " if fit < workers else ""
    return (
        f"Warning: workers: expected at most {gigabytes(plan.machine_bytes)} of memory in all, got {workers} "
        f"worker{'s' * (workers != 1)} of about {gigabytes(plan.worker_bytes)}. Use {step}smaller batches or images."
    )
