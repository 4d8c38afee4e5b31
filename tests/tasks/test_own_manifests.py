"""Own data in tables as hospitals have them: names of DICOM files, patients instead of files, spreadsheets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from medtransfer.core.errors import DataError, UsageError
from medtransfer.data.audit import audit_cases
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks.own_data import open_own_data
from medtransfer.tasks.sample_files import sample_uid, write_dicom, write_picture


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


class TestNamesInAManifest:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number in range(6):
            write_dicom(
                tmp_path / "archive" / f"st{number}" / f"1.2.84.{number}.dcm",
                drawn(number),
                {"PatientID": f"P{number}", "SeriesInstanceUID": sample_uid(number)},
            )
        return tmp_path

    def opened(self, root: Path, *cells: str, **changed: Any) -> CaseTable:
        write_table(root, "file,finding", *(f"{cell},{n % 2}" for n, cell in enumerate(cells)))
        return cases_of(root, **listed(image="file"), **{"images": "archive", **changed})

    def test_paths_names_and_names_without_ending_are_found(self, root: Path) -> None:
        cells = (
            "st0/1.2.84.0.dcm",
            "1.2.84.1.dcm",
            "1.2.84.2",
            "st3/1.2.84.3.dcm",
            " 1.2.84.4 ",
            "1.2.84.5.dcm",
        )
        cases = self.opened(root, *cells)
        expected = {f"archive/st{number}/1.2.84.{number}.dcm": number for number in range(6)}
        assert {case: f"P{number}" for case, number in expected.items()} == column(cases, "patient_id")
        assert {case: number % 2 for case, number in expected.items()} == column(cases, "label")
        assert cases.patients_known

    def test_names_are_looked_for_below_the_images_only(self, root: Path) -> None:
        write_dicom(root / "other" / "1.2.84.1.dcm", drawn(9), {"PatientID": "other"})
        assert (
            "other"
            not in column(self.opened(root, "1.2.84.1", "1.2.84.2", "1.2.84.3"), "patient_id").values()
        )
        with pytest.raises(DataError, match=r"line 2: 'archive/list\.csv'"):
            self.opened(root, "list.csv", "1.2.84.1")

    def test_hidden_files_are_not_found(self, root: Path) -> None:
        for name in (".1.2.84.1.dcm", ".trash/1.2.84.1.dcm"):
            write_dicom(root / "archive" / name, drawn(9), {})
        self.opened(root, "1.2.84.1", "1.2.84.2", "1.2.84.3")

    def test_a_name_of_several_files_is_refused_with_all_of_them(self, root: Path) -> None:
        write_dicom(root / "archive" / "again" / "1.2.84.1.dcm", drawn(9), {"PatientID": "P9"})
        for cell in ("1.2.84.1", "1.2.84.1.dcm"):
            with pytest.raises(DataError) as refused:
                self.opened(root, "1.2.84.0", cell, "1.2.84.2")
            assert "list.csv: column 'file': expected one file below 'archive' each, got line 3: " in str(
                refused.value
            )
            assert (
                f"'archive/{cell}', which could be 'archive/again/1.2.84.1.dcm', 'archive/st1/1.2.84.1.dcm'"
                in str(refused.value)
            )
        cases = self.opened(root, "1.2.84.0", "again/1.2.84.1.dcm", "1.2.84.2")
        assert column(cases, "patient_id")["archive/again/1.2.84.1.dcm"] == "P9"

    def test_a_file_at_the_place_itself_wins_over_others_of_its_name(self, root: Path) -> None:
        write_dicom(root / "archive" / "1.2.84.1.dcm", drawn(9), {"PatientID": "P9"})
        cases = self.opened(root, "1.2.84.1.dcm", "1.2.84.2", "1.2.84.3")
        assert "archive/1.2.84.1.dcm" in column(cases, "image")

    @pytest.mark.parametrize("cell", ["", "1.2.84", "1.2.84.9", "st1", "x\0y"])
    def test_what_is_not_there_is_named(self, root: Path, cell: str) -> None:
        if cell == "st1":
            for path in (root / "archive" / "st1").iterdir():
                path.unlink()
        with pytest.raises(DataError) as refused:
            self.opened(root, "1.2.84.0", "1.2.84.2", cell)
        assert "could be" not in str(refused.value)
        if cell == "st1":
            assert "archive/st1: expected DICOM files, got none" in str(refused.value)
        else:
            shown = repr((Path("archive") / cell).as_posix()) if cell else "an empty cell"
            assert f"got line 4: {shown}. " in str(refused.value)

    def test_two_names_of_one_file_are_one_image_twice(self, root: Path) -> None:
        with pytest.raises(
            DataError,
            match=r"one line per image, got line 2: 'archive/st1/1\.2\.84\.1\.dcm' again; line 4: 'archive/st1/",
        ):
            self.opened(root, "1.2.84.1", "1.2.84.2", "st1/1.2.84.1.dcm")

    @pytest.mark.parametrize("upwards", [True, False])
    def test_a_file_outside_the_root_is_refused(self, root: Path, upwards: bool) -> None:
        outside = root.parent / f"{root.name}-outside.dcm"
        write_dicom(outside, drawn(9), {"PatientID": "P9"})
        cell = f"../../{outside.name}" if upwards else str(outside)
        with pytest.raises(DataError, match=r"^task 'mine': .*data folder"):
            self.opened(root, "1.2.84.1", "1.2.84.2", cell)

    def test_a_report_in_place_of_a_name_is_refused(self, root: Path) -> None:
        with pytest.raises(DataError, match="got line 3: "):
            self.opened(root, "1.2.84.1", "no mass " * 60)


class TestPatientsWithoutAnImageColumn:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number in range(6):
            write_series(tmp_path, f"dicom/{number}", f"P{number}", ["1.dcm", "0.dcm"][: 1 + number % 2])
        (tmp_path / "dicom" / "readme.txt").write_text("no image")
        write_table(tmp_path, "id,finding,fold", *self.rows())
        return tmp_path

    def rows(self) -> list[str]:
        return [f"P{n},{'ab'[n % 2]},{('train', 'val', 'test')[n // 2]}" for n in range(6)]

    def declaration(self, **changed: Any) -> dict[str, Any]:
        return {**listed(patient="id", split="fold"), "images": "dicom", **changed}

    def test_every_image_of_a_patient_gets_the_patient_s_row(self, root: Path) -> None:
        cases = cases_of(root, **self.declaration())
        assert len(cases) == 9
        assert column(cases, "patient_id") == {
            case: f"P{case.split('/')[1]}" for case in column(cases, "image")
        }
        assert column(cases, "label")["dicom/3/0.dcm"] == column(cases, "label")["dicom/3/1.dcm"] == 1
        assert column(cases, "split")["dicom/3/0.dcm"] == "val"
        assert (cases.patients_known, cases.split_source) == (True, "user")
        assert cases.opening_problems == ()

    def test_equal_rows_of_a_patient_count_once(self, root: Path) -> None:
        before = cases_of(root, **self.declaration()).frame
        write_table(root, "id,finding,fold,date", "P3,b,val,1999", *(f"{row},2020" for row in self.rows()))
        assert cases_of(root, **self.declaration()).frame.equals(before)

    @pytest.mark.parametrize("row", ["P3,a,val", "P3,b,train", "P3,a,train"])
    def test_rows_of_a_patient_that_disagree_are_refused(self, root: Path, row: str) -> None:
        write_table(root, "id,finding,fold", *self.rows(), row)
        assert (
            "list.csv: expected rows of one id to agree on finding, fold, got 'P3' on lines 5, 8. "
        ) in refusal(root, **self.declaration())

    def test_patients_without_images_are_refused(self, root: Path) -> None:
        write_table(root, "id,finding,fold", *self.rows(), "P7,a,train", "p1,b,test", ",a,train")
        assert (
            "list.csv: column 'id': expected a PatientID of a DICOM file in 'dicom', "
            "got line 8: 'P7'; line 9: 'p1'; line 10: ''. "
        ) in refusal(root, **self.declaration())

    def test_images_without_a_row_are_a_problem(self, root: Path) -> None:
        write_table(root, "id,finding,fold", *self.rows()[:3], *self.rows()[4:])
        cases = cases_of(root, **self.declaration())
        assert not any(case.startswith("dicom/3/") for case in column(cases, "image"))
        (problem,) = cases.opening_problems
        assert (problem.what, problem.where) == ("unlisted-image", "list.csv")
        assert problem.found == "2 images of 1 patients without one, first ['P3']"
        assert "unlisted-image" in problems(cases)

    def test_a_file_without_a_patient_is_refused(self, root: Path) -> None:
        path = root / "dicom" / "1" / "0.dcm"
        dataset = pydicom.dcmread(path)
        dataset.PatientID = None
        dataset.save_as(path)
        assert "dicom: expected a PatientID in every DICOM file, got 'dicom/1/0.dcm'. " in refusal(
            root, **self.declaration()
        )

    def test_a_folder_without_dicom_files_is_refused(self, root: Path) -> None:
        write_picture(root / "png" / "P0.png", np.eye(9, dtype=np.uint8))
        assert (
            "expected an image column, or DICOM files in 'png' whose patients the patient column"
            in refusal(root, **self.declaration(images="png"))
        )

    def test_damaged_files_are_a_problem_and_others_are_no_images(self, root: Path) -> None:
        whole_file = (root / "dicom" / "1" / "0.dcm").read_bytes()
        (root / "dicom" / "1" / "0.dcm").write_bytes(whole_file[:90])
        (root / "dicom" / "3" / "lost.IMA").touch()
        (root / "dicom" / "3" / "notes").write_text("no image")
        (root / "dicom" / "DICOMDIR").write_bytes(b"")
        cases = cases_of(root, **self.declaration())
        assert len(cases) == 8
        (problem,) = cases.opening_problems
        assert problem.sentence() == (
            "unreadable-image: DICOM files: expected images that can be read, got 2 that do not begin like DICOM: "
            "dicom/1/0.dcm, dicom/3/lost.IMA. Replace or remove them."
        )

    def test_a_folder_that_is_not_there_is_named_once(self, root: Path) -> None:
        for declaration in (self.declaration(), listed(image="id")):
            assert refusal(root, **declaration | {"images": "imgs"}) == (
                f"task 'mine': images: expected a folder {root / 'imgs'}, got none. Check 'root' and 'images'."
            )

    def test_neither_images_nor_patients_is_a_fault_of_the_declaration(self, root: Path) -> None:
        with pytest.raises(
            UsageError, match="columns: expected 'image', or 'patient' for DICOM files, got neither"
        ):
            cases_of(root, **listed(split="fold"))


@pytest.mark.parametrize(
    "declaration",
    [
        listed(image="file"),
        listed(["finding"], "multi-label", image="file"),
        {
            "kind": "segmentation",
            "manifest": "list.csv",
            "columns": {"image": "file", "mask": "finding"},
        },
    ],
)
def test_a_list_of_a_header_alone_has_no_lines(tmp_path: Path, declaration: dict[str, Any]) -> None:
    write_table(tmp_path, "file,finding", "")
    assert refusal(tmp_path, **declaration) == (
        "task 'mine': list.csv: expected a line per image or patient below the header, got no lines. "
        "Complete the file."
    )


@pytest.mark.parametrize(("label", "kind"), [("finding", "binary"), (["finding"], "multi-label")])
def test_a_list_whose_labels_are_all_empty_has_none(tmp_path: Path, label: Any, kind: str) -> None:
    write_picture(tmp_path / "1.png", np.eye(9, dtype=np.uint8))
    write_table(tmp_path, "file,finding,who", "1.png,,P1")
    assert "expected labels, got none: every line is left out as 'missing_labels: drop' says. " in refusal(
        tmp_path, **listed(label, kind, image="file"), missing_labels="drop"
    )


class TestSpreadsheets:
    """Semicolons, a byte order mark, blanks in names, empty cells: what a spreadsheet exports."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number in range(9):
            write_dicom(
                tmp_path / f"{number}.dcm",
                drawn(number),
                {"PatientID": f"{number:03}", "SeriesInstanceUID": sample_uid(number)},
            )
        return tmp_path

    def export(self, root: Path, *rows: str) -> None:
        lines = [" Bild ;Ödem; nodule;Grade ", *rows, ";;;", ";;;", ""]
        (root / "list.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())

    def rows(self) -> list[str]:
        return [
            f"{n}; {('1', 'Yes', 'true')[n % 3]} ;{('0', 'no', 'FALSE')[n % 3]};{n % 3 + 8}" for n in range(9)
        ]

    FINDINGS = ("Ödem", "nodule")

    def test_findings_are_read_as_they_are_spelled(self, root: Path) -> None:
        self.export(root, *self.rows())
        cases = cases_of(root, **listed(list(self.FINDINGS), "multi-label", image="Bild"))
        assert cases.classes == self.FINDINGS
        assert cases.labels().tolist() == [[1, 0]] * 9
        assert column(cases, "patient_id")["4.dcm"] == "004"

    def test_numbers_are_classes_in_the_order_of_their_values(self, root: Path) -> None:
        self.export(root, *self.rows())
        cases = cases_of(root, **listed("Grade", "multi-class", image="Bild"))
        assert cases.classes == ("8", "9", "10")
        assert column(cases, "label")["5.dcm"] == 2

    @pytest.mark.parametrize("cell", ["", "maybe", "2", "1,0", "-1"])
    def test_an_empty_or_other_finding_is_refused_by_line(self, root: Path, cell: str) -> None:
        rows = self.rows()
        rows[4] = f"4;1;{cell};9"
        self.export(root, *rows)
        declaration = listed(list(self.FINDINGS), "multi-label", image="Bild")
        assert f"list.csv: column 'nodule': expected 0 or 1, got line 6: {cell!r}. " in refusal(
            root, **declaration
        )
        for other in ("drop", "zero") if cell else ():
            assert f"line 6: {cell!r}" in refusal(root, **declaration, missing_labels=other)

    @pytest.mark.parametrize(("policy", "kept"), [("drop", 7), ("zero", 9)])
    def test_empty_findings_mean_what_the_user_says(self, root: Path, policy: str, kept: int) -> None:
        rows = self.rows()
        rows[4], rows[6] = "4;1; ;9", "6;;1;9"
        self.export(root, *rows)
        declaration = listed(list(self.FINDINGS), "multi-label", image="Bild")
        cases = cases_of(root, **declaration, missing_labels=policy)
        assert len(cases) == kept
        if policy == "zero":
            labels = dict(zip(cases.frame["case_id"], cases.labels().tolist(), strict=True))
            assert (labels["4.dcm"], labels["6.dcm"], labels["5.dcm"]) == ([1, 0], [0, 1], [1, 0])
            assert cases.opening_problems == ()
        else:
            assert not {"4.dcm", "6.dcm"} & set(cases.frame["case_id"])
            (problem,) = cases.opening_problems
            assert (problem.what, problem.found.split()[0]) == ("dropped-rows", "2")

    @pytest.mark.parametrize("policy", ["error", "zero"])
    def test_an_empty_class_is_no_class(self, root: Path, policy: str) -> None:
        rows = self.rows()
        rows[4] = "4;1;1;"
        self.export(root, *rows)
        assert "column 'Grade': expected a label in every line, got line 6: an empty cell. " in refusal(
            root, **listed("Grade", "multi-class", image="Bild"), missing_labels=policy
        )

    def test_rows_without_a_class_can_be_dropped(self, root: Path) -> None:
        rows = self.rows()
        rows[4] = "gone;1;1;"
        self.export(root, *rows)
        cases = cases_of(root, **listed("Grade", "multi-class", image="Bild"), missing_labels="drop")
        assert (len(cases), cases.classes) == (8, ("8", "9", "10"))
        assert [problem.what for problem in cases.opening_problems] == ["dropped-rows"]


@pytest.mark.parametrize("kind", ["binary", "multi-label"])
def test_a_drawn_split_keeps_the_shares_of_rare_findings(tmp_path: Path, kind: str) -> None:
    for number in range(100):
        write_picture(tmp_path / f"{number}.png", np.full((2, 2), number, np.uint8))
    write_table(tmp_path, "file,rare,common", *(f"{n}.png,{n % 10 == 3:d},{n % 2}" for n in range(100)))
    label = "rare" if kind == "binary" else ["common", "rare"]
    cases = cases_of(tmp_path, **listed(label, kind, image="file"))
    rare = np.array([int(Path(case).stem) % 10 == 3 for case in cases.frame["case_id"]])
    assert {split: int(rare[cases.indices(split)].sum()) for split in ("train", "val", "test")} == {
        "train": 7,
        "val": 1,
        "test": 2,
    }


def test_a_pattern_that_is_no_expression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="patient_pattern: expected an expression"):
        cases_of(tmp_path, patient_pattern="(p[0-9]+_")
