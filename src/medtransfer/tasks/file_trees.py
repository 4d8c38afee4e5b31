"""The files of a data set that is a tree of folders: listed once, in an order of our own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem

_MOST_NAMED = 5


def files_below(subject: str, root: Path, folder: str, endings: tuple[str, ...]) -> list[str]:
    """Return the locators of all files in a folder and below it whose names end so, sorted.

    Names that begin with a dot are left out, as are folders that are links.

    Args:
        subject: What to begin messages with, such as ``task 'lits'``.
        root: Folder of the data set.
        folder: Folder below it; ``.`` for all of it.
        endings: Such as ``(".dcm",)``.

    Raises:
        DataError: If there is no such folder.
    """
    top = root / folder
    if not top.is_dir():
        raise DataError(f"{subject}: expected the folder {folder!r} in {root}, got none. Check the folder.")
    found = []
    for place, folders, names in os.walk(top):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(place).relative_to(root).as_posix()
        start = "" if below == "." else f"{below}/"
        found += [start + name for name in names if name.endswith(endings) and not name.startswith(".")]
    return sorted(found)


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
