"""ImageNet-1k and every tenth or hundredth of its classes: the natural control of medical results."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.splits import draw_split
from medtransfer.tasks.imagenet_validation import labelled_validation_images
from medtransfer.tasks.samples_of_imagenet import write_imagenet_sample
from medtransfer.tasks.stored_images import stored_images
from medtransfer.tasks.tables import refuse
from medtransfer.tasks.target_task import TargetTask, TaskPage

WORDNET_IDS: Final = tuple(
    Path(__file__).with_name("imagenet_synsets.txt").read_text(encoding="utf-8").split()
)
"""The 1000 classes, sorted, which is the label order of every published model."""

_KAGGLE_FOLDER: Final = "ILSVRC/Data/CLS-LOC"
_ENDINGS: Final = (".jpeg",)
_HALVES: Final = {"val": 0.5, "test": 0.5}


def open_imagenet(root: Path, name: str, step: int) -> CaseTable:
    """Return the case table of every ``step``-th class.

    Args:
        root: Folder with ``train`` and ``val``, as they are or below ``ILSVRC/Data/CLS-LOC``; classes
            that are not wanted may be missing.
        name: Name of the task, for messages.
        step: 1 for all classes, 10 or 100 for fewer.

    Raises:
        DataError: If a class has no training or fewer than two validation images, or the labels of the
            validation images are missing or wrong.
    """
    subject = f"task {name!r}"
    below = f"{_KAGGLE_FOLDER}/" if (root / _KAGGLE_FOLDER).is_dir() else ""
    classes = WORDNET_IDS[::step]
    train = {wnid: stored_images(root, f"{below}train/{wnid}", _ENDINGS) for wnid in classes}
    none = [wnid for wnid, images in train.items() if not images]
    refuse(subject, f"{below}train", "a folder with .JPEG images for every class", none)
    held_out = _validation_images(subject, root, f"{below}val", classes)
    rows = [(image, "train", number) for number, wnid in enumerate(classes) for image in train[wnid]]
    for number, wnid in enumerate(classes):
        images = held_out[wnid]
        seed = seed_from("split", "imagenet-1k", wnid)
        split = draw_split([Path(image).stem for image in images], None, _HALVES, seed=seed)
        rows += [(image, part, number) for image, part in zip(images, split.tolist(), strict=True)]
    return _case_table(root, classes, rows, _other_folders(root, f"{below}train"))


def _case_table(
    root: Path,
    classes: tuple[str, ...],
    rows: Sequence[tuple[str, str, int]],
    problems: tuple[Problem, ...],
) -> CaseTable:
    frame = pd.DataFrame(rows, columns=["image", "split", "label"])
    frame["case_id"] = frame["image"].str.rsplit("/", n=1).str[1].str.rsplit(".", n=1).str[0]
    frame["patient_id"] = frame["case_id"]
    return CaseTable(
        frame.sort_values("case_id", ignore_index=True),
        TaskKind.MULTI_CLASS,
        classes,
        FileSource(root),
        split_source="ours",
        patients_known=False,
        opening_problems=problems,
    )


def _validation_images(subject: str, root: Path, folder: str, classes: Sequence[str]) -> dict[str, list[str]]:
    """Return the validation images of each class, sorted, from folders of classes or from their labels."""
    flat = stored_images(root, folder, _ENDINGS)
    nested = {wnid: stored_images(root, f"{folder}/{wnid}", _ENDINGS) for wnid in classes}
    if flat and any(nested.values()):
        raise DataError(
            f"{subject}: {folder}: expected images in folders of classes or directly in it, got both. Keep one."
        )
    found = labelled_validation_images(subject, root, flat, classes, WORDNET_IDS) if flat else nested
    few = [wnid for wnid in classes if len(found[wnid]) < 2]
    refuse(subject, folder, "two or more validation images of every class", few)
    return found


def _other_folders(root: Path, folder: str) -> tuple[Problem, ...]:
    """Return the problem of folders that are no class of ImageNet-1k."""
    found = {
        path.name for path in (root / folder).iterdir() if path.is_dir() and not path.name.startswith(".")
    }
    extra = sorted(found - set(WORDNET_IDS))
    if not extra:
        return ()
    named = f"{len(extra)} other folders, first {extra[:5]!r}"
    advice = "Remove them, or accept that their images are left out."
    return (Problem("unlisted-image", folder, "only folders of the 1000 classes", named, advice),)


_PAGE: Final = TaskPage(
    about=(
        "Photographs of 1000 kinds of objects and animals, one per picture. No medical target: it is the "
        "control that shows what a source model does on its own ground. The smaller tasks take every 10th "
        "and every 100th class in the order of the WordNet ids."
    ),
    access="Register at image-net.org or take part in the Kaggle competition; for research that is not commercial.",
    layout=(
        "train/n01440764/n01440764_10026.JPEG      a folder per class\n"
        "val/n01440764/ILSVRC2012_val_00000293.JPEG    either a folder per class\n"
        "val/ILSVRC2012_val_00000293.JPEG              or all in one, with one of:\n"
        "  LOC_val_solution.csv                        ImageId, PredictionString (class, then boxes)\n"
        "  ILSVRC2012_devkit_t12/data/                 ILSVRC2012_validation_ground_truth.txt and meta.mat\n"
        "train/ and val/ may lie below ILSVRC/Data/CLS-LOC/, as in the Kaggle archive."
    ),
    split=(
        "Training images are the official ones. Labels of the official test images are not public, so the "
        "50,000 validation images are halved, class by class with a fixed seed: 25,000 for validation and "
        "25,000 for the test (2,500 and 250 for the smaller tasks). The three tasks share this division."
    ),
    traps=(
        (
            "Models pretrained on ImageNet have seen the training images, and most were chosen on the "
            "validation images: results on this control are no transfer."
        ),
        (
            "The numbers in ILSVRC2012_validation_ground_truth.txt count classes in an order of their own, "
            "which meta.mat explains, not in the order of the WordNet ids. Without meta.mat they are refused."
        ),
        "With 250 test images one image is 0.4 points of accuracy.",
        (
            "One file named .JPEG holds a PNG image, some are grey, and some are stored in four printing "
            "colours."
        ),
    ),
)


def _task(name: str, step: int, title: str, expected: ExpectedCounts) -> TargetTask:
    return TargetTask(
        name=name,
        revision=1,
        title=title,
        kind=TaskKind.MULTI_CLASS,
        classes=WORDNET_IDS[::step],
        metrics=("accuracy", "balanced-accuracy"),
        open=partial(open_imagenet, name=name, step=step),
        folders=("imagenet", "ImageNet", "ILSVRC2012", "imagenet-1k"),
        licence="ImageNet terms: research and education that is not commercial",
        citation=(
            "Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, International Journal of "
            "Computer Vision 115(3), 2015"
        ),
        url="https://image-net.org/download-images.php",
        expected=expected,
        image_sets=("imagenet-1k",),
        caution="A control on everyday photographs, which most source models were trained on: no medical result.",
        page=_PAGE,
        family="imagenet",
        purpose="control",
        write_sample=partial(write_imagenet_sample, classes=WORDNET_IDS),
    )


imagenet_tasks: tuple[TargetTask, ...] = (
    _task(
        "imagenet-1k",
        1,
        "ImageNet-1k, all classes",
        ExpectedCounts(({"train": 1_281_167, "val": 25_000, "test": 25_000},)),
    ),
    _task(
        "imagenet-100", 10, "ImageNet, every tenth class", ExpectedCounts(({"val": 2_500, "test": 2_500},))
    ),
    _task(
        "imagenet-10", 100, "ImageNet, every hundredth class", ExpectedCounts(({"val": 250, "test": 250},))
    ),
)
"""All classes, a tenth and a hundredth of them."""
