"""Own data from DICOM and NIfTI: series and volumes become cases, patients and splits; windows and planes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from medtransfer.core.errors import DataError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import audit_cases
from medtransfer.data.case_table import CaseTable
from medtransfer.data.intensity import WINDOWS, VolumeRange, Window
from medtransfer.tasks.own_data import open_own_data
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


def listed(label: str | list[str] = "finding", kind: str = "binary", **columns: str) -> dict[str, Any]:
    return {"kind": kind, "manifest": "list.csv", "columns": {"label": label, **columns}}


def whole(cases: CaseTable, group: str) -> bool:
    """Whether no group is cut by the split, and the split has several parts."""
    splits = cases.frame.groupby(group)["split"].nunique()
    return bool((splits == 1).all()) and cases.frame["split"].nunique() == 3


class TestFolderPerClassOfDicom:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """Nine patients with one to three series of three slices; P3 and P6 have series of both classes."""
        for number in range(18):
            patient = f"P{number * number % 9}"
            name = "clear" if number % 3 else "nodule"
            write_series(tmp_path, f"{name}/scan{number}", patient, ["c.dcm", "a", "b.ima"])
        return tmp_path

    def test_headers_give_patients_and_volumes(self, root: Path) -> None:
        task, cases = open_own_data("mine", {"root": "."}, root)
        assert (task.kind, cases.classes, len(cases)) == (TaskKind.BINARY, ("clear", "nodule"), 54)
        assert task.metrics == ("auc", "accuracy", "balanced-accuracy", "auc-volume")
        assert cases.patients_known
        for number in range(18):
            name = "clear" if number % 3 else "nodule"
            for file in ("c.dcm", "a", "b.ima"):
                case = f"{name}/scan{number}/{file}"
                assert column(cases, "image")[case] == case
                assert column(cases, "patient_id")[case] == f"P{number * number % 9}"
                assert column(cases, "volume_id")[case] == sample_uid("series", f"{name}/scan{number}")
                assert cases.classes[column(cases, "label")[case]] == name
        columns = {"case_id", "patient_id", "split", "image", "label", "volume_id"}
        assert set(cases.frame.columns) == columns
        assert set(problems(cases)) <= {"class-absent"}

    def test_slices_and_patients_stay_together(self, root: Path) -> None:
        cases = cases_of(root)
        assert cases.split_source == "ours"
        assert whole(cases, "patient_id")
        assert whole(cases, "volume_id")

    def test_the_task_opens_the_same_table_again(self, root: Path) -> None:
        task, cases = open_own_data("mine", {"root": "."}, root)
        assert task.open(root).frame.equals(cases.frame)
        assert task.open(root).content_hash() == cases.content_hash()

    def test_where_a_patient_is_missing_series_stay_together(self, root: Path) -> None:
        path = root / "nodule" / "scan0" / "a"
        for file in path.parent.iterdir():
            dataset = pydicom.dcmread(file)
            dataset.PatientID = " "
            dataset.save_as(file)
        cases = cases_of(root)
        assert not cases.patients_known
        assert column(cases, "patient_id") == column(cases, "volume_id")
        assert whole(cases, "volume_id")

    def test_a_pattern_of_names_wins_over_the_header(self, tmp_path: Path) -> None:
        for number in range(8):
            write_dicom(
                tmp_path / "ab"[number % 2] / f"W{number // 2}_{number}.dcm",
                drawn(number),
                {"PatientID": f"P{number}", "SeriesInstanceUID": sample_uid(number)},
            )
        cases = cases_of(tmp_path, patient_pattern=r"^(W\d)_")
        assert cases.patients_known
        assert sorted(cases.frame["patient_id"].unique()) == ["W0", "W1", "W2", "W3"]
        assert not cases.has_volumes

    def test_pictures_among_the_series_are_volumes_of_their_own(self, root: Path) -> None:
        write_picture(root / "clear" / "photo.png", drawn(1).astype(np.uint8))
        cases = cases_of(root)
        assert column(cases, "volume_id")["clear/photo.png"] == "clear/photo.png"
        assert column(cases, "patient_id")["clear/photo.png"] == "clear/photo.png"
        assert not cases.patients_known
        assert whole(cases, "volume_id")

    def test_pictures_of_one_patient_are_no_volume(self, tmp_path: Path) -> None:
        for number in range(8):
            write_series(tmp_path, f"{'ab'[number % 2]}/s{number}", "P", [f"W{number}_0.dcm", f"W{number}_1"])
            for part in (2, 3):
                picture = drawn(number * 2 + part).astype(np.uint8)
                write_picture(tmp_path / "ab"[number % 2] / f"W{number}_{part}.png", picture)
        cases = cases_of(tmp_path, patient_pattern=r"^(W\d)_")
        volumes = column(cases, "volume_id")
        assert volumes["a/s2/W2_0.dcm"] == volumes["a/s2/W2_1"] == sample_uid("series", "a/s2")
        for part in (2, 3):
            assert volumes[f"a/W2_{part}.png"] == f"a/W2_{part}.png"
        assert whole(cases, "patient_id")
        assert cases.frame["patient_id"].nunique() == 8

    def test_two_patients_in_one_series_are_refused(self, root: Path) -> None:
        path = root / "nodule" / "scan0" / "a"
        dataset = pydicom.dcmread(path)
        dataset.PatientID = "P77"
        dataset.save_as(path)
        uid = sample_uid("series", "nodule/scan0")
        text = refusal(root)
        assert text.startswith("task 'mine': nodule/scan0/a: expected one patient in series")
        assert uid in text
        assert "['P0', 'P77']" in text

    def test_a_file_that_is_cut_off_in_its_header_is_named(self, root: Path) -> None:
        path = root / "nodule" / "scan0" / "a"
        path.write_bytes(path.read_bytes()[:400])
        assert refusal(root).startswith("task 'mine': nodule/scan0/a: expected a ")

    def test_two_orientations_of_a_series_are_two_volumes(self, root: Path) -> None:
        path = root / "nodule" / "scan0" / "a"
        dataset = pydicom.dcmread(path)
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        dataset.save_as(path)
        volumes = column(cases_of(root), "volume_id")
        uid = sample_uid("series", "nodule/scan0")
        assert volumes["nodule/scan0/c.dcm"] == volumes["nodule/scan0/b.ima"] == f"{uid}#1"
        assert volumes["nodule/scan0/a"] == "nodule/scan0/a"


class TestSeriesPerRow:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number in range(5):
            write_series(tmp_path, f"s{number}", f"P{number}", ["2.dcm", "1.dcm", "sub/0.dcm"])
            (tmp_path / f"s{number}" / "report.txt").write_text("no image")
        write_table(tmp_path, "series,finding,who", *(f"s{n},{'ab'[n % 2]},W{n // 2}" for n in range(5)))
        return tmp_path

    def test_a_folder_means_all_its_files(self, root: Path) -> None:
        cases = cases_of(root, **listed(image="series"))
        assert len(cases) == 15
        assert column(cases, "label")["s3/sub/0.dcm"] == 1
        assert column(cases, "patient_id")["s3/1.dcm"] == "P3"
        assert column(cases, "volume_id")["s3/1.dcm"] == sample_uid("series", "s3")
        assert whole(cases, "volume_id")
        assert cases.patients_known

    def test_damaged_files_of_a_folder_are_a_problem(self, root: Path) -> None:
        whole_file = (root / "s1" / "1.dcm").read_bytes()
        (root / "s1" / "1.dcm").write_bytes(whole_file[:90])
        (root / "s2" / "more.DCM").touch()
        (root / "s2" / "VERSION").write_text("no image")
        (root / "s2" / "DICOMDIR").write_bytes(b"")
        (root / "s2" / ".2.dcm").write_bytes(b"")
        cases = cases_of(root, **listed(image="series"))
        assert len(cases) == 14
        assert cases.patients_known
        assert problems(cases)["unreadable-image"] == (
            "2 that do not begin like DICOM: s1/1.dcm, s2/more.DCM"
        )

    def test_a_folder_of_damaged_files_alone_is_refused_with_their_names(self, root: Path) -> None:
        for path in (root / "s1").rglob("*.dcm"):
            path.write_bytes(b"")
        assert refusal(root, **listed(image="series")) == (
            "task 'mine': s1: expected DICOM files, got files that do not begin like DICOM: "
            "s1/1.dcm, s1/2.dcm, s1/sub/0.dcm. Correct the path."
        )
        write_table(root, "who,finding", "P1,a", "P2,b")
        assert "got files that do not begin like DICOM: s1/1.dcm" in refusal(
            root, **listed(patient="who"), images="s1"
        )

    def test_a_patient_column_wins_over_the_header(self, root: Path) -> None:
        cases = cases_of(root, **listed(image="series", patient="who"))
        assert column(cases, "patient_id")["s3/1.dcm"] == "W1"
        assert whole(cases, "patient_id")

    def test_the_files_of_a_folder_without_patients_stay_together(self, root: Path) -> None:
        write_series(root, "s1/second", "", ["9.dcm"])
        for path in root.rglob("*.dcm"):
            dataset = pydicom.dcmread(path)
            dataset.PatientID = ""
            dataset.save_as(path)
        cases = cases_of(root, **listed(image="series"))
        assert not cases.patients_known
        assert column(cases, "patient_id") == {case: case.split("/")[0] for case in cases.frame["case_id"]}
        assert whole(cases, "patient_id")

    def test_a_picture_is_no_mask_of_a_folder(self, root: Path) -> None:
        write_picture(root / "m.png", np.eye(9, 8, dtype=np.uint8))
        write_table(root, "series,outline", "s0,m.png", "s1,m.png", "s2,m.png")
        declaration = {"kind": "segmentation", "manifest": "list.csv"}
        text = refusal(root, **declaration, columns={"image": "series", "mask": "outline"})
        assert text.startswith("task 'mine': m.png: expected a DICOM segmentation for the series s0")
        assert text.endswith("Name the files of the series one by one, each with its mask.")

    def test_two_segmentations_of_a_folder_are_united_or_refused(self, root: Path) -> None:
        for number in range(5):
            for part in (1, 2):
                write_dicom(root / "masks" / f"s{number}_mask_{part}.dcm", drawn(part), {})
        declaration = {"kind": "segmentation", "manifest": "list.csv", "masks": "masks"}
        with pytest.raises(DataError, match=r"masks/s0_mask_1\.dcm"):
            cases_of(root, **declaration, columns={"image": "series", "patient": "who"})

    def test_a_file_of_a_folder_that_has_a_row_too_is_named_twice(self, root: Path) -> None:
        write_table(root, "series,finding", "s0,a", "s0/1.dcm,b", "s1,a", "s2,b", "s3,b")
        assert "'s0/1.dcm'" in refusal(root, **listed(image="series"))

    @pytest.mark.parametrize(("fold", "divided"), [("train", False), ("test", True)])
    def test_one_patient_under_two_names_may_not_be_divided(
        self, root: Path, fold: str, divided: bool
    ) -> None:
        write_series(root, "s1", "P0", ["2.dcm", "1.dcm", "sub/0.dcm"])
        folds = ("train", fold, "test", "val", "test")
        rows = [f"s{n},{'ab'[n % 2]},W{n},{folds[n]}" for n in range(5)]
        write_table(root, "series,finding,who,fold", *rows)
        cases = cases_of(root, **listed(image="series", patient="who", split="fold"))
        assert column(cases, "patient_id")["s1/1.dcm"] == "W1"
        found = [problem for problem in audit_cases(cases) if problem.what == "patient-overlap"]
        assert len(found) == divided
        if divided:
            assert found[0].where == "PatientID in the DICOM headers"
            assert found[0].found == "1 patients in several: P0"

    def test_a_patient_the_header_names_is_told_once(self, root: Path) -> None:
        write_series(root, "s1", "P0", ["2.dcm", "1.dcm", "sub/0.dcm"])
        folds = ("train", "test", "test", "val", "test")
        write_table(root, "series,finding,fold", *(f"s{n},{'ab'[n % 2]},{folds[n]}" for n in range(5)))
        cases = cases_of(root, **listed(image="series", split="fold"))
        (problem,) = [problem for problem in audit_cases(cases) if problem.what == "patient-overlap"]
        assert problem.found == "1 in both: P0"

    def test_a_directory_file_means_what_it_refers_to(self, root: Path) -> None:
        write_directory(root / "s0", [["2.dcm"], ["sub", "0.dcm"]])
        write_directory(root, [["s1", "1.dcm"]])
        write_table(root, "series,finding", "s0/DICOMDIR,a", "DICOMDIR,b", "s2,a", "s3,b")
        cases = cases_of(root, **listed(image="series"))
        assert {case for case in column(cases, "image") if case < "s2"} == {
            "s0/2.dcm",
            "s0/sub/0.dcm",
            "s1/1.dcm",
        }
        assert column(cases, "patient_id")["s0/2.dcm"] == "P0"
        assert column(cases, "label")["s1/1.dcm"] == 1
        assert column(cases, "volume_id")["s0/2.dcm"] == sample_uid("series", "s0")

    def test_a_directory_file_of_nothing_or_of_files_elsewhere_is_refused(self, root: Path) -> None:
        write_table(root, "series,finding", "s0/DICOMDIR,a", "s2,a", "s3,b")
        write_directory(root / "s0", [])
        assert "s0/DICOMDIR: expected DICOM files, got none" in refusal(root, **listed(image="series"))
        write_directory(root / "s0", [["..", "s1", "1.dcm"]])
        assert refusal(root, **listed(image="series")).startswith(
            "task 'mine': s0/DICOMDIR: expected file ids below its folder"
        )


def write_directory(folder: Path, entries: Sequence[Sequence[str]]) -> None:
    """Write a DICOMDIR that refers to files of the folder."""
    dataset = Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # real exports have such names too
        records = []
        for parts in entries:
            record = Dataset()
            record.DirectoryRecordType = "IMAGE"
            record.ReferencedFileID = list(parts)
            records.append(record)
        dataset.DirectoryRecordSequence = DicomSequence(records)
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = sample_uid("directory")
        dataset.save_as(folder / "DICOMDIR", enforce_file_format=True)


class TestFrames:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number in range(6):
            write_dicom(
                tmp_path / "ab"[number % 2] / f"cine{number}.dcm",
                drawn(number, (4, 9, 8)),
                {"PatientID": f"P{number // 2}", "SeriesInstanceUID": sample_uid(number)},
            )
        return tmp_path

    def test_every_frame_is_a_case_of_one_volume(self, root: Path) -> None:
        cases = cases_of(root, intensity={"low": 0, "high": 1000})
        assert len(cases) == 24
        assert column(cases, "image")["a/cine2.dcm#0003"] == "slice:3:a/cine2.dcm"
        assert column(cases, "volume_id")["a/cine2.dcm#0003"] == sample_uid(2)
        assert column(cases, "patient_id")["a/cine2.dcm#0003"] == "P1"
        assert whole(cases, "volume_id")
        shown = cases.source.read_image("slice:3:a/cine2.dcm")
        np.testing.assert_allclose(shown, drawn(2, (4, 9, 8))[3] * 0.255, atol=0.51)
        assert audit_cases(cases) == []

    def test_frames_and_single_images_may_lie_together(self, root: Path) -> None:
        write_dicom(
            root / "a" / "still.dcm", drawn(7), {"PatientID": "P9", "SeriesInstanceUID": sample_uid(7)}
        )
        cases = cases_of(root)
        assert len(cases) == 25
        assert column(cases, "volume_id")["a/still.dcm"] == "a/still.dcm"
        assert column(cases, "image")["a/still.dcm"] == "a/still.dcm"

    def test_masks_with_frames_are_cut_alike(self, root: Path) -> None:
        for path in root.rglob("cine*.dcm"):
            mask = np.zeros((4, 9, 8), np.uint8)
            mask[2, 3:5, 2:6] = 1
            write_dicom(root / "masks" / path.name, mask, {})
        cases = cases_of(root, images="a", masks="masks")
        assert cases.frame["mask"][2] == ("slice:2:masks/cine0.dcm",)
        assert [cases.source.read_mask(mask[0]).sum() for mask in cases.frame["mask"][:4]] == [0, 0, 8, 0]
        assert column(cases, "patient_id")["a/cine2.dcm#0001"] == "P1"


class TestNiftiMasks:
    SHAPE = (6, 5, 4)

    def labels(self, number: int) -> np.ndarray:
        labels = np.zeros(self.SHAPE, np.uint8)
        labels[1:4, 1:3, number % 4] = 1
        labels[2, 2, number % 4] = 2
        return labels

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number in range(5):
            voxels = np.random.default_rng(number).integers(-1000, 1000, self.SHAPE).astype(np.int16)
            write_nifti(tmp_path / "images" / f"ct_{number}.nii.gz", voxels)
            write_nifti(tmp_path / "labels" / f"ct_{number}.nii", self.labels(number))
        return tmp_path

    def declaration(self, **changed: Any) -> dict[str, Any]:
        return {
            "images": "images",
            "masks": "labels",
            "mask_values": {1: "liver", 2: "tumour"},
            "intensity": "liver",
            **changed,
        }

    def test_slices_come_with_their_masks_and_stay_together(self, root: Path) -> None:
        task, cases = open_own_data("mine", {"root": ".", **self.declaration()}, root)
        assert (task.kind, task.classes) == (TaskKind.SEGMENTATION, ("liver", "tumour"))
        assert task.metrics == ("dice-volume", "dice", "dice-pooled")
        assert task.primary_metric == "dice-volume"
        assert len(cases) == 20
        for number in range(5):
            for index in range(4):
                case = f"images/ct_{number}.nii.gz#{index:04d}"
                assert column(cases, "image")[case] == f"slice:{index}:images/ct_{number}.nii.gz"
                assert column(cases, "volume_id")[case] == f"images/ct_{number}.nii.gz"
                (mask,) = column(cases, "mask")[case]
                seen = cases.source.read_mask(mask)
                np.testing.assert_array_equal(seen, self.labels(number)[::-1, ::-1, index].T)
        assert whole(cases, "volume_id")
        assert not cases.patients_known

    def test_the_window_is_applied(self, root: Path) -> None:
        cases = cases_of(root, **self.declaration())
        voxels = np.random.default_rng(3).integers(-1000, 1000, self.SHAPE).astype(np.int16)
        shown = cases.source.read_image("slice:2:images/ct_3.nii.gz")
        expected = np.clip((voxels[::-1, ::-1, 2].T + 100.0) / 500 * 255, 0, 255)
        np.testing.assert_allclose(shown, expected, atol=0.51)

    def test_a_pattern_gives_the_patients_of_volumes(self, root: Path) -> None:
        cases = cases_of(root, **self.declaration(patient_pattern=r"^ct_(\d)"))
        assert cases.patients_known
        assert column(cases, "patient_id")["images/ct_3.nii.gz#0001"] == "3"

    @pytest.mark.parametrize(("plane", "axis"), [("axial", 2), ("coronal", 1), ("sagittal", 0)])
    def test_volumes_are_cut_as_declared(self, root: Path, plane: str, axis: int) -> None:
        cases = cases_of(root, **self.declaration(slices=plane))
        assert len(cases) == 5 * self.SHAPE[axis]
        last = self.SHAPE[axis] - 1
        case = f"images/ct_1.nii.gz#{last:04d}"
        voxels = np.random.default_rng(1).integers(-1000, 1000, self.SHAPE).astype(np.int16)
        cut = voxels.take(last, axis=axis)[::-1, ::-1].T
        shown = cases.source.read_image(column(cases, "image")[case])
        np.testing.assert_allclose(shown, np.clip((cut + 100.0) / 500 * 255, 0, 255), atol=0.51)
        total = sum(cases.source.read_mask(mask).sum() for (mask,) in cases.frame["mask"])
        assert total == sum(int(self.labels(number).sum()) for number in range(5)) > 0

    @pytest.mark.parametrize(("plane", "refused"), [("axial", True), ("coronal", False)])
    def test_a_mask_of_another_number_of_slices_is_refused(
        self, root: Path, plane: str, refused: bool
    ) -> None:
        write_nifti(root / "labels" / "ct_2.nii", np.zeros((6, 5, 7), np.uint8))
        if refused:
            assert refusal(root, **self.declaration(slices=plane)) == (
                "task 'mine': labels/ct_2.nii: expected 4 axial slices as images/ct_2.nii.gz has, got 7. "
                "Match each mask with its own image."
            )
        else:
            assert "mask-size" in problems(cases_of(root, **self.declaration(slices=plane)))

    def test_a_mask_that_is_no_volume_is_refused(self, root: Path) -> None:
        (root / "labels" / "ct_2.nii").unlink()
        write_picture(root / "labels" / "ct_2.png", np.zeros((5, 6), np.uint8))
        assert "labels/ct_2.png: expected a NIfTI mask for the volume images/ct_2.nii.gz" in refusal(
            root, **self.declaration()
        )

    def test_a_volume_without_a_header_is_a_problem(self, root: Path) -> None:
        path = root / "images" / "ct_2.nii.gz"
        path.write_bytes(path.read_bytes()[:30])
        found = problems(cases_of(root, **self.declaration()))["unreadable-image"]
        assert found.startswith("1: images/ct_2.nii.gz: expected ")

    @pytest.mark.parametrize("part", ["images/ct_2.nii.gz", "labels/ct_2.nii"])
    def test_a_volume_that_is_cut_off_is_a_problem_of_its_slices(self, root: Path, part: str) -> None:
        whole_file = (root / part).read_bytes()
        (root / part).write_bytes(whole_file[: len(whole_file) - 20])
        if part.endswith(".nii"):
            assert refusal(root, **self.declaration()).startswith(f"task 'mine': {part}: expected ")
        else:
            found = problems(cases_of(root, **self.declaration()))["unreadable-image"]
            assert found.startswith("4: ")
            assert part in found

    def test_an_undeclared_value_is_a_problem(self, root: Path) -> None:
        found = problems(cases_of(root, **self.declaration(mask_values={1: "liver"})))
        assert "[2]" in found["unreadable-mask"]

    def test_declared_metrics_win(self, root: Path) -> None:
        task, _ = open_own_data("mine", {"root": ".", **self.declaration(metrics=["dice"])}, root)
        assert task.metrics == ("dice",)

    def test_a_folder_per_class_of_volumes(self, root: Path) -> None:
        for number in range(5):
            target = root / "sorted" / ("sick" if number % 2 else "well") / f"ct_{number}.nii.gz"
            target.parent.mkdir(parents=True, exist_ok=True)
            (root / "images" / f"ct_{number}.nii.gz").rename(target)
        task, cases = open_own_data("mine", {"root": ".", "images": "sorted", "slices": "sagittal"}, root)
        assert task.metrics[-1] == "auc-volume"
        assert len(cases) == 30
        assert column(cases, "label")["sorted/sick/ct_1.nii.gz#0005"] == 0
        assert cases.classes == ("sick", "well")
        assert whole(cases, "volume_id")
        assert column(cases, "patient_id") == column(cases, "volume_id")


class TestIntensity:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number in range(4):
            write_series(
                tmp_path,
                f"{'ab'[number % 2]}/s{number}",
                f"P{number}",
                ["0.dcm", "1.dcm"],
                Modality="CT",
                RescaleSlope=1,
                RescaleIntercept=-500,
                WindowCenter=0,
                WindowWidth=10,
            )
        return tmp_path

    def values(self, *names: str) -> np.ndarray:
        return np.stack([drawn(seed_of("a/s0", name)).astype(float) - 500 for name in names])

    @pytest.mark.parametrize(
        ("declared", "window"),
        [
            ("lung", Window(-1350, 150)),
            ("bone", Window(-500, 1300)),
            ("soft-tissue", Window(-160, 240)),
            ("pulmonary-embolism", Window(-250, 450)),
            ("liver", Window(-100, 400)),
            ("brain", Window(0, 80)),
            ({"centre": 40, "width": 400}, Window(-160, 240)),
            ({"centre": -600.5, "width": 1}, Window(-601, -600)),
            ({"low": -100, "high": 400.5}, Window(-100, 400.5)),
        ],
    )
    def test_a_stated_window_is_shown(self, root: Path, declared: Any, window: Window) -> None:
        cases = cases_of(root, intensity=declared)
        assert cases.source.intensity == window
        (values,) = self.values("1.dcm")
        expected = np.clip((values - window.low) / (window.high - window.low) * 255, 0, 255)
        np.testing.assert_allclose(cases.source.read_image("a/s0/1.dcm"), expected, atol=0.51)

    def test_the_range_of_the_volume_is_shown(self, root: Path) -> None:
        cases = cases_of(root, intensity="volume")
        assert cases.source.intensity == VolumeRange()
        both = self.values("0.dcm", "1.dcm")
        low, high = np.percentile(both, (0.5, 99.5))
        expected = np.clip((both[1] - low) / (high - low) * 255, 0, 255)
        np.testing.assert_allclose(cases.source.read_image("a/s0/1.dcm"), expected, atol=0.51)

    def test_without_one_the_file_says_it(self, root: Path) -> None:
        cases = cases_of(root)
        assert cases.source.intensity is None
        shown = cases.source.read_image("a/s0/1.dcm")
        (values,) = self.values("1.dcm")
        assert set(np.unique(shown[np.abs(values) > 6])) == {0, 255}

    def test_another_window_makes_another_content(self, root: Path) -> None:
        hashes = {cases_of(root, intensity=name).content_hash() for name in (*WINDOWS, "volume", None)}
        assert len(hashes) == len(WINDOWS) + 2

    @pytest.mark.parametrize(
        "declared",
        [
            *("lungs", "LUNG", "", "none"),
            *({"centre": 40.0}, {"width": 400.0}, {"center": 40.0, "width": 400.0}, {}),
            *({"centre": 4.0, "width": 0.0}, {"centre": 4.0, "width": -1.0}, {"low": 3.0, "high": 3.0}),
            *({"low": 5.0, "high": 3.0}, {"low": 1.0, "high": 2.0, "width": 1.0}),
            {"centre": 1.0, "width": float("nan")},
        ],
        ids=str,
    )
    def test_a_wrong_one_is_refused_with_all_that_would_be_right(self, root: Path, declared: Any) -> None:
        with pytest.raises(UsageError) as refused:
            cases_of(root, intensity=declared)
        text = str(refused.value)
        assert text.startswith("task 'mine': intensity: expected 'volume', a window among [")
        assert all(repr(name) in text for name in WINDOWS)
        assert all(
            form in text for form in ("{centre: …, width: …}", "{low: …, high: …}", f"got {declared!r}")
        )

    @pytest.mark.parametrize("declared", [{"low": "dark", "high": 3}, 40, ["lung"]], ids=str)
    def test_another_type_is_refused(self, root: Path, declared: Any) -> None:
        with pytest.raises(UsageError, match="task 'mine': intensity"):
            cases_of(root, intensity=declared)

    @pytest.mark.parametrize(
        "declared", [{"low": float("-inf"), "high": 3.0}, {"low": 0.0, "high": float("inf")}], ids=str
    )
    def test_a_window_without_an_end_is_refused(self, root: Path, declared: Any) -> None:
        with pytest.raises(UsageError, match=r"task 'mine': intensity: .*inf"):
            cases_of(root, intensity=declared)


@pytest.mark.parametrize("plane", ["Axial", "oblique", 3])
def test_another_plane_is_refused(tmp_path: Path, plane: Any) -> None:
    with pytest.raises(UsageError, match="slices: expected 'axial', 'coronal' or 'sagittal'"):
        cases_of(tmp_path, slices=plane)
