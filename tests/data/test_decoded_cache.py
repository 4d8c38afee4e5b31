"""The decoded cache: right pixels, built once, never half used."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from medtransfer.core import verified_files
from medtransfer.core.errors import BadImageError, DataError, StoreError
from medtransfer.core.progress import no_progress
from medtransfer.core.task_kind import TaskKind
from medtransfer.data import cache_slots, decoding_pass
from medtransfer.data.cache_building import CachePlan, build_caches, cache_folders
from medtransfer.data.cache_slots import CacheSlots
from medtransfer.data.case_digests import case_digests
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import cache_side, missing_sides, open_decoded_cache
from medtransfer.data.decoding import DecodedCase, resize_image, resize_mask
from medtransfer.data.phantoms import PhantomSource, chest_locator, photograph_locator


@dataclass(frozen=True)
class ArrayFolder:
    """Images as .npy files; an empty file counts as unreadable."""

    root: Path

    def read_image(self, locator: str) -> np.ndarray:
        path = self.root / locator
        if path.stat().st_size == 0:
            raise BadImageError(f"image {locator!r}: expected an array, got an empty file.")
        return np.load(path)

    read_mask = read_image

    def content_hash(self, locator: str) -> str:
        path = self.root / locator
        if not path.exists():
            raise BadImageError(f"image {locator!r}: expected a file, got none.")
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def describe(self, locator: str) -> str:
        return locator


def picture(number: int, *, colour: bool = False, shape: tuple[int, int] = (11, 9)) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (*shape, 3) if colour else shape, dtype=np.uint8)


def table(root: Path, images: list[np.ndarray]) -> CaseTable:
    root.mkdir(exist_ok=True)
    for number, image in enumerate(images):
        np.save(root / f"{number}.npy", image)
    return classification(root, len(images))


def classification(root: Path, count: int) -> CaseTable:
    names = [str(number) for number in range(count)]
    frame = pd.DataFrame({"case_id": names, "patient_id": names, "split": "train", "label": 0})
    frame["image"] = [f"{name}.npy" for name in names]
    return CaseTable(frame, TaskKind.BINARY, ("no", "yes"), ArrayFolder(root), "ours")


def segmentation(root: Path, images: list[np.ndarray], masks: list[list[np.ndarray]]) -> CaseTable:
    cases = table(root, images)
    locators = []
    for number, parts in enumerate(masks):
        for part, mask in enumerate(parts):
            np.save(root / f"mask{number}-{part}.npy", mask)
        locators.append(tuple(f"mask{number}-{part}.npy" for part in range(len(parts))))
    return CaseTable(
        cases.frame.assign(mask=locators), TaskKind.SEGMENTATION, ("lesion",), cases.source, "ours"
    )


def builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count calls of the decoder from here on."""
    calls: list[int] = []
    fill: Callable[..., bool] = CacheSlots.fill

    def counted(self: CacheSlots, row: int, case: DecodedCase) -> bool:
        calls.append(row)
        return fill(self, row, case)

    monkeypatch.setattr(CacheSlots, "fill", counted)
    return calls


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process behave like a new one."""
    monkeypatch.setattr(verified_files, "_verified", set())


def test_cache_side_leaves_room_for_crops_only_where_crops_are_taken() -> None:
    assert cache_side(TaskKind.MULTI_LABEL, 224) == 256
    assert cache_side(TaskKind.BINARY, 64) == 73
    assert cache_side(TaskKind.SEGMENTATION, 64) == 64


def test_images_are_the_resized_ones_in_row_order(tmp_path: Path) -> None:
    images = [picture(n, shape=(20 + n, 30)) for n in range(5)]
    cache = open_decoded_cache(table(tmp_path / "in", images), 8, tmp_path / "cache")
    assert cache.images.shape == (5, 8, 8, 1)
    assert cache.images.dtype == np.uint8
    assert cache.masks is None
    for got, image in zip(cache.images, images, strict=True):
        np.testing.assert_array_equal(got[..., 0], resize_image(image, 8))
    with pytest.raises(ValueError, match="read-only"):
        cache.images[0] = 0


def test_one_coloured_image_makes_three_channels_and_grey_ones_are_repeated(tmp_path: Path) -> None:
    images = [picture(0), picture(1, colour=True), picture(2)]
    cache = open_decoded_cache(table(tmp_path / "in", images), 6, tmp_path / "cache")
    assert cache.images.shape == (3, 6, 6, 3)
    np.testing.assert_array_equal(cache.images[1], resize_image(images[1], 6))
    for row in (0, 2):
        for channel in range(3):
            np.testing.assert_array_equal(cache.images[row, ..., channel], resize_image(images[row], 6))


def test_equal_channels_are_stored_as_one(tmp_path: Path) -> None:
    grey = picture(3)
    cache = open_decoded_cache(table(tmp_path / "in", [np.stack([grey] * 3, -1)]), 6, tmp_path / "cache")
    assert cache.images.shape == (1, 6, 6, 1)
    np.testing.assert_array_equal(cache.images[0, ..., 0], resize_image(grey, 6))


def test_masks_are_the_union_of_their_parts(tmp_path: Path) -> None:
    first, second = np.zeros((2, 12, 10), np.uint8)
    first[:6, :5] = 1
    second[6:, 5:] = 1
    cases = segmentation(tmp_path / "in", [picture(0), picture(1)], [[first, second], [second]])
    cache = open_decoded_cache(cases, 4, tmp_path / "cache")
    assert cache.masks is not None
    assert cache.masks.tolist() == [
        [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]],
    ]


def test_shrinking_averages_areas_and_growing_interpolates() -> None:
    tall = np.zeros((8, 2), np.uint8)
    tall[::2] = 200
    np.testing.assert_array_equal(resize_image(tall, 4), np.full((4, 4), 100))
    wide = np.array([[0, 100]], np.uint8)
    np.testing.assert_array_equal(resize_image(wide, 4), [[0, 25, 75, 100]] * 4)
    grown = resize_mask(np.array([[0, 2], [1, 0]], np.uint8), 4)
    assert grown.tolist() == [[0, 0, 2, 2], [0, 0, 2, 2], [1, 1, 0, 0], [1, 1, 0, 0]]


def test_masks_stay_centred_when_they_shrink() -> None:
    disc = np.hypot(*(np.indices((99, 99)) - 49)) < 33
    mask = resize_mask(disc.astype(np.uint8), 33)
    np.testing.assert_array_equal(mask, mask[::-1, ::-1])


def test_a_second_opening_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = table(tmp_path / "in", [picture(n) for n in range(3)])
    calls = builds(monkeypatch)
    first = open_decoded_cache(cases, 6, tmp_path / "cache")
    second = open_decoded_cache(cases, 6, tmp_path / "cache")
    assert len(calls) == 3
    assert first.key == second.key
    assert open_decoded_cache(cases, 7, tmp_path / "cache").key != first.key


def test_labels_and_splits_do_not_change_the_key_but_the_order_does(tmp_path: Path) -> None:
    cases = table(tmp_path / "in", [picture(n) for n in range(3)])
    key = open_decoded_cache(cases, 6, tmp_path / "cache").key
    relabelled = cases.with_frame(cases.frame.assign(label=1, split="test"))
    assert open_decoded_cache(relabelled, 6, tmp_path / "cache").key == key
    assert open_decoded_cache(cases.with_frame(cases.frame[::-1]), 6, tmp_path / "cache").key != key


def test_a_changed_source_file_gives_another_cache(tmp_path: Path) -> None:
    cases = table(tmp_path / "in", [picture(0), picture(1)])
    old = open_decoded_cache(cases, 6, tmp_path / "cache")
    np.save(tmp_path / "in" / "1.npy", picture(7))
    new = open_decoded_cache(cases, 6, tmp_path / "cache")
    assert new.key != old.key
    np.testing.assert_array_equal(new.images[1, ..., 0], resize_image(picture(7), 6))
    np.testing.assert_array_equal(old.images[1, ..., 0], resize_image(picture(1), 6))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    cases = table(tmp_path / "in", [picture(0), picture(1)])

    def change(what: str, done: int, total: int) -> None:
        np.save(tmp_path / "in" / "0.npy", picture(9))

    with pytest.raises(DataError, match="changed files"):
        open_decoded_cache(cases, 6, tmp_path / "cache", progress=change)
    assert leftovers(tmp_path / "cache") == []


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "manifest"])
def test_a_damaged_cache_is_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    cases = table(tmp_path / "in", [picture(n) for n in range(3)])
    cache = open_decoded_cache(cases, 6, tmp_path / "cache")
    right = np.array(cache.images)
    folder = tmp_path / "cache" / "decoded" / cache.key
    path = folder / "images.npy"
    content = path.read_bytes()
    if damage == "truncate":
        path.write_bytes(content[:-10])
    elif damage == "flip":
        path.write_bytes(content[:-10] + bytes([content[-10] ^ 255]) + content[-9:])
    elif damage == "remove":
        path.unlink()
    else:
        (folder / "manifest.json").write_text("{", encoding="utf-8")
    forget(monkeypatch)
    calls = builds(monkeypatch)
    np.testing.assert_array_equal(open_decoded_cache(cases, 6, tmp_path / "cache").images, right)
    assert len(calls) == 3
    assert json.loads((folder / "manifest.json").read_text())["files"]["images.npy"]["size"] == len(content)


def test_a_changed_byte_is_noticed_in_a_process_that_verified_before(tmp_path: Path) -> None:
    cases = table(tmp_path / "in", [picture(0)])
    cache = open_decoded_cache(cases, 6, tmp_path / "cache")
    right = np.array(cache.images)
    path = tmp_path / "cache" / "decoded" / cache.key / "images.npy"
    content = path.read_bytes()
    time.sleep(0.02)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    np.testing.assert_array_equal(open_decoded_cache(cases, 6, tmp_path / "cache").images, right)


def test_all_unreadable_images_are_named_and_nothing_is_left(tmp_path: Path) -> None:
    cases = table(tmp_path / "in", [picture(n) for n in range(5)])
    for number in (1, 3):
        (tmp_path / "in" / f"{number}.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"got 2 that cannot(.|\n)*'1.npy'(.|\n)*'3.npy'"):
        open_decoded_cache(cases, 6, tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []
    (tmp_path / "in" / "2.npy").unlink()
    with pytest.raises(DataError, match=r"got 1 that cannot(.|\n)*'2.npy'"):
        open_decoded_cache(cases, 6, tmp_path / "cache")


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = table(tmp_path / "in", [picture(0)])

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache_slots, "_write_slot", full)
        with pytest.raises(StoreError, match="No space left"):
            open_decoded_cache(cases, 6, tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []
    assert len(open_decoded_cache(cases, 6, tmp_path / "cache")) == 1


def test_several_sides_come_out_of_one_pass_with_the_bytes_each_has_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [picture(0), picture(1, colour=True), picture(2, shape=(40, 30))]
    masks = [[(picture(n, shape=image.shape[:2]) > 128).astype(np.uint8)] for n, image in enumerate(images)]
    cases = segmentation(tmp_path / "in", images, masks)
    alone = {side: open_decoded_cache(cases, side, tmp_path / "alone") for side in (5, 16, 33)}
    digests = case_digests(cases)
    folders = cache_folders(cases, digests, alone, tmp_path / "cache")
    reads: Counter[str] = Counter()
    read = ArrayFolder.read_image

    def counted(self: ArrayFolder, locator: str) -> np.ndarray:
        reads[locator] += 1
        return read(self, locator)

    monkeypatch.setattr(ArrayFolder, "read_image", counted)
    monkeypatch.setattr(ArrayFolder, "read_mask", counted)
    assert build_caches(CachePlan(cases, folders, digests), workers=1, progress=no_progress) == []
    assert reads == dict.fromkeys([f"{n}.npy" for n in range(3)] + [f"mask{n}-0.npy" for n in range(3)], 1)
    for side, folder in folders.items():
        assert folder.name == alone[side].key
        for name in ("images.npy", "masks.npy", "manifest.json"):
            assert (folder / name).read_bytes() == (
                tmp_path / "alone" / "decoded" / folder.name / name
            ).read_bytes()
    build_caches(CachePlan(cases, folders, digests), workers=1, progress=no_progress)
    assert set(reads.values()) == {1}, "what is there is not built again"


def test_missing_sides_are_told_without_reading_contents(tmp_path: Path) -> None:
    cases = table(tmp_path / "in", [picture(n) for n in range(3)])
    digests = case_digests(cases)
    assert missing_sides(cases, digests, [4, 6], tmp_path / "cache") == {4, 6}
    key = open_decoded_cache(cases, 6, tmp_path / "cache").key
    assert missing_sides(cases, digests, [4, 6], tmp_path / "cache") == {4}
    path = tmp_path / "cache" / "decoded" / key / "images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert missing_sides(cases, digests, [6], tmp_path / "cache") == {6}
    path.unlink()
    assert missing_sides(cases, digests, [6], tmp_path / "cache") == {6}


def test_a_full_disk_at_the_second_side_leaves_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = table(tmp_path / "in", [picture(n) for n in range(3)])
    digests = case_digests(cases)
    plan = CachePlan(cases, cache_folders(cases, digests, [4, 6], tmp_path / "cache"), digests)
    write = cache_slots._write_slot

    def nearly_full(path: Path, row: int, count: int, pixels: np.ndarray) -> None:
        if row == 2 and pixels.shape[0] == 6:
            raise OSError(28, "No space left on device")
        write(path, row, count, pixels)

    with monkeypatch.context() as patch:
        patch.setattr(cache_slots, "_write_slot", nearly_full)
        with pytest.raises(StoreError, match="No space left"):
            build_caches(plan, workers=1, progress=no_progress)
    assert leftovers(tmp_path / "cache") == []
    build_caches(plan, workers=1, progress=no_progress)
    assert len(leftovers(tmp_path / "cache")) == 2


def test_an_empty_table_or_side_is_refused(tmp_path: Path) -> None:
    cases = table(tmp_path / "in", [picture(0)])
    with pytest.raises(DataError, match="at least 1"):
        open_decoded_cache(cases, 0, tmp_path)
    with pytest.raises(DataError, match="at least 1"):
        open_decoded_cache(cases.with_frame(cases.frame[:0]), 8, tmp_path)


def test_workers_write_the_same_bytes_and_name_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding_pass, "FEWEST_FOR_WORKERS", 2)
    monkeypatch.setattr(decoding_pass, "_CASES_PER_JOB", 3)
    locators = [chest_locator("cache", n, 0, []) for n in range(7)] + [
        photograph_locator("cache", "stars", 0)
    ]
    names = [str(number) for number in range(8)]
    frame = pd.DataFrame({"case_id": names, "patient_id": names, "split": "train", "label": 0})
    cases = CaseTable(
        frame.assign(image=locators), TaskKind.BINARY, ("no", "yes"), PhantomSource(), split_source="ours"
    )
    reports: list[tuple[int, int]] = []
    parallel = open_decoded_cache(
        cases,
        16,
        tmp_path / "two",
        workers=2,
        progress=lambda what, done, total: reports.append((done, total)),
    )
    alone = open_decoded_cache(cases, 16, tmp_path / "one")
    assert parallel.images.shape == (8, 16, 16, 3)
    np.testing.assert_array_equal(parallel.images, alone.images)
    assert reports[-1] == (8, 8)
    frame["image"] = [*locators[:6], "chest/none", "chest/nothing"]
    with pytest.raises(DataError, match=r"got 2 that cannot(.|\n)*chest/none(.|\n)*chest/nothing"):
        open_decoded_cache(cases.with_frame(frame), 16, tmp_path / "two", workers=2)


def leftovers(cache: Path) -> list[str]:
    return [path.name for path in (cache / "decoded").iterdir() if path.is_dir()]


BUILDER = """
import hashlib, json, sys, time
from pathlib import Path
import numpy as np, pandas as pd
from medtransfer.core.task_kind import TaskKind
from medtransfer.data import decoding_pass
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import open_decoded_cache

class Slow:
    def read_image(self, locator):
        time.sleep(PAUSE)
        return np.full((5, 7), int(locator), np.uint8)
    def content_hash(self, locator):
        return locator
    def describe(self, locator):
        return locator

def cases(count):
    names = [str(n) for n in range(count)]
    columns = {"case_id": names, "patient_id": names, "image": names, "split": "train", "label": 0}
    return CaseTable(pd.DataFrame(columns), TaskKind.BINARY, ("no", "yes"), Slow(), "ours")

PAUSE = float(sys.argv[2])
decoding_pass.FEWEST_FOR_WORKERS = 2
decoding_pass._CASES_PER_JOB = 4

if __name__ == "__main__":
    def progress(what, done, total):
        print("progress", flush=True)
    cache = open_decoded_cache(cases(40), 8, Path(sys.argv[1]), workers=int(sys.argv[3]), progress=progress)
    print(hashlib.sha256(np.array(cache.images)).hexdigest(), len(cache), flush=True)
"""
RIGHT = hashlib.sha256(np.repeat(np.arange(40, dtype=np.uint8), 64).tobytes()).hexdigest()


def start_builder(folder: Path, pause: float, workers: int) -> subprocess.Popen[str]:
    script = folder / "builder.py"
    script.write_text(BUILDER, encoding="utf-8")
    command = [sys.executable, str(script), str(folder / "cache"), str(pause), str(workers)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def finish(builder: subprocess.Popen[str]) -> tuple[int, str]:
    """Return how often the builder reported progress, and the hash it printed."""
    output, _ = builder.communicate(timeout=60)
    assert builder.returncode == 0
    lines = output.split("\n")
    return lines.count("progress"), lines[-2].split()[0]


def test_concurrent_builders_decode_once_and_get_the_same_bytes(tmp_path: Path) -> None:
    builders = [start_builder(tmp_path, 0.02, 1) for _ in range(2)]
    results = [finish(builder) for builder in builders]
    assert [digest for _, digest in results] == [RIGHT] * 2
    assert sorted(count for count, _ in results) == [0, 10]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a POSIX signal")
def test_a_killed_builder_leaves_nothing_that_is_used(tmp_path: Path, workers: int) -> None:
    builder = start_builder(tmp_path, 0.05, workers)
    assert builder.stdout is not None
    assert builder.stdout.readline() == "progress\n"
    children = psutil.Process(builder.pid).children(recursive=True)
    builder.send_signal(signal.SIGKILL)
    builder.wait(timeout=10)
    builder.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    parts = leftovers(tmp_path / "cache")
    assert len(parts) == 1
    assert parts[0].endswith(".part")
    count, digest = finish(start_builder(tmp_path, 0.0, 1))
    assert (count, digest) == (10, RIGHT)
    assert not any(name.endswith(".part") for name in leftovers(tmp_path / "cache"))
