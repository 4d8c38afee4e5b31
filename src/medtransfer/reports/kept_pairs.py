"""What a report keeps of the comparisons of a row: one column per number instead of one object per pair."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, TypeVar

from medtransfer.reports.pairs import RowPairs
from medtransfer.stats.comparison_record import Comparison
from medtransfer.stats.delong import AucDifference
from medtransfer.stats.equivalence import Equivalence
from medtransfer.stats.pairwise import Pair

T = TypeVar("T")


class PairsKeeper:
    """Turns the comparisons of one row after another into equal ones that take less memory.

    Forty models are 780 pairs. As objects the tests of a row take about 3 MB, as columns about 0.2 MB; the
    names of the pairs are those of most other rows, and are kept once.
    """

    def __init__(self) -> None:
        self._places: dict[tuple[Pair, ...], Mapping[Pair, int]] = {}

    def keep(self, pairs: RowPairs | None) -> RowPairs | None:
        """Return comparisons that equal those given, their mappings read-only."""
        if pairs is None:
            return None
        pairwise = replace(
            pairs.pairwise,
            comparisons=self._records(pairs.pairwise.comparisons, Comparison),
            outperforms=self._numbers(pairs.pairwise.outperforms),
        )
        return replace(
            pairs,
            pairwise=pairwise,
            equivalences=self._records(pairs.equivalences, Equivalence),
            adjusted=self._numbers(pairs.adjusted),
            delong=None if pairs.delong is None else self._records(pairs.delong, AucDifference),
        )

    def _records(self, values: Mapping[Pair, T], kind: type[T]) -> Mapping[Pair, T]:
        names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
        found = list(map(attrgetter(*names), values.values()))
        columns = [_column(column) for column in zip(*found, strict=True)]
        return _PairColumns(self._places_of(values), lambda place: kind(*(of(place) for of in columns)))

    def _numbers(self, values: Mapping[Pair, float | None]) -> Mapping[Pair, float | None]:
        return _PairColumns(self._places_of(values), _column(list(values.values())))

    def _places_of(self, values: Mapping[Pair, Any]) -> Mapping[Pair, int]:
        pairs = tuple(values)
        if pairs not in self._places:
            self._places[pairs] = {pair: place for place, pair in enumerate(pairs)}
        return self._places[pairs]


class _PairColumns(Mapping[Pair, T]):
    """Values by pair; one is put together when it is asked for."""

    def __init__(self, places: Mapping[Pair, int], value: Callable[[int], T]) -> None:
        self._places, self._value = places, value

    def __getitem__(self, pair: Pair) -> T:
        return self._value(self._places[pair])

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, pair: object) -> bool:
        return pair in self._places


def _column(values: Sequence[Any]) -> Callable[[int], Any]:
    """Return what gives the value at a place: the one value they all are, a number of an array, or an object."""
    first = values[0] if values else None
    if all(value is first or _alike(value, first) for value in values):
        return lambda _: first
    if all(value is None or (type(value) is float and not math.isnan(value)) for value in values):
        numbers = array("d", (math.nan if value is None else value for value in values))
        if None not in values:
            return numbers.__getitem__
        return lambda place: None if math.isnan(numbers[place]) else numbers[place]
    shared: dict[str, Any] = {}
    return tuple(shared.setdefault(repr(value), value) for value in values).__getitem__


def _alike(value: Any, other: Any) -> bool:
    """Return whether two values are the same in every respect; 0.0 and -0.0 are not."""
    return type(value) is type(other) and value == other and repr(value) == repr(other)
