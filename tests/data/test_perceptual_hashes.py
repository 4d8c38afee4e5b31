"""Perceptual hashes: those of imagehash, remembered; groups and pairs as by comparing everything."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from medtransfer.core.errors import BadImageError, ShapeError
from medtransfer.data import perceptual_hashes
from medtransfer.data.perceptual_hashes import (
    close_pairs,
    perceptual_hash,
    perceptual_hash_of_file,
    similar_groups,
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual_hashes, "_TILE", 7)


def drawn_picture(number: int, side: int = 90) -> np.ndarray:
    draw = np.random.default_rng(number)
    coarse = draw.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((side, side - 11), Image.Resampling.BICUBIC))


def drawn_hashes(number: int, families: int, seed: int = 0) -> list[int]:
    """Hashes that lie within a few bits of one of some centres, in no order."""
    draw = np.random.default_rng(seed)
    centres = draw.integers(0, 2**64, families, dtype=np.uint64)
    hashes = centres[draw.integers(0, families, number)]
    for _ in range(3):
        hashes = hashes ^ (np.uint64(1) << draw.integers(0, 64, number, dtype=np.uint64))
    return [int(value) for value in hashes]


def bits_apart(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def groups_by_search(hashes: list[int], most_bits: int) -> list[int]:
    """Groups by walking from each image to all that are near, one at a time."""
    group = [-1] * len(hashes)
    number = 0
    for start in range(len(hashes)):
        if group[start] >= 0:
            continue
        group[start], waiting = number, [start]
        while waiting:
            here = waiting.pop()
            for other, value in enumerate(hashes):
                if group[other] < 0 and bits_apart(hashes[here], value) <= most_bits:
                    group[other] = number
                    waiting.append(other)
        number += 1
    return group


def by_library(path: Path) -> int:
    with Image.open(path) as image:
        return int(str(imagehash.phash(image)), 16)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif"])
@pytest.mark.parametrize("grey", [False, True])
def test_a_file_has_the_hash_the_library_gives(name: str, grey: bool, tmp_path: Path) -> None:
    pixels = drawn_picture(1)
    image = Image.fromarray(pixels)
    (image.convert("L") if grey else image).save(tmp_path / name)
    assert perceptual_hash_of_file(tmp_path / name) == by_library(tmp_path / name)


def test_pixels_have_the_hash_the_library_gives() -> None:
    for number in range(20):
        for pixels in (drawn_picture(number), drawn_picture(number)[..., 0]):
            expected = imagehash.phash(Image.fromarray(pixels))
            assert perceptual_hash(pixels) == int(str(expected), 16)
            assert imagehash.hex_to_hash(f"{perceptual_hash(pixels):016x}") == expected


def test_what_was_done_to_a_copy_shows_in_few_bits() -> None:
    first = drawn_picture(1)
    smaller = np.array(Image.fromarray(first).resize((41, 37), Image.Resampling.BILINEAR))
    brighter = np.clip(0.8 * first + 20, 0, 255).astype(np.uint8)
    original = perceptual_hash(first)
    assert bits_apart(original, perceptual_hash(smaller)) <= 4
    assert bits_apart(original, perceptual_hash(brighter)) <= 4
    others = [bits_apart(original, perceptual_hash(drawn_picture(n))) for n in range(2, 40)]
    assert min(others) > 12
    assert bits_apart(original, perceptual_hash(np.ascontiguousarray(first[:, ::-1]))) > 12


def test_a_hash_is_remembered_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 10**10)
    path = tmp_path / "a.png"
    Image.fromarray(drawn_picture(1)).save(path)
    first = perceptual_hash_of_file(path)
    with monkeypatch.context() as patched:
        patched.setattr(perceptual_hashes, "perceptual_hash", lambda pixels: 0)
        patched.setattr(perceptual_hashes._hashes, "_known", {})
        assert perceptual_hash_of_file(path) == first
    Image.fromarray(drawn_picture(2)).save(path)
    assert perceptual_hash_of_file(path) == by_library(path) != first


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"no image")
    with pytest.raises(BadImageError, match=r"a\.png: expected a readable PNG"):
        perceptual_hash_of_file(path)
    with pytest.raises(BadImageError, match=r"b\.png"):
        perceptual_hash_of_file(tmp_path / "b.png")


@pytest.mark.parametrize("most_bits", [0, 2, 4, 6, 20, 64])
def test_groups_are_those_of_a_search(most_bits: int, small_tiles: None) -> None:
    for seed in range(5):
        hashes = drawn_hashes(60, 9, seed)
        assert similar_groups(hashes, most_bits) == groups_by_search(hashes, most_bits)


def test_a_chain_is_one_group_across_blocks(small_tiles: None) -> None:
    chain = [(1 << number) - 1 for number in range(65)]
    mixed = [chain[number] for number in np.random.default_rng(1).permutation(65)]
    assert set(similar_groups(mixed, 1)) == {0}
    assert similar_groups(mixed, 0) == list(range(65))


def test_the_largest_and_the_smallest_hash_are_taken() -> None:
    assert similar_groups([2**64 - 1, 0, 2**64 - 1], 63) == [0, 1, 0]
    assert close_pairs([2**64 - 1], [0], 64) == [(0, 0, 64)]


@pytest.mark.parametrize("most_bits", [0, 3, 6, 64])
def test_close_pairs_are_all_pairs_by_distance(most_bits: int, small_tiles: None) -> None:
    left, right = drawn_hashes(23, 5), drawn_hashes(31, 5)[::-1]
    every = [(i, j, bits_apart(one, other)) for i, one in enumerate(left) for j, other in enumerate(right)]
    near = sorted((pair for pair in every if pair[2] <= most_bits), key=lambda pair: (pair[2], pair[:2]))
    assert close_pairs(left, right, most_bits) == near
    assert near or most_bits == 0


def test_nothing_is_close_to_nothing() -> None:
    assert close_pairs([], [1], 4) == close_pairs([1], [], 4) == []
    assert close_pairs([0], [2**64 - 1], 4) == []
    assert similar_groups([], 4) == []


@pytest.mark.parametrize("wrong", [-1, 2**64])
def test_numbers_out_of_range_are_refused(wrong: int) -> None:
    with pytest.raises(ShapeError, match="integers of 64 bits"):
        similar_groups([0, wrong], 4)
    with pytest.raises(ShapeError, match="integers of 64 bits"):
        close_pairs([0], [wrong], 4)
    most = wrong if wrong < 0 else 65
    with pytest.raises(ShapeError, match="from 0 to 64"):
        similar_groups([0], most)
    with pytest.raises(ShapeError, match="from 0 to 64"):
        close_pairs([0], [0], most)


def test_memory_does_not_grow_with_all_pairs() -> None:
    hashes = drawn_hashes(6000, 3000)
    tracemalloc.start()
    try:
        similar_groups(hashes, 2)
        close_pairs(hashes[:3000], hashes[3000:], 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6000 * 6000


def test_the_libraries_are_loaded_when_needed() -> None:
    program = (
        "import sys; import medtransfer.data.perceptual_hashes;"
        "print(sorted({'imagehash', 'scipy', 'torch', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
