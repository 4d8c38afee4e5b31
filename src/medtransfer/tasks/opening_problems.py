"""What is noticed while a data set is opened and left to the user to accept: files left out, other totals."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from medtransfer.core.problems import Problem

_MOST_NAMED: Final = 5


def left_out(where: str, expected: str, files: Sequence[str]) -> tuple[Problem, ...]:
    """Return the problem of files that no case is made from; nothing when there are none."""
    if not files:
        return ()
    return (
        Problem(
            what="unlisted-image",
            where=where,
            expected=expected,
            found=f"{len(files)} that no case is made from, first {list(files[:_MOST_NAMED])!r}",
            next_step="Complete the labels, or accept that these files are left out.",
        ),
    )


def other_total(where: str, expected: int, found: int, things: str) -> tuple[Problem, ...]:
    """Return the problem of a total that is not the official one; nothing when it is.

    Args:
        where: File or folder that was counted.
        expected: Official number.
        found: Number that is there.
        things: What was counted, in the plural, such as ``volumes``.
    """
    if found == expected:
        return ()
    return (
        Problem(
            what="unexpected-count",
            where=where,
            expected=f"{expected} {things}",
            found=str(found),
            next_step="Complete the download, or accept it by name.",
        ),
    )


def unlisted_images(where: str, listed: Collection[str], stored: Collection[str]) -> tuple[Problem, ...]:
    """Return the problem of images in folders that no label file or list names; nothing when there are none.

    Args:
        where: The files that should name them.
        listed: Paths, or names, that are listed.
        stored: Those that are there.
    """
    known = set(listed)
    return left_out(where, "every image named", sorted(name for name in stored if name not in known))
