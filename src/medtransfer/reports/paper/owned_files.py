"""Files in a folder that people edit too: what was written is known by its digest, and nothing else is touched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import UsageError

LEDGER: Final = "medtransfer-files.json"
"""Holds the digests of the files that were written into a folder."""

_SHOWN: Final = 5


def write_owned(folder: Path, contents: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Write files into a folder, replacing only what an earlier call wrote and nobody has changed since.

    Files of an earlier call that are not part of this one are removed, unless they were changed. A call
    that is killed leaves a folder the next call accepts.

    Args:
        folder: Where to write; made when it does not exist.
        contents: Content by path relative to the folder, with slashes.

    Returns:
        The paths, in the given order.

    Raises:
        UsageError: If the folder is a file, or holds a file of one of these names that is somebody's own
            or was changed; then nothing is written.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"paper folder: expected a folder at {folder}, got a file. Choose another place.")
    known = _read(folder)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    changed = [name for name in contents if not _ours(folder / name, {*known.get(name, ()), digests[name]})]
    if changed:
        raise UsageError(
            f"paper folder {folder}: expected files as they were written, got other ones at "
            f"{changed[:_SHOWN]!r}. Move them away, or choose another folder."
        )
    both = {name: sorted({*known.get(name, ()), digest}) for name, digest in digests.items()}
    _write(folder, {**known, **both})
    for name, content in contents.items():
        write_atomically(folder / name, content)
    for name in known.keys() - contents.keys():
        if (folder / name).exists() and _ours(folder / name, set(known[name])):
            (folder / name).unlink()
    _write(folder, {name: [digest] for name, digest in digests.items()})
    return tuple(folder / name for name in contents)


def _ours(path: Path, digests: set[str]) -> bool:
    """Return whether nothing is at a path, or a file with one of the digests."""
    if not path.exists() and not path.is_symlink():
        return True
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() in digests


def _read(folder: Path) -> dict[str, list[str]]:
    """Return the digests by name; names that point out of the folder are not believed."""
    path = folder / LEDGER
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {name: [str(digest) for digest in found[name]] for name in found if _inside(folder, name)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"paper folder {folder}: expected {LEDGER!r} as it was written, got {type(error).__name__}. "
            "Remove the folder, or choose another one."
        ) from error


def _inside(folder: Path, name: str) -> bool:
    return (folder / name).resolve().is_relative_to(folder.resolve())


def _write(folder: Path, digests: Mapping[str, list[str]]) -> None:
    write_atomically(folder / LEDGER, json.dumps({"files": digests}, indent=1, sort_keys=True) + "\n")
