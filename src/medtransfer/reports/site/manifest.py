"""Which files of a folder a report wrote, so that a later one removes its own leftovers and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import UsageError

MANIFEST = "assets/manifest.json"
"""Address of the list, from the root of the site."""

_FORMAT = 1
_OURS = re.compile(r"(?:tasks|models)/[a-z0-9][a-z0-9._-]*\.html|figures/[a-z0-9-]+\.png")
_FIRST_LETTERS = 2000


def refuse_foreign_pages(out: Path, addresses: list[str], generator: str) -> None:
    """Refuse to write over pages that no report wrote.

    Args:
        out: Folder of the report.
        addresses: Pages that are about to be written.
        generator: What every page of a report holds among its first letters.

    Raises:
        UsageError: If one of them is there and something else made it.
    """
    for address in addresses:
        path = out / address
        if path.is_file() and generator.encode() not in _start(path):
            raise UsageError(
                f"report folder: expected a folder for this report, got {path}, which is no page of a report. "
                "Choose another folder, or move that file away."
            )


def read_manifest(out: Path) -> dict[str, str]:
    """Return the digests of the files an earlier report wrote, by address; empty without a list of them.

    A list that cannot be read, or names anything but pages and pictures in their folders, vouches for
    nothing: the files it is about stay.
    """
    try:
        found = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        files = found["files"] if found["format"] == _FORMAT else {}
        return {address: digest for address, digest in files.items() if _OURS.fullmatch(address)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def write_manifest(out: Path, digests: Mapping[str, str]) -> None:
    """Write the list of a report's pages and pictures.

    Args:
        out: Folder of the report.
        digests: SHA-256 of every file, by its address.
    """
    text = json.dumps({"format": _FORMAT, "files": dict(digests)}, sort_keys=True, indent=1)
    write_atomically(out / MANIFEST, text + "\n")


def listed_files(contents: Mapping[str, str | bytes]) -> dict[str, str]:
    """Return the digests of those files that a later report may remove: pages and pictures in their folders."""
    return {address: _digest(contents[address]) for address in contents if _OURS.fullmatch(address)}


def remove_leftovers(out: Path, before: Mapping[str, str], now: Mapping[str, str]) -> list[Path]:
    """Remove the files of an earlier report that this one does not have, where they are as it wrote them.

    Args:
        out: Folder of the report.
        before: What the earlier report wrote, from :func:`read_manifest`.
        now: What this report wrote.

    Returns:
        The removed files.
    """
    removed = []
    for address in sorted(set(before) - set(now)):
        path = out / address
        if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
            continue
        if _digest(path.read_bytes()) == before[address]:
            path.unlink()
            removed.append(path)
    return removed


def _digest(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_FIRST_LETTERS)
