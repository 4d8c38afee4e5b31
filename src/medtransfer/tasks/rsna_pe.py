"""RSNA-STR pulmonary embolism: CT slices with their neighbours, labelled one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.dicom_series import find_series
from medtransfer.data.file_source import FileSource
from medtransfer.data.intensity import WINDOWS
from medtransfer.data.locators import channels_locator
from medtransfer.data.splits import draw_split
from medtransfer.tasks.opening_problems import left_out, other_total
from medtransfer.tasks.stored_images import files_below
from medtransfer.tasks.tables import read_table, refuse, refuse_disagreement
from medtransfer.tasks.target_task import TargetTask, TaskPage

NAME: Final = "rsna-pe"
SHARES: Final = {"train": 0.76, "val": 0.10, "test": 0.14}
"""Shares of the slices; the test share is about the 1,000 of 7,279 exams that were held out elsewhere."""

_SUBJECT = f"task {NAME!r}"
_TABLE = "train.csv"
_STUDY, _SERIES, _SLICE = "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"
_LABEL, _NEGATIVE = "pe_present_on_image", "negative_exam_for_pe"
_IDENTIFIER = r"[0-9A-Za-z]+(\.[0-9A-Za-z]+)*"
_OFFICIAL_STUDIES = 7279


def open_rsna_pe(root: Path) -> CaseTable:
    """Return the case table of the labelled part of the competition's download.

    Args:
        root: Folder with ``train.csv`` and ``train/<study>/<series>/<slice>.dcm``.

    Raises:
        DataError: If a column or a slice is missing, a value is unknown, rows contradict each other, or
            the headers do not tell where a slice lies.
    """
    rows = _rows(root)
    files = files_below(_SUBJECT, root, "train", (".dcm",))
    rows["file"] = "train/" + rows[_STUDY] + "/" + rows[_SERIES] + "/" + rows[_SLICE] + ".dcm"
    missing = rows[~rows["file"].isin(files)]
    refuse(_SUBJECT, _TABLE, "a file for every row", _on_lines(missing, "file"))
    image = _with_neighbours(root, rows)
    strata = rows[_NEGATIVE].tolist()
    frame = pd.DataFrame(
        {
            "case_id": rows["file"].str.removeprefix("train/").str.removesuffix(".dcm"),
            "patient_id": rows[_STUDY],
            "volume_id": rows[_STUDY],
            "split": draw_split(rows[_STUDY].tolist(), strata, SHARES, seed=seed_from("split", NAME)),
            "image": rows["file"].map(image),
            "label": rows[_LABEL].astype(int),
        }
    )
    unlisted = sorted(set(files) - set(rows["file"]))
    return CaseTable(
        frame=frame.sort_values("case_id", ignore_index=True),
        kind=TaskKind.BINARY,
        classes=rsna_pe.classes,
        source=FileSource(root, intensity=WINDOWS["pulmonary-embolism"]),
        split_source="ours",
        opening_problems=(
            *other_total(_TABLE, _OFFICIAL_STUDIES, rows[_STUDY].nunique(), "exams"),
            *left_out("train", f"only slices that {_TABLE} lists", unlisted),
        ),
    )


def _rows(root: Path) -> pd.DataFrame:
    """Return one row per slice, after refusing whatever is not as declared."""
    rows = read_table(_SUBJECT, root, _TABLE, (_STUDY, _SERIES, _SLICE, _LABEL, _NEGATIVE), only=True)
    if rows.empty:
        raise DataError(f"{_SUBJECT}: {_TABLE}: expected a row per slice, got none. Check the file.")
    for column in (_STUDY, _SERIES, _SLICE):
        wrong = rows[~rows[column].str.fullmatch(_IDENTIFIER)]
        refuse(
            _SUBJECT,
            f"{_TABLE}: column {column!r}",
            "letters and digits, separated by dots",
            _on_lines(wrong, column),
        )
    for column in (_LABEL, _NEGATIVE):
        wrong = rows[~rows[column].isin(("0", "1"))]
        refuse(_SUBJECT, f"{_TABLE}: column {column!r}", "0 or 1", _on_lines(wrong, column))
    refuse_disagreement(_SUBJECT, _TABLE, rows, _SLICE, (_STUDY, _SERIES, _LABEL, _NEGATIVE))
    exams = rows.drop_duplicates([_STUDY, _NEGATIVE])
    refuse_disagreement(_SUBJECT, _TABLE, exams, _STUDY, (_NEGATIVE,))
    both = rows[(rows[_LABEL] == "1") & (rows[_NEGATIVE] == "1")]
    refuse(_SUBJECT, _TABLE, f"no slice with an embolism where {_NEGATIVE} is 1", _on_lines(both, _SLICE))
    return rows.drop_duplicates(_SLICE)


def _with_neighbours(root: Path, rows: pd.DataFrame) -> dict[str, str]:
    """Return the locator of every slice between its neighbours, by file."""
    found: dict[str, str] = {}
    for _, files in rows.groupby([_STUDY, _SERIES], sort=True)["file"]:
        for series in find_series(root, files.tolist()):
            names = [part.locator for part in series.slices]
            if series.ordered_by != "position":
                raise DataError(
                    f"{_SUBJECT}: {names[0]}: expected ImagePositionPatient and ImageOrientationPatient in every "
                    "slice of its series, got slices without. Repair the headers: neighbours are found by position."
                )
            below, above = [names[0], *names[:-1]], [*names[1:], names[-1]]
            found.update(
                (own, channels_locator(one, own, other))
                for one, own, other in zip(below, names, above, strict=True)
            )
    return found


def _on_lines(rows: pd.DataFrame, column: str) -> list[str]:
    return [f"line {line}: {value!r}" for line, value in rows[column].items()]


def _write_sample(root: Path) -> None:
    from medtransfer.tasks.samples_of_rsna_pe import write_rsna_pe_sample

    write_rsna_pe_sample(root)


rsna_pe = TargetTask(
    name=NAME,
    revision=1,
    title="Pulmonary embolism in slices of CT angiography",
    kind=TaskKind.BINARY,
    classes=("no embolism", "embolism"),
    metrics=("auc", "auc-volume", "accuracy", "balanced-accuracy"),
    open=open_rsna_pe,
    folders=("rsna-pe", "rsna-str-pulmonary-embolism-detection", "rspect"),
    licence="RSNA terms: non-commercial use, no attempt to identify patients",
    citation=(
        "Colak et al., The RSNA Pulmonary Embolism CT Dataset, Radiology: Artificial Intelligence 3(2), 2021"
    ),
    url="https://www.kaggle.com/competitions/rsna-str-pulmonary-embolism-detection",
    image_sets=("rsna-pe",),
    caution=(
        "The split is ours, because no list was published; the files name no patients, so an exam counts as a "
        "patient."
    ),
    page=TaskPage(
        about=(
            "CT pulmonary angiography from several centres. Radiologists marked every slice on which an embolism "
            "is seen. A case is a slice: its red, green and blue are the slice below, the slice itself and the "
            "slice above, in the window with level 100 and width 700 HU. The AUC over slices is the score; the AUC "
            "over exams, whose score is the highest among their slices, stands beside it."
        ),
        access=(
            "Kaggle: an account, and acceptance of the competition's rules and of RSNA's non-commercial terms. "
            "Free of charge; several hundred gigabytes."
        ),
        layout=("rsna-pe/\n  train.csv\n  train/<StudyInstanceUID>/<SeriesInstanceUID>/<SOPInstanceUID>.dcm"),
        split=(
            "Only the labelled part is used: 7,279 exams. About 76 % of the slices are train, 10 % val and 14 % "
            "test, drawn by exam with a fixed seed and balanced by negative_exam_for_pe. The studies that used "
            "this set held out 1,000 exams and published no list."
        ),
        traps=(
            (
                "File names are no order. Slices are ordered by ImagePositionPatient along the normal of the slice; "
                "the first and the last slice stand in for the neighbour they lack."
            ),
            "Columns of train.csv are found by name, since their order is not the same everywhere.",
            "An exam that is not negative may have no slice with an embolism: indeterminate exams.",
            "Slices of one exam are nearly alike: an exam is never cut by a split.",
            "On first use every header is read, about 1.8 million files; afterwards they are remembered.",
        ),
    ),
    write_sample=_write_sample,
)
