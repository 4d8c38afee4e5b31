"""The arrays of a decoded cache while they are filled, one slot per case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import BadImageError
from medtransfer.data.cache_files import IMAGES, MASKS
from medtransfer.data.decoding import DecodedCase, resize_image, resize_mask

UInt8Array = npt.NDArray[np.uint8]

_GREY = "grey.part"
_COLOUR = "colour.part"


@dataclass(frozen=True)
class CacheSlots:
    """The arrays being filled: a grey and a colour one, of which each image takes exactly one slot.

    Whether a table has any colour is known only when all is decoded. Both files are sparse, so the slots
    that stay empty take no room. Several processes fill different slots at the same time.
    """

    folder: Path
    """Where the arrays lie."""
    count: int
    """Number of cases N."""
    side: int
    """Side length S in pixels."""
    with_masks: bool
    """Whether masks are kept."""

    @property
    def least_bytes(self) -> int:
        """Room the arrays take at least: with every image grey."""
        return self.count * self.side**2 * (1 + self.with_masks)

    def create(self) -> None:
        """Write the empty arrays.

        Raises:
            OSError: If they cannot be written.
        """
        shape = (self.count, self.side, self.side)
        _create_array(self.folder / _GREY, (*shape, 1))
        _create_array(self.folder / _COLOUR, (*shape, 3))
        if self.with_masks:
            _create_array(self.folder / MASKS, shape)

    def fill(self, row: int, case: DecodedCase) -> bool:
        """Write one case into its slots and return whether its image has colour.

        Raises:
            BadImageError: If its image, or a mask that is kept, cannot be read.
            OSError: If it cannot be written.
        """
        image = resize_image(_readable(case.image), self.side)
        has_colour = image.ndim == 3
        _write_slot(self.folder / (_COLOUR if has_colour else _GREY), row, self.count, image)
        if self.with_masks and case.masks:
            parts = [resize_mask(_readable(part), self.side) for part in case.masks]
            _write_slot(self.folder / MASKS, row, self.count, np.maximum.reduce(parts))
        return has_colour

    def settle(self, has_colour: npt.NDArray[np.bool_]) -> None:
        """Keep the grey array when no image has colour, else copy the grey images into the colour one.

        Args:
            has_colour: What :meth:`fill` returned for each case, shape (N,).
        """
        if has_colour.any():
            grey = np.load(self.folder / _GREY, mmap_mode="r", allow_pickle=False)
            for row in np.flatnonzero(~has_colour):
                repeated = np.repeat(grey[row], 3, axis=-1)
                _write_slot(self.folder / _COLOUR, int(row), self.count, repeated)
            del grey
        kept, dropped = (_COLOUR, _GREY) if has_colour.any() else (_GREY, _COLOUR)
        (self.folder / dropped).unlink()
        (self.folder / kept).rename(self.folder / IMAGES)


def _readable(found: UInt8Array | BadImageError) -> UInt8Array:
    if isinstance(found, BadImageError):
        raise found
    return found


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
