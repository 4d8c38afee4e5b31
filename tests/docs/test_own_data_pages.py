"""The pages on own data do what they say: every example is opened, every command run, every message made."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import yaml
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medtransfer.core.errors import DataError
from medtransfer.data.data_check import CheckOptions, check_data
from medtransfer.data.dicom_segmentations import SEGMENTATION_STORAGE
from medtransfer.data.intensity import WINDOWS
from medtransfer.tasks.own_data import open_own_data
from medtransfer.tasks.sample_files import sample_uid, write_dicom, write_nifti, write_picture, write_table
from medtransfer.tasks.sample_pictures import chest_picture

if TYPE_CHECKING:
    from conftest import Command

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "own-data.md").read_text(encoding="utf-8")
WALK = (DOCS / "own-data-from-dicom.md").read_text(encoding="utf-8")
HEADER = "File name;Patient ID;Exam date;Diagnosis;Large heart;Comment"
EMPTY_CELLS = (6, 40, 77)
TWICE = 20
"""The patient whose exam was exported a second time under another number."""

Row = list[str]
UInt8 = npt.NDArray[np.uint8]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


# The examples of the page on own data


def scene(number: int, side: int = 32) -> tuple[UInt8, UInt8]:
    """Return a picture of its own, and a mask with class 1 in one half and class 2 in a corner."""
    image = np.random.default_rng(number).integers(0, 255, (side, side), dtype=np.uint8)
    mask = np.zeros((side, side), np.uint8)
    mask[: side // 2] = 1
    mask[:4, :4] = 2
    return image, mask


def series_of(folder: Path, number: int, slices: int = 3) -> list[str]:
    """Write the slices of a CT and return their identifiers."""
    uids = [sample_uid(folder.name, place) for place in range(slices)]
    for place, uid in enumerate(uids):
        tags = {
            "SOPInstanceUID": uid,
            "SeriesInstanceUID": sample_uid("series", folder.name),
            "PatientID": f"P{number}",
            "Modality": "CT",
            "RescaleIntercept": -1024,
            "RescaleSlope": 1,
            "ImagePositionPatient": [0, 0, 2.5 * place],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        }
        stored = scene(number * 10 + place)[0].astype(np.uint16) * 8
        write_dicom(folder / f"IM{9 - place:04}", stored, tags)
    return uids


def volume(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a NIfTI volume of 32 x 32 x 4 voxels and its classes."""
    images, masks = zip(*(scene(number * 10 + place) for place in range(4)), strict=True)
    return np.stack(images, axis=2).astype(np.int16) * 8 - 1024, np.stack(masks, axis=2)


def segmentation_of(path: Path, uids: list[str]) -> None:
    """Write a DICOM segmentation object with two segments on every slice."""
    groups, frames = [], []
    for place, uid in enumerate(uids):
        for segment in (1, 2):
            source = Dataset()
            source.ReferencedSOPInstanceUID = uid
            derived, named, group = Dataset(), Dataset(), Dataset()
            derived.SourceImageSequence = Sequence([source])
            named.ReferencedSegmentNumber = segment
            group.DerivationImageSequence = Sequence([derived])
            group.SegmentIdentificationSequence = Sequence([named])
            groups.append(group)
            frames.append((scene(place)[1] == segment).astype(np.uint8))
    tags = {
        "SOPClassUID": SEGMENTATION_STORAGE,
        "Modality": "SEG",
        "PerFrameFunctionalGroupsSequence": Sequence(groups),
    }
    write_dicom(path, np.stack(frames), tags)


def draw_lesions(root: Path) -> None:
    for number in range(24):
        name = ("benign", "malignant")[number % 2]
        write_picture(root / name / f"p{number:02}_1.png", scene(number)[0])


def draw_knees(root: Path) -> None:
    rows = []
    for number in range(18):
        write_picture(root / f"{number:03}.png", scene(number)[0])
        grade, fold = (
            ("healthy", "mild", "severe")[number % 3],
            ("training", "dev", "testing")[number // 3 % 3],
        )
        rows.append([f"{number:03}", grade, f"k{number}", fold])
    write_table(root / "grades.csv", ["file", "grade", "patient id", "fold"], rows, delimiter=";")


def draw_chest(root: Path) -> None:
    rows = []
    for number in range(40):
        write_picture(root / "deep" / f"{number:03}.png", scene(number)[0])
        rows.append([f"{number:03}.png", number % 2, "yes" if number % 3 else "", f"c{number}"])
    write_table(root / "labels.csv", ["file", "effusion", "nodule", "patient_id"], rows)


def draw_patients(root: Path) -> None:
    for number in range(24):
        tags = {"PatientID": f"P{number // 2}", "SOPInstanceUID": sample_uid(number)}
        write_dicom(
            root / f"{number}", scene(number)[0], tags | {"SeriesInstanceUID": sample_uid("s", number)}
        )
    rows = [[f"P{number}", ("no", "yes")[number % 2]] for number in range(12)]
    write_table(root / "patients.csv", ["Patient ID", "effusion"], rows)


def draw_scans(root: Path) -> None:
    for number in range(12):
        series_of(root / f"scan{number}", number)
    rows = [[f"scan{number}", ("no", "yes")[number % 2]] for number in range(12)]
    write_table(root / "scans.csv", ["series", "pneumonia"], rows)


def draw_mr(root: Path) -> None:
    for number in range(12):
        write_nifti(root / ("high", "low")[number % 2] / f"case{number}.nii.gz", volume(number)[0])


def draw_lungs(root: Path) -> None:
    rows = []
    for number in range(12):
        image, mask = scene(number)
        write_picture(root / "images" / f"{number}.png", image)
        write_picture(root / "lung_masks" / f"{number}.png", (mask > 0).astype(np.uint8) * 255)
        rows.append([f"{number}.png", number, ("train", "val", "test")[number % 3]])
    write_table(root / "images.csv", ["filename", "patientid", "split"], rows)


def draw_ultrasound(root: Path) -> None:
    for number in range(12):
        image, mask = scene(number)
        write_picture(root / "images" / f"P{number}_left.png", image)
        for part in (1, 2):
            found = (mask == part).astype(np.uint8) * 255
            write_picture(root / "masks" / f"seg_P{number}_left_{part}.png", found)


def draw_aorta(root: Path) -> None:
    rows = []
    for number in range(12):
        image, mask = scene(number)
        tags = {"PatientID": f"P{number}", "SeriesInstanceUID": sample_uid("aorta", number)}
        write_dicom(root / "dicom" / f"CT{number}", image.astype(np.uint16) * 8, tags)
        shown = number % 4 > 0
        seen = (mask > 0).astype(np.uint8) * shown
        if number % 2:
            write_dicom(root / "masks" / f"m{number}.dcm", seen, {})
        else:
            write_picture(root / "masks" / f"m{number}.png", seen * 255)
        rows.append([f"CT{number}", f"masks/m{number}.{'dcm' if number % 2 else 'png'}", int(shown)])
    write_table(root / "files.csv", ["dicom", "mask", "visible"], rows)


def draw_liver(root: Path) -> None:
    for number in range(12):
        for folder, voxels in zip(("ct", "labels"), volume(number), strict=True):
            write_nifti(root / folder / f"case{number}.nii.gz", voxels)


def draw_painted(root: Path) -> None:
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    for number in range(12):
        image, mask = scene(number)
        write_picture(root / "images" / f"{number}.png", image)
        write_picture(root / "masks" / f"{number}.png", colours[mask])


def draw_kidneys(root: Path) -> None:
    rows = []
    for number in range(12):
        segmentation_of(root / "seg" / f"seg{number}.dcm", series_of(root / f"scan{number}", number))
        rows.append([f"scan{number}", f"seg/seg{number}.dcm"])
    write_table(root / "scans.csv", ["series", "seg"], rows)


CLASSIFIED = ("auc", "accuracy", "balanced-accuracy")
MARKED = ("dice", "dice-pooled")
EXAMPLES: dict[str, tuple[Callable[[Path], None], str, tuple[str, ...], tuple[str, ...], int]] = {
    "lesions": (draw_lesions, "binary", ("benign", "malignant"), CLASSIFIED, 24),
    "knees": (draw_knees, "multi-class", ("healthy", "mild", "severe"), CLASSIFIED, 18),
    "chest": (draw_chest, "multi-label", ("effusion", "nodule"), ("auc",), 40),
    "effusion": (draw_patients, "binary", ("no", "yes"), CLASSIFIED, 24),
    "pneumonia": (draw_scans, "binary", ("no", "yes"), (*CLASSIFIED, "auc-volume"), 36),
    "glioma": (draw_mr, "binary", ("high", "low"), (*CLASSIFIED, "auc-volume"), 384),
    "lungs": (draw_lungs, "segmentation", ("foreground",), MARKED, 12),
    "nodules": (draw_ultrasound, "segmentation", ("foreground",), MARKED, 12),
    "aorta": (draw_aorta, "segmentation", ("foreground",), MARKED, 12),
    "liver": (draw_liver, "segmentation", ("liver", "lesion"), ("dice-volume", *MARKED), 48),
    "thorax": (draw_painted, "segmentation", ("heart", "lung"), MARKED, 12),
    "kidneys": (draw_kidneys, "segmentation", ("kidney", "tumour"), ("dice-volume", *MARKED), 36),
}
"""What each example of the page is, by the name of its task: how its files are drawn, its kind, classes,
metrics and number of cases."""


def declared_in(page: str) -> dict[str, dict[str, Any]]:
    """Return the declarations of own data in all study files of a page."""
    tasks = [task for block in blocks(page, "yaml") for task in yaml.safe_load(block).get("tasks", [])]
    pairs = [pair for task in tasks if isinstance(task, dict) for pair in task.items()]
    return {name: declaration for name, declaration in pairs if "root" in declaration}


def test_every_example_has_files_and_takes_six_lines() -> None:
    assert declared_in(PAGE).keys() == EXAMPLES.keys()
    assert max(len(declaration) for declaration in declared_in(PAGE).values()) <= 6


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_opens_as_the_page_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))
    draw, kind, classes, metrics, number = EXAMPLES[name]
    root = tmp_path / declared_in(PAGE)[name]["root"]
    draw(root)
    task, cases = open_own_data(name, declared_in(PAGE)[name], root)
    assert (task.kind.value, task.classes, task.metrics, len(cases)) == (kind, classes, metrics, number)
    assert cases.has_volumes == any(metric.endswith("-volume") for metric in metrics)
    assert cases.patients_known == (name not in {"glioma", "liver", "thorax"})
    check = check_data(cases, None, CheckOptions(near_duplicates=False))
    few_patients = {"class-absent"}
    assert {problem.what for problem in check.problems} <= few_patients, check.problems


def test_the_windows_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (-?\d+) to (-?\d+) HU \|", PAGE, re.MULTILINE)
    assert {name: (float(low), float(high)) for name, low, high in rows} == {
        name: (window.low, window.high) for name, window in WINDOWS.items()
    }


# The export of a department


def draw_exam(path: Path, patient: int, drawn: tuple[int, int], *, shift: int = 0) -> list[int]:
    """Write a chest X-ray of 12 bits and return which findings it shows; some store air bright."""
    findings = [1] * (drawn[0] % 2 == 0) + [3] * (drawn[0] % 3 == 0)
    image, _ = chest_picture("walk", *drawn, findings, 80)
    grey = cv2.resize(image, (256, 312), interpolation=cv2.INTER_CUBIC).astype(np.uint16) * 16
    inverted = patient % 4 == 3
    tags = {
        "SOPInstanceUID": sample_uid("walk", path.stem),
        "SeriesInstanceUID": sample_uid("walk", "series", path.stem),
        "PatientID": patient_number(patient),
        "Modality": "CR",
        "BitsStored": 12,
        "HighBit": 11,
        "PhotometricInterpretation": "MONOCHROME1" if inverted else "MONOCHROME2",
    }
    stored = np.roll(grey, shift, axis=1)
    write_dicom(path, 4095 - stored if inverted else stored, tags)
    return findings


def patient_number(patient: int) -> str:
    return str(70000 + 37 * patient)


def draw_export(folder: Path, patients: int) -> list[Row]:
    """Write one or two exams of each patient and return the rows of the list."""
    rows: list[Row] = []

    def add(patient: int, exam: int, drawn: tuple[int, int], shift: int = 0) -> None:
        number = 4101 + len(rows)
        path = folder / f"PA{patient + 1:04}" / f"ST{exam + 1}" / f"CR{number}.dcm"
        findings = draw_exam(path, patient, drawn, shift=shift)
        day = f"2024-{1 + patient % 12:02}-{1 + number % 28:02}"
        diagnosis = "effusion" if 1 in findings else "no effusion"
        rows.append([path.stem, patient_number(patient), day, diagnosis, str(int(3 in findings)), ""])

    for patient in range(patients):
        for exam in range(1 + (patient % 3 == 1)):
            add(patient, exam, (patient, exam))
    add(patients, 0, (TWICE, 0), shift=1)
    rows[2][5] = '"Röntgen extern; repeated"'
    return rows


def list_text(rows: list[Row], header: str = HEADER) -> str:
    return "\r\n".join([header, *(";".join(row) for row in rows)]) + "\r\n"


@pytest.fixture
def export(tmp_path: Path) -> tuple[Path, list[Row]]:
    """A small export without its list, and the rows the list would have."""
    return tmp_path / "chest", draw_export(tmp_path / "chest" / "dicom", 12)


# The walk


def test_the_walk_prints_what_the_page_shows(medtransfer: Command) -> None:
    here = Path.cwd()
    rows = draw_export(here / "data" / "chest" / "dicom", 90)
    for row in EMPTY_CELLS:
        rows[row][3] = ""
    text = list_text(rows)
    (here / "data" / "chest" / "labels.csv").write_bytes(("\ufeff" + text).encode())
    shown = next(block for block in blocks(WALK, "text") if block.startswith(HEADER))
    assert text.replace("\r\n", "\n").startswith(shown)

    codes = []
    for language, block in re.findall(r"^```(yaml|console)\n(.*?)^```$", WALK, re.MULTILINE | re.DOTALL):
        if language == "yaml":
            (here / "chest.yaml").write_text(block, encoding="utf-8")
            continue
        command, *expected = block.splitlines()
        ended = medtransfer(*command.removeprefix("$ medtransfer ").split())
        printed = {plain(line) for line in (ended.out + ended.err).splitlines()}
        assert [line for line in expected if line != "…" and plain(line) not in printed] == [], ended
        codes.append(ended.code)
    assert codes == [3, 3, 0]
    page = (here / "check.html").read_text(encoding="utf-8")
    assert "CR4128.dcm" in page
    assert "CR4221.dcm" in page


def plain(line: str) -> str:
    """Return a line without numbers that another processor may give otherwise, and without a path."""
    line = re.sub(r"0\.\d{3}", "…", line.rstrip().replace("\xa0", " "))
    return re.sub(r"^Report: \S*/medtransfer-store", "Report: …/medtransfer-store", line)


# Its messages


def declared() -> dict[str, Any]:
    """Return the declaration that the walk begins with."""
    content: dict[str, Any] = yaml.safe_load(blocks(WALK, "yaml")[0])
    return dict(content["tasks"][0]["effusion"])


def opened(root: Path, content: str | bytes, **changes: Any) -> str:
    """Return what opening the export with a list and a changed declaration is refused with."""
    (root / "labels.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as refused:
        open_own_data("effusion", {**declared(), **changes}, root)
    return str(refused.value)


def checked(root: Path, **declaration: Any) -> str:
    """Return the one problem that a check of the export finds."""
    _, cases = open_own_data("effusion", {"root": "chest", **declaration}, root)
    (problem,) = check_data(cases, None, CheckOptions()).problems
    return problem.sentence()


def with_two_patients_in_a_series(root: Path, rows: list[Row]) -> str:
    for number, patient in enumerate(("70000", "70037")):
        tags = {"PatientID": patient, "SeriesInstanceUID": "1.2.3", "InstanceNumber": number + 1}
        write_dicom(root / "ct" / "scan" / f"IM000{number + 1}", np.full((8, 8), 9, np.uint8), tags)
    columns = {"image": "File name", "label": "Diagnosis"}
    return opened(root, list_text([["scan", *rows[0][1:]]]), images="ct", columns=columns)


def with_a_small_mask(root: Path, rows: list[Row]) -> str:
    for number, path in enumerate(sorted((root / "dicom").rglob("*.dcm"))):
        path.rename(root / path.name)
        side = (312, 256) if number != 2 else (40, 40)
        write_picture(root / "masks" / f"{path.stem}.png", np.eye(*side, dtype=np.uint8) * 255)
    (root / "images").mkdir()
    for path in root.glob("*.dcm"):
        path.rename(root / "images" / path.name)
    return checked(root, kind="segmentation", images="images", masks="masks")


def with_a_file_cut_off(root: Path, rows: list[Row]) -> str:
    path = root / "dicom" / "PA0001" / "ST1" / "CR4101.dcm"
    path.write_bytes(path.read_bytes()[:-100_000])
    (root / "labels.csv").write_text(list_text(rows))
    return checked(root, **{key: value for key, value in declared().items() if key != "root"})


MESSAGES: dict[str, Callable[[Path, list[Row]], str]] = {
    "The list was saved": lambda root, rows: opened(root, list_text(rows).encode("cp1252")),
    "A header": lambda root, rows: opened(root, list_text(rows, HEADER.replace("Patient ID", "PatientID"))),
    "A name": lambda root, rows: opened(renamed(root), list_text([["IM0001", *rows[0][1:]]])),
    "A file is missing": lambda root, rows: opened(root, list_text([["CR9999", *rows[0][1:]], *rows[1:]])),
    "A class": lambda root, rows: opened(
        root, list_text([[*rows[0][:3], "Effusion", *rows[0][4:]], *rows[1:]])
    ),
    "Lines of one patient": lambda root, rows: opened(
        root,
        list_text([*rows[:1], [*rows[1][:3], "effusion", *rows[1][4:]], *rows[2:]]),
        columns=BY_PATIENT,
    ),
    "Excel has shortened": lambda root, rows: opened(
        root, list_text([[rows[0][0], "7.00E+11", *rows[0][2:]], *rows[1:]]), columns=BY_PATIENT
    ),
    "The files of a series": with_two_patients_in_a_series,
    "A mask": with_a_small_mask,
    "A file is cut off": with_a_file_cut_off,
}
BY_PATIENT = {"label": "Diagnosis", "patient": "Patient ID"}
ERRORS = re.findall(
    r"^\*\*(.+?)\*\*.*?^```text\n(.*?)\n```$", WALK.split("## Common errors")[1], re.MULTILINE | re.DOTALL
)


def renamed(root: Path) -> Path:
    """Give all files of the export one name."""
    for path in sorted((root / "dicom").rglob("*.dcm")):
        path.rename(path.with_name("IM0001"))
    return root


@pytest.mark.parametrize(("title", "message"), ERRORS, ids=[title[:24] for title, _ in ERRORS])
def test_the_messages_of_the_walk_are_the_real_ones(
    title: str, message: str, export: tuple[Path, list[Row]]
) -> None:
    (make,) = [make for start, make in MESSAGES.items() if title.startswith(start)]
    assert make(*export) == message


def test_every_message_has_its_place() -> None:
    assert len(ERRORS) == len(MESSAGES)
