"""Decoded pixels on disk: every image resized once to a square of bytes that all trials map into memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
import numpy.typing as npt

from medtransfer.core.atomic import fsync_folder
from medtransfer.core.errors import BadImageError, DataError, StoreError
from medtransfer.core.fingerprints import hash_json
from medtransfer.core.progress import Progress, no_progress
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.cache_files import CacheFiles, read_cache_files, write_manifest
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoding import CasePixels, decode_cases, refuse_bad_images

UInt8Array = npt.NDArray[np.uint8]

REVISION = 1
"""Raised whenever the same files would be decoded or resized to other bytes."""


@dataclass(frozen=True)
class DecodedCache:
    """The pixels of all cases of a case table, in its row order; shared by every process that maps them."""

    images: UInt8Array
    """(N, S, S, C) read-only memory map; C is 1 when no image of the table has colour, else 3."""
    masks: UInt8Array | None
    """(N, S, S) read-only memory map, 0 background and k + 1 class k; None unless segmentation."""
    key: str
    """Hash of everything the pixels depend on; part of the key of features computed from them."""

    @property
    def side(self) -> int:
        """Side length S in pixels."""
        return int(self.images.shape[1])

    def __len__(self) -> int:
        return len(self.images)


def cache_side(kind: TaskKind, size: int) -> int:
    """Return the side at which images are cached for networks that see ``size`` pixels.

    Classification leaves an eighth for crops, as 256 is to 224; segmentation must see every pixel.

    Example:
        >>> cache_side(TaskKind.BINARY, 224), cache_side(TaskKind.SEGMENTATION, 224)
        (256, 224)
    """
    return round(size * 8 / 7) if kind.is_classification else size


def open_decoded_cache(
    cases: CaseTable,
    side: int,
    cache_folder: Path,
    *,
    workers: int = 1,
    progress: Progress = no_progress,
) -> DecodedCache:
    """Return the decoded pixels of all cases, building them first where they are not on disk yet.

    The cache lies in a folder named by the hash of the files' contents. It is built beside its final
    place and renamed when whole, so a killed builder leaves nothing that could be mistaken for a cache.
    Sizes and hashes are verified when a process opens it for the first time; a damaged one is rebuilt.

    Args:
        cases: The case table; only its images and masks matter, not its labels or splits.
        side: Side length S in pixels, at least 1.
        cache_folder: Root of all caches; ours go below ``decoded/``.
        workers: Most processes to decode with; few cases are always decoded in this one.
        progress: Told about the decoded cases.

    Raises:
        DataError: If images or masks cannot be read (all are named), or change while they are read.
        StoreError: If the cache cannot be written, such as on a full disk.
    """
    if side < 1 or len(cases) == 0:
        raise DataError(
            f"decoded cache: expected a side and a case count of at least 1, got {side} and {len(cases)}."
        )
    pixels = _case_pixels(cases)
    key = _cache_key(cases, pixels, side)
    folder = cache_folder / "decoded" / key
    files = read_cache_files(folder)
    if files is None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.with_suffix(".lock")):
            files = read_cache_files(folder)
            if files is None:

                def build(part: Path) -> None:
                    decode_cases(cases.source, pixels, side, part, workers=workers, progress=progress)
                    _refuse_changed_sources(cases, pixels, side, key)
                    write_manifest(part, key)

                files = _replace(folder, build)
    return DecodedCache(files.images, files.masks, key)


def _case_pixels(cases: CaseTable) -> list[CasePixels]:
    images = cases.frame["image"].astype(str)
    if cases.kind is not TaskKind.SEGMENTATION:
        return [CasePixels(image) for image in images]
    return [CasePixels(image, tuple(parts)) for image, parts in zip(images, cases.frame["mask"], strict=True)]


def _replace(folder: Path, build: Callable[[Path], None]) -> CacheFiles:
    """Build a cache in a temporary sibling and put it in place of ``folder``; the lock must be held."""
    for abandoned in folder.parent.glob(f".{folder.name}.*.part"):
        shutil.rmtree(abandoned, ignore_errors=True)
    try:
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
        try:
            build(part)
            if folder.exists():
                shutil.rmtree(folder)
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        fsync_folder(folder.parent)
    except OSError as error:
        raise StoreError(
            f"decoded cache: expected a writable folder with room at {folder.parent}, "
            f"got {error.strerror!r}. Free space or choose another cache folder."
        ) from error
    files = read_cache_files(folder)
    if files is None:
        raise StoreError(
            f"decoded cache: expected {folder} to read back as written, got other bytes. Check the disk."
        )
    return files


def _cache_key(cases: CaseTable, pixels: list[CasePixels], side: int) -> str:
    """Return the hash of the contents of all images and masks, the side and our revision."""
    hashes: list[tuple[str, ...]] = []
    bad: list[str] = []
    for case in pixels:
        try:
            hashes.append(tuple(cases.source.content_hash(part) for part in (case.image, *case.masks)))
        except BadImageError as error:
            bad.append(str(error))
    refuse_bad_images(bad)
    return hash_json({"revision": REVISION, "side": side, "contents": hashes})


def _refuse_changed_sources(cases: CaseTable, pixels: list[CasePixels], side: int, key: str) -> None:
    if _cache_key(cases, pixels, side) != key:
        raise DataError(
            "decoded cache: expected images that stay as they are while they are read, got changed files. "
            "Run again."
        )
