"""What the audit needs to know about the pixels of each case; every image and mask is read once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import BadImageError, DataError
from medtransfer.core.fingerprints import hash_array, hash_json
from medtransfer.core.progress import Progress
from medtransfer.data.case_table import CaseTable
from medtransfer.data.image_source import ImageSource
from medtransfer.data.locators import volume_of
from medtransfer.data.worker_pool import parts_of, worker_pool

_REVISION: Final = 2
_FEWEST_FOR_WORKERS: Final = 500
_CASES_PER_JOB: Final = 32


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


@dataclass(frozen=True)
class _Locators:
    image: str
    masks: tuple[str, ...] = ()
    field_of_view: str | None = None


def pixel_facts(
    cases: CaseTable, *, cache_folder: Path | None, workers: int, progress: Progress
) -> list[PixelFacts]:
    """Return the facts of all cases, in row order; from the cache folder when nothing has changed.

    Args:
        cases: Table whose images are read.
        cache_folder: Root of the caches; None to read everything again and remember nothing.
        workers: Processes that decode, where there are enough cases to pay for starting them.
        progress: Told after each case.

    Raises:
        DataError: If a worker process dies.
    """
    rows = [_locators(row) for row in cases.frame.to_dict("records")]
    path = _memo_path(cases, rows, cache_folder)
    facts = _recall(path, len(rows))
    if facts is not None:
        progress("checking images", len(rows), len(rows))
        return facts
    facts = []
    for entry in _inspect_all(cases.source, rows, workers):
        facts.append(entry)
        progress("checking images", len(facts), len(rows))
    if path is not None:
        write_atomically(path, json.dumps([asdict(entry) for entry in facts]))
    return facts


def _locators(row: dict[Any, Any]) -> _Locators:
    region = row.get("field_of_view")
    return _Locators(
        image=str(row["image"]),
        masks=tuple(str(part) for part in row.get("mask", ())),
        field_of_view=str(region) if isinstance(region, str) and region else None,
    )


def _memo_path(cases: CaseTable, rows: Sequence[_Locators], cache_folder: Path | None) -> Path | None:
    """Return where the facts are remembered; nowhere when a file is missing."""
    if cache_folder is None:
        return None
    try:
        content = cases.content_hash()
    except BadImageError:
        return None
    key = hash_json([_REVISION, PIL.__version__, content, [asdict(row) for row in rows]])
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


def _inspect_all(source: ImageSource, rows: Sequence[_Locators], workers: int) -> Iterator[PixelFacts]:
    if workers <= 1 or len(rows) < _FEWEST_FOR_WORKERS:
        yield from (_inspect(source, row) for row in rows)
        return
    pool = worker_pool(workers)
    try:
        jobs = parts_of(rows, lambda row: volume_of(row.image), _CASES_PER_JOB)
        for found in pool.map(partial(_inspect_part, source), jobs):
            yield from found
    except BrokenProcessPool as error:
        raise DataError(
            "audit: expected all worker processes to finish, got one that died. "
            "Check the memory, or use 1 worker."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _inspect_part(source: ImageSource, rows: Sequence[_Locators]) -> list[PixelFacts]:
    return [_inspect(source, row) for row in rows]


def _inspect(source: ImageSource, row: _Locators) -> PixelFacts:
    size, pixels, constant, colour, bad_image = None, None, False, False, None
    try:
        image = source.read_image(row.image)
    except BadImageError as error:
        bad_image = str(error)
    else:
        if image.ndim == 3 and (image == image[..., :1]).all():
            image = image[..., 0]
        size, pixels, constant = image.shape[:2], hash_array(image), bool(image.min() == image.max())
        colour = image.ndim == 3
    bad_masks, other_sizes, class_ids = _inspect_masks(source, row, size)
    shown = () if size is None else (size[1], size[0])
    return PixelFacts(pixels, constant, bad_image, bad_masks, other_sizes, class_ids, shown, colour)


def _inspect_masks(
    source: ImageSource, row: _Locators, size: tuple[int, ...] | None
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]:
    bad, other, ids = [], [], set()
    region = () if row.field_of_view is None else (row.field_of_view,)
    for number, locator in enumerate((*row.masks, *region)):
        try:
            mask = source.read_mask(locator)
        except BadImageError as error:
            bad.append(str(error))
            continue
        if size is not None and mask.shape != size:
            other.append(f"{source.describe(locator)} ({_text(mask.shape)}, image {_text(size)})")
        if number < len(row.masks):
            ids.update(np.unique(mask).tolist())
    return tuple(bad), tuple(other), tuple(sorted(ids - {0}))


def _text(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"
