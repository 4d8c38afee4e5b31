"""What image files lie in a data set's folders: each listed once, in an order of our own."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from medtransfer.core.errors import DataError

_MOST_NAMED: Final = 5


def stored_images(root: Path, folder: str, endings: Sequence[str], *, depth: int = 0) -> list[str]:
    """Return all image files that lie at one depth below a folder, as paths below the root.

    Every folder is listed once and no file is opened; names that begin with a dot are no images.

    Args:
        root: The data set's folder.
        folder: Folder below it.
        endings: What names of images end with, in lower case, such as ``(".png",)``.
        depth: Levels of folders between ``folder`` and the images.

    Returns:
        Sorted paths with forward slashes; none when the folder is missing.

    Raises:
        DataError: If a folder cannot be listed.
    """
    level = [folder] if (root / folder).is_dir() else []
    try:
        for _ in range(depth):
            level = [f"{path}/{name}" for path in level for name in _names(f"{root}/{path}", folders=True)]
        found = [f"{path}/{name}" for path in level for name in _names(f"{root}/{path}", folders=False)]
    except OSError as error:
        raise DataError(
            f"{folder}: expected folders that can be listed, got {error.strerror}. Check the data folder."
        ) from error
    return sorted(path for path in found if path.lower().endswith(tuple(endings)))


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


def refuse_missing(subject: str, where: str, listed: pd.Series, stored: Collection[str]) -> None:
    """Refuse a label file that names images the folders do not hold.

    Args:
        subject: What to begin the message with.
        where: The label file.
        listed: Paths below the root, with line numbers as index.
        stored: What :func:`stored_images` returned.

    Raises:
        DataError: Naming up to five lines and the number of the others.
    """
    absent = listed[~listed.isin(list(stored))]
    if len(absent):
        named = "; ".join(f"line {line}: {path!r}" for line, path in absent.iloc[:_MOST_NAMED].items())
        more = f"; and {len(absent) - _MOST_NAMED} more" if len(absent) > _MOST_NAMED else ""
        raise DataError(
            f"{subject}: {where}: expected only images that are in the data folder, got {named}{more}. "
            "Complete the download, or correct the file."
        )


def _names(path: str, *, folders: bool) -> list[str]:
    with os.scandir(path) as entries:
        return [
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and (entry.is_dir() if folders else entry.is_file())
        ]
