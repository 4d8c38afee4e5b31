"""Decoding of many cases into the arrays of a cache, in this process or in several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.core.progress import Progress
from medtransfer.data.cache_files import IMAGES, MASKS
from medtransfer.data.image_source import ImageSource
from medtransfer.data.locators import volume_of
from medtransfer.data.worker_pool import parts_of, worker_pool

UInt8Array = npt.NDArray[np.uint8]

_GREY = "grey.part"
_COLOUR = "colour.part"
_CASES_PER_JOB = 32
_FEWEST_FOR_WORKERS = 256
_MOST_NAMED = 100


@dataclass(frozen=True)
class CasePixels:
    """Where the pixels of one case come from."""

    image: str
    """Locator of the image."""
    masks: tuple[str, ...] = ()
    """Locators whose union is the mask; empty where there is none."""


@dataclass(frozen=True)
class _Slots:
    """The arrays being filled: a grey and a colour one, of which each image takes exactly one slot.

    Whether a table has any colour is known only when all is decoded. Both files are sparse, so the slots
    that stay empty take no room.
    """

    source: ImageSource
    folder: Path
    count: int
    side: int

    def create(self, *, with_masks: bool) -> None:
        shape = (self.count, self.side, self.side)
        _create_array(self.folder / _GREY, (*shape, 1))
        _create_array(self.folder / _COLOUR, (*shape, 3))
        if with_masks:
            _create_array(self.folder / MASKS, shape)

    def fill(self, row: int, case: CasePixels) -> bool:
        """Decode one case into its slots and return whether its image has colour."""
        image = resize_image(self.source.read_image(case.image), self.side)
        has_colour = image.ndim == 3
        _write_slot(self.folder / (_COLOUR if has_colour else _GREY), row, self.count, image)
        if case.masks:
            parts = [resize_mask(self.source.read_mask(part), self.side) for part in case.masks]
            _write_slot(self.folder / MASKS, row, self.count, np.maximum.reduce(parts))
        return has_colour


def decode_cases(
    source: ImageSource,
    cases: Sequence[CasePixels],
    side: int,
    folder: Path,
    *,
    workers: int,
    progress: Progress,
) -> None:
    """Write the images of all cases, and the masks where there are any, as arrays into ``folder``.

    Raises:
        DataError: If any image or mask cannot be read, naming all of them.
        OSError: If the arrays cannot be written.
    """
    slots = _Slots(source, folder, len(cases), side)
    slots.create(with_masks=any(case.masks for case in cases))
    has_colour = np.zeros(len(cases), dtype=bool)
    bad: list[tuple[int, str]] = []
    done = 0
    for rows, coloured, faults in _outcomes(slots, cases, workers):
        has_colour[rows] = coloured
        bad += faults
        done += len(rows)
        progress("decoding images", done, len(cases))
    refuse_bad_images([message for _, message in sorted(bad)])
    _settle_channels(folder, has_colour)


def refuse_bad_images(messages: Sequence[str]) -> None:
    """Raise one error that names every unreadable image (the first 100 of very many).

    Raises:
        DataError: If there is any message.
    """
    if not messages:
        return
    lines = "\n".join(f"  - {message}" for message in messages[:_MOST_NAMED])
    more = f"\n  and {len(messages) - _MOST_NAMED} more" if len(messages) > _MOST_NAMED else ""
    raise DataError(
        f"images: expected files that can all be read, got {len(messages)} that cannot. "
        f"Repair or remove these:\n{lines}{more}"
    )


def resize_image(image: UInt8Array, side: int) -> UInt8Array:
    """Return a square image: axes that shrink are averaged by area, axes that grow interpolated linearly.

    Args:
        image: (H, W) or (H, W, 3); the aspect ratio is not kept.
        side: S in pixels.

    Returns:
        (S, S) when all channels are equal, which loses nothing; else (S, S, 3).
    """
    height, width = image.shape[:2]
    within = (min(width, side), min(height, side))
    if within != (width, height):
        image = _resize(image, within, cv2.INTER_AREA)
    if within != (side, side):
        image = _resize(image, (side, side), cv2.INTER_LINEAR)
    if image.ndim == 3 and (image == image[:, :, :1]).all():
        return np.ascontiguousarray(image[:, :, 0])
    return image


def resize_mask(mask: UInt8Array, side: int) -> UInt8Array:
    """Return an (S, S) mask by nearest neighbour, pixel centres aligned with :func:`resize_image`."""
    if mask.shape == (side, side):
        return mask
    return _resize(mask, (side, side), cv2.INTER_NEAREST_EXACT)


def _resize(image: UInt8Array, width_height: tuple[int, int], interpolation: int) -> UInt8Array:
    return np.asarray(cv2.resize(image, width_height, interpolation=interpolation), dtype=np.uint8)


_Outcome = tuple[list[int], list[bool], list[tuple[int, str]]]


def _outcomes(slots: _Slots, cases: Sequence[CasePixels], workers: int) -> Iterator[_Outcome]:
    jobs = parts_of(list(enumerate(cases)), lambda item: volume_of(item[1].image), _CASES_PER_JOB)
    if workers <= 1 or len(cases) < _FEWEST_FOR_WORKERS:
        yield from (_fill_slots(slots, job) for job in jobs)
        return
    pool = worker_pool(min(workers, len(jobs)))
    try:
        for future in as_completed([pool.submit(_fill_slots_in_worker, slots, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool as error:
        raise DataError(
            "decoding: expected all worker processes to finish, got one that died. "
            "Check the memory, or use 1 worker."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _fill_slots(slots: _Slots, job: list[tuple[int, CasePixels]]) -> _Outcome:
    rows, coloured, bad = [row for row, _ in job], [], []
    for row, case in job:
        try:
            coloured.append(slots.fill(row, case))
        except BadImageError as error:
            coloured.append(False)
            bad.append((row, str(error)))
    return rows, coloured, bad


def _fill_slots_in_worker(slots: _Slots, job: list[tuple[int, CasePixels]]) -> _Outcome:
    cv2.setNumThreads(1)  # one worker per core; threads on top would only wait for each other
    return _fill_slots(slots, job)


def _settle_channels(folder: Path, has_colour: npt.NDArray[np.bool_]) -> None:
    """Keep the grey array when no image has colour, else copy the grey images into the colour one."""
    if has_colour.any():
        grey = np.load(folder / _GREY, mmap_mode="r", allow_pickle=False)
        for row in np.flatnonzero(~has_colour):
            _write_slot(folder / _COLOUR, int(row), len(has_colour), np.repeat(grey[row], 3, axis=-1))
        del grey
    kept, dropped = (_COLOUR, _GREY) if has_colour.any() else (_GREY, _COLOUR)
    (folder / dropped).unlink()
    (folder / kept).rename(folder / IMAGES)


def _create_array(path: Path, shape: tuple[int, ...]) -> None:
    with path.open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.truncate(stream.tell() + int(np.prod(shape)))


def _write_slot(path: Path, row: int, count: int, pixels: UInt8Array) -> None:
    """Write one case's slot; by a plain write, because a full disk kills a process that writes to a map."""
    with path.open("r+b") as stream:
        header = path.stat().st_size - count * pixels.size
        stream.seek(header + row * pixels.size)
        stream.write(np.ascontiguousarray(pixels).data)
