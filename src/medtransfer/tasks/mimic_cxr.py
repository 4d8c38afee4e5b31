"""MIMIC-CXR-JPG: chest X-rays with 14 mined labels, a source of pretraining in the domain."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from medtransfer.core.problems import Problem
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import LABEL_PREFIX, CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.tasks.cell_values import cell_values
from medtransfer.tasks.opening_problems import unlisted_images
from medtransfer.tasks.stored_images import refuse_missing, stored_images
from medtransfer.tasks.tables import read_table, refuse, refuse_disagreement
from medtransfer.tasks.target_task import TargetTask, TaskPage
from medtransfer.tasks.uncertain_labels import UNCERTAIN, read_uncertain_labels

CLASSES: Final = (
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture"),
    *("Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia"),
    *("Pneumothorax", "Support Devices"),
)
"""The 14 labels in the order of the label files, which is alphabetical."""

_NAME: Final = "mimic-cxr"
_SUBJECT: Final = f"task {_NAME!r}"
_LABELS: Final = "mimic-cxr-2.0.0-chexpert.csv"
_SPLIT: Final = "mimic-cxr-2.0.0-split.csv"
_SPLIT_NAMES: Final = {"train": "train", "validate": "val", "test": "test"}
_FOLDER: Final = "files"


def open_mimic_cxr(root: Path) -> CaseTable:
    """Return the case table of a folder in the official layout.

    Args:
        root: Folder with ``files/`` and the label and split files, packed (``.csv.gz``) or unpacked.

    Raises:
        DataError: If a file or a listed image is missing, a label or split is not as declared, or rows
            disagree.
    """
    split_file, images = _images(root)
    labels = _study_labels(root)
    rows = images.merge(labels, on="study_id", how="left", suffixes=("", " of labels"))
    labelled = rows["subject_id of labels"].notna()
    other = labelled & (rows["subject_id of labels"] != rows["subject_id"])
    studies = rows.loc[other, "study_id"].unique()
    refuse(
        _SUBJECT, split_file, "the subject_id of the label file", [f"another for study {s}" for s in studies]
    )
    kept = rows[labelled].sort_values("dicom_id", ignore_index=True)
    values = kept[list(CLASSES)].to_numpy(dtype=np.float64)
    settled = np.where(values == UNCERTAIN, np.nan, values)
    frame = pd.DataFrame(
        {
            "case_id": kept["dicom_id"],
            "patient_id": "p" + kept["subject_id"],
            "split": kept["split"],
            "image": kept["image"],
            **{LABEL_PREFIX + name: settled[:, column] for column, name in enumerate(CLASSES)},
        }
    )
    stored = stored_images(root, _FOLDER, (".jpg",), depth=3)
    refuse_missing(_SUBJECT, split_file, images["image"], stored)
    return CaseTable(
        frame=frame,
        kind=TaskKind.MULTI_LABEL,
        classes=CLASSES,
        source=FileSource(root),
        split_source="official",
        opening_problems=(
            *unlisted_images(split_file, images["image"].tolist(), stored),
            *_without_labels(rows.loc[~labelled, "study_id"]),
        ),
    )


def _images(root: Path) -> tuple[str, pd.DataFrame]:
    """Return the name of the split file, and of each image dicom_id, study_id, subject_id, split and path."""
    name = _packed_or_not(root, _SPLIT)
    columns = ("dicom_id", "study_id", "subject_id", "split")
    rows = read_table(_SUBJECT, root, name, columns, only=True)
    rows["split"] = cell_values(_SUBJECT, name, rows["split"], _SPLIT_NAMES)
    refuse_disagreement(_SUBJECT, name, rows, "dicom_id", columns[1:])
    subject = "p" + rows["subject_id"]
    folder = _FOLDER + "/" + subject.str[:3] + "/" + subject + "/s" + rows["study_id"]
    return name, rows.assign(image=folder + "/" + rows["dicom_id"] + ".jpg").drop_duplicates("dicom_id")


def _study_labels(root: Path) -> pd.DataFrame:
    """Return study_id, subject_id and labels (-1 for uncertain) of each study."""
    name = _packed_or_not(root, _LABELS)
    rows = read_table(_SUBJECT, root, name, ("subject_id", "study_id", *CLASSES), only=True)
    labels = read_uncertain_labels(_SUBJECT, name, rows, CLASSES)
    table = pd.concat([rows[["study_id", "subject_id"]], labels], axis=1)
    refuse_disagreement(_SUBJECT, name, table, "study_id", ["subject_id", *CLASSES])
    return table.drop_duplicates("study_id")


def _packed_or_not(root: Path, name: str) -> str:
    """Return the name of a file as PhysioNet packs it, or unpacked where only that is there."""
    packed = f"{name}.gz"
    return name if (root / name).is_file() and not (root / packed).is_file() else packed


def _without_labels(studies: pd.Series) -> tuple[Problem, ...]:
    if studies.empty:
        return ()
    return (
        Problem(
            what="dropped-rows",
            where=_LABELS,
            expected="labels of every study that has images",
            found=f"none for {studies.nunique()} studies with {len(studies)} images, first {studies.iloc[0]!r}",
            next_step="Complete the label file, or accept that these images are left out.",
        ),
    )


def _write_sample(root: Path) -> None:
    from medtransfer.tasks.samples_of_mimic_cxr import write_mimic_cxr_sample

    write_mimic_cxr_sample(root)


_PAGE = TaskPage(
    about=(
        "About 376,000 frontal and lateral chest X-rays of Beth Israel Deaconess Medical Center, as JPEG files. "
        "The CheXpert labeller mined 14 labels from the report of each study; all images of a study share "
        "them. The data set serves mostly to pretrain source models on medical images, for comparison with "
        "pretraining on photographs."
    ),
    access=(
        "Credentialed access at PhysioNet: an account, a course on research with human data, and the signed "
        "data use agreement; free of charge."
    ),
    layout=(
        "mimic-cxr-2.0.0-chexpert.csv.gz   (or unpacked, without .gz)\n"
        "mimic-cxr-2.0.0-split.csv.gz      (or unpacked, without .gz)\n"
        "files/p10/p10000032/s50414267/<dicom_id>.jpg"
    ),
    split=(
        "The official split by patient: about 368,000 images for training, 2,991 for validation ('validate' in "
        "the file), 5,159 for test."
    ),
    traps=(
        (
            "Labels are in alphabetical order here and in another order in CheXpert: they are matched by name, "
            "never by position."
        ),
        (
            "An uncertain label (-1) counts as not known: it enters neither loss nor metrics. A label that is not "
            "mentioned (blank) counts as absent. The tasks on CheXpert offer other policies."
        ),
        (
            "Images of studies without a row in the label file are left out, and the check says how many "
            "(dropped-rows)."
        ),
        "Labels of the test split were mined by the same program as those of training.",
        "A figure of study B calls the data set MIMIC-II, which is another one.",
    ),
)

mimic_cxr = TargetTask(
    name=_NAME,
    revision=1,
    title="14 findings in chest X-rays, for pretraining",
    kind=TaskKind.MULTI_LABEL,
    classes=CLASSES,
    metrics=("auc",),
    open=open_mimic_cxr,
    folders=("mimic-cxr", "mimic-cxr-jpg", "physionet.org/files/mimic-cxr-jpg/2.0.0"),
    licence="PhysioNet credentialed health data licence 1.5.0; data use agreement",
    citation=(
        "Johnson et al., MIMIC-CXR-JPG, a large publicly available database of labeled chest radiographs, "
        "arXiv:1901.07042, 2019"
    ),
    url="https://physionet.org/content/mimic-cxr-jpg/",
    expected=ExpectedCounts(variants=({"val": 2991, "test": 5159},)),
    image_sets=("mimic-cxr",),
    caution="Labels, those of the test split too, were mined from reports by a program; uncertain ones are left out.",
    page=_PAGE,
    purpose="pretraining",
    write_sample=_write_sample,
)
