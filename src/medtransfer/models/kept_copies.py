"""One copy of each weights file per machine, named by its content and linked into weights folders.

A file that several weights folders want is downloaded once. The copies lie in the cache folder; a folder on
the same disk gets a second name of the same bytes, one on another disk a link to them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from medtransfer.core.atomic import atomic_writer
from medtransfer.core.fingerprints import hash_file
from medtransfer.core.locations import cache_folder


def kept_copy(sha256: str) -> Path:
    """Return where the copy of a content lies or would lie."""
    return cache_folder() / "weights" / sha256[:2] / sha256


def link_kept(sha256: str, target: Path) -> bool:
    """Give a file this machine already has the name ``target``; return whether it had it.

    A copy whose bytes are no longer those of its name is removed.
    """
    copy = kept_copy(sha256)
    if not copy.is_file():
        return False
    if hash_file(copy) != sha256:
        copy.unlink()
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    _link(copy, target)
    return True


def keep_copy(target: Path, sha256: str) -> None:
    """Remember a file that was fetched, as a second name of the same bytes where the disk allows it.

    On another disk nothing is remembered: a second copy would cost what it is meant to save.
    """
    copy = kept_copy(sha256)
    if copy.exists():
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        copy.hardlink_to(target.resolve())
    except OSError:
        return


def _link(copy: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.link")
    try:
        for make in (part.hardlink_to, part.symlink_to):
            try:
                make(copy)
            except OSError:
                continue
            part.replace(target)
            return
    finally:
        part.unlink(missing_ok=True)
    with atomic_writer(target) as stream, copy.open("rb") as source:
        shutil.copyfileobj(source, stream)
