"""Tensors that a network holds as one and a file as several, or the other way round; without torch."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Join:
    r"""One tensor whose rows are those of several, one under the other along the first axis.

    Names are the network's where it has such a tensor, and made in their manner where it has not.

    Example:
        >>> join = Join(r"(.+)\.qkv", (r"\1.q", r"\1.k", r"\1.v"), (1, 1, 1))
        >>> join.parts_of("blocks.0.qkv")
        ('blocks.0.q', 'blocks.0.k', 'blocks.0.v')
        >>> join.parts_of("blocks.0.proj")
        ()
    """

    whole: str
    """Expression that matches the whole name of the one."""
    parts: tuple[str, ...]
    """Names of the several, in the order of their rows, with the groups of the expression."""
    rows: tuple[int, ...]
    """Rows of each, as multiples of a common number."""

    def parts_of(self, name: str) -> tuple[str, ...]:
        """Return the names of the several tensors of one; empty for a name that is no such one."""
        found = re.fullmatch(self.whole, name)
        return tuple(found.expand(part) for part in self.parts) if found else ()


@dataclass(frozen=True)
class Source:
    """Where in a weights file the numbers of one tensor of a network lie."""

    names: tuple[str, ...]
    """Names in the file; the rows of several are put one under the other."""
    start: int = 0
    """First row, in units of ``of``."""
    stop: int = 1
    """Row after the last, in units of ``of``."""
    of: int = 1
    """Number of equal parts the rows of the file's tensor fall into."""

    @property
    def is_whole(self) -> bool:
        """Whether it is one tensor of the file as it lies there."""
        return len(self.names) == 1 and self.of == 1

    @property
    def description(self) -> str:
        """What is done to the tensors of the file, for the account of a load; empty where nothing is."""
        if len(self.names) > 1:
            return f"{len(self.names)} tensors stacked: {', '.join(self.names)}"
        part = f"{self.start + 1}" if self.stop == self.start + 1 else f"{self.start + 1} to {self.stop}"
        return "" if self.of == 1 else f"part {part} of {self.of} of the rows of {self.names[0]}"

    def shape(self, file: Mapping[str, Tensor]) -> Shape | None:
        """Return the shape of the tensor; None where those of the file do not go together."""
        shapes = [tuple(file[name].shape) for name in self.names]
        if self.is_whole:
            return shapes[0]
        one_kind = len(
            {(shape[1:], file[name].dtype) for shape, name in zip(shapes, self.names, strict=True)}
        )
        if one_kind > 1 or not shapes[0] or shapes[0][0] % self.of:
            return None
        rows = sum(shape[0] for shape in shapes) * (self.stop - self.start) // self.of
        return (rows, *shapes[0][1:])

    def read(self, file: Mapping[str, Tensor]) -> Tensor:
        """Return the tensor in the type of the file.

        Args:
            file: Tensors by their names in the file; :meth:`shape` of them is not None.
        """
        import torch

        if len(self.names) > 1:
            return torch.cat([file[name] for name in self.names])
        tensor = file[self.names[0]]
        unit = 0 if self.is_whole else len(tensor) // self.of
        return tensor if self.is_whole else tensor[self.start * unit : self.stop * unit]


def sources_of(
    network: Collection[str], placed: Mapping[str, str], joins: Iterable[Join]
) -> dict[str, Source]:
    """Return where each tensor of a network is found, in the network's order; those that are not are left out.

    Args:
        network: Names of the network.
        placed: Name after the rules to name in the file.
        joins: Tensors that are one on one side and several on the other.

    Example:
        >>> join = Join("in_proj", ("q", "kv"), (1, 2))
        >>> sources_of(["q", "kv"], {"in_proj": "head.in_proj"}, [join])["kv"]
        Source(names=('head.in_proj',), start=1, stop=3, of=3)
    """
    found = {name: Source((placed[name],)) for name in network if name in placed}
    wanted = set(network)
    for join in joins:
        for name in wanted - set(found):
            parts = join.parts_of(name)
            if parts and all(part in placed for part in parts):
                found[name] = Source(tuple(placed[part] for part in parts))
        for name in set(placed) - wanted:
            parts = join.parts_of(name)
            if parts and wanted.issuperset(parts) and not set(parts) & set(found):
                found.update(_divided(placed[name], parts, join.rows))
    return {name: found[name] for name in network if name in found}


def _divided(source: str, parts: tuple[str, ...], rows: tuple[int, ...]) -> dict[str, Source]:
    ends = [sum(rows[: number + 1]) for number in range(len(rows))]
    return {
        part: Source((source,), end - count, end, sum(rows))
        for part, end, count in zip(parts, ends, rows, strict=True)
    }
