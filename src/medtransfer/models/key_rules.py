"""From the names in a weights file to the names in a network, by the rules of a record; without torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medtransfer.core.errors import WeightsError
from medtransfer.models.key_schemes import schemes
from medtransfer.models.source_model import WeightsFile


@dataclass(frozen=True)
class TreatedNames:
    """Every name of a file, in one of three places."""

    placed: dict[str, str]
    """Name after the rules to name in the file."""
    outside: tuple[str, ...]
    """Names that do not start with the prefix."""
    ignored: tuple[str, ...]
    """Names that an ``ignore`` expression or the scheme leaves out."""


def treated_names(file: Iterable[str], weights: WeightsFile) -> TreatedNames:
    """Return what the rules of a record make of the names in a file.

    The order is prefix, strip, ignore, scheme, rename. Heads are dropped later, by whoever knows the
    network.

    Args:
        file: Names in the file, inside its container.
        weights: The rules.

    Raises:
        WeightsError: If two names of the file become one.
        NotRegisteredError: If nobody defines the scheme.
    """
    to_network = schemes.get(weights.scheme).to_network
    placed: dict[str, str] = {}
    outside, ignored = [], []
    for original in file:
        if not original.startswith(weights.prefix):
            outside.append(original)
            continue
        key = stripped(original.removeprefix(weights.prefix), weights.strip)
        kept = not any(re.fullmatch(pattern, key) for pattern in weights.ignore)
        name = to_network(key) if kept else None
        if name is None:
            ignored.append(original)
            continue
        name = renamed(name, weights.rename)
        if name in placed:
            raise WeightsError(
                f"weights: expected one tensor for {name!r}, got {placed[name]!r} and {original!r}. "
                "Correct the prefix, strip or rename rules."
            )
        placed[name] = original
    return TreatedNames(placed, tuple(outside), tuple(ignored))


def stripped(name: str, starts: Sequence[str]) -> str:
    """Return a name without each of the starts it has, looked for once and in this order."""
    for start in starts:
        name = name.removeprefix(start)
    return name


def renamed(name: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Return a name after every pair (old start, new start), in order."""
    for old, new in pairs:
        name = new + name.removeprefix(old) if name.startswith(old) else name
    return name
