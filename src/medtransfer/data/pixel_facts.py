"""What the audit needs to know about the pixels of each case; every image and mask is read once."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL

from medtransfer.core.atomic import cache_faults, write_atomically
from medtransfer.core.errors import BadImageError
from medtransfer.core.fingerprints import hash_array, hash_json
from medtransfer.core.progress import Progress
from medtransfer.data.cache_building import (
    CachePlan,
    build_caches,
    cache_folders,
    look_and_build_caches,
)
from medtransfer.data.case_digests import CaseDigests, case_digests
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoding import CasePixels, DecodedCase, UInt8Array, case_pixels

_REVISION: Final = 2


@dataclass(frozen=True)
class PixelFacts:
    """What was seen when the image and the masks of one case were decoded."""

    pixels: str | None
    """Hash of the decoded image, grey images stored as colour counted as grey; None when unreadable."""
    constant: bool
    """Whether all pixels of the image are equal."""
    bad_image: str | None
    """Why the image cannot be read."""
    bad_masks: tuple[str, ...]
    """Why masks cannot be read, one sentence each."""
    other_sizes: tuple[str, ...]
    """Masks whose size is not the image's, with both sizes."""
    class_ids: tuple[int, ...]
    """Values above 0 that the masks hold, ascending; without the field of view."""
    size: tuple[int, ...] = ()
    """Width and height of the image in pixels; empty when unreadable."""
    colour: bool = False
    """Whether the channels of the image differ."""


def pixel_facts(
    cases: CaseTable, *, cache_folder: Path | None, workers: int, progress: Progress
) -> list[PixelFacts]:
    """Return the facts of all cases, in row order; from the cache folder when nothing has changed.

    Args:
        cases: Table whose images are read.
        cache_folder: Root of the caches; None to read everything again and remember nothing.
        workers: Processes that decode, where there are enough cases to pay for starting them.
        progress: Told about the cases seen.

    Raises:
        DataError: If a worker process dies, or files change while they are read.
    """
    if cache_folder is not None:
        digests = case_digests(cases)
        return facts_and_caches(cases, digests, (), cache_folder, workers=workers, progress=progress)
    look = _Inspection(cases.source.describe)
    return look_and_build_caches(CachePlan(cases), look, workers=workers, progress=progress)


def facts_and_caches(
    cases: CaseTable,
    digests: CaseDigests,
    sides: Collection[int],
    cache_folder: Path,
    *,
    workers: int,
    progress: Progress,
) -> list[PixelFacts]:
    """Return the facts as :func:`pixel_facts` does, and leave decoded caches of these sides on disk.

    Facts that are not known yet and caches that are missing come out of one pass, in which every image is
    decoded once. Where an image or a mask cannot be read there is no cache, and the facts say why.

    Args:
        cases: Table whose images are read.
        digests: Of all its files.
        sides: Side lengths in pixels; none to keep no pixels.
        cache_folder: Root of the caches.
        workers: Processes that decode, where there are enough cases to pay for starting them.
        progress: Told about the cases seen.

    Raises:
        DataError: If a worker process dies, or files change while they are read.
        StoreError: If the facts or a cache cannot be written, such as on a full disk.
    """
    path = _memo_path(cases, digests, cache_folder)
    facts = _recall(path, len(cases))
    folders = cache_folders(cases, digests, sides, cache_folder) if sides and not digests.bad else {}
    plan = CachePlan(cases, folders, digests)
    if facts is None:
        look = _Inspection(cases.source.describe)
        facts = look_and_build_caches(plan, look, workers=workers, progress=progress)
        if path is not None:
            with cache_faults("audit", path.parent):
                write_atomically(path, json.dumps([asdict(entry) for entry in facts]))
        return facts
    progress("checking images", len(cases), len(cases))
    if not any(entry.bad_image or entry.bad_masks for entry in facts):
        build_caches(plan, workers=workers, progress=progress)
    return facts


def _memo_path(cases: CaseTable, digests: CaseDigests, cache_folder: Path) -> Path | None:
    """Return where the facts are remembered; nowhere when a file is missing."""
    if digests.bad:
        return None
    rows = [vars(case) for case in case_pixels(cases)]
    key = hash_json([_REVISION, PIL.__version__, digests.of_table(cases), rows])
    return cache_folder / "audits" / f"{key}.json"


def _recall(path: Path | None, rows: int) -> list[PixelFacts] | None:
    """Return remembered facts; None, so that they are found again, where none are whole."""
    if path is None or not path.is_file():
        return None
    try:
        facts = [_from_json(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError):
        return None
    return facts if len(facts) == rows else None


def _from_json(entry: dict[str, Any]) -> PixelFacts:
    fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()}
    return PixelFacts(**fields)


@dataclass(frozen=True)
class _Inspection:
    """Looks at decoded cases for the audit; picklable where the source is."""

    describe: Callable[[str], str]
    """What to call a locator in messages."""

    def __call__(self, case: CasePixels, decoded: DecodedCase) -> PixelFacts:
        image, bad_image = decoded.image, None
        size, pixels, constant, colour = None, None, False, False
        if isinstance(image, BadImageError):
            bad_image = str(image)
        else:
            if image.ndim == 3 and (image == image[..., :1]).all():
                image = image[..., 0]
            size, pixels, constant = image.shape[:2], hash_array(image), bool(image.min() == image.max())
            colour = image.ndim == 3
        bad_masks, other_sizes, class_ids = self._masks(case, decoded, size)
        shown = () if size is None else (size[1], size[0])
        return PixelFacts(pixels, constant, bad_image, bad_masks, other_sizes, class_ids, shown, colour)

    def _masks(
        self, case: CasePixels, decoded: DecodedCase, size: tuple[int, ...] | None
    ) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]:
        bad, other, ids = [], [], set()
        view = () if decoded.field_of_view is None else (decoded.field_of_view,)
        masks: tuple[UInt8Array | BadImageError, ...] = (*decoded.masks, *view)
        for number, (locator, mask) in enumerate(zip(case.locators[1:], masks, strict=True)):
            if isinstance(mask, BadImageError):
                bad.append(str(mask))
                continue
            if size is not None and mask.shape != size:
                other.append(f"{self.describe(locator)} ({_text(mask.shape)}, image {_text(size)})")
            if number < len(case.masks):
                ids.update(np.unique(mask).tolist())
        return tuple(bad), tuple(other), tuple(sorted(ids - {0}))


def _text(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"
