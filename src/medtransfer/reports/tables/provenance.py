"""Where the numbers come from: versions, hardware, code revisions, commands, and whether arms differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from medtransfer.reports.disclosure import hide_places, without_places
from medtransfer.reports.phrases import count, setting
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.tables.table import Column, Table, plain_row
from medtransfer.store.records import State

_COLUMNS = (Column("What"), Column("Value"), Column("Trials", numeric=True))


def provenance_table(reading: StudyReading, command: str = "") -> Table:
    """Return what the finished trials were made with, and how many of them with each.

    Args:
        reading: The study.
        command: The command that writes this report.
    """
    rows = [(what, value, f"{number:,}") for (what, value), number in origins(reading).items()]
    if command:
        rows.append(("report", hide_places(command), "–"))
    notes = tuple(differences(reading))
    return Table(
        "provenance",
        "What the finished trials were made with",
        _COLUMNS,
        tuple(plain_row(*row) for row in rows),
        notes=notes,
    )


def origins(reading: StudyReading) -> dict[tuple[str, str], int]:
    """Return numbers of finished trials by (what, value): code, device, hardware, versions, commands."""
    found: dict[tuple[str, str], int] = {}
    for provenance, trials in _provenances(reading):
        for pair in _facts(without_places(provenance)):
            found[pair] = found.get(pair, 0) + trials
    order = {name: number for number, name in enumerate(_ORDER)}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0][0], len(order)), item[0])))


def _provenances(reading: StudyReading) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Yield where trials come from and how many of them; most trials of a study share one such record."""
    found = [record.outcome.provenance for record in reading.records if record.outcome is not None]
    trials = Counter(map(id, found))
    yield from ((each, trials[id(each)]) for each in {id(each): each for each in found}.values())


def differences(reading: StudyReading) -> Iterator[str]:
    """Yield a warning for everything in which finished trials differ that can change a number."""
    values: dict[str, list[str]] = {}
    for what, value in origins(reading):
        if what not in ("command", "cores"):
            values.setdefault(what, []).append(value)
    for what, found in values.items():
        if len(found) > 1:
            yield f"The trials differ in {what}: {', '.join(found[:5])}. Compare them with care."


def trial_counts(reading: StudyReading) -> dict[str, int]:
    """Return numbers of trials by state."""
    return {state.value: sum(record.state is state for record in reading.records) for state in State}


def finished_between(reading: StudyReading) -> str:
    """Return when the first and the last trial ended, as days by the store's clock; empty without any."""
    days = sorted(record.finished_at[:10] for record in reading.records if record.finished_at)
    if not days:
        return ""
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def superseded_note(reading: StudyReading) -> str:
    """Return how many trials of earlier revisions were left out; empty without any."""
    number = reading.evidence.superseded
    if not number:
        return ""
    return f"{count(number, 'trial')} left out: a later revision ran the same cell and repetition again."


_ORDER = ("code", "device", "processor", "cores", "system", "python", "medtransfer", "torch")


def _facts(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("code", "device", "command"):
        if provenance.get(name):
            yield name, str(provenance[name])
    for group in ("hardware", "versions"):
        for name, value in (provenance.get(group) or {}).items():
            yield str(name), setting(value)
