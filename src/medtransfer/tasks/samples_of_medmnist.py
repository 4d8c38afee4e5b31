"""Synthetic copies of the MedMNIST files: the same arrays with a few drawn images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.seeds import generator
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.image_source import UInt8Array
from medtransfer.tasks.medmnist_sets import MedMNISTSet
from medtransfer.tasks.sample_pictures import chest_picture, class_picture, lesion_picture

_DRAWN_SIDE: Final = 28
_IMAGES: Final = {"train": 60, "val": 20, "test": 20}
_FIRST_NUMBER: Final = {"train": 0, "val": 1000, "test": 2000}
_FEWEST_PER_CLASS: Final = 2
_PREVALENCE: Final = 0.25


def write_medmnist_sample(path: Path, facts: MedMNISTSet, size: int) -> None:
    """Write a ``.npz`` file like the published one, of 60 training, 20 validation and 20 test images.

    The sets of eleven organs have two more in validation and test, so that each class has two there.
    Images are drawn 28 pixels wide and enlarged without smoothing, which keeps the file small; the four
    sizes show the same pictures.

    Args:
        path: File to write.
        facts: The data set.
        size: Side of the images in pixels.
    """
    arrays: dict[str, npt.NDArray[np.uint8]] = {}
    for split, number in _IMAGES.items():
        labels = _labels(facts, split, number)
        first = _FIRST_NUMBER[split]
        images = [_picture(facts, first + row, _shown(facts, label)) for row, label in enumerate(labels)]
        arrays[f"{split}_images"] = np.stack([_enlarged(image, size) for image in images])
        arrays[f"{split}_labels"] = labels
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def _labels(facts: MedMNISTSet, split: str, number: int) -> npt.NDArray[np.uint8]:
    """Return labels (N, 1) with all classes in turn, or (N, C) with each class in about a quarter of the rows."""
    classes = len(facts.classes)
    if facts.kind is not TaskKind.MULTI_LABEL:
        number = max(number, _FEWEST_PER_CLASS * classes)
        return (np.arange(number) % classes).astype(np.uint8)[:, None]
    labels = (generator("labels", facts.name, split).random((number, classes)) < _PREVALENCE).astype(np.uint8)
    for column in range(classes):
        labels[column : column + _FEWEST_PER_CLASS + 1, column] = 1
    labels[-2:] = 0  # as most of the real images: nothing found
    return labels


def _shown(facts: MedMNISTSet, label: npt.NDArray[np.uint8]) -> list[int]:
    if facts.kind is TaskKind.MULTI_LABEL:
        return [int(number) for number in np.flatnonzero(label)]
    return [int(label[0])]


def _picture(facts: MedMNISTSet, number: int, shown: list[int]) -> UInt8Array:
    if facts.image_set == "busi":
        return lesion_picture(facts.name, number, _DRAWN_SIDE, rough=shown == [0])[0]
    if facts.image_set in {"chestxray14", "kermany-pediatric-cxr"}:
        classes = shown if facts.kind is TaskKind.MULTI_LABEL else [1] * (shown == [1])
        return chest_picture(facts.name, number, 0, classes, _DRAWN_SIDE)[0]
    picture = class_picture(facts.name, shown[0], number, _DRAWN_SIDE)
    return picture if facts.colour else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _enlarged(image: UInt8Array, size: int) -> UInt8Array:
    resized: npt.NDArray[Any] = cv2.resize(image, (size, size), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, dtype=np.uint8)
