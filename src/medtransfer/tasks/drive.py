"""DRIVE: blood vessels in fundus photographs, scored inside the field of view and over the whole image."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.seeds import generator, seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.image_source import UInt8Array
from medtransfer.data.splits import hold_out
from medtransfer.tasks.sample_files import write_picture
from medtransfer.tasks.sample_gifs import write_gif_mask
from medtransfer.tasks.target_task import TargetTask, TaskPage

_VALIDATION_SHARE = 0.2
_NUMBERS: Final = {"training": range(21, 41), "test": range(1, 21)}
_SAMPLE_SHAPE: Final = (58, 57)


def open_drive(root: Path) -> CaseTable:
    """Return the case table of a folder in the official layout.

    The official test images are the test split. A fifth of the official training images, drawn
    with a fixed seed, is the validation split, because DRIVE has none.

    Args:
        root: Folder with ``training/`` and ``test/``, each with ``images``, ``1st_manual`` and ``mask``.

    Raises:
        DataError: If a folder, a vessel mask or a field-of-view mask is missing.
    """
    training = [_row(root, path, "training", "train") for path in _images(root, "training")]
    numbers = [str(row["case_id"]) for row in training]
    seed = seed_from("split", "drive-vessel")
    splits = hold_out(["train"] * len(numbers), numbers, None, share=_VALIDATION_SHARE, seed=seed)
    for row, split in zip(training, splits, strict=True):
        row["split"] = str(split)
    test = [_row(root, path, "test", "test") for path in _images(root, "test")]
    return CaseTable(
        frame=pd.DataFrame([*training, *test]),
        kind=TaskKind.SEGMENTATION,
        classes=("vessel",),
        source=FileSource(root),
        split_source="official",
    )


def _images(root: Path, part: str) -> list[Path]:
    paths = sorted((root / part / "images").glob("*.tif"))
    if not paths:
        raise DataError(
            f"drive-vessel: expected .tif images in {root / part / 'images'}, got none. Check the folder."
        )
    return paths


def _row(root: Path, image: Path, part: str, split: str) -> dict[str, object]:
    number = image.name.split("_", 1)[0]
    mask = f"{part}/1st_manual/{number}_manual1.gif"
    view = f"{part}/mask/{number}_{part}_mask.gif"
    for name, what in ((mask, "vessel mask"), (view, "field-of-view mask")):
        if not (root / name).is_file():
            hint = " Recent downloads withhold the test masks: add them." if part == "test" else ""
            raise DataError(
                f"drive-vessel: expected the {what} {name} for {image.name}, got no such file.{hint}"
            )
    return {
        "case_id": number,
        "patient_id": number,
        "split": split,
        "image": image.relative_to(root).as_posix(),
        "mask": (mask,),
        "field_of_view": view,
    }


def write_drive_sample(root: Path) -> None:
    """Write all forty cases as drawn fundus photographs of 57 x 58 pixels, in the official layout.

    Args:
        root: Folder to write into.
    """
    for part, numbers in _NUMBERS.items():
        for number in numbers:
            name = f"{number:02}"
            image, vessels, view = _draw_fundus(number)
            write_picture(root / part / "images" / f"{name}_{part}.tif", image)
            write_gif_mask(root / part / "1st_manual" / f"{name}_manual1.gif", vessels)
            write_gif_mask(root / part / "mask" / f"{name}_{part}_mask.gif", view)


def _draw_fundus(number: int) -> tuple[UInt8Array, UInt8Array, UInt8Array]:
    """Return a photograph (H, W, 3), its vessels (H, W) and the round field of view (H, W), 1 inside."""
    rng = generator("fundus", number)
    height, width = _SAMPLE_SHAPE
    rows, columns = np.mgrid[0:height, 0:width]
    view = (np.hypot(rows - height / 2, columns - width / 2) < 0.46 * width).astype(np.uint8)
    disc = np.array([width * (0.3 if number % 2 else 0.7), height * rng.uniform(0.45, 0.55)])
    vessels = np.zeros((height, width), np.uint8)
    for start in np.linspace(0, 2 * np.pi, 9)[:-1] + rng.uniform(0, 0.5):
        angles = start + np.cumsum(rng.normal(0, 0.25, 14))
        steps = 4.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        path = np.rint(disc + np.cumsum(steps, axis=0)).astype(np.int32)
        cv2.polylines(vessels, [path[:, None]], isClosed=False, color=1)
    vessels *= view
    glow = np.exp(-(np.hypot(rows - disc[1], columns - disc[0]) ** 2) / 40)[..., None]
    ground = np.array([190, 95, 45]) * rng.uniform(0.8, 1.1) + glow * np.array([60, 110, 90])
    painted = ground - vessels[..., None] * np.array([60, 50, 20]) + rng.normal(0, 6, (height, width, 3))
    return np.clip(painted * view[..., None], 0, 255).astype(np.uint8), vessels, view


drive_vessel = TargetTask(
    name="drive-vessel",
    revision=1,
    title="Blood vessels in fundus photographs",
    kind=TaskKind.SEGMENTATION,
    classes=("vessel",),
    metrics=("dice-fov", "dice", "dice-pooled-fov", "dice-pooled"),
    open=open_drive,
    folders=("drive-vessel", "drive/DRIVE", "DRIVE", "drive"),
    licence="research use; registration at the challenge site",
    citation="Staal et al., Ridge-based vessel segmentation in color images of the retina, IEEE TMI 23(4), 2004",
    url="https://drive.grand-challenge.org",
    expected=ExpectedCounts(variants=({"train": 16, "val": 4, "test": 20},)),
    image_sets=("drive",),
    caution="Validation is 4 of the 20 official training images, drawn here with a fixed seed.",
    page=TaskPage(
        about=(
            "Forty colour photographs of the ocular fundus, 565 x 584 pixels, from a screening programme for "
            "diabetic retinopathy in the Netherlands. Every pixel is to be marked as vessel or not; the marks "
            "of the first observer are the truth."
        ),
        access="Register at the challenge site and join DRIVE; free for research.",
        layout=(
            "training/images/21_training.tif ... 40_training.tif\n"
            "training/1st_manual/21_manual1.gif        vessels, 0 and 255\n"
            "training/mask/21_training_mask.gif        field of view, 0 and 255\n"
            "test/images/01_test.tif ... 20_test.tif\n"
            "test/1st_manual/01_manual1.gif            withheld from recent downloads\n"
            "test/mask/01_test_mask.gif"
        ),
        split=(
            "The official 20 test images (01 to 20) are the test split. Of the official 20 training images "
            "(21 to 40) four are held out for validation, drawn with a fixed seed, because DRIVE has no "
            "validation images. Each photograph shows another patient."
        ),
        traps=(
            (
                "The corners outside the round field of view are black and easy. Dice is therefore given twice: "
                "inside the field of view (first) and over the whole image."
            ),
            (
                "Recent downloads come without the vessel masks of the test images. They are then asked for, "
                "never replaced by a part of the training images."
            ),
            (
                "Vessels are about one pixel wide in small images: a network that sees 224 pixels cannot mark "
                "them well. Give it 512."
            ),
            "Twenty test images: differences between models need their intervals.",
        ),
    ),
    family="drive",
    write_sample=write_drive_sample,
)
