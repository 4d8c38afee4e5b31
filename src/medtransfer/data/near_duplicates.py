"""Images in different splits that look alike: candidates by perceptual hash, confirmed by their pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import DataError
from medtransfer.core.progress import Progress, no_progress
from medtransfer.data.case_table import SPLITS, CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.image_source import ImageSource
from medtransfer.data.locators import volume_of
from medtransfer.data.perceptual_hashes import close_pairs, perceptual_hash, perceptual_hashes_of_file
from medtransfer.data.worker_pool import parts_of, worker_pool

MOST_BITS: Final = 8
"""Hashes that differ by more bits are no candidates; re-encoding changes 0 to 4, a shift by a pixel up to 8."""
LEAST_SIMILARITY: Final = 0.87
"""Correlation of the fine structure from which a pair counts as near duplicate; copies that were encoded
again, rescaled or shifted by a pixel have 0.88 and more, images of different people rarely 0.8."""
MOST_CONFIRMED: Final = 2000
"""Most candidates whose pixels are compared, closest first."""

_FEWEST_FOR_WORKERS: Final = 500
_IMAGES_PER_JOB: Final = 32
_SIDE: Final = 64
_COARSE: Final = 2.0
"""Standard deviation in pixels of what counts as coarse: the shape of a chest or an eye, which all share."""


@dataclass(frozen=True)
class ClosePair:
    """Two cases of different splits that look alike."""

    first: int
    """Row of the case in the earlier split."""
    second: int
    """Row of the other."""
    bits: int
    """Bits by which the perceptual hashes differ, of 64."""
    similarity: float
    """Correlation of the fine structure of the shrunk grey images, at most 1."""
    mirrored: bool
    """Whether one is the mirror image of the other."""


def find_near_duplicates(
    cases: CaseTable, rows: Sequence[int], *, workers: int = 1, progress: Progress = no_progress
) -> tuple[list[ClosePair], int]:
    """Return pairs of cases in different splits that are nearly the same image, most similar first.

    Args:
        cases: All cases.
        rows: Rows to compare, those whose images can be read and have content.
        workers: Processes that hash when there are 500 images or more.
        progress: Told how many images are hashed.

    Returns:
        The pairs, and how many candidates were left unconfirmed because there were too many.

    Raises:
        DataError: If a worker process dies.
    """
    hashes: dict[int, tuple[int, int]] = {}
    images = [str(image) for image in cases.frame["image"].iloc[list(rows)]]
    for row, value in zip(rows, _hash_all(cases.source, images, workers), strict=True):
        hashes[row] = value
        progress("comparing images", len(hashes), len(rows))
    split = cases.frame["split"].to_numpy()
    members = {name: [row for row in rows if split[row] == name] for name in SPLITS}
    candidates: dict[tuple[int, int, bool], int] = {}
    for one, two in combinations(SPLITS, 2):
        left = [hashes[row][0] for row in members[one]]
        for mirrored in (False, True):
            right = [hashes[row][mirrored] for row in members[two]]
            for i, j, bits in close_pairs(left, right, MOST_BITS):
                candidates[members[one][i], members[two][j], mirrored] = bits
    ordered = sorted(candidates.items(), key=lambda item: (item[1], item[0]))
    pairs = [_confirmed(cases, key, bits) for key, bits in ordered[:MOST_CONFIRMED]]
    kept = [pair for pair in pairs if pair.similarity >= LEAST_SIMILARITY]
    best = {(pair.first, pair.second): pair for pair in sorted(kept, key=lambda pair: pair.similarity)}
    found = sorted(best.values(), key=lambda pair: (-round(pair.similarity, 6), pair.first, pair.second))
    return found, max(0, len(ordered) - MOST_CONFIRMED)


def _hash_all(source: ImageSource, images: Sequence[str], workers: int) -> Iterator[tuple[int, int]]:
    if workers <= 1 or len(images) < _FEWEST_FOR_WORKERS:
        yield from (_hash(source, image) for image in images)
        return
    pool = worker_pool(workers)
    try:
        for found in pool.map(partial(_hash_part, source), parts_of(images, volume_of, _IMAGES_PER_JOB)):
            yield from found
    except BrokenProcessPool as error:
        raise DataError(
            "near duplicates: expected all worker processes to finish, got one that died. Check the memory, or "
            "leave the search out with --quick."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _hash_part(source: ImageSource, images: Sequence[str]) -> list[tuple[int, int]]:
    return [_hash(source, image) for image in images]


def _hash(source: ImageSource, locator: str) -> tuple[int, int]:
    """Return the hashes of an image and of its mirror image."""
    if isinstance(source, FileSource) and source.is_plain_picture(locator):
        return perceptual_hashes_of_file(source.root / locator)
    image = source.read_image(locator)
    return perceptual_hash(image), perceptual_hash(image[:, ::-1].copy())


def _confirmed(cases: CaseTable, key: tuple[int, int, bool], bits: int) -> ClosePair:
    first, second, mirrored = key
    one, other = (_fine_structure(cases, row) for row in (first, second))
    return ClosePair(first, second, bits, _correlation(one, other[:, ::-1] if mirrored else other), mirrored)


def _fine_structure(cases: CaseTable, row: int) -> npt.NDArray[np.float64]:
    """Return what a small version of an image holds beyond coarse shapes, strong edges cut to size."""
    image = cases.source.read_image(str(cases.frame["image"].iloc[row]))
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)
    fine = small - cv2.GaussianBlur(small, (0, 0), _COARSE)
    most = np.percentile(np.abs(fine), 75)
    return np.asarray(np.clip(fine, -most, most), dtype=np.float64)


def _correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / size if size else 0.0
