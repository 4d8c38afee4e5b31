"""The pages on own data do what they say: every example is opened, every command run, every message made."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import yaml

from medtransfer.core.errors import DataError
from medtransfer.data.data_check import CheckOptions, check_data
from medtransfer.tasks.own_data import open_own_data
from medtransfer.tasks.sample_files import sample_uid, write_dicom, write_picture
from medtransfer.tasks.sample_pictures import chest_picture

if TYPE_CHECKING:
    from conftest import Command

DOCS = Path(__file__).resolve().parents[2] / "docs"
WALK = (DOCS / "own-data-from-dicom.md").read_text(encoding="utf-8")
HEADER = "File name;Patient ID;Exam date;Diagnosis;Large heart;Comment"
EMPTY_CELLS = (6, 40, 77)
TWICE = 20
"""The patient whose exam was exported a second time under another number."""

Row = list[str]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


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

    study, codes = "", []
    for language, block in re.findall(r"^```(yaml|console)\n(.*?)^```$", WALK, re.MULTILINE | re.DOTALL):
        if language == "yaml":
            study = study + block if block.startswith("accept:") else block
            (here / "chest.yaml").write_text(study, encoding="utf-8")
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
    "The list begins": lambda root, rows: opened(root, "sep=;\r\n" + list_text(rows)),
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
