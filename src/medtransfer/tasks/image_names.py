"""Image files whose names say what they are: listed once, every other name refused."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from medtransfer.core.errors import DataError
from medtransfer.tasks.tables import refuse

_ENDINGS: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".bmp", ".dcm", ".img"})


def image_names(
    subject: str, root: Path, folder: str, pattern: re.Pattern[str], form: str
) -> dict[str, re.Match[str]]:
    """Return the names of all image files in a folder, sorted, with what a pattern finds in them.

    Hidden files and files that are no images, such as readings in text, are not looked at.

    Args:
        subject: What to begin messages with, such as ``task 'shenzhen-tb'``.
        root: Folder of the data set.
        folder: Folder below it, without what is below that.
        pattern: What the whole name of every image must match.
        form: A name of that form, for messages.

    Raises:
        DataError: If the folder is missing or holds no image, or an image has another name.
    """
    try:
        with os.scandir(root / folder) as entries:
            names = sorted(entry.name for entry in entries if _is_image(entry.name))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"{subject}: expected a folder {folder!r} in {root}, got none. Check the folder."
        ) from error
    matches = {name: pattern.fullmatch(name) for name in names}
    refuse(
        subject, folder, f"images named like {form!r}", [repr(name) for name in names if not matches[name]]
    )
    if not names:
        raise DataError(
            f"{subject}: {folder}: expected images named like {form!r}, got none. Check the folder."
        )
    return {name: match for name, match in matches.items() if match is not None}


def _is_image(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in _ENDINGS
