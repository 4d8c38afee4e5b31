"""The data check: counts, look-alikes, contradictions and what stays unused, on images made to be found."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from medtransfer.core.task_kind import TaskKind
from medtransfer.data import near_duplicates
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import CaseTable
from medtransfer.data.data_check import CheckOptions, DataCheck, check_data, example_rows
from medtransfer.data.file_source import FileSource
from medtransfer.data.near_duplicates import LEAST_SIMILARITY
from medtransfer.data.phantom_chest import draw_chest
from medtransfer.data.thumbnails import SIDE, case_thumbnail


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))


def picture(number: int) -> np.ndarray:
    image = draw_chest("check", number, 0, ["nodule"] if number % 2 else []).image
    return np.asarray(cv2.resize(image, (160, 160), interpolation=cv2.INTER_CUBIC))


def table(root: Path, names: list[str], splits: list[str]) -> CaseTable:
    frame = pd.DataFrame(
        {
            "case_id": names,
            "patient_id": names,
            "split": splits,
            "image": names,
            "label": [n % 2 for n in range(len(names))],
        }
    )
    return CaseTable(frame, TaskKind.BINARY, ("no", "yes"), FileSource(root), "user")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    for number in range(12):
        cv2.imwrite(str(root / f"{number:02}.png"), picture(number))
    return root


def checked(root: Path, splits: list[str] | None = None, **options: object) -> DataCheck:
    names = sorted(path.name for path in root.iterdir() if path.suffix in {".png", ".jpg"})
    spread = splits or [("train", "val", "test")[n % 3] for n in range(len(names))]
    return check_data(table(root, names, spread), None, CheckOptions(**options))  # type: ignore[arg-type]


COPIES = {
    "jpeg": lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 0),
    "shifted": lambda image: np.roll(image, 1, axis=1),
    "mirrored": lambda image: image[:, ::-1],
    "smaller": lambda image: cv2.resize(image, (110, 110), interpolation=cv2.INTER_AREA),
    "darker": lambda image: (image * 0.8).astype(np.uint8),
}


@pytest.mark.parametrize("how", list(COPIES))
def test_copies_that_were_changed_a_little_are_found(root: Path, how: str) -> None:
    names = [f"{number:02}.png" for number in range(12)] + ["copy.png"]
    cv2.imwrite(str(root / "copy.png"), np.ascontiguousarray(COPIES[how](picture(4))))
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 3
    found = check_data(table(root, names, splits), None, CheckOptions())
    (pair,) = found.pairs
    assert (names[pair.first], names[pair.second], pair.mirrored) == ("04.png", "copy.png", how == "mirrored")
    assert pair.similarity > LEAST_SIMILARITY
    (remark,) = [remark for remark in found.remarks if remark.what == "near-duplicates"]
    assert "04.png ~ copy.png" in remark.found
    assert not found.problems
    assert found.as_json()["near_duplicates"][0]["second"] == "copy.png"


def test_different_people_are_no_duplicates_and_copies_within_a_split_no_leak(root: Path) -> None:
    assert checked(root).pairs == ()
    cv2.imwrite(str(root / "11b.png"), picture(11))
    found = checked(root, ["train"] * 8 + ["val"] + ["test"] * 4)
    assert found.pairs == ()
    assert [remark.what for remark in found.remarks if remark.what == "repeated-image"] == ["repeated-image"]


def test_equal_pixels_across_splits_are_a_problem_with_both_pictures(root: Path) -> None:
    cv2.imwrite(str(root / "12.png"), picture(0))
    found = checked(root, ["train"] * 8 + ["val"] * 2 + ["test"] * 3)
    assert [problem.what for problem in found.problems] == ["duplicate-image"]
    (complaint,) = found.complaints
    assert (complaint.what, complaint.rows) == ("duplicate-image", (0, 12))
    assert found.pairs == ()


def test_counts_sizes_and_modes_are_told(root: Path) -> None:
    cv2.imwrite(str(root / "12.png"), np.random.default_rng(0).integers(0, 255, (30, 40, 3)).astype(np.uint8))
    names = sorted(path.name for path in root.iterdir())
    cases = table(root, names, ["train"] * 7 + ["val"] * 3 + ["test"] * 3)
    expected = ExpectedCounts(
        ({"train": 8, "val": 3, "test": 3}, {"train": 70, "val": 3, "test": 3}), {"test": {"yes": 1}}
    )
    found = check_data(cases, expected, CheckOptions(near_duplicates=False))
    train, _, test = found.splits
    assert (train.cases, train.official, train.classes) == (7, 8, {"no": 4, "yes": 3})
    assert test.official_classes == {"yes": 1}
    assert dict(found.sizes) == {"160 x 160": 12, "40 x 30": 1}
    assert dict(found.modes) == {"grey": 12, "colour": 1}
    assert {problem.what for problem in found.problems} == {"unexpected-count"}


def test_sums_of_splits_are_checked(root: Path) -> None:
    cases = table(root, sorted(p.name for p in root.iterdir()), ["train"] * 6 + ["val"] * 3 + ["test"] * 3)
    right = ExpectedCounts(({"train+val": 9, "test": 3},), {"train+val": {"yes": 4}})
    assert check_data(cases, right, CheckOptions(near_duplicates=False)).problems == ()
    wrong = ExpectedCounts(({"train+val": 10, "test": 3},), {"train+val": {"yes": 5}})
    check = check_data(cases, wrong, CheckOptions(near_duplicates=False))
    assert [(split.name, split.cases, split.official) for split in check.splits] == [
        ("train", 6, None),
        ("val", 3, None),
        ("test", 3, 3),
        ("train+val", 9, 10),
    ]
    assert check.splits[3].official_classes == {"yes": 5}
    assert check.as_json()["counts"] == {"train": 6, "val": 3, "test": 3}
    assert [(problem.where, problem.found) for problem in check.problems] == [
        ("train+val split", "9"),
        ("train+val split, cases per class", "4 yes"),
    ]


def test_unused_pictures_and_unreadable_ones_are_named(root: Path) -> None:
    (root / "notes.csv").write_text("a")
    cv2.imwrite(str(root / "spare.jpg"), picture(99))
    (root / "03.png").write_bytes((root / "03.png").read_bytes()[:200])
    cv2.imwrite(str(root / "05.png"), np.full((9, 9), 7, np.uint8))
    names = [f"{number:02}.png" for number in range(12)]
    found = check_data(table(root, names, ["train"] * 8 + ["val"] * 2 + ["test"] * 2), None, CheckOptions())
    assert {problem.what for problem in found.problems} == {"unreadable-image", "constant-image"}
    (unused,) = [remark for remark in found.remarks if remark.what == "unused-file"]
    assert "1 that no case uses (1 .jpg), first ['spare.jpg']" in unused.found
    assert [(c.what, c.rows) for c in found.complaints] == [
        ("unreadable-image", (3,)),
        ("constant-image", (5,)),
    ]
    assert case_thumbnail(found.cases, 3) is None


def test_masks_that_contradict_their_label_are_problems(root: Path) -> None:
    mask = np.zeros((160, 160), dtype=np.uint8)
    cv2.imwrite(str(root / "empty.bmp.png"), mask)
    mask[40:80, 40:80] = 255
    cv2.imwrite(str(root / "full.bmp.png"), mask)
    names = [f"{number:02}.png" for number in range(6)]
    frame = pd.DataFrame(
        {
            "case_id": names,
            "patient_id": names,
            "split": ["train", "train", "train", "val", "val", "test"],
            "image": names,
        }
    )
    frame["mask"] = [("full.bmp.png",)] * 4 + [("empty.bmp.png",), ("full.bmp.png",)]
    frame["foreground"] = [True, True, False, True, True, True]
    cases = CaseTable(frame, TaskKind.SEGMENTATION, ("lesion",), FileSource(root), "user")
    found = check_data(cases, None, CheckOptions(near_duplicates=False))
    assert {(p.what, p.found) for p in found.problems} == {
        ("unexpected-mask", "1 that disagree: 02.png"),
        ("empty-mask", "1 that disagree: 04.png"),
    }
    drawn = cv2.imdecode(np.frombuffer(case_thumbnail(cases, 0) or b"", np.uint8), cv2.IMREAD_COLOR)
    assert drawn.shape == (SIDE, SIDE, 3)
    assert (drawn == (0, 176, 255)).all(axis=2).sum() > 80  # the outline, in OpenCV's order of channels


def test_examples_are_training_cases_of_their_class(root: Path) -> None:
    names = [f"{number:02}.png" for number in range(12)]
    cases = table(root, names, ["train"] * 9 + ["val"] + ["test"] * 2)
    found = example_rows(check_data(cases, None, CheckOptions(near_duplicates=False)), ("yes", "no"), most=3)
    assert found == {"yes": [1, 3, 7], "no": [0, 4, 8]}
    few = example_rows(check_data(cases, None, CheckOptions(near_duplicates=False)), ("yes",), most=9)
    assert few == {"yes": [1, 3, 5, 7]}


def test_workers_find_what_one_process_finds(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "_FEWEST_FOR_WORKERS", 5)
    cv2.imwrite(str(root / "copy.png"), COPIES["darker"](picture(4)))
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 3
    assert checked(root, splits, workers=2).pairs == checked(root, splits).pairs != ()


def test_every_exact_mirror_image_is_found(root: Path) -> None:
    names = []
    for number in range(20, 40):
        for name, image in ((f"{number}.png", picture(number)), (f"{number}m.png", picture(number)[:, ::-1])):
            cv2.imwrite(str(root / name), np.ascontiguousarray(image))
            names.append(name)
    splits = ["test" if name.endswith("m.png") else "train" for name in names]
    cases = table(root, [*names, "00.png"], [*splits, "val"])
    found = check_data(cases, None, CheckOptions()).pairs
    mirrored = {(names[pair.first], names[pair.second]) for pair in found if pair.mirrored}
    assert mirrored >= {(f"{number}.png", f"{number}m.png") for number in range(20, 40)}
