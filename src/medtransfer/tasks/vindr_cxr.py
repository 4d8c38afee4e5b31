"""VinDr-CXR: six labels of whole chest X-rays, read by three radiologists each, in DICOM files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import LABEL_PREFIX, CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.splits import hold_out
from medtransfer.tasks.cell_values import cell_values
from medtransfer.tasks.opening_problems import unlisted_images
from medtransfer.tasks.stored_images import refuse_missing, stored_images
from medtransfer.tasks.tables import read_table, refuse, refuse_disagreement
from medtransfer.tasks.target_task import TargetTask, TaskPage

CLASSES: Final = (
    "Pleural effusion",
    "Lung tumor",
    "Pneumonia",
    "Tuberculosis",
    "Other diseases",
    "No finding",
)
"""The six labels in the order of the studies."""

ReaderRule = Literal["majority", "any"]
"""When a label of a training image counts: for two of its three readers, or for one."""

READERS: Final = 3
"""Readers of each training image."""

_NAME: Final = "vindr-cxr"
_SUBJECT: Final = f"task {_NAME!r}"
_FILES: Final = {
    "train": "annotations/image_labels_train.csv",
    "test": "annotations/image_labels_test.csv",
}
_LEAST_VOTES: Final[Mapping[ReaderRule, int]] = {"majority": 2, "any": 1}
_SPELLINGS: Final = {"Other disease": "Other diseases"}
_VALUES: Final = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
_VALIDATION_SHARE: Final = 0.1
_TEST_POSITIVES: Final = dict(zip(CLASSES, (111, 80, 246, 164, 657, 2051), strict=True))


def open_vindr_cxr(root: Path, rule: ReaderRule = "majority") -> CaseTable:
    """Return the case table of a folder in the official layout.

    The official test images, labelled in consensus, are the test split. A tenth of the official
    training images, drawn with a fixed seed, is the validation split.

    Args:
        root: Folder with ``annotations/``, ``train/`` and ``test/``.
        rule: When a label of a training image counts.

    Raises:
        DataError: If a file or a labelled image is missing, a label is neither 0 nor 1, a training image
            does not have three readers, or two rows of a test image disagree.
    """
    train, unlisted_train = _with_images(root, "train", _votes(_labels(root, "train", ("rad_id",))))
    consensus = _labels(root, "test", ())
    refuse_disagreement(_SUBJECT, _FILES["test"], consensus, "image_id", CLASSES)
    test, unlisted_test = _with_images(root, "test", consensus.drop_duplicates("image_id"))
    majority = train[list(CLASSES)].to_numpy() >= _LEAST_VOTES["majority"]
    seed = seed_from("split", _NAME)
    split = hold_out(
        ["train"] * len(train), train["image_id"].tolist(), majority, share=_VALIDATION_SHARE, seed=seed
    )
    train[list(CLASSES)] = (train[list(CLASSES)] >= _LEAST_VOTES[rule]).astype(np.int64)
    rows = pd.concat([train.assign(split=split), test.assign(split="test")])
    rows = rows.sort_values("image_id", ignore_index=True)
    ids = {"case_id": rows["image_id"], "patient_id": rows["image_id"]}
    labels = {LABEL_PREFIX + name: rows[name] for name in CLASSES}
    return CaseTable(
        frame=pd.DataFrame(ids | {"split": rows["split"], "image": rows["image"]} | labels),
        kind=TaskKind.MULTI_LABEL,
        classes=CLASSES,
        source=FileSource(root),
        split_source="official",
        patients_known=False,
        opening_problems=(*unlisted_train, *unlisted_test),
    )


def _labels(root: Path, part: str, others: tuple[str, ...]) -> pd.DataFrame:
    """Return image_id, further columns and labels (0 or 1) of a label file; the index is the line."""
    name = _FILES[part]
    certain = tuple(label for label in CLASSES if label not in _SPELLINGS.values())
    rows = read_table(_SUBJECT, root, name, ("image_id", *others, *certain))
    for spelling, label in _SPELLINGS.items():
        if spelling in rows and label not in rows:
            rows = rows.rename(columns={spelling: label})
    missing = [label for label in CLASSES if label not in rows]
    if missing:
        raise DataError(
            f"{_SUBJECT}: {name}: expected the columns {missing!r}, got {rows.columns.tolist()!r}."
        )
    labels = {label: cell_values(_SUBJECT, name, rows[label], _VALUES) for label in CLASSES}
    return pd.concat([rows[["image_id", *others]], pd.DataFrame(labels)], axis=1)


def _votes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how many of the three readers of each image saw each label; the index is its first line."""
    by_image = rows.groupby("image_id")
    readers = by_image["rad_id"].agg(["size", "nunique"])
    odd = readers[(readers["size"] != READERS) | (readers["nunique"] != READERS)]
    faults = [
        f"{image!r} in {count} rows of {distinct}" for image, count, distinct in odd.itertuples(name=None)
    ]
    refuse(_SUBJECT, _FILES["train"], f"{READERS} readers, one row each, for every image", faults)
    return rows.drop_duplicates("image_id")[["image_id"]].join(by_image[list(CLASSES)].sum(), on="image_id")


def _with_images(root: Path, part: str, labels: pd.DataFrame) -> tuple[pd.DataFrame, tuple[Problem, ...]]:
    """Return the labels with the path of each image, and the images that have no labels."""
    stored = {Path(path).stem: path for path in stored_images(root, part, (".dicom", ".dcm"))}
    ids = labels["image_id"]
    refuse_missing(_SUBJECT, _FILES[part], ids, stored)
    return labels.assign(image=ids.map(stored)), unlisted_images(_FILES[part], ids.tolist(), stored)


def _write_sample(root: Path) -> None:
    from medtransfer.tasks.samples_of_vindr_cxr import write_vindr_cxr_sample

    write_vindr_cxr_sample(root)


_PAGE = TaskPage(
    about=(
        "18,000 frontal chest X-rays of two hospitals in Hanoi as DICOM files: 15,000 for training, each read by "
        "three radiologists on their own, and 3,000 for test, labelled in consensus. Predicted are the six "
        "labels of the studies, which concern the whole image: pleural effusion (which study B abbreviates PE; "
        "it is not pulmonary embolism), lung tumor, pneumonia, tuberculosis, other diseases and no finding. "
        "The label files have more columns, which are not used."
    ),
    access=(
        "Credentialed access at PhysioNet: an account, a course on research with human data, and the signed "
        "data use agreement; free of charge."
    ),
    layout=(
        "annotations/image_labels_train.csv   (45,000 rows: three readers, named in rad_id, of 15,000 images)\n"
        "annotations/image_labels_test.csv    (3,000 rows)\n"
        "train/<image_id>.dicom\n"
        "test/<image_id>.dicom"
    ),
    split=(
        "Test is the official test set. A tenth of the official training images, drawn with a fixed seed "
        "and stratified by label, is validation. Patients are not named, so each image counts as one. Both "
        "tasks share one split."
    ),
    traps=(
        (
            "The three readers of a training image often disagree, and the studies do not say how they merged "
            "them. vindr-cxr takes a label that two of them gave; vindr-cxr-any one that any of them gave, so "
            "that an image may then have both a disease and 'No finding'. The counts of training labels in "
            "the studies are therefore no check; those of the test set are."
        ),
        (
            "Under the majority an image may have none of the six labels: readers that disagree leave it empty, "
            "and findings outside the six do not count."
        ),
        "The last column but one is spelt 'Other disease' in some copies; both spellings are understood.",
        "Other projects of the studies' authors select on the test list; here the test set selects nothing.",
        (
            "Files hold more than 8 bits, and in some small values are bright (MONOCHROME1): they are shown "
            "through the window in the file, or over their own range, and inverted where needed."
        ),
    ),
)


def _task(name: str, rule: ReaderRule, words: str) -> TargetTask:
    return TargetTask(
        name=name,
        revision=1,
        title=f"Six labels of whole chest X-rays, {words}",
        kind=TaskKind.MULTI_LABEL,
        classes=CLASSES,
        metrics=("auc",),
        open=partial(open_vindr_cxr, rule=rule),
        folders=("vindr-cxr", "VinDr-CXR", "physionet.org/files/vindr-cxr/1.0.0"),
        licence="PhysioNet credentialed health data licence 1.5.0; data use agreement",
        citation=(
            "Nguyen et al., VinDr-CXR: An open dataset of chest X-rays with radiologist's annotations, Scientific "
            "Data 9:429, 2022"
        ),
        url="https://physionet.org/content/vindr-cxr/",
        expected=ExpectedCounts(
            variants=({"train+val": 15_000, "test": 3_000},), classes={"test": _TEST_POSITIVES}
        ),
        image_sets=("vindr-cxr",),
        caution=(
            f"Training labels are merged from three readers ({words}); test labels are a consensus. Patients are "
            "not named, so images of one patient may lie in training and validation."
        ),
        page=_PAGE,
        family=_NAME,
        write_sample=_write_sample,
    )


vindr_cxr = _task("vindr-cxr", "majority", "given by two of three readers")
vindr_cxr_any = _task("vindr-cxr-any", "any", "given by any of three readers")
vindr_cxr_tasks = (vindr_cxr, vindr_cxr_any)
