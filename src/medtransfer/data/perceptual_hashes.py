"""Which images look alike: 64-bit perceptual hashes, remembered per file, and how many bits they differ by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError
from medtransfer.data.file_memory import FileMemory
from medtransfer.data.image_source import UInt8Array

BITS: Final = 64
"""Length of a hash; the most bits two of them can differ by."""

_TILE: Final = 1024  # hashes per side of a block of comparisons: about 10 MB at a time
_UInt64Array = npt.NDArray[np.uint64]


def perceptual_hash(pixels: UInt8Array) -> int:
    """Return the 64-bit perceptual hash of an image (pHash: signs of its lowest 8 x 8 cosine frequencies).

    The signs are taken around their median, so that about half of the bits are set. Size, light and
    contrast change few bits; mirroring and turning change about half of them, as another image does.

    Args:
        pixels: Grey values (H, W) or colours (H, W, 3), uint8.

    Returns:
        Integer in [0, 2**64), the same as ``imagehash.phash`` of the image.
    """
    import imagehash
    from PIL import Image

    return int(str(imagehash.phash(Image.fromarray(pixels))), 16)


def perceptual_hash_of_file(path: Path) -> int:
    """Return the perceptual hash of a PNG, JPEG, TIFF or GIF file, remembered until the file changes.

    Args:
        path: Image file.

    Raises:
        BadImageError: If the file is missing, cannot be decoded, or changes while it is read.
        DataError: If the cache folder cannot be used.
    """
    return perceptual_hashes_of_file(path)[0]


def perceptual_hashes_of_file(path: Path) -> tuple[int, int]:
    """Return the perceptual hashes of a picture file and of its mirror image, remembered together.

    Args:
        path: Image file.

    Raises:
        BadImageError: If the file is missing, cannot be decoded, or changes while it is read.
        DataError: If the cache folder cannot be used.
    """
    plain, mirrored = _hashes.recall(path).split()
    return int(plain, 16), int(mirrored, 16)


def close_pairs(left: Sequence[int], right: Sequence[int], most_bits: int) -> list[tuple[int, int, int]]:
    """Return all pairs of a left and a right hash that differ by few bits.

    Comparisons go block by block, so that memory grows with the pairs found, not with all pairs.

    Args:
        left: Hashes in [0, 2**64).
        right: Hashes to compare each of them with.
        most_bits: Largest Hamming distance of a pair, in [0, 64].

    Returns:
        Tuples of position in ``left``, position in ``right`` and distance; the closest first, then by
        position.

    Raises:
        ShapeError: If a hash or ``most_bits`` is out of range.

    Example:
        >>> close_pairs([0b0000, 0b1111], [0b0001, 0b1111], most_bits=1)
        [(1, 1, 0), (0, 0, 1)]
    """
    ones, others = _as_array(left), _as_array(right)
    _check_bits(most_bits)
    found = []
    for row in range(0, len(ones), _TILE):
        for column in range(0, len(others), _TILE):
            distances = _distances(ones[row : row + _TILE], others[column : column + _TILE])
            near = np.nonzero(distances <= most_bits)
            found.append(np.stack([near[0] + row, near[1] + column, distances[near]], axis=1))
    if not found:
        return []
    pairs = np.concatenate(found)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], pairs[:, 2]))
    return [(i, j, distance) for i, j, distance in pairs[order].tolist()]


def similar_groups(hashes: Sequence[int], most_bits: int) -> list[int]:
    """Return which images belong together: those linked by a chain of pairs that differ by few bits.

    Args:
        hashes: One hash in [0, 2**64) per image.
        most_bits: Largest Hamming distance of a link, in [0, 64].

    Returns:
        Group of each image, numbered from 0 in order of first appearance.

    Raises:
        ShapeError: If a hash or ``most_bits`` is out of range.

    Example:
        >>> similar_groups([0b0000, 0b1111, 0b0001, 0b0011], most_bits=1)
        [0, 1, 0, 0]
    """
    _check_bits(most_bits)
    distinct, position = np.unique(_as_array(hashes), return_inverse=True)
    parents = list(range(len(distinct)))
    for one, other in _links(distinct, most_bits):
        parents[_root(parents, one)] = _root(parents, other)
    numbers: dict[int, int] = {}
    roots = [_root(parents, number) for number in range(len(distinct))]
    return [numbers.setdefault(roots[number], len(numbers)) for number in position.tolist()]


def _links(hashes: _UInt64Array, most_bits: int) -> Iterator[tuple[int, int]]:
    """Yield links that join all close hashes, for each block only as many as it has hashes."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    for row in range(0, len(hashes), _TILE):
        for column in range(row, len(hashes), _TILE):
            distances = _distances(hashes[row : row + _TILE], hashes[column : column + _TILE])
            rows, columns = np.nonzero(distances <= most_bits)
            if row == column and len(rows) == len(distances):
                continue  # every hash is close to itself alone
            height, width = distances.shape
            members = np.concatenate([np.arange(row, row + height), np.arange(column, column + width)])
            edges = coo_array((np.ones(len(rows)), (rows, columns + height)), shape=(height + width,) * 2)
            part = connected_components(edges, directed=False)[1]
            firsts = members[np.unique(part, return_index=True)[1]]
            yield from zip(members.tolist(), firsts[part].tolist(), strict=True)


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _distances(left: _UInt64Array, right: _UInt64Array) -> UInt8Array:
    """Return the number of bits each pair differs by, shape (len(left), len(right))."""
    return np.asarray(np.bitwise_count(left[:, None] ^ right[None, :]), dtype=np.uint8)


def _as_array(hashes: Sequence[int]) -> _UInt64Array:
    if any(not 0 <= value < 1 << BITS for value in hashes):
        wrong = next(value for value in hashes if not 0 <= value < 1 << BITS)
        raise ShapeError(f"perceptual hashes: expected integers of {BITS} bits, got {wrong!r}.")
    return np.array([int(value) for value in hashes], dtype=np.uint64)


def _check_bits(most_bits: int) -> None:
    if not 0 <= most_bits <= BITS:
        raise ShapeError(f"most bits: expected a number from 0 to {BITS}, got {most_bits!r}.")


def _hash_text(path: Path) -> str:
    from medtransfer.data.readers import read_image

    pixels = read_image(path)
    return f"{perceptual_hash(pixels):016x} {perceptual_hash(pixels[:, ::-1].copy()):016x}"


_hashes: Final = FileMemory("phash-2", _hash_text)
