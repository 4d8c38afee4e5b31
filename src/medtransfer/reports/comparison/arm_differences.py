"""What differs between the trials of two models besides the model, and may explain a difference of their results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from medtransfer.reports.disclosure import without_places
from medtransfer.reports.evidence import fact
from medtransfer.reports.phrases import listed, setting
from medtransfer.store.records import Record

_FACTS = ("task_revision", "protocol_revision")


def arm_differences(a: Iterable[Record], b: Iterable[Record]) -> tuple[str, ...]:
    """Return a warning for everything in which finished trials of A and B differ and that can change a number.

    Args:
        a: Trials of A that were compared.
        b: Trials of B that were compared.
    """
    first, second = _values(a), _values(b)
    return tuple(_warnings(first, second))


def _warnings(first: Mapping[str, list[str]], second: Mapping[str, list[str]]) -> Iterator[str]:
    for what in dict.fromkeys([*first, *second]):
        in_a, in_b = first.get(what, []), second.get(what, [])
        if sorted(in_a) != sorted(in_b):
            shown = f"{listed(in_a) or 'not recorded'} (A), {listed(in_b) or 'not recorded'} (B)"
            yield f"A and B differ in {what}: {shown}. The difference may come from there."
        elif len(in_a) > 1:
            yield f"The trials of each model differ in {what}: {listed(in_a)}. Compare them with care."


def _values(records: Iterable[Record]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for record in records:
        if record.outcome is None:
            continue
        for what, value in _facts(record, without_places(record.outcome.provenance)):
            found.setdefault(what, {})[value] = None
    return {what: sorted(values) for what, values in found.items()}


def _facts(record: Record, provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what identifies the making of a trial; revisions are of its own task or protocol."""
    names = {"task_revision": record.description.task, "protocol_revision": record.description.protocol}
    for name in _FACTS:
        if fact(record, name) is not None:
            yield f"the {name.replace('_', ' ')} of {names[name]}", str(fact(record, name))
    for name in ("code", "device"):
        if provenance.get(name):
            yield name, str(provenance[name])
    for group in ("hardware", "versions"):
        for name, value in (provenance.get(group) or {}).items():
            if name != "cores":
                yield str(name), setting(value)
