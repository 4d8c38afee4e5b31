"""Named collections with helpful look-up errors: the one shape of every extension point."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from medtransfer.core.errors import NotRegisteredError, UsageError

T = TypeVar("T")

_LEAST_LETTERS = 3
"""Fewer letters stand in too many names to suggest them."""


def nearest_names(name: str, known: Iterable[str], most: int = 5) -> list[str]:
    """Return up to ``most`` known names that look like ``name``, best first; else those that hold it.

    Example:
        >>> nearest_names("uni", ["vit_large_patch16.uni", "resnet50.tv_in1k"])
        ['vit_large_patch16.uni']
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=most, cutoff=0.5)
    if close or len(name) < _LEAST_LETTERS:
        return close
    return sorted((known for known in names if name.lower() in known.lower()), key=len)[:most]


def unknown_name(subject: str, name: str, known: Iterable[str], see: str) -> str:
    """Return the message for a name that is not known, with the nearest names.

    Args:
        subject: What is looked up, such as ``task``.
        name: The name that was given.
        known: All names that would have been right.
        see: Where all names can be seen, such as ``medtransfer tasks list``.
    """
    near = nearest_names(name, known)
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return f"{subject} {name!r} is not registered.{hint} See '{see}'."


class Registry(Generic[T]):
    """Names to records, filled by explicit :meth:`add`, listed in sorted order.

    Args:
        subject: What an entry is, in the singular; used in messages.
        see: Command that lists the entries; used in messages.
    """

    def __init__(self, subject: str, see: str) -> None:
        self._subject = subject
        self._see = see
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> T:
        """Register ``entry`` under ``name`` and return it.

        Raises:
            UsageError: If the name is taken.
        """
        if name in self._entries:
            raise UsageError(f"{self._subject} {name!r}: expected a new name, got one that is taken.")
        self._entries[name] = entry
        return entry

    def get(self, name: str) -> T:
        """Return the entry called ``name``.

        Raises:
            NotRegisteredError: If there is none; the message suggests near names.
        """
        if name not in self._entries:
            raise NotRegisteredError(unknown_name(self._subject, name, self._entries, self._see))
        return self._entries[name]

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[T]:
        return (self._entries[name] for name in self.names())

    def __len__(self) -> int:
        return len(self._entries)
