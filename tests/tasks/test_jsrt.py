"""JSRT and SCR: raw films at the size of their masks, odd numbers for training, even ones for the test."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtransfer.core.errors import DataError
from medtransfer.data.audit import audit_cases
from medtransfer.tasks.jsrt import STRUCTURES, jsrt_tasks, open_jsrt

BY_NAME = {task.name: task for task in jsrt_tasks}
FOLDERS = {
    "jsrt-heart": ("heart",),
    "jsrt-clavicle": ("left clavicle", "right clavicle"),
    "jsrt-lung": ("left lung", "right lung"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write = BY_NAME["jsrt-heart"].write_sample
    assert write is not None
    (tmp_path / "set").mkdir()
    write(tmp_path / "set")
    return tmp_path / "set"


def stored(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def fold_of(name: str) -> str:
    return "fold1" if int(name[-3:]) % 2 else "fold2"


def name_all_films(root: Path) -> list[str]:
    """Touch the files of the whole data set; one mask is real, for its size."""
    names = [f"JPC{kind}{n:03}" for kind, count in (("LN", 154), ("NN", 93)) for n in range(1, count + 1)]
    for name in names:
        (root / f"{name}.IMG").touch()
        for folder in STRUCTURES["lung"]:
            mask = root / fold_of(name) / "masks" / folder / f"{name}.gif"
            mask.parent.mkdir(parents=True, exist_ok=True)
            mask.touch()
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(root / "fold1/masks/left lung/JPCLN001.gif")
    return names


def test_there_is_a_task_for_each_structure() -> None:
    assert {name: STRUCTURES[task.classes[0]] for name, task in BY_NAME.items()} == FOLDERS
    assert {task.family for task in jsrt_tasks} == {"jsrt"}


@pytest.mark.parametrize("name", FOLDERS)
def test_the_masks_of_a_structure_are_united(name: str, root: Path) -> None:
    cases = BY_NAME[name].open(root)
    assert len(cases) == 48
    for row in cases.frame.to_dict("records"):
        film = row["case_id"]
        parts = [stored(root / fold_of(film) / "masks" / part / f"{film}.gif") for part in FOLDERS[name]]
        union = np.zeros((48, 48), bool)
        for locator in row["mask"]:
            union |= cases.source.read_mask(locator) == 1
        assert np.array_equal(union, np.logical_or.reduce([part > 0 for part in parts]))
        assert all(part.any() for part in parts)


def test_raw_films_are_big_endian_inverted_and_averaged_two_by_two(root: Path) -> None:
    cases = BY_NAME["jsrt-heart"].open(root)
    row = cases.frame.set_index("case_id").loc["JPCNN002"]
    values = np.frombuffer((root / "JPCNN002.IMG").read_bytes(), dtype=">u2").reshape(96, 96)
    assert values.max() <= 4095
    levels = 255 - np.floor(255 * values.astype(float) / 4095 + 0.5)
    mean = levels.reshape(48, 2, 48, 2).mean(axis=(1, 3))
    assert np.array_equal(cases.source.read_image(row["image"]), np.floor(mean + 0.5).astype(np.uint8))
    lungs = stored(root / "fold2/masks/right lung/JPCNN002.gif") > 0
    heart = stored(root / "fold2/masks/heart/JPCNN002.gif") > 0
    film = cases.source.read_image(row["image"])
    assert film[lungs & ~heart].mean() < film[heart].mean() - 60


def test_converted_films_are_read_and_raw_ones_come_first(root: Path) -> None:
    assert (root / "JPCLN005.IMG.png").is_file()
    cases = BY_NAME["jsrt-heart"].open(root)
    image = cases.frame.set_index("case_id")["image"]
    assert image["JPCLN005"] == "JPCLN005.IMG.png"
    mean = stored(root / "JPCLN005.IMG.png").astype(float).reshape(48, 2, 48, 2).mean(axis=(1, 3))
    assert np.array_equal(cases.source.read_image(image["JPCLN005"]), np.floor(mean + 0.5).astype(np.uint8))
    Image.new("L", (96, 96)).save(root / "JPCLN001.IMG.png")
    again = BY_NAME["jsrt-heart"].open(root).frame.set_index("case_id")["image"]
    assert again["JPCLN001"] == "raw:12:JPCLN001.IMG"
    assert len(again) == len(image)


def test_colour_films_are_averaged_too_and_others_left_to_the_audit(root: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(root / "JPCLN005.IMG.png")
    cases = BY_NAME["jsrt-heart"].open(root)
    seen = cases.source.read_image("JPCLN005.IMG.png")
    mean = pixels.astype(float).reshape(48, 2, 48, 2, 3).mean(axis=(1, 3))
    assert np.array_equal(seen, np.floor(mean + 0.5).astype(np.uint8))
    for side, problems in ((48, []), (64, ["mask-size"])):
        Image.fromarray(pixels[:side, :side]).save(root / "JPCLN005.IMG.png")
        cases = BY_NAME["jsrt-heart"].open(root)
        assert np.array_equal(cases.source.read_image("JPCLN005.IMG.png"), pixels[:side, :side])
        assert [problem.what for problem in audit_cases(cases)] == problems


def test_odd_films_train_and_even_films_test(tmp_path: Path) -> None:
    names = name_all_films(tmp_path)
    frame = open_jsrt(tmp_path, "lung").frame
    assert frame["case_id"].tolist() == sorted(names)
    assert {name[-1] in "02468" for name in frame["case_id"][frame["split"] == "test"]} == {True}
    counts = frame["split"].value_counts().to_dict()
    assert counts["test"] == 123
    assert counts["train"] + counts["val"] == 124
    for task in jsrt_tasks:
        assert task.expected is not None
        assert task.expected.variants == (counts,)
    held_out = frame[frame["split"] == "val"]["case_id"]
    assert held_out.str.startswith("JPCLN").sum() == 8
    assert held_out.str.startswith("JPCNN").sum() == 5


def test_the_three_tasks_share_their_split(root: Path) -> None:
    splits = [task.open(root).frame.set_index("case_id")["split"] for task in jsrt_tasks]
    assert splits[0].equals(splits[1])
    assert splits[0].equals(splits[2])


@pytest.mark.parametrize("films", ["All247images", "images"])
def test_films_and_folds_may_lie_one_folder_deeper(root: Path, films: str) -> None:
    before = BY_NAME["jsrt-lung"].open(root)
    (root / films).mkdir()
    (root / "scratch").mkdir()
    for path in list(root.glob("*.IMG*")):
        path.rename(root / films / path.name)
    for fold in ("fold1", "fold2"):
        (root / fold).rename(root / "scratch" / fold)
    after = BY_NAME["jsrt-lung"].open(root)
    columns = ["case_id", "split"]
    assert after.frame[columns].equals(before.frame[columns])
    assert audit_cases(after) == []


def test_the_digest_covers_the_file_and_the_size_it_is_brought_to(root: Path) -> None:
    source = BY_NAME["jsrt-heart"].open(root).source
    first = source.content_hash("raw:12:JPCLN001.IMG")
    assert first != source.content_hash("raw:12:JPCLN002.IMG")
    assert first == pickle.loads(pickle.dumps(source)).content_hash("raw:12:JPCLN001.IMG")
    Image.new("L", (96, 96)).save(root / "fold1/masks/heart/JPCLN001.gif")
    assert BY_NAME["jsrt-heart"].open(root).source.content_hash("raw:12:JPCLN001.IMG") != first
    assert source.describe("raw:12:JPCLN001.IMG") == "JPCLN001.IMG"


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (
            "fold2/masks/left clavicle/JPCLN002.gif",
            "left clavicle: expected a mask for every film, got 'JPCLN002'",
        ),
        ("JPCLN002.IMG", "left clavicle: expected masks of films that are there, got 'JPCLN002'"),
        ("fold1", "left clavicle: expected a mask for every film, got 'JPCLN001'; 'JPCLN003'"),
    ],
)
def test_what_is_missing_is_named(root: Path, gone: str, message: str) -> None:
    (root / gone).rename(root.with_name("elsewhere"))
    with pytest.raises(DataError, match=re.escape(message)):
        BY_NAME["jsrt-clavicle"].open(root)


def test_a_folder_without_masks_or_films_is_refused(root: Path, tmp_path: Path) -> None:
    for fold in ("fold1", "fold2"):
        (root / fold).rename(root / f"no-{fold}")
    with pytest.raises(DataError, match=r"expected masks in fold1/masks/heart and fold2/masks/heart"):
        BY_NAME["jsrt-heart"].open(root)
    with pytest.raises(DataError, match=r"named like 'JPCLN001\.IMG', got none"):
        BY_NAME["jsrt-heart"].open(tmp_path)


def test_a_mask_in_both_folds_is_refused(root: Path) -> None:
    copy = root / "fold2/masks/heart/JPCLN001.gif"
    copy.write_bytes((root / "fold1/masks/heart/JPCLN001.gif").read_bytes())
    with pytest.raises(
        DataError, match=re.escape("fold1/masks/heart/JPCLN001.gif and fold2/masks/heart/JPCLN001.gif")
    ):
        BY_NAME["jsrt-heart"].open(root)


@pytest.mark.parametrize("name", ["JPCLN001 (copy).IMG", "JPCLN001.png", "other.IMG"])
def test_a_film_of_another_name_is_refused(root: Path, name: str) -> None:
    (root / name).write_bytes(b"")
    with pytest.raises(DataError, match=re.escape(f"named like 'JPCLN001.IMG', got {name!r}")):
        BY_NAME["jsrt-heart"].open(root)


def test_a_film_in_the_wrong_byte_order_is_reported(root: Path) -> None:
    path = root / "JPCLN001.IMG"
    path.write_bytes(np.frombuffer(path.read_bytes(), dtype=">u2").astype("<u2").tobytes())
    (problem,) = audit_cases(BY_NAME["jsrt-heart"].open(root))
    assert problem.what == "unreadable-image"
    assert "byte-swapped" in problem.found


def test_the_sample_is_the_same_each_time_and_whole(root: Path, tmp_path: Path) -> None:
    write = BY_NAME["jsrt-lung"].write_sample
    assert write is not None
    (tmp_path / "again").mkdir()
    write(tmp_path / "again")
    for path in root.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(root)).read_bytes()
    for task in jsrt_tasks:
        cases = task.open(root)
        assert audit_cases(cases) == []
        assert cases.frame["split"].value_counts().min() >= 2
    for path in root.rglob("*.gif"):
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("GIF", "L", (48, 48))
