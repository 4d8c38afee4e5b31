"""What became of every tensor of a network and of every tensor of a weights file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from medtransfer.core.problems import Problem
from medtransfer.models.adaptations import PlannedAdaptation, planned_adaptation
from medtransfer.models.joined_tensors import Source, sources_of
from medtransfer.models.key_rules import treated_names
from medtransfer.models.key_schemes import schemes
from medtransfer.models.rule_hints import depth_hint, rule_hint
from medtransfer.models.source_model import Adaptation, WeightsFile

HEADS = frozenset({"classifier", "fc", "head", "head_dist", "heads", "linear"})
"""First components of the names of task heads; what a backbone does not know of them is dropped."""

COUNTER = "num_batches_tracked"
"""Batch counter of batch normalisation; no number depends on it, so a file may lack it."""

SHOWN = 5
"""Names shown in a message."""

_DROP_ADVICE = "Name their first component in 'drop' if they are no part of the network."


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
class AuditRow:
    """One line of the table of a load."""

    part: str
    """``loaded``, ``gaps``, ``counters``, ``missing``, ``mismatched``, ``dropped``, ``ignored``,
    ``unmatched``."""
    of: Literal["network", "file"]
    """Whose tensors are counted."""
    tensors: int
    """How many there are."""
    share: float
    """Share of all numbers of the network or the file they hold, in [0, 1]; counters count as none."""


@dataclass(frozen=True)
class KeyAudit:
    """Account of one load: nothing of the network or of the file is left out."""

    loaded: Mapping[str, Source]
    """Network name to where in the file its numbers lie."""
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
    """What would make the names agree, as a sentence."""
    ignored: tuple[str, ...] = ()
    """Names in the file that an expression or the scheme leaves out: decoders, tables of indices."""
    adaptations: Mapping[str, PlannedAdaptation] = field(default_factory=dict)
    """Name in the network to what is done to the loaded tensor so that it fits."""
    table: tuple[AuditRow, ...] = ()
    """Where the tensors of the network and of the file went, in numbers."""
    parts: tuple[str, ...] = ()
    """Names after the rules of what was read and is not the network's as it lies in the file."""

    @property
    def adapted(self) -> dict[str, str]:
        """Name in the network to what was done to the tensor of the file, or to those of it, in words."""
        joined = {name: source.description for name, source in self.loaded.items() if not source.is_whole}
        for name, plan in self.adaptations.items():
            joined[name] = "; ".join(filter(None, (joined.get(name), plan.description)))
        return joined

    @property
    def read(self) -> frozenset[str]:
        """Names in the file whose numbers are in the network."""
        return frozenset(name for source in self.loaded.values() for name in source.names)

    @property
    def share(self) -> float:
        """Share of the network's numbers outside declared gaps that came from the file, in [0, 1]."""
        wanted = self.network_values - self.gap_values
        return self.loaded_values / wanted if wanted else 0.0

    def problems(self, where: str) -> list[Problem]:
        """Return what stops the weights from being used; empty when all is loaded or declared."""
        found = []
        if self.missing:
            absent = f"{len(self.missing)} absent, {_listed(self.missing)} ({self.share:.1%} of it matches)"
            hint = self.hint or depth_hint(self.missing, self.loaded)
            found.append(Problem("missing-weights", where, "every tensor of the network", absent, hint))
        if self.unmatched:
            others = f"{len(self.unmatched)} others, {_listed(self.unmatched)}"
            known = (*self.loaded, *self.parts)
            hint = "" if self.missing else depth_hint(self.unmatched, known) or _DROP_ADVICE
            found.append(Problem("unmatched-weights", where, "only tensors the network has", others, hint))
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
            "ignored": len(self.ignored),
            "adapted": len(self.adapted),
        }


def match_keys(network: Mapping[str, Tensor], file: Mapping[str, Tensor], weights: WeightsFile) -> KeyAudit:
    """Return which tensor of a weights file goes where in a network.

    Args:
        network: State of the whole network, without its task head.
        file: Tensors of the weights file.
        weights: Rules for the names, allowed adaptations and declared gaps.

    Raises:
        WeightsError: If two names of the file become one by the rules.
        NotRegisteredError: If nobody defines the scheme.
    """
    names, scheme = treated_names(file, weights), schemes.get(weights.scheme)
    sources = sources_of(network, names.placed, scheme.joins)
    plans = _adaptations(network, file, sources, {*weights.adapt, *scheme.adapt})
    mismatched = _mismatched(network, file, sources, plans)
    wrong = {mismatch.name for mismatch in mismatched}
    loaded = {name: source for name, source in sources.items() if name not in wrong}
    gaps, counters, missing = _absent([name for name in network if name not in sources], weights)
    found = {name for source in sources.values() for name in source.names}
    others = [name for name, in_file in names.placed.items() if in_file not in found]
    unmatched, heads = _extra(others, network, weights)
    dropped = (*names.outside, *(names.placed[name] for name in heads))
    in_gaps = [name for gap in gaps for name in gap.names]
    ours = {"loaded": loaded, "gaps": in_gaps, "counters": counters, "missing": missing, "mismatched": wrong}
    theirs = {
        "dropped": dropped,
        "ignored": names.ignored,
        "unmatched": [names.placed[name] for name in unmatched],
    }
    wanted = [name for name in network if not name.endswith(COUNTER)]
    return KeyAudit(
        loaded=loaded,
        gaps=gaps,
        counters=counters,
        dropped=dropped,
        unmatched=unmatched,
        missing=missing,
        mismatched=mismatched,
        loaded_values=_values(network, loaded),
        network_values=_values(network, network),
        gap_values=_values(network, in_gaps),
        hint=rule_hint(missing, wanted, file.keys(), weights),
        ignored=names.ignored,
        adaptations=plans,
        table=(*_rows("network", network, ours), *_rows("file", file, theirs)),
        parts=tuple(
            name for name, in_file in names.placed.items() if in_file in found and name not in network
        ),
    )


def _adaptations(
    network: Mapping[str, Tensor],
    file: Mapping[str, Tensor],
    sources: Mapping[str, Source],
    allowed: Collection[Adaptation],
) -> dict[str, PlannedAdaptation]:
    """Return what is done to tensors of another shape, of those that hold numbers of the right kind."""
    plans = {}
    for name, source in sources.items():
        expected, found = tuple(network[name].shape), source.shape(file)
        if found is None or found == expected or not _same_kind(network[name], file[source.names[0]]):
            continue
        plan = planned_adaptation(name, found, expected, allowed)
        if plan is not None:
            plans[name] = plan
    return plans


def _mismatched(
    network: Mapping[str, Tensor],
    file: Mapping[str, Tensor],
    sources: Mapping[str, Source],
    plans: Mapping[str, PlannedAdaptation],
) -> tuple[Mismatch, ...]:
    return tuple(
        Mismatch(name, _shape(network[name]), _found(source, file))
        for name, source in sorted(sources.items())
        if name not in plans and not _fits(network[name], source, file)
    )


def _absent(
    names: Sequence[str], weights: WeightsFile
) -> tuple[tuple[GapFound, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the declared gaps, batch counters and missing tensors among what the file does not hold."""
    gaps = tuple(
        GapFound(gap.prefix, gap.reason, tuple(name for name in names if name.startswith(gap.prefix)))
        for gap in weights.gaps
    )
    in_gaps = {name for gap in gaps for name in gap.names}
    rest = [name for name in names if name not in in_gaps]
    counters = tuple(name for name in rest if name.endswith(COUNTER))
    return gaps, counters, tuple(name for name in rest if not name.endswith(COUNTER))


def _extra(
    names: Sequence[str], network: Mapping[str, Tensor], weights: WeightsFile
) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of the file that have no place, and those that are dropped on purpose."""
    firsts = {name.partition(".")[0] for name in network}
    heads = [name for name in names if _is_dropped(name, firsts, weights)]
    dropped = set(heads)
    return tuple(name for name in names if name not in dropped), heads


def _is_dropped(name: str, firsts: Collection[str], weights: WeightsFile) -> bool:
    """Return whether a name is one of a head, or of a part that is left out and not the network's own.

    Dropping a part of the network itself would take the first blocks of a deeper one for the whole.
    """
    first = name.partition(".")[0]
    return first in HEADS or (first in weights.drop and first not in firsts)


def _rows(
    of: Literal["network", "file"], state: Mapping[str, Tensor], parts: Mapping[str, Iterable[str]]
) -> list[AuditRow]:
    total = max(1, _values(state, state))
    return [
        AuditRow(part, of, len(names := list(members)), _values(state, names) / total)
        for part, members in parts.items()
    ]


def _fits(expected: Tensor, source: Source, file: Mapping[str, Tensor]) -> bool:
    kinds = all(_same_kind(expected, file[name]) for name in source.names)
    return kinds and source.shape(file) == tuple(expected.shape)


def _same_kind(expected: Tensor, found: Tensor) -> bool:
    return expected.is_floating_point() == found.is_floating_point()


def _found(source: Source, file: Mapping[str, Tensor]) -> str:
    """Return the shapes and types of the tensors of the file, and which part of them is meant."""
    whole = " and ".join(_shape(file[name]) for name in source.names)
    return whole if source.of == 1 else f"{source.stop - source.start}/{source.of} of {whole}"


def _shape(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


def _values(network: Mapping[str, Tensor], names: Iterable[str]) -> int:
    return sum(network[name].numel() for name in names if not name.endswith(COUNTER))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    return f"{shown}{', …' if len(names) > SHOWN else ''}"
