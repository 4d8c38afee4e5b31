"""Sequences whose members are made when they are asked for, and not kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar, overload

T = TypeVar("T")
S = TypeVar("S")


class OnDemand(Sequence[T]):
    """What would take much memory if all of it were there at once, such as the pages of a large report.

    Args:
        makers: One per member; called every time it is asked for.

    Example:
        >>> list(OnDemand([lambda: "first", lambda: "second"]))
        ['first', 'second']
    """

    def __init__(self, makers: Sequence[Callable[[], T]]) -> None:
        self._makers = makers

    def __len__(self) -> int:
        return len(self._makers)

    @overload
    def __getitem__(self, place: int) -> T: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...

    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        if isinstance(place, slice):
            return OnDemand(self._makers[place])
        return self._makers[place]()

    def each(self, change: Callable[[T], S]) -> OnDemand[S]:
        """Return what a function makes of each member, on demand too."""
        return OnDemand([partial(_changed, change, make) for make in self._makers])


def _changed(change: Callable[[T], S], make: Callable[[], T]) -> S:
    return change(make())
