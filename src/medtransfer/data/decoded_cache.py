"""Decoded pixels on disk: every image resized once to a square of bytes that all trials map into memory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import DataError, StoreError
from medtransfer.core.progress import Progress, no_progress
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.cache_building import CachePlan, build_caches, cache_folders
from medtransfer.data.cache_files import is_declared_whole, read_cache_files
from medtransfer.data.case_digests import CaseDigests, case_digests
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoding import refuse_bad_images

UInt8Array = npt.NDArray[np.uint8]


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
    digests: CaseDigests | None = None,
    workers: int = 1,
    progress: Progress = no_progress,
) -> DecodedCache:
    """Return the decoded pixels of all cases, building them first where they are not on disk yet.

    Sizes and hashes are verified when a process opens a cache for the first time; a damaged one is rebuilt.

    Args:
        cases: The case table; only its images and masks matter, not its labels or splits.
        side: Side length S in pixels, at least 1.
        cache_folder: Root of all caches.
        digests: What the files hold, where that was just looked up; None to look it up now.
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
    digests = case_digests(cases) if digests is None else digests
    folders = cache_folders(cases, digests, [side], cache_folder)
    folder = folders[side]
    files = read_cache_files(folder)
    if files is None:
        plan = CachePlan(cases, folders, digests)
        refuse_bad_images(build_caches(plan, workers=workers, progress=progress))
        files = read_cache_files(folder)
    if files is None:
        raise StoreError(
            f"decoded cache: expected {folder} to stay, got none. Do not clean the cache meanwhile."
        )
    return DecodedCache(files.images, files.masks, folder.name)


def missing_sides(
    cases: CaseTable, digests: CaseDigests, sides: Collection[int], cache_folder: Path
) -> frozenset[int]:
    """Return the sides of which there is no cache, by manifests and sizes; contents are not verified.

    Raises:
        DataError: If files cannot be read; all are named.
    """
    folders = cache_folders(cases, digests, sides, cache_folder)
    return frozenset(side for side, folder in folders.items() if not is_declared_whole(folder))
