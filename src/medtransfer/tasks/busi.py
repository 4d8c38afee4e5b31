"""BUSI: lesions in breast ultrasound, to be marked or to be named; look-alikes stay in one split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pandas as pd

from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.inside_root import path_inside
from medtransfer.data.perceptual_hashes import perceptual_hash_of_file, similar_groups
from medtransfer.data.splits import draw_split
from medtransfer.tasks.image_names import image_names
from medtransfer.tasks.samples_of_busi import write_busi_sample
from medtransfer.tasks.tables import refuse
from medtransfer.tasks.target_task import TargetTask, TaskPage

CLASSES: Final = ("benign", "malignant", "normal")
LESIONS: Final = ("benign", "malignant")

# Seen on the 28-pixel copies of the 780 images in BreastMNIST: pairs that differ by up to 8 of 64 bits are plainly
# the same picture (correlation above 0.93), different images begin at 10; linked at 8 they make 600 groups, the
# number of women the data set names.
_MOST_BITS: Final = 8
_PATTERN: Final = re.compile(r"((?:benign|malignant|normal) \(\d+\))(_mask(?:_\d+)?)?\.png")
_FORM: Final = "benign (1).png"


def open_busi(root: Path) -> CaseTable:
    """Return the case table of benign, malignant and normal images.

    Args:
        root: Folder with ``benign``, ``malignant`` and ``normal``.

    Raises:
        DataError: If a folder is missing, a file has another name, or an image cannot be read.
    """
    frame = _cases("busi", root).drop(columns="mask")
    frame["label"] = [CLASSES.index(name) for name in frame.pop("class")]
    return CaseTable(
        frame,
        TaskKind.MULTI_CLASS,
        CLASSES,
        FileSource(root),
        split_source="ours",
        patients_known=False,
        unused=("*_mask*.png",),
    )


def open_busi_lesion(root: Path) -> CaseTable:
    """Return the case table of the images that show a lesion, with all masks of each.

    Args:
        root: As for :func:`open_busi`; the split is that of all three folders.

    Raises:
        DataError: As for :func:`open_busi`, or if an image has no mask.
    """
    frame = _cases("busi-lesion", root)
    frame = frame[frame.pop("class").isin(LESIONS)].reset_index(drop=True)
    faults = [repr(path) for path, masks in zip(frame["image"], frame["mask"], strict=True) if not masks]
    refuse("task 'busi-lesion'", "benign, malignant", "a mask for every image", faults)
    frame["foreground"] = True
    return CaseTable(
        frame,
        TaskKind.SEGMENTATION,
        ("lesion",),
        FileSource(root),
        split_source="ours",
        patients_known=False,
        unused=("normal*.png",),
    )


def _cases(task: str, root: Path) -> pd.DataFrame:
    """Return all images with their class, masks, group and split, in the order of their names."""
    rows = [row for name in CLASSES for row in _images(f"task {task!r}", root, name)]
    frame = pd.DataFrame(rows, columns=["case_id", "image", "mask", "class"])
    frame = frame.sort_values("case_id", ignore_index=True)
    frame["patient_id"] = _look_alikes(root, frame["image"].tolist(), frame["case_id"].tolist())
    seed = seed_from("split", "busi")
    frame["split"] = draw_split(frame["patient_id"].tolist(), frame["class"].tolist(), seed=seed)
    return frame


def _images(subject: str, root: Path, name: str) -> list[tuple[str, str, tuple[str, ...], str]]:
    """Return case id, image, masks and class of each image in a folder."""
    files = image_names(subject, root, name, _PATTERN, _FORM)
    masks: dict[str, list[str]] = {match.group(1): [] for match in files.values() if not match.group(2)}
    strange = [repr(file) for file in files if not file.startswith(name)]
    refuse(subject, name, f"files named like '{name} (1).png'", strange)
    alone = [repr(file) for file, match in files.items() if match.group(2) and match.group(1) not in masks]
    refuse(subject, name, "masks of images that are there", alone)
    for file, match in files.items():
        if match.group(2):
            masks[match.group(1)].append(f"{name}/{file}")
    return [(case, f"{name}/{case}.png", tuple(found), name) for case, found in masks.items()]


def _look_alikes(root: Path, images: Sequence[str], case_ids: Sequence[str]) -> list[str]:
    """Return the group of each image: the id of its first look-alike, its own where there is none."""
    hashes = [perceptual_hash_of_file(path_inside(root, image)) for image in images]
    groups = similar_groups(hashes, _MOST_BITS)
    first: dict[int, str] = {}
    return [first.setdefault(group, case_id) for group, case_id in zip(groups, case_ids, strict=True)]


_PAGE: Final = TaskPage(
    about=(
        "780 ultrasound images of the breasts of 600 women, collected in Cairo: 437 with a benign lesion, "
        "210 with a malignant one and 133 normal. One task is to mark the lesion in the first two kinds "
        "(647 images), the other to tell the three kinds apart."
    ),
    access="Free download from the authors' page, with citation; the terms differ between mirrors.",
    layout=(
        "benign/benign (1).png              image\n"
        "benign/benign (1)_mask.png         its lesion\n"
        "benign/benign (4)_mask_1.png       further lesions of the same image\n"
        "malignant/malignant (1).png        likewise\n"
        "normal/normal (1).png              with an empty mask"
    ),
    split=(
        "Drawn here with a fixed seed, 70 / 10 / 20 %, stratified by class; both tasks share it. The data "
        "set names no patients. Images whose 64-bit perceptual hashes (pHash) differ by at most 8 bits, "
        "directly or through others, stay in one split. The lists of the studies that use BUSI are not "
        "published."
    ),
    traps=(
        (
            "The same image, cut or annotated differently, occurs several times, also once as benign and once "
            "as malignant. A split by image puts copies into training and test."
        ),
        (
            "Pairs that differ more, such as two views of one lesion, are not recognised: scores may still be "
            "optimistic."
        ),
        "Seventeen images have two or three masks, one per lesion: their union is the truth.",
        (
            "Masks of normal images are empty. They take no part in the lesion task: an empty prediction would "
            "score 1."
        ),
        "Some images hold callipers, arrows or text beside or on the lesion, which a network can read.",
        "BreastMNIST consists of these images.",
    ),
)

_record = partial(
    TargetTask,
    revision=1,
    folders=("busi/Dataset_BUSI_with_GT", "Dataset_BUSI_with_GT", "busi"),
    licence="free with citation; terms differ between mirrors",
    citation="Al-Dhabyani et al., Dataset of breast ultrasound images, Data in Brief 28:104863, 2020",
    url="https://scholar.cu.edu.eg/?q=afahmy/pages/dataset",
    image_sets=("busi",),
    caution=(
        "The data set names no patients: images that look alike were kept together, but other images of "
        "one woman may lie in training and test."
    ),
    page=_PAGE,
    family="busi",
    write_sample=write_busi_sample,
)

busi = _record(
    name="busi",
    title="Benign, malignant or normal in breast ultrasound",
    kind=TaskKind.MULTI_CLASS,
    classes=CLASSES,
    metrics=("auc", "accuracy", "balanced-accuracy"),
    open=open_busi,
    expected=ExpectedCounts(
        variants=({"train+val+test": 780},),
        classes={"train+val+test": {"benign": 437, "malignant": 210, "normal": 133}},
    ),
)

busi_lesion = _record(
    name="busi-lesion",
    title="Lesions in breast ultrasound",
    kind=TaskKind.SEGMENTATION,
    classes=("lesion",),
    metrics=("dice", "dice-pooled"),
    open=open_busi_lesion,
    expected=ExpectedCounts(variants=({"train+val+test": 647},)),
)
