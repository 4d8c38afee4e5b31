"""Shenzhen: labels from names, the published lists or a division of their sizes."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtransfer.core.errors import DataError
from medtransfer.data.audit import audit_cases
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks import shenzhen
from medtransfer.tasks.shenzhen import shenzhen_tb

OFFICIAL = [f"CHNCXR_{number:04}_{int(number > 326)}.png" for number in range(1, 663)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    assert shenzhen_tb.write_sample is not None
    shenzhen_tb.write_sample(tmp_path / "set")
    return tmp_path / "set"


def label_by_digit(name: str) -> int:
    return int(name[: -len(".png")].rsplit("_", maxsplit=1)[-1])


def put_lists(root: Path, monkeypatch: pytest.MonkeyPatch, **lists: list[str]) -> None:
    """Write lists under names that say nothing, and publish their hashes."""
    starts = {}
    (root / "splits").mkdir(exist_ok=True)
    for number, (split, lines) in enumerate(lists.items()):
        content = "\n".join(lines).encode()
        (root / "splits" / f"{9 - number}.txt").write_bytes(content)
        starts[split] = hashlib.sha256(content).hexdigest()[:8]
    monkeypatch.setattr(shenzhen, "_LISTS", starts)


def listed(root: Path) -> dict[str, list[str]]:
    lines = [f"{path.name},{label_by_digit(path.name)}" for path in sorted((root / "CXR_png").iterdir())]
    return {"train": lines[::2], "val": lines[1::4], "test": lines[3::4]}


def test_names_give_labels(root: Path) -> None:
    cases = shenzhen_tb.open(root)
    files = sorted(path.name for path in (root / "CXR_png").iterdir())
    assert cases.frame["image"].tolist() == [f"CXR_png/{name}" for name in files]
    assert cases.frame["label"].tolist() == [label_by_digit(name) for name in files]
    assert cases.frame["patient_id"].nunique() == len(files) == 70
    assert cases.classes[1] == "tuberculosis"
    assert cases.split_source == "ours"


def test_the_official_names_are_divided_as_the_published_lists_are(tmp_path: Path) -> None:
    (tmp_path / "CXR_png").mkdir()
    for name in OFFICIAL:
        (tmp_path / "CXR_png" / name).touch()
    frame = shenzhen_tb.open(tmp_path).frame
    assert Counter(frame["split"]) == {"train": 463, "val": 65, "test": 134}
    positives = frame.groupby("split")["label"].sum()
    assert positives.to_dict() == {"train": 235, "val": 33, "test": 68}
    expected = shenzhen_tb.expected
    assert expected is not None
    assert expected.variants == ({"train": 463, "val": 65, "test": 134},)
    assert expected.classes is not None
    for split, part in frame.groupby("split"):
        found = {
            name: int((part["label"] == number).sum()) for number, name in enumerate(shenzhen_tb.classes)
        }
        assert expected.classes[str(split)] == found


def test_the_division_does_not_depend_on_the_file_system(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shenzhen_tb.open(root).frame
    (tmp_path / "other" / "CXR_png").mkdir(parents=True)
    for path in sorted((root / "CXR_png").iterdir(), reverse=True):
        (tmp_path / "other" / "CXR_png" / path.name).write_bytes(path.read_bytes())
    assert shenzhen_tb.open(tmp_path / "other").frame.equals(first)


def test_published_lists_decide(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = listed(root)
    put_lists(root, monkeypatch, **lists)
    cases = shenzhen_tb.open(root)
    assert cases.split_source == "published-list"
    split = dict(zip(cases.frame["image"], cases.frame["split"], strict=True))
    for part, lines in lists.items():
        assert {split[f"CXR_png/{line.split(',')[0]}"] for line in lines} == {part}
    assert cases.opening_problems == ()


def test_images_on_no_list_are_reported(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = listed(root)
    gone = [lists["train"].pop(), lists["val"].pop()]
    put_lists(root, monkeypatch, **lists)
    cases = shenzhen_tb.open(root)
    (problem,) = cases.opening_problems
    assert problem.what == "unlisted-image"
    assert "2 that no case is made from" in problem.found
    for line in gone:
        name = line.split(",")[0]
        assert name in problem.found
        assert f"CXR_png/{name}" not in set(cases.frame["image"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("CHNCXR_0001_0.png,1", "'CHNCXR_0001_0.png,1' in test, whose name says 0"),
        ("CHNCXR_0001_0.png", "'CHNCXR_0001_0.png' in test, whose name says 0"),
        ("CHNCXR_0999_1.png,1", "'CHNCXR_0999_1.png,1' in test, whose image is missing"),
        ("../CXR_png/CHNCXR_0001_0.png,0", "whose image is missing"),
        ("CHNCXR_0001_0.png,0", "'CHNCXR_0001_0.png' in train and test"),
    ],
)
def test_a_wrong_line_of_a_list_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str
) -> None:
    lists = listed(root)
    assert lists["train"][0] == "CHNCXR_0001_0.png,0"
    if "in train and" not in message:
        lists["train"].pop(0)
    put_lists(root, monkeypatch, **(lists | {"test": [*lists["test"], line]}))
    with pytest.raises(DataError, match=re.escape(message)):
        shenzhen_tb.open(root)


def test_a_list_that_is_not_the_published_one_is_refused(root: Path) -> None:
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("\n".join(listed(root)["train"]))
    with pytest.raises(
        DataError, match=r"expected one of the published lists .*train 77ac16bc.*val b8e0ea0e"
    ):
        shenzhen_tb.open(root)


@pytest.mark.parametrize(
    "name", ["CHNCXR_0001_2.png", "CHNCXR_0001.png", "chncxr_0001_0.png", "MCUCXR_0001_0.png"]
)
def test_a_name_without_a_label_is_refused(root: Path, name: str) -> None:
    (root / "CXR_png" / name).write_bytes(b"")
    with pytest.raises(
        DataError, match=re.escape(f"CXR_png: expected images named like 'CHNCXR_0001_0.png', got {name!r}")
    ):
        shenzhen_tb.open(root)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder 'CXR_png'"):
        shenzhen_tb.open(tmp_path)


def assert_every_class_in_every_split(cases: CaseTable) -> None:
    counts = cases.frame.groupby(["split", "label"]).size()
    assert len(counts) == 6
    assert counts["train"].min() >= 3
    assert counts.min() >= 2


def test_the_sample_is_readable_and_has_its_oddities(root: Path, tmp_path: Path) -> None:
    assert shenzhen_tb.write_sample is not None
    shenzhen_tb.write_sample(tmp_path / "again")
    for path in root.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(root)).read_bytes()
    cases = shenzhen_tb.open(root)
    assert_every_class_in_every_split(cases)
    assert audit_cases(cases) == []
    modes, sizes = set(), set()
    for path in (root / "CXR_png").iterdir():
        with Image.open(path) as image:
            modes.add(image.mode)
            sizes.add(image.size)
            assert np.array_equal(cases.source.read_image(f"CXR_png/{path.name}"), np.array(image))
        assert (root / "ClinicalReadings" / f"{path.stem}.txt").is_file()
    assert (modes, len(sizes)) == ({"L", "RGB"}, 2)
