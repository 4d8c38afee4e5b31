"""RSNA Pneumonia Detection Challenge: normal, not normal, or lung opacity in chest X-rays of ChestX-ray14."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.inside_root import path_inside
from medtransfer.data.splits import draw_split
from medtransfer.tasks.cell_values import cell_values
from medtransfer.tasks.opening_problems import unlisted_images
from medtransfer.tasks.stored_images import refuse_missing, stored_images
from medtransfer.tasks.tables import read_table, refuse, refuse_disagreement
from medtransfer.tasks.target_task import TargetTask, TaskPage

CLASSES: Final = ("Normal", "No Lung Opacity / Not Normal", "Lung Opacity")

MAPPING_NAME: Final = "pneumonia-challenge-dataset-mappings_2018.json"
"""The file that says which image of ChestX-ray14 each image is; any ``*mapping*.json`` is taken for it."""

_NAME: Final = "rsna-pneumonia"
_SUBJECT: Final = f"task {_NAME!r}"
_CLASS_FILE: Final = "stage_2_detailed_class_info.csv"
_BOX_FILE: Final = "stage_2_train_labels.csv"
_FOLDER: Final = "stage_2_train_images"
_TOTAL: Final = 26_684
_SHARES: Final = {"train": 21_295 / _TOTAL, "val": 2_680 / _TOTAL, "test": 2_709 / _TOTAL}
_NIH_KEYS: Final = ("img_id", "orig_img_id")
_MAX_BYTES: Final = 1 << 28


def open_rsna_pneumonia(root: Path) -> CaseTable:
    """Return the case table of a folder in the layout of the challenge's second stage.

    The split is drawn here, stratified by class, by patient where the mapping to ChestX-ray14 is in
    the folder.

    Args:
        root: Folder with ``stage_2_detailed_class_info.csv``, ``stage_2_train_labels.csv``,
            ``stage_2_train_images/`` and, if at hand, the mapping.

    Raises:
        DataError: If a file or a labelled image is missing, a class is unknown, rows or files disagree
            about an image, or the mapping does not cover every image.
    """
    labels = _labels(root)
    stored = {Path(path).stem: path for path in stored_images(root, _FOLDER, (".dcm",))}
    refuse_missing(_SUBJECT, _CLASS_FILE, labels["patientId"], stored)
    labels = labels.sort_values("patientId", ignore_index=True)
    ids = labels["patientId"]
    patients = _patients(root, ids)
    groups = ids if patients is None else ids.map(patients)
    split = draw_split(groups.tolist(), labels["label"].tolist(), _SHARES, seed=seed_from("split", _NAME))
    frame = pd.DataFrame(
        {
            "case_id": ids,
            "patient_id": groups,
            "split": split,
            "image": ids.map(stored),
            "label": labels["label"],
        }
    )
    return CaseTable(
        frame=frame,
        kind=TaskKind.MULTI_CLASS,
        classes=CLASSES,
        source=FileSource(root),
        split_source="ours",
        patients_known=patients is not None,
        opening_problems=unlisted_images(_CLASS_FILE, ids.tolist(), stored),
    )


def _labels(root: Path) -> pd.DataFrame:
    """Return patientId and label of each image; both files must say the same."""
    meanings = {name: number for number, name in enumerate(CLASSES)}
    label = _one_row_each(root, _CLASS_FILE, "class", meanings)
    target = _one_row_each(root, _BOX_FILE, "Target", {"0": 0, "1": 1})
    both = label.merge(target, on="patientId", how="outer", indicator=True)
    lone = both[both["_merge"] != "both"]
    faults = [
        f"{image!r} only in {_CLASS_FILE if side == 'left_only' else _BOX_FILE}"
        for image, side in zip(lone["patientId"], lone["_merge"], strict=True)
    ]
    refuse(_SUBJECT, f"{_CLASS_FILE} and {_BOX_FILE}", "the same images", faults)
    opposed = both[(both["Target"] == 1) != (both["class"] == CLASSES.index("Lung Opacity"))]
    refuse(
        _SUBJECT,
        f"{_CLASS_FILE} and {_BOX_FILE}",
        "Target 1 exactly where the class is 'Lung Opacity'",
        [repr(image) for image in opposed["patientId"]],
    )
    return label.rename(columns={"class": "label"})


def _one_row_each(root: Path, name: str, column: str, meanings: Mapping[str, int]) -> pd.DataFrame:
    """Return what a column says of each image; an image has one row per box, which must agree."""
    rows = read_table(_SUBJECT, root, name, ("patientId", column), only=True)
    rows[column] = cell_values(_SUBJECT, name, rows[column], meanings)
    refuse_disagreement(_SUBJECT, name, rows, "patientId", [column])
    return rows.drop_duplicates("patientId")


def _patients(root: Path, ids: pd.Series) -> dict[str, str] | None:
    """Return the ChestX-ray14 patient (8 digits) of each image; None without a mapping."""
    files = sorted(path.name for path in root.glob("*mapping*.json"))
    if not files:
        return None
    if len(files) > 1:
        raise DataError(f"{_SUBJECT}: expected one mapping to ChestX-ray14, got {files!r}. Keep one of them.")
    pairs = pd.DataFrame(_mapping_entries(root, files[0]), columns=["image", "nih"]).drop_duplicates()
    patients = pairs["nih"].str.extract(r"^(\d{8})_\d{3}\.png$")[0]
    odd = pairs[patients.isna()]
    faults = [f"{nih!r} for {image!r}" for image, nih in odd.itertuples(index=False, name=None)]
    refuse(_SUBJECT, files[0], "names of ChestX-ray14 such as '00000001_000.png'", faults)
    twice = pairs.loc[pairs["image"].duplicated(), "image"]
    refuse(_SUBJECT, files[0], "one name for each image", [f"several for {image!r}" for image in twice])
    known = dict(zip(pairs["image"], patients, strict=True))
    absent = [f"none for {image!r}" for image in ids if image not in known]
    refuse(_SUBJECT, files[0], "a name for every labelled image", absent)
    return known


def _mapping_entries(root: Path, name: str) -> list[tuple[str, str]]:
    """Return pairs of an image here and its name in ChestX-ray14."""
    path = path_inside(root, name)
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{_SUBJECT}: {name}: expected at most {_MAX_BYTES} bytes, got more.")
    try:
        content: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{_SUBJECT}: {name}: expected a JSON file, got {error}.") from error
    for key in _NIH_KEYS:
        if _has_keys(content, {"subset_img_id", key}):
            return [(str(entry["subset_img_id"]), str(entry[key])) for entry in content]
    raise DataError(
        f"{_SUBJECT}: {name}: expected a list of objects with 'subset_img_id' and 'img_id', got another "
        "content. Get the file from RSNA again."
    )


def _has_keys(content: Any, keys: set[str]) -> bool:
    return (
        isinstance(content, list)
        and len(content) > 0
        and all(isinstance(entry, dict) and keys <= entry.keys() for entry in content)
    )


def _write_sample(root: Path) -> None:
    from medtransfer.tasks.samples_of_rsna_pneumonia import write_rsna_pneumonia_sample

    write_rsna_pneumonia_sample(root)


_PAGE = TaskPage(
    about=(
        "26,684 chest X-rays taken from ChestX-ray14, as DICOM files of 1024 x 1024 pixels, that radiologists "
        "sorted anew for the challenge: normal (8,851), neither normal nor with lung opacity (11,821), or with "
        "lung opacity that suggests pneumonia (6,012). Predicted is the class of the image; the boxes around "
        "opacities are not used."
    ),
    access=(
        "An account at Kaggle and acceptance of the rules of the RSNA Pneumonia Detection Challenge; free of "
        "charge. The mapping to ChestX-ray14 lies on RSNA's page of the challenge."
    ),
    layout=(
        "stage_2_detailed_class_info.csv   (patientId, class)\n"
        "stage_2_train_labels.csv          (patientId, x, y, width, height, Target)\n"
        "stage_2_train_images/<patientId>.dcm\n"
        f"{MAPPING_NAME}   (optional, advised; any file named *mapping*.json)"
    ),
    split=(
        "There is no official split of the labelled images. It is drawn here with a fixed seed, stratified by "
        "class, in the proportions of a division that was published without its lists (21,295 / 2,680 / 2,709). "
        "With the mapping no patient is cut, and sizes may differ by a few images. Without it "
        "every image counts as its own patient, and the split is another one."
    ),
    traps=(
        (
            "'patientId' names an image, not a patient. Only the mapping says which images are of one patient; "
            "without it a patient's images may lie in training and test."
        ),
        (
            "Both label files have a row for every box, so an image stands in several rows: they are merged, and "
            "refused where they disagree with each other or between the files."
        ),
        (
            "The images are those of ChestX-ray14 under other names: a model pretrained there has seen them, "
            "which reports mark."
        ),
        "The images of the challenge's own test (stage_2_test_images) have no published labels and are not used.",
    ),
)

rsna_pneumonia = TargetTask(
    name=_NAME,
    revision=1,
    title="Normal, not normal, or lung opacity in chest X-rays",
    kind=TaskKind.MULTI_CLASS,
    classes=CLASSES,
    metrics=("accuracy", "balanced-accuracy", "auc"),
    open=open_rsna_pneumonia,
    folders=("rsna-pneumonia", "rsna-pneumonia-detection-challenge"),
    licence="rules of the RSNA Pneumonia Detection Challenge at Kaggle",
    citation=(
        "Shih et al., Augmenting the National Institutes of Health Chest Radiograph Dataset with Expert "
        "Annotations of Possible Pneumonia, Radiology: Artificial Intelligence 1(1), 2019"
    ),
    url="https://www.kaggle.com/competitions/rsna-pneumonia-detection-challenge",
    expected=ExpectedCounts(
        variants=({"train+val+test": _TOTAL},),
        classes={"train+val+test": dict(zip(CLASSES, (8851, 11_821, 6012), strict=True))},
    ),
    image_sets=("rsna-pneumonia",),
    caution=(
        "Images are those of ChestX-ray14 under other names. Without RSNA's mapping to them every image counts "
        "as its own patient, and scores may be optimistic."
    ),
    page=_PAGE,
    write_sample=_write_sample,
)
