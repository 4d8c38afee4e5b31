"""SIIM-ACR pneumothorax: chest X-rays in DICOM whose masks are run lengths in a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.dicom_headers import DicomHeader, read_dicom_header
from medtransfer.data.file_source import FileSource
from medtransfer.data.locators import empty_locator, runs_locator
from medtransfer.data.run_lengths import EMPTY, RunLengthTable
from medtransfer.data.splits import draw_split
from medtransfer.tasks.opening_problems import left_out
from medtransfer.tasks.stored_images import files_below
from medtransfer.tasks.tables import read_table, refuse
from medtransfer.tasks.target_task import TargetTask, TaskPage

NAME: Final = "siim-pneumothorax"
SHARES: Final = {"train": 0.75, "val": 0.10, "test": 0.15}
"""Shares of the images; of the first release, this trains on the about 8,000 of study B."""

_SUBJECT = f"task {NAME!r}"
_TABLE, _IMAGES = "train-rle.csv", "dicom-images-train"
_ID, _RUNS = "ImageId", "EncodedPixels"
_MOST_SHOWN = 80
_RUNS_TEXT = r"\d+\s+\d+(\s+\d+\s+\d+)*"


def open_siim_acr(root: Path) -> CaseTable:
    """Return the case table of the labelled images.

    Args:
        root: Folder with ``train-rle.csv`` and ``dicom-images-train/<study>/<series>/<image>.dcm``.

    Raises:
        DataError: If the table lacks a column, names an image that is missing, says both that an image has
            a mask and that it has none, or if a file is not the image it is named after or has no patient.
    """
    rows = _rows(root)
    files = _files(root)
    missing = rows[~rows[_ID].isin(list(files))]
    refuse(_SUBJECT, _TABLE, f"an image in {_IMAGES} for every row", _on_lines(missing, _ID))
    images = sorted(rows[_ID].unique())
    headers = {image: read_dicom_header(root, files[image]) for image in images}
    _check_headers(files, headers)
    empty = set(rows.loc[rows[_RUNS] == EMPTY, _ID])
    patients = [headers[image].patient_id for image in images]
    strata = ["empty" if image in empty else "pneumothorax" for image in images]
    frame = pd.DataFrame(
        {
            "case_id": images,
            "patient_id": patients,
            "split": draw_split(patients, strata, SHARES, seed=seed_from("split", NAME)),
            "image": [files[image] for image in images],
            "mask": [(_mask(image, headers[image], image in empty),) for image in images],
        }
    )
    unlisted = [files[image] for image in sorted(set(files) - set(images))]
    return CaseTable(
        frame=frame,
        kind=TaskKind.SEGMENTATION,
        classes=siim_pneumothorax.classes,
        source=FileSource(root, run_lengths=RunLengthTable(_TABLE, _ID, _RUNS, relative=True)),
        split_source="ours",
        opening_problems=left_out(_IMAGES, f"only images that {_TABLE} lists", unlisted),
    )


def _rows(root: Path) -> pd.DataFrame:
    rows = read_table(_SUBJECT, root, _TABLE, (_ID, _RUNS), delimiters=(",",), only=True)
    if rows.empty:
        raise DataError(f"{_SUBJECT}: {_TABLE}: expected a row per image, got none. Check the file.")
    nameless = rows[rows[_ID] == ""]
    refuse(_SUBJECT, f"{_TABLE}: column {_ID!r}", "an image in every row", _on_lines(nameless, _ID))
    known = (rows[_RUNS] == EMPTY) | rows[_RUNS].str.fullmatch(_RUNS_TEXT)
    unknown = _on_lines(rows[~known], _RUNS)
    refuse(_SUBJECT, f"{_TABLE}: column {_RUNS!r}", f"{EMPTY} or pairs of start and length", unknown)
    _refuse_contradictions(rows)
    return rows


def _refuse_contradictions(rows: pd.DataFrame) -> None:
    """Refuse images that one row calls empty and another gives a mask."""
    empty = rows[_RUNS] == EMPTY
    both = set(rows.loc[empty, _ID]) & set(rows.loc[~empty, _ID])
    lines = rows[rows[_ID].isin(both)].groupby(_ID).groups
    faults = [f"{image!r} both on lines {', '.join(map(str, found))}" for image, found in lines.items()]
    refuse(_SUBJECT, _TABLE, f"{EMPTY} or run lengths for an image", faults)


def _files(root: Path) -> dict[str, str]:
    """Return the file of every image, by the name before ``.dcm``."""
    found: dict[str, str] = {}
    twice = []
    for file in files_below(_SUBJECT, root, _IMAGES, (".dcm",)):
        first = found.setdefault(PurePosixPath(file).stem, file)
        twice += [f"{file!r} beside {first!r}"] if first != file else []
    refuse(_SUBJECT, _IMAGES, "one file per image", twice)
    return found


def _check_headers(files: Mapping[str, str], headers: Mapping[str, DicomHeader]) -> None:
    others = [
        f"{files[image]} of {head.sop_uid!r}" for image, head in headers.items() if head.sop_uid != image
    ]
    refuse(_SUBJECT, _IMAGES, "files named after their SOPInstanceUID", others)
    nobody = [files[image] for image, head in headers.items() if not head.patient_id]
    refuse(_SUBJECT, _IMAGES, "a PatientID in every file, which the split is grouped by", nobody)


def _mask(image: str, header: DicomHeader, empty: bool) -> str:
    if empty:
        return empty_locator(header.rows, header.columns)
    return runs_locator(image, header.rows, header.columns)


def _on_lines(rows: pd.DataFrame, column: str) -> list[str]:
    return [f"line {line}: {value[:_MOST_SHOWN]!r}" for line, value in rows[column].items()]


def _write_sample(root: Path) -> None:
    from medtransfer.tasks.samples_of_siim_acr import write_siim_acr_sample

    write_siim_acr_sample(root)


siim_pneumothorax = TargetTask(
    name=NAME,
    revision=1,
    title="Pneumothorax in chest X-rays",
    kind=TaskKind.SEGMENTATION,
    classes=("pneumothorax",),
    metrics=("dice", "dice-nonempty", "dice-pooled"),
    open=open_siim_acr,
    folders=("siim-pneumothorax", "siim-acr-pneumothorax-segmentation", "siim-acr"),
    licence="terms of the SIIM-ACR competition; research use",
    citation="SIIM-ACR Pneumothorax Segmentation Challenge, Kaggle, 2019",
    url="https://www.kaggle.com/competitions/siim-acr-pneumothorax-segmentation",
    image_sets=("pneumothorax-segmentation",),
    caution=(
        "Most images show no pneumothorax, and an empty prediction on them counts as perfect: read the mean Dice "
        "only beside the Dice over images that have one. The split is ours, because no list was published."
    ),
    page=TaskPage(
        about=(
            "Frontal chest X-rays, each with the outline of a pneumothorax or the statement that there is none. "
            "The area of the pneumothorax is predicted."
        ),
        access="Kaggle: an account and acceptance of the competition's rules. Free of charge.",
        layout=(
            "siim-pneumothorax/\n"
            "  train-rle.csv\n"
            "  dicom-images-train/<StudyInstanceUID>/<SeriesInstanceUID>/<SOPInstanceUID>.dcm"
        ),
        split=(
            "75 % train, 10 % val, 15 % test, drawn by PatientID with a fixed seed and balanced by whether there is "
            "a pneumothorax. The first release is said to have 10,675 labelled images, a later one 12,047; "
            "neither number is verified, so neither is demanded. The competition's own test images have no labels "
            "in the download and are not read."
        ),
        traps=(
            (
                "Run lengths are relative and go down the columns: a start is the gap after the run before it. Read "
                "as positions they give masks that look plausible and are wrong."
            ),
            (
                "An image may have several rows; its mask is their union. An image with -1 in one row and runs in "
                "another is refused."
            ),
            "The header of the second column begins with a blank in some copies, and so do its cells.",
            "Images without a row are left out and reported; a row without an image is an error.",
            (
                "Values are shown as each file says (window, or range) and inverted where air is stored bright; "
                "casting stored values to eight bits destroys 12-bit images."
            ),
            "The images are said to come from ChestX-ray14; results of models pretrained on it are marked.",
        ),
    ),
    write_sample=_write_sample,
)
