"""What became of every tensor of a network and of every tensor of a weights file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from medtransfer.core.errors import WeightsError
from medtransfer.core.problems import Problem
from medtransfer.models.source_model import WeightsFile

HEADS = frozenset({"classifier", "fc", "head", "head_dist", "heads", "linear"})
"""First components of the names of task heads; what a backbone does not know of them is dropped."""

COUNTER = "num_batches_tracked"
"""Batch counter of batch normalisation; no number depends on it, so a file may lack it."""

SHOWN = 5
"""Names shown in a message."""


@dataclass(frozen=True)
class GapFound:
    """A declared gap and the tensors that fall into it."""

    prefix: str
    """Start of the names."""
    reason: str
    """Why they are absent."""
    names: tuple[str, ...]
    """Tensors of the network that the file does not hold."""


@dataclass(frozen=True)
class Mismatch:
    """A tensor whose shape or type is not the network's."""

    name: str
    """Name in the network."""
    expected: str
    """Shape and type in the network."""
    found: str
    """Shape and type in the file."""


@dataclass(frozen=True)
class KeyAudit:
    """Account of one load: nothing of the network or of the file is left out."""

    loaded: Mapping[str, str]
    """Network name to the name in the file."""
    gaps: tuple[GapFound, ...]
    """Declared gaps."""
    counters: tuple[str, ...]
    """Batch counters the file lacks."""
    dropped: tuple[str, ...]
    """Names in the file left out on purpose: heads, declared drops, names outside the prefix."""
    unmatched: tuple[str, ...]
    """Names in the file that the network does not have."""
    missing: tuple[str, ...]
    """Names of the network that the file does not have."""
    mismatched: tuple[Mismatch, ...]
    """Tensors of another shape or type."""
    loaded_values: int
    """Numbers that were read."""
    network_values: int
    """Numbers the network has, batch counters left out."""
    gap_values: int = 0
    """Numbers of the network that lie in declared gaps."""
    hint: str = ""
    """A prefix that would make the names agree, as a sentence."""

    @property
    def share(self) -> float:
        """Share of the network's numbers outside declared gaps that came from the file, in [0, 1]."""
        wanted = self.network_values - self.gap_values
        return self.loaded_values / wanted if wanted else 0.0

    def problems(self, where: str) -> list[Problem]:
        """Return what stops the weights from being used; empty when all is loaded or declared."""
        found = []
        if self.missing:
            found.append(
                Problem(
                    "missing-weights",
                    where,
                    "every tensor of the network",
                    f"{len(self.missing)} absent, {_listed(self.missing)} ({self.share:.1%} of it matches)",
                    self.hint,
                )
            )
        if self.unmatched:
            found.append(
                Problem(
                    "unmatched-weights",
                    where,
                    "only tensors the network has",
                    f"{len(self.unmatched)} others, {_listed(self.unmatched)}",
                    ""
                    if self.missing
                    else "Name their first component in 'drop' if they are no part of the network.",
                )
            )
        found += [
            Problem("mismatched-weights", f"{where}: {wrong.name}", wrong.expected, wrong.found)
            for wrong in self.mismatched[:SHOWN]
        ]
        return found

    def counts(self) -> dict[str, int]:
        """Return how many tensors each part of the account has."""
        return {
            "loaded": len(self.loaded),
            "gaps": sum(len(gap.names) for gap in self.gaps),
            "counters": len(self.counters),
            "dropped": len(self.dropped),
            "unmatched": len(self.unmatched),
            "missing": len(self.missing),
            "mismatched": len(self.mismatched),
        }


def match_keys(network: Mapping[str, Tensor], file: Mapping[str, Tensor], weights: WeightsFile) -> KeyAudit:
    """Return which tensor of a weights file goes where in a network.

    Args:
        network: State of the whole network, without its task head.
        file: Tensors of the weights file.
        weights: Prefix, rename and drop rules and declared gaps.

    Raises:
        WeightsError: If two names of the file become one by the rules.
    """
    renamed = _renamed(file, weights)
    loaded, mismatched = {}, []
    for name in network.keys() & renamed.keys():
        if _fits(network[name], file[renamed[name]]):
            loaded[name] = renamed[name]
        else:
            mismatched.append(Mismatch(name, _shape(network[name]), _shape(file[renamed[name]])))
    absent = [name for name in network if name not in renamed]
    gaps = tuple(
        GapFound(gap.prefix, gap.reason, tuple(name for name in absent if name.startswith(gap.prefix)))
        for gap in weights.gaps
    )
    in_gaps = {name for gap in gaps for name in gap.names}
    counters = tuple(name for name in absent if name.endswith(COUNTER) and name not in in_gaps)
    missing = tuple(name for name in absent if name not in in_gaps and name not in counters)
    extra = [name for name in renamed if name not in network]
    heads = HEADS.union(weights.drop)
    unmatched = tuple(name for name in extra if name.partition(".")[0] not in heads)
    sources = set(renamed.values())
    outside = [name for name in file if name not in sources]
    return KeyAudit(
        loaded={name: loaded[name] for name in network if name in loaded},
        gaps=gaps,
        counters=counters,
        dropped=(*outside, *(renamed[name] for name in extra if name not in unmatched)),
        unmatched=unmatched,
        missing=missing,
        mismatched=tuple(sorted(mismatched, key=lambda wrong: wrong.name)),
        loaded_values=_values(network, loaded),
        network_values=_values(network, network),
        gap_values=_values(network, in_gaps),
        hint=prefix_hint(missing, network, file) if missing else "",
    )


def prefix_hint(missing: Collection[str], network: Iterable[str], file: Iterable[str]) -> str:
    """Return a sentence naming the prefix rule under which the names would agree, or an empty text."""
    wanted = [name for name in network if not name.endswith(COUNTER)]
    present = set(file)
    need = max(1, int(0.9 * len(wanted)))
    starts = dict.fromkeys(start for name in present for start in _starts(name))
    for start in sorted(starts, key=lambda text: (text.count("."), text)):
        if sum(start + name in present for name in wanted) >= need:
            return f"The names agree with prefix={start!r}."
    for start in sorted({start for name in wanted for start in _starts(name)}):
        inside = [name for name in wanted if name.startswith(start)]
        if len(inside) >= need and all(name.removeprefix(start) in present for name in inside):
            return f"The names agree with rename=[['', {start!r}]]."
    return "Is this a checkpoint of another architecture?" if len(missing) > len(wanted) // 2 else ""


def _starts(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:depth]) + "." for depth in range(1, min(len(parts), 4))]


def _renamed(file: Iterable[str], weights: WeightsFile) -> dict[str, str]:
    """Return name after the rules -> name in the file, of the names that start with the prefix."""
    result: dict[str, str] = {}
    for original in file:
        if not original.startswith(weights.prefix):
            continue
        name = original.removeprefix(weights.prefix)
        for old, new in weights.rename:
            name = new + name.removeprefix(old) if name.startswith(old) else name
        if name in result:
            raise WeightsError(
                f"weights: expected one tensor for {name!r}, got {result[name]!r} and {original!r}. "
                "Correct the prefix or rename rules."
            )
        result[name] = original
    return result


def _fits(expected: Tensor, found: Tensor) -> bool:
    return expected.shape == found.shape and expected.is_floating_point() == found.is_floating_point()


def _shape(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


def _values(network: Mapping[str, Tensor], names: Iterable[str]) -> int:
    return sum(network[name].numel() for name in names if not name.endswith(COUNTER))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    return f"{shown}{', …' if len(names) > SHOWN else ''}"
