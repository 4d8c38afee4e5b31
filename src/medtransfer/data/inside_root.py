"""Paths that come from tables must stay below the folder of the data set."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from medtransfer.core.errors import BadImageError


def path_inside(root: Path, locator: str) -> Path:
    """Return the real path of a file named relative to ``root``.

    Args:
        root: Folder of the data set; may itself be a link.
        locator: Relative path, as it stands in a list, a CSV file or a folder.

    Returns:
        Absolute path with all links followed, which is ``root`` or below it.

    Raises:
        BadImageError: If the locator is absolute or leads outside, through ``..`` or a link, or is no path.
    """
    refuse_absolute(locator)
    return checked_inside(root, root / locator, locator)


def refuse_absolute(locator: str) -> None:
    """Refuse a path that starts at the root of the file system.

    Raises:
        BadImageError: If it does.
    """
    if Path(locator).is_absolute():
        raise BadImageError(f"{locator!r}: expected a path relative to the data folder, got an absolute one.")


def checked_inside(root: Path, path: Path, name: str) -> Path:
    """Return ``path`` with all links followed, when that is below ``root``.

    Raises:
        BadImageError: If it is outside, or cannot be followed at all.
    """
    try:
        real, real_root = real_path(path), _real_folder(root)
    except (OSError, RuntimeError, ValueError) as error:
        raise BadImageError(f"{name!r}: expected a path, got one that cannot be followed.") from error
    if not real.is_relative_to(real_root):
        raise BadImageError(
            f"{name!r}: expected a file inside the data folder, got a path that leaves it. "
            "Copy the file into the folder, or name the folder that holds both."
        )
    return real


def real_path(path: Path) -> Path:
    """Return the path with all links followed; what a folder leads to is looked up once per process.

    Raises:
        OSError: If a link leads in a circle, among others.
    """
    if path.name in {"", "..", "."} or "\0" in path.name or path.is_symlink():
        return path.resolve()
    return _real_folder(path.parent) / path.name


@lru_cache(maxsize=4096)
def _real_folder(folder: Path) -> Path:
    return folder.resolve()
