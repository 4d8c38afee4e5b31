"""Every 2-D MedMNIST v2 data set in its four image sizes, from the published ``.npz`` files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import LABEL_PREFIX, SPLITS, CaseTable
from medtransfer.data.npz_source import NpzSource, read_npz_arrays
from medtransfer.tasks.medmnist_sets import MEDMNIST_SETS, MedMNISTSet
from medtransfer.tasks.samples_of_medmnist import write_medmnist_sample
from medtransfer.tasks.target_task import TargetTask, TaskPage

SIZES = (28, 64, 128, 224)
"""Published side lengths in pixels; 28 has no suffix in file names."""

_CITATION = (
    "Yang et al., MedMNIST v2: A large-scale lightweight benchmark for 2D and 3D biomedical image "
    "classification, Scientific Data 10:41, 2023"
)


def read_medmnist(path: Path, kind: TaskKind, classes: tuple[str, ...]) -> CaseTable:
    """Return the case table of a MedMNIST file.

    Args:
        path: File with ``{train,val,test}_{images,labels}``; labels of shape (N,), (N, 1), or
            (N, C) for multi-label sets.
        kind: What is predicted.
        classes: Class names in label order.

    Raises:
        DataError: If an array is missing, of another shape, or holds a label outside the classes.
    """
    names = [f"{split}_{part}" for split in SPLITS for part in ("images", "labels")]
    arrays = read_npz_arrays(path, names)
    parts = [_split_frame(path, split, arrays, kind, classes) for split in SPLITS]
    frame = pd.concat(parts, ignore_index=True)
    return CaseTable(
        frame=frame,
        kind=kind,
        classes=classes,
        source=NpzSource(path),
        split_source="official",
        patients_known=False,
    )


def _split_frame(
    path: Path, split: str, arrays: Mapping[str, npt.NDArray[Any]], kind: TaskKind, classes: tuple[str, ...]
) -> pd.DataFrame:
    images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
    if len(images) != len(labels):
        raise DataError(
            f"{path.name}: expected as many {split}_labels as {split}_images, "
            f"got {len(labels)} and {len(images)}. Download the file again."
        )
    case_ids = [f"{split}-{number:06d}" for number in range(len(images))]
    columns: dict[str, Any] = {
        "case_id": case_ids,
        "patient_id": case_ids,
        "split": split,
        "image": [f"{split}_images/{number}" for number in range(len(images))],
    }
    return pd.DataFrame(columns | _label_columns(path, split, labels, kind, classes))


def _label_columns(
    path: Path, split: str, labels: npt.NDArray[Any], kind: TaskKind, classes: tuple[str, ...]
) -> dict[str, Any]:
    values = labels.astype(np.int64)
    width = len(classes) if kind is TaskKind.MULTI_LABEL else 1
    if values.reshape(len(values), -1).shape[1] != width:
        raise DataError(
            f"{path.name}: {split}_labels: expected shape (N, {width}), got {labels.shape}. "
            "Is this another data set?"
        )
    top = 2 if kind is TaskKind.MULTI_LABEL else len(classes)
    outside = np.argwhere((values < 0) | (values >= top))
    if len(outside):
        row = int(outside[0][0])
        raise DataError(
            f"{path.name}: {split}_labels row {row}: expected a label in [0, {top}), "
            f"got {values[row].tolist()!r} ({len(outside)} such values). Is this another data set?"
        )
    if kind is TaskKind.MULTI_LABEL:
        return {LABEL_PREFIX + name: values[:, column] for column, name in enumerate(classes)}
    return {"label": values.reshape(-1)}


def _task(facts: MedMNISTSet, size: int) -> TargetTask:
    stem = facts.name if size == SIZES[0] else f"{facts.name}_{size}"
    name = stem.replace("_", "-")
    metrics = ("auc",) if facts.kind is TaskKind.MULTI_LABEL else ("auc", "accuracy", "balanced-accuracy")
    return TargetTask(
        name=name,
        revision=1,
        title=f"{facts.title} ({size} px)",
        kind=facts.kind,
        classes=facts.classes,
        metrics=metrics,
        open=partial(read_medmnist, kind=facts.kind, classes=facts.classes),
        folders=(f"{stem}.npz", f"medmnist/{stem}.npz", f"{facts.name}/{stem}.npz"),
        licence=facts.licence,
        citation=_CITATION,
        url="https://medmnist.com",
        expected=ExpectedCounts(
            variants=tuple(dict(zip(SPLITS, counts, strict=True)) for counts in facts.counts)
        ),
        image_sets=(facts.image_set,),
        caution=facts.caution,
        page=_page(facts),
        family=facts.name,
        write_sample=partial(write_medmnist_sample, facts=facts, size=size),
    )


def _page(facts: MedMNISTSet) -> TaskPage:
    """Return what all four sizes of a set have in common."""
    counts = " or ".join(f"{train:,} / {val:,} / {test:,}" for train, val, test in facts.counts)
    larger = "\n".join(f"{facts.name}_{size}.npz    {size} x {size} pixels" for size in SIZES[1:])
    channels = " x 3" if facts.colour else ""
    columns = len(facts.classes) if facts.kind is TaskKind.MULTI_LABEL else 1
    return TaskPage(
        about=f"{facts.about} All images were reduced to small squares by the authors of MedMNIST.",
        access=(
            "Download from the Zenodo record linked at https://medmnist.com, one file per size. No "
            f"registration. Licence {facts.licence}; cite MedMNIST and the source of the images."
        ),
        layout=(
            f"{facts.name}.npz    28 x 28 pixels\n{larger}\n"
            "Any of them is enough, directly in the data folder or below medmnist/. Arrays in each:\n"
            f"  train_images, val_images, test_images    uint8, N x S x S{channels}\n"
            f"  train_labels, val_labels, test_labels    uint8, N x {columns}"
        ),
        split=(
            f"Official, stored in the file: {counts} images for training, validation and test. {facts.split} "
            "The files name no patients, so every image counts as its own patient and intervals are "
            "narrower than they should be."
        ),
        traps=(
            "28 pixels are too few for networks pretrained at 224: prefer the file of 224 pixels.",
            "Label arrays have the shape (N, 1) in most releases and (N,) in some copies; both are read.",
            *facts.traps,
        ),
    )


medmnist_tasks: tuple[TargetTask, ...] = tuple(
    _task(facts, size) for facts in MEDMNIST_SETS for size in SIZES
)
