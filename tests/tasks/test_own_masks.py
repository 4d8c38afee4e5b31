"""Masks of own data: patterns of names, colours, DICOM files, and labels that say what a mask must show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medtransfer.core.errors import DataError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import audit_cases
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks.own_data import open_own_data
from medtransfer.tasks.own_data_declaration import parse_own_data
from medtransfer.tasks.sample_files import sample_uid, write_dicom, write_nifti, write_picture


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


def cases_of(root: Path, **declaration: Any) -> CaseTable:
    return open_own_data("mine", {"root": ".", **declaration}, root)[1]


def refusal(root: Path, **declaration: Any) -> str:
    with pytest.raises(DataError) as refused:
        cases_of(root, **declaration)
    return str(refused.value)


def column(cases: CaseTable, name: str) -> dict[str, Any]:
    return dict(zip(cases.frame["case_id"], cases.frame[name], strict=True))


def problems(cases: CaseTable) -> dict[str, str]:
    return {problem.what: problem.found for problem in audit_cases(cases)}


def drawn(seed: int, shape: tuple[int, ...] = (9, 8)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1000, shape).astype(np.uint16)


def write_series(root: Path, folder: str, patient: str, names: Sequence[str], **tags: Any) -> str:
    """Write the slices of one series, the first named being the highest; return its SeriesInstanceUID."""
    uid = sample_uid("series", folder)
    for number, name in enumerate(names):
        place = {
            "SeriesInstanceUID": uid,
            "PatientID": patient,
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "ImagePositionPatient": [0, 0, -5.0 * number],
        }
        write_dicom(root / folder / name, drawn(seed_of(folder, name)), place | tags)
    return uid


def seed_of(*parts: str) -> int:
    return sum(ord(sign) * 31**place for place, sign in enumerate("/".join(parts))) % 2**32


def write_table(root: Path, *lines: str) -> None:
    (root / "list.csv").write_text("\n".join(lines), encoding="utf-8")


def whole(cases: CaseTable, group: str) -> bool:
    """Whether no group is cut by the split, and the split has several parts."""
    splits = cases.frame.groupby(group)["split"].nunique()
    return bool((splits == 1).all()) and cases.frame["split"].nunique() == 3


class TestMaskNames:
    STEMS = ("x1", "x10", "x1_b", "scan[1]", "a*b")

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number, stem in enumerate(self.STEMS):
            write_picture(tmp_path / "images" / f"{stem}.png", drawn(number).astype(np.uint8))
        return tmp_path

    def put(self, root: Path, *names: str) -> None:
        for name in names:
            write_picture(root / name, np.eye(9, 8, dtype=np.uint8) * 255)

    def masks(self, root: Path, **declaration: Any) -> dict[str, tuple[str, ...]]:
        found = column(cases_of(root, images="images", **declaration), "mask")
        return {Path(case).stem: masks for case, masks in found.items()}

    def test_a_pattern_takes_exactly_the_masks_of_a_stem(self, root: Path) -> None:
        self.put(
            root,
            *(f"masks/{stem}_seg.png" for stem in self.STEMS),
            "masks/x1_seg_2.png",
            "masks/x1_other.png",
        )
        found = self.masks(root, masks="masks", mask_pattern="{stem}_seg*")
        assert found == {stem: (f"masks/{stem}_seg.png",) for stem in self.STEMS if stem != "x1"} | {
            "x1": ("masks/x1_seg.png", "masks/x1_seg_2.png")
        }

    def test_a_pattern_may_begin_with_letters(self, root: Path) -> None:
        self.put(root, *(f"masks/lesion-{stem}.png" for stem in self.STEMS), "masks/x1.png")
        found = self.masks(root, masks="masks", mask_pattern="lesion-{stem}.*")
        assert found == {stem: (f"masks/lesion-{stem}.png",) for stem in self.STEMS}

    def test_images_and_masks_of_one_folder_are_told_apart_by_the_pattern(self, root: Path) -> None:
        self.put(root, *(f"images/{stem}_seg.png" for stem in self.STEMS))
        found = self.masks(root, masks="images", mask_pattern="{stem}_seg*")
        assert found == {stem: (f"images/{stem}_seg.png",) for stem in self.STEMS}

    def test_an_image_without_a_match_is_named(self, root: Path) -> None:
        self.put(root, *(f"masks/{stem}_seg.png" for stem in self.STEMS if stem != "x1"), "masks/x1_SEG.png")
        text = refusal(root, images="images", masks="masks", mask_pattern="{stem}_seg*")
        assert "masks: expected a mask named like each image, got none for 'images/x1.png'. " in text
        assert "Add an empty mask where there is nothing to mark, or remove the image" in text

    @pytest.mark.parametrize(
        ("pattern", "message"),
        [
            ("_seg*", "expected '{stem}' once"),
            ("{stem}_{stem}", "expected '{stem}' once"),
            ("*{stem}.png", "expected letters before {stem}, got wildcards"),
            ("[ab]{stem}.png", "expected letters before {stem}, got wildcards"),
        ],
    )
    def test_a_pattern_that_cannot_work_is_refused(self, root: Path, pattern: str, message: str) -> None:
        with pytest.raises(UsageError) as refused:
            self.masks(root, masks="masks", mask_pattern=pattern)
        assert message in str(refused.value)
        assert "mask_pattern: " in str(refused.value)

    def test_a_pattern_needs_a_folder(self, root: Path) -> None:
        write_table(root, "file,outline", "x1.png,x.png")
        declaration = {"kind": "segmentation", "manifest": "list.csv", "mask_pattern": "{stem}_seg*"}
        with pytest.raises(UsageError, match="mask_pattern needs 'masks'"):
            cases_of(root, **declaration, columns={"image": "file", "mask": "outline"})


class TestMaskColours:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number in range(4):
            write_picture(tmp_path / "images" / f"{number}.png", drawn(number).astype(np.uint8))
            picture = np.zeros((9, 8, 3), np.uint8)
            picture[1:3, 1:4] = (255, 0, 0)
            picture[5:8, 2:4] = (0, 128, 255)
            painted = Image.fromarray(picture)
            if number == 3:
                painted = painted.quantize(8)
            (tmp_path / "masks").mkdir(exist_ok=True)
            painted.save(tmp_path / "masks" / f"{number}.png")
        return tmp_path

    COLOURS: Mapping[str, str] = {"#ff0000": "vessel", "#0080FF": "nerve"}

    def test_colours_are_classes_in_their_order(self, root: Path) -> None:
        cases = cases_of(root, images="images", masks="masks", mask_colours=dict(self.COLOURS))
        assert (cases.kind, cases.classes) == (TaskKind.SEGMENTATION, ("vessel", "nerve"))
        expected = np.zeros((9, 8), np.uint8)
        expected[1:3, 1:4], expected[5:8, 2:4] = 1, 2
        for (mask,) in cases.frame["mask"]:
            np.testing.assert_array_equal(cases.source.read_mask(mask), expected)
        assert problems(cases) == {}

    def test_an_undeclared_colour_is_a_problem(self, root: Path) -> None:
        found = problems(cases_of(root, images="images", masks="masks", mask_colours={"#ff0000": "vessel"}))
        assert "#0080ff" in found["unreadable-mask"]

    @pytest.mark.parametrize(
        "colours", [{"red": "vessel"}, {"#ff000": "vessel"}, {"ff0000": "vessel"}, {"#ff00gg": "vessel"}]
    )
    def test_what_is_no_colour_is_refused(self, root: Path, colours: dict[str, str]) -> None:
        with pytest.raises(UsageError, match=r"^task 'mine': mask_colours: .*colours such as '#ff0000'"):
            cases_of(root, images="images", masks="masks", mask_colours=colours)

    def test_colours_and_values_exclude_each_other(self, root: Path) -> None:
        with pytest.raises(UsageError, match="one of 'mask_values', 'mask_colours' and 'mask_rule'"):
            cases_of(root, masks="masks", mask_colours=dict(self.COLOURS), mask_values={1: "vessel"})


class TestStructures:
    @pytest.mark.parametrize(
        ("declaration", "message"),
        [
            (
                {"mask_values": {0: "background", 1: "ant", 2: "post"}},
                "mask_values: expected values of structures, got 0: 'background'. 0 is background already: leave it",
            ),
            (
                {"mask_colours": {"#000000": "background", "#ff0000": "ant"}},
                "mask_colours: expected colours of structures, got '#000000': 'background'. #000000 is background",
            ),
            (
                {"mask_values": {255: "lung", 1: "lung"}},
                "mask_values: expected a class of its own for every value, got 'lung' for 255 and 1. Give each",
            ),
            (
                {"mask_colours": {"#ff0000": "lung", "#00ff00": "lung"}},
                "mask_colours: expected a class of its own for every colour, got 'lung' for '#ff0000' and '#00ff00'.",
            ),
            (
                {"mask_colours": {"#ff00aa": "a", "#FF00AA": "b"}},
                "mask_colours: expected every colour once, got ['#ff00aa', '#FF00AA'].",
            ),
            ({"mask_values": {}}, "mask_values: expected a value and its class, got none."),
            ({"mask_colours": {}}, "mask_colours: expected a colour and its class, got none."),
        ],
    )
    def test_background_and_repeats_are_refused(self, declaration: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError) as refused:
            parse_own_data("mine", {"root": ".", "masks": "masks", **declaration})
        assert str(refused.value).startswith(f"task 'mine': {message}")


class TestDicomMasks:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for patient in range(4):
            write_series(
                tmp_path, f"images/s{patient}", f"P{patient}", [f"{patient}{n}.dcm" for n in range(3)]
            )
            for path in (tmp_path / "images" / f"s{patient}").iterdir():
                path.rename(tmp_path / "images" / path.name)
                mask = np.zeros((9, 8), np.uint16)
                mask[2:4, 3:6] = 700
                mask[6, 1] = 3
                write_dicom(tmp_path / "masks" / f"{path.stem}.dcm", mask, {"PatientID": "of the mask"})
            (tmp_path / "images" / f"s{patient}").rmdir()
        return tmp_path

    def test_every_slice_has_its_mask(self, root: Path) -> None:
        task, cases = open_own_data(
            "mine",
            {"root": ".", "images": "images", "masks": "masks", "mask_values": {700: "organ", 3: "mark"}},
            root,
        )
        assert task.primary_metric == "dice-volume"
        assert column(cases, "mask")["images/21.dcm"] == ("masks/21.dcm",)
        assert column(cases, "patient_id")["images/21.dcm"] == "P2"
        assert column(cases, "volume_id")["images/21.dcm"] == sample_uid("series", "images/s2")
        seen = cases.source.read_mask("masks/21.dcm")
        assert ((seen == 1).sum(), (seen == 2).sum(), seen[6, 1]) == (6, 1, 2)
        assert whole(cases, "patient_id")
        assert audit_cases(cases) == []

    def test_without_a_rule_everything_above_zero_is_inside(self, root: Path) -> None:
        cases = cases_of(root, images="images", masks="masks")
        assert cases.source.read_mask("masks/21.dcm").sum() == 7

    def test_pictures_may_be_masks_of_dicom_images(self, root: Path) -> None:
        (root / "masks" / "21.dcm").unlink()
        write_picture(root / "masks" / "21.png", np.eye(9, 8, dtype=np.uint8) * 255)
        cases = cases_of(root, images="images", masks="masks")
        assert cases.source.read_mask(column(cases, "mask")["images/21.dcm"][0]).sum() == 8


class TestLabelsOfMasks:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number in range(6):
            write_picture(tmp_path / f"i{number}.png", drawn(number).astype(np.uint8))
            write_picture(tmp_path / f"m{number}.png", np.eye(9, 8, dtype=np.uint8) * (255 * (number % 2)))
        return tmp_path

    def opened(self, root: Path, *cells: str, **columns: str) -> CaseTable:
        split = ("train", "train", "val", "val", "test", "test")
        rows = [f"i{n}.png,m{n}.png,{cell},{split[n]}" for n, cell in enumerate(cells)]
        write_table(root, "file,outline,ill,fold", *rows)
        names = {"image": "file", "mask": "outline", "split": "fold", **columns}
        return cases_of(root, kind="segmentation", manifest="list.csv", columns=names)

    def test_a_label_says_whether_a_mask_shows_something(self, root: Path) -> None:
        cases = self.opened(root, "no", "1", "0", "Yes", "FALSE", "1.0", label="ill")
        assert cases.frame["foreground"].tolist() == [False, True] * 3
        assert problems(cases) == {}
        assert "foreground" not in self.opened(root, *"010101").frame.columns

    def test_masks_that_say_another_thing_are_problems(self, root: Path) -> None:
        found = problems(self.opened(root, *"110100", label="ill"))
        assert found == {
            "empty-mask": "1 that disagree: i0.png",
            "unexpected-mask": "1 that disagree: i5.png",
        }

    def test_an_empty_mask_cell_is_called_so(self, root: Path) -> None:
        write_table(root, "file,outline", "i0.png,m0.png", "i1.png,")
        names = {"image": "file", "mask": "outline"}
        assert "mask files below the root, got line 3: an empty cell. " in refusal(
            root, kind="segmentation", manifest="list.csv", columns=names
        )

    @pytest.mark.parametrize("cell", ["", "2", "maybe"])
    def test_another_label_is_refused_by_line(self, root: Path, cell: str) -> None:
        with pytest.raises(
            DataError,
            match=rf"list\.csv: column 'ill': expected 0 or 1: whether the mask .*, got line 4: '{cell}'\.",
        ):
            self.opened(root, "0", "1", cell, "1", label="ill")

    def test_the_label_of_a_volume_is_not_that_of_every_slice(self, root: Path) -> None:
        for number in range(4):
            write_nifti(root / f"v{number}.nii.gz", drawn(number, (6, 5, 4)).astype(np.int16))
            mask = np.zeros((6, 5, 4), np.uint8)
            mask[1:4, 1:3, 2] = number % 2
            write_nifti(root / f"w{number}.nii.gz", mask)
        write_table(root, "file,outline,ill", *(f"v{n}.nii.gz,w{n}.nii.gz,{n % 2}" for n in range(4)))
        names = {"image": "file", "mask": "outline", "label": "ill"}
        cases = cases_of(root, kind="segmentation", manifest="list.csv", columns=names)
        assert not {"empty-mask", "unexpected-mask"} & set(problems(cases))


def test_labels_of_single_slices_are_compared_with_their_masks(tmp_path: Path) -> None:
    rows = []
    for series in range(3):
        write_series(tmp_path, f"s{series}", f"P{series}", ["0.dcm", "1.dcm", "2.dcm"])
        for number in range(3):
            mask = np.eye(9, 8, dtype=np.uint8) * (255 * (number == 1))
            write_picture(tmp_path / f"s{series}" / f"{number}.png", mask)
            ill = (number == 1) != (series == number == 2)
            rows.append(f"s{series}/{number}.dcm,s{series}/{number}.png,{ill:d}")
    write_table(tmp_path, "file,outline,ill", *rows)
    names = {"image": "file", "mask": "outline", "label": "ill"}
    cases = cases_of(tmp_path, kind="segmentation", manifest="list.csv", columns=names)
    assert cases.has_volumes
    assert problems(cases)["empty-mask"] == "1 that disagree: s2/2.dcm"


def test_a_list_of_labels_beside_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"columns\.label"):
        cases_of(
            tmp_path,
            kind="segmentation",
            manifest="list.csv",
            columns={"image": "file", "mask": "outline", "label": ["ill", "old"]},
        )
