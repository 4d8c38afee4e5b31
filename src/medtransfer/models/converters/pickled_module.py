"""Whole networks saved with ``torch.save``, and tensors beside settings no safe reader admits.

A pickled network is a tree of objects with their parameters, buffers and parts; the classes are never
imported, only these three tables are followed. The names are those of the network's state dictionary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from medtransfer.models.converters.raw_tensors import Converted
from medtransfer.models.converters.stand_ins import Record, entries_of, tensor_of
from medtransfer.models.converters.torch_file import read_pickle

MOST_NAMES = 100_000
_TABLES = ("_parameters", "_buffers", "_modules")


def convert(streams: Sequence[IO[bytes]], request: Mapping[str, Any]) -> Converted:
    """Return the tensors of a file of ``torch.save`` by the names they have in their network.

    Args:
        streams: The one open file.
        request: ``admits``, patterns of class names kept as plain data, and ``containers``, keys tried in
            order; without any of them present the tensors must lie at the top.

    Raises:
        ValueError: If the file holds no tensors by name there.
    """
    content, asked = read_pickle(streams[0], request["admits"])
    place, inside = _opened(content, request["containers"])
    tensors, others = {}, []
    for name, value in _named(inside):
        tensor = tensor_of(value)
        if tensor is None:
            others.append(name)
        else:
            tensors[name] = tensor
    if not tensors:
        raise ValueError(f"expected tensors by name, got {_described(inside)}")
    beside = [str(key) for key in (entries_of(content) or {}) if place is not None and key != place]
    return Converted(tensors, (*beside, *others), asked)


def _opened(content: Any, containers: Sequence[str]) -> tuple[str | None, Any]:
    entries = entries_of(content) or {}
    present = [key for key in containers if key in entries]
    if present:
        return present[0], entries[present[0]]
    if containers and not _is_network(content):
        raise ValueError(f"expected the key {' or '.join(map(repr, containers))}, got {_described(content)}")
    return None, content


def _is_network(value: Any) -> bool:
    return isinstance(value, Record) and isinstance(value.state, dict) and "_modules" in value.state


def _named(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every leaf below a network or a dictionary with its dotted name, in order."""
    seen = 0
    waiting = [("", value)]
    while waiting:
        name, part = waiting.pop()
        seen += 1
        if seen > MOST_NAMES:
            raise ValueError(f"expected at most {MOST_NAMES:,} tensors by name, got more")
        inside = _parts(part) if _is_network(part) else part if part is value else None
        if isinstance(inside, dict):
            start = f"{name}." if name else ""
            waiting += [(f"{start}{key}", below) for key, below in reversed(inside.items())]
        else:
            yield name, part


def _parts(network: Any) -> dict[str, Any]:
    tables = [entries_of(network.state.get(table)) or {} for table in _TABLES]
    return {str(name): part for table in tables for name, part in table.items() if part is not None}


def _described(value: Any) -> str:
    entries = entries_of(value)
    if entries is None:
        kind = value.asked if isinstance(value, Record) else type(value).__name__
        return f"one object of {kind!r:.60}"
    return f"{len(entries)} entries: {', '.join(f'{key!r:.40}' for key in list(entries)[:5])}"
