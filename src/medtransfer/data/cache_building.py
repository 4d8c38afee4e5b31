"""Building of decoded caches: every case is decoded once, for any number of sides and for whoever looks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Generic, TypeVar

import filelock
import numpy as np

from medtransfer.core.atomic import cache_faults, fsync_folder
from medtransfer.core.errors import BadImageError, DataError, StoreError
from medtransfer.core.fingerprints import hash_json
from medtransfer.core.progress import Progress
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.cache_files import read_cache_files, write_manifest
from medtransfer.data.cache_slots import CacheSlots
from medtransfer.data.case_digests import CaseDigests, case_digests
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoding import CasePixels, DecodedCase, case_pixels, refuse_bad_images
from medtransfer.data.decoding_pass import Look, look_at_cases

T = TypeVar("T")

REVISION: Final = 1
"""Raised whenever the same files would be decoded or resized to other bytes."""


def cache_folders(
    cases: CaseTable, digests: CaseDigests, sides: Collection[int], cache_folder: Path
) -> dict[int, Path]:
    """Return where the caches of a table lie, by side: folders named by the hash of the files' contents.

    Args:
        cases: The table; only its images and masks matter, and their order.
        digests: Of all its files.
        sides: Side lengths in pixels.
        cache_folder: Root of all caches; ours go below ``decoded/``.

    Raises:
        DataError: If files cannot be read; all are named.
    """
    hashes: list[tuple[str, ...]] = []
    bad: list[str] = []
    keeps_masks = cases.kind is TaskKind.SEGMENTATION
    for case in case_pixels(cases):
        kept = (case.image, *case.masks) if keeps_masks else (case.image,)
        try:
            hashes.append(tuple(digests[part] for part in kept))
        except BadImageError as error:
            bad.append(str(error))
    refuse_bad_images(bad)
    keys = {side: hash_json({"revision": REVISION, "side": side, "contents": hashes}) for side in sides}
    return {side: cache_folder / "decoded" / key for side, key in keys.items()}


@dataclass(frozen=True)
class CachePlan:
    """The caches of a table that are to be on disk."""

    cases: CaseTable
    """The table."""
    folders: Mapping[int, Path] = field(default_factory=dict)
    """Final place of the cache of each side."""
    digests: CaseDigests | None = None
    """What the files held just before; None not to notice files that change meanwhile."""


def build_caches(plan: CachePlan, *, workers: int, progress: Progress) -> list[str]:
    """Build the caches that are not on disk yet, in one pass over the cases.

    They are built beside their final places and renamed when all are whole, so a killed builder leaves
    nothing that could be mistaken for a cache.

    Args:
        plan: The caches.
        workers: Most processes; few cases are always decoded in this one.
        progress: Told about the cases decoded.

    Returns:
        One message for each case that cannot be read; none of the caches is then kept.

    Raises:
        DataError: If files change while they are read, or a worker process dies.
        StoreError: If a cache cannot be written, such as on a full disk.
    """
    with _disk_faults(plan.folders), _being_built(plan.folders) as parts:
        report = partial(progress, "decoding images")
        return _decode(plan, parts, _no_look, workers, report)[1] if parts else []


def look_and_build_caches(plan: CachePlan, look: Look[T], *, workers: int, progress: Progress) -> list[T]:
    """Return what a look finds in every case, in row order, and build missing caches from the same decoding.

    Where a case cannot be read, no cache is kept; the look is told and should say so.

    Args:
        plan: The caches; may have none.
        look: Called once for every case.
        workers: Most processes; few cases are always decoded in this one.
        progress: Told about the cases decoded.

    Raises:
        DataError: If files change while they are read, or a worker process dies.
        StoreError: If a cache cannot be written, such as on a full disk.
    """
    with _disk_faults(plan.folders), _being_built(plan.folders) as parts:
        return _decode(plan, parts, look, workers, partial(progress, "checking images"))[0]


def _decode(
    plan: CachePlan,
    parts: Mapping[int, Path],
    look: Look[T],
    workers: int,
    report: Callable[[int, int], None],
) -> tuple[list[T], list[str]]:
    """Decode every case once; return what the look finds and why cases cannot be kept."""
    cases, pixels = plan.cases, case_pixels(plan.cases)
    with_masks = cases.kind is TaskKind.SEGMENTATION and any(case.masks for case in pixels)
    slots = [CacheSlots(part, len(cases), side, with_masks) for side, part in parts.items()]
    _create(slots)
    seen: dict[int, _Seen[T]] = {}
    for found in look_at_cases(cases.source, pixels, partial(_see, look, slots), workers=workers):
        seen.update(found)
        report(len(seen), len(pixels))
    if plan.digests is not None:
        _refuse_changed_files(cases, plan.digests)
    rows = [seen[row] for row in range(len(pixels))]
    bad = [row.bad for row in rows if row.bad is not None]
    if not bad:
        for number, (side, one) in enumerate(zip(parts, slots, strict=True)):
            one.settle(np.array([row.coloured[number] for row in rows], dtype=np.bool_))
            _put_in_place(one.folder, plan.folders[side])
    return [row.finding for row in rows], bad


def _no_look(case: CasePixels, decoded: DecodedCase) -> None:
    """Find nothing in a case: only its pixels are wanted."""


@dataclass(frozen=True)
class _Seen(Generic[T]):
    """What came of one case."""

    finding: T
    """What the look found."""
    coloured: tuple[bool, ...]
    """Whether its image has colour in each cache."""
    bad: str | None
    """Why it cannot be kept."""


def _see(
    look: Look[T], slots: Sequence[CacheSlots], row: int, case: CasePixels, decoded: DecodedCase
) -> _Seen[T]:
    finding = look(case, decoded)
    try:
        return _Seen(finding, tuple(one.fill(row, decoded) for one in slots), None)
    except BadImageError as error:
        return _Seen(finding, (), str(error))


@contextmanager
def _being_built(folders: Mapping[int, Path]) -> Iterator[dict[int, Path]]:
    """Lock all caches, in one order for everybody, and yield a temporary folder for each that is missing."""
    with ExitStack() as stack:
        ordered = sorted(folders.items(), key=lambda item: item[1])
        for _, folder in ordered:
            folder.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(filelock.FileLock(folder.with_suffix(".lock")))
        missing = [(side, folder) for side, folder in ordered if read_cache_files(folder) is None]
        yield {side: stack.enter_context(_temporary_sibling(folder)) for side, folder in missing}


@contextmanager
def _temporary_sibling(folder: Path) -> Iterator[Path]:
    for abandoned in folder.parent.glob(f".{folder.name}.*.part"):
        shutil.rmtree(abandoned, ignore_errors=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put_in_place(part: Path, folder: Path) -> None:
    """Declare a cache whole and give it its name; its lock must be held."""
    write_manifest(part, folder.name)
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)
    fsync_folder(folder.parent)
    if read_cache_files(folder) is None:
        raise StoreError(
            f"decoded cache: expected {folder} to read back as written, got other bytes. Check the disk."
        )


def _refuse_changed_files(cases: CaseTable, digests: CaseDigests) -> None:
    if case_digests(cases).by_locator != digests.by_locator:
        raise DataError(
            "images: expected files that stay as they are while they are read, got changed files. Run again."
        )


def _create(slots: Sequence[CacheSlots]) -> None:
    """Create the arrays, refused before hours of decoding where they cannot fit even if every image is grey."""
    if not slots:
        return
    folder = slots[0].folder.parent
    needed, free = sum(one.least_bytes for one in slots), shutil.disk_usage(folder).free
    if needed > free:
        raise StoreError(
            f"decoded cache: expected room for at least {_size(needed)} at {folder}, got "
            f"{_size(free)}. Free space, choose another cache folder or a smaller image size."
        )
    for one in slots:
        one.create()


def _size(number: int) -> str:
    """Return a number of bytes in the unit it needs."""
    for unit, bytes_of_it in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= bytes_of_it:
            return f"{number / bytes_of_it:.1f} {unit}"
    return f"{number} bytes"


@contextmanager
def _disk_faults(folders: Mapping[int, Path]) -> Iterator[None]:
    if not folders:
        yield
        return
    with cache_faults("decoded cache", next(iter(folders.values())).parent):
        yield
