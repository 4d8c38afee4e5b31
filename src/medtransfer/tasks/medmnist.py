"""Every 2-D MedMNIST v2 data set in its four image sizes, from the published ``.npz`` files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from medtransfer.tasks.target_task import TargetTask

SIZES = (28, 64, 128, 224)
"""Published side lengths in pixels; 28 has no suffix in file names."""

_CITATION = (
    "Yang et al., MedMNIST v2: A large-scale lightweight benchmark for 2D and 3D biomedical image "
    "classification, Scientific Data 10:41, 2023"
)
_ORGANS = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right"),
    *("liver", "lung-left", "lung-right", "pancreas", "spleen"),
)
CHEST_FINDINGS = (
    *(
        "Atelectasis",
        "Cardiomegaly",
        "Effusion",
        "Infiltration",
        "Mass",
        "Nodule",
        "Pneumonia",
        "Pneumothorax",
    ),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)


@dataclass(frozen=True)
class MedMNISTSet:
    """The facts of one MedMNIST data set."""

    name: str
    """File stem of the 28-pixel release."""
    title: str
    """One line for people."""
    kind: TaskKind
    """What is predicted."""
    classes: tuple[str, ...]
    """Class names in label order."""
    counts: tuple[tuple[int, int, int], ...]
    """Official train, val and test counts; a second entry where a later release differs."""
    image_set: str
    """Where the images come from."""
    caution: str = ""
    """Known weakness of the data set."""


_SETS = (
    MedMNISTSet(
        "pathmnist",
        "Colorectal tissue in histology, nine classes",
        TaskKind.MULTI_CLASS,
        (
            *(
                "adipose",
                "background",
                "debris",
                "lymphocytes",
                "mucus",
                "smooth muscle",
                "normal colon mucosa",
            ),
            *("cancer-associated stroma", "colorectal adenocarcinoma epithelium"),
        ),
        ((89_996, 10_004, 7_180),),
        "nct-crc-he-100k",
    ),
    MedMNISTSet(
        "chestmnist",
        "Fourteen findings in frontal chest X-rays",
        TaskKind.MULTI_LABEL,
        CHEST_FINDINGS,
        ((78_468, 11_219, 22_433),),
        "chestxray14",
    ),
    MedMNISTSet(
        "dermamnist",
        "Pigmented skin lesions, seven classes",
        TaskKind.MULTI_CLASS,
        ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"),
        ((7_007, 1_003, 2_005),),
        "ham10000",
        "Several images of one lesion lie in different official splits, so scores are optimistic.",
    ),
    MedMNISTSet(
        "octmnist",
        "Retinal optical coherence tomography, four classes",
        TaskKind.MULTI_CLASS,
        ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
        ((97_477, 10_832, 1_000),),
        "kermany-oct",
    ),
    MedMNISTSet(
        "pneumoniamnist",
        "Pneumonia in paediatric chest X-rays",
        TaskKind.BINARY,
        ("normal", "pneumonia"),
        ((4_708, 524, 624),),
        "kermany-pediatric-cxr",
    ),
    MedMNISTSet(
        "retinamnist",
        "Diabetic retinopathy grade in fundus photographs",
        TaskKind.MULTI_CLASS,
        ("grade 0", "grade 1", "grade 2", "grade 3", "grade 4"),
        ((1_080, 120, 400),),
        "deepdrid",
        "Grades are ordered; the metrics treat them as plain classes.",
    ),
    MedMNISTSet(
        "breastmnist",
        "Breast ultrasound: normal or benign against malignant",
        TaskKind.BINARY,
        ("malignant", "normal or benign"),
        ((546, 78, 156),),
        "busi",
    ),
    MedMNISTSet(
        "bloodmnist",
        "Blood cells under the microscope, eight classes",
        TaskKind.MULTI_CLASS,
        (
            *("basophil", "eosinophil", "erythroblast", "immature granulocyte"),
            *("lymphocyte", "monocyte", "neutrophil", "platelet"),
        ),
        ((11_959, 1_712, 3_421),),
        "pbc-blood-cells",
    ),
    MedMNISTSet(
        "tissuemnist",
        "Human kidney cortex cells, eight classes",
        TaskKind.MULTI_CLASS,
        (
            *(
                "collecting duct or connecting tubule",
                "distal convoluted tubule",
                "glomerular endothelial cell",
            ),
            *("interstitial endothelial cell", "leukocyte", "podocyte", "proximal tubule segment"),
            "thick ascending limb",
        ),
        ((165_466, 23_640, 47_280),),
        "bbbc051",
    ),
    MedMNISTSet(
        "organamnist",
        "Abdominal organs in axial CT, eleven classes",
        TaskKind.MULTI_CLASS,
        _ORGANS,
        ((34_581, 6_491, 17_778), (34_561, 6_491, 17_778)),
        "lits",
    ),
    MedMNISTSet(
        "organcmnist",
        "Abdominal organs in coronal CT, eleven classes",
        TaskKind.MULTI_CLASS,
        _ORGANS,
        ((13_000, 2_392, 8_268), (12_975, 2_392, 8_216)),
        "lits",
    ),
    MedMNISTSet(
        "organsmnist",
        "Abdominal organs in sagittal CT, eleven classes",
        TaskKind.MULTI_CLASS,
        _ORGANS,
        ((13_940, 2_452, 8_829), (13_932, 2_452, 8_827)),
        "lits",
    ),
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
        licence="CC BY-NC 4.0" if facts.name == "dermamnist" else "CC BY 4.0",
        citation=_CITATION,
        url="https://medmnist.com",
        expected=ExpectedCounts(
            variants=tuple(dict(zip(SPLITS, counts, strict=True)) for counts in facts.counts)
        ),
        image_sets=(facts.image_set,),
        caution=facts.caution,
    )


medmnist_tasks: tuple[TargetTask, ...] = tuple(_task(facts, size) for facts in _SETS for size in SIZES)
