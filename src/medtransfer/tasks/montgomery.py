"""NIH Montgomery: the lungs in chest X-rays, as the union of a left and a right mask."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.splits import draw_split
from medtransfer.tasks.image_names import image_names
from medtransfer.tasks.sample_files import write_lines, write_picture
from medtransfer.tasks.sample_pictures import chest_picture
from medtransfer.tasks.tables import refuse
from medtransfer.tasks.target_task import TargetTask, TaskPage

_NAME: Final = "montgomery-lung"
_SUBJECT: Final = f"task {_NAME!r}"
_PATTERN: Final = re.compile(r"MCUCXR_\d{4}_([01])\.png")
_FORM: Final = "MCUCXR_0001_0.png"
_MASKS: Final = ("ManualMask/leftMask", "ManualMask/rightMask")
_SIZES: Final = {"train": 92, "val": 15, "test": 31}
_SAMPLE_NUMBERS: Final = {0: range(1, 29), 1: range(104, 124)}


def open_montgomery(root: Path) -> CaseTable:
    """Return the case table of a folder in the official layout.

    Args:
        root: Folder with ``CXR_png``, ``ManualMask/leftMask`` and ``ManualMask/rightMask``.

    Raises:
        DataError: If an image has another name, or an image or one of its two masks is missing.
    """
    names = image_names(_SUBJECT, root, "CXR_png", _PATTERN, _FORM)
    for folder in _MASKS:
        masks = image_names(_SUBJECT, root, folder, _PATTERN, _FORM)
        refuse(
            _SUBJECT, folder, "a mask for every image", [repr(name) for name in names if name not in masks]
        )
        refuse(
            _SUBJECT,
            folder,
            "masks of images in CXR_png",
            [repr(name) for name in masks if name not in names],
        )
    stems = [name.removesuffix(".png") for name in names]
    labels = [match.group(1) for match in names.values()]
    frame = pd.DataFrame({"case_id": stems, "patient_id": stems})
    frame["split"] = _draw(stems, labels)
    frame["image"] = [f"CXR_png/{name}" for name in names]
    frame["mask"] = [tuple(f"{folder}/{name}" for folder in _MASKS) for name in names]
    return CaseTable(frame, TaskKind.SEGMENTATION, ("lung",), FileSource(root), "ours")


def _draw(stems: list[str], labels: list[str]) -> list[str]:
    shares = {split: number / sum(_SIZES.values()) for split, number in _SIZES.items()}
    drawn: list[str] = draw_split(stems, labels, shares, seed=seed_from("split", _NAME)).tolist()
    return drawn


def write_montgomery_sample(root: Path) -> None:
    """Write 48 drawn chests with the masks of their lungs, upright and across.

    Args:
        root: Folder to write into.
    """
    for label, numbers in _SAMPLE_NUMBERS.items():
        for number in numbers:
            stem = f"MCUCXR_{number:04}_{label}"
            image, lungs = chest_picture("montgomery", number, 0, [1] * label, 60)
            shown = slice(5, 55)
            part = np.s_[:, shown] if number % 2 else np.s_[shown, :]
            first = np.arange(60)[None, :] < 30  # the patient's right lung is on the left of the picture
            write_picture(root / "CXR_png" / f"{stem}.png", image[part])
            for folder, half in zip(_MASKS, (~first, first), strict=True):
                write_picture(root / folder / f"{stem}.png", (255 * lungs * half)[part].astype(bool))
            reading = (
                "Patient's Sex: F",
                f"Patient's Age: {30 + number % 40:03}Y",
                "TB" if label else "normal",
            )
            write_lines(root / "ClinicalReadings" / f"{stem}.txt", reading)


montgomery_lung = TargetTask(
    name=_NAME,
    revision=1,
    title="Lungs in chest X-rays of Montgomery County",
    kind=TaskKind.SEGMENTATION,
    classes=("lung",),
    metrics=("dice", "dice-pooled"),
    open=open_montgomery,
    folders=("montgomery", "MontgomerySet", "montgomery/MontgomerySet"),
    licence="free for research; the source must be cited",
    citation=(
        "Jaeger et al., Two public chest X-ray datasets for computer-aided screening of pulmonary diseases, "
        "Quantitative Imaging in Medicine and Surgery 4(6), 2014"
    ),
    url="https://lhncbc.nlm.nih.gov/LHC-publications/pubs/TuberculosisChestXrayImageDataSets.html",
    expected=ExpectedCounts(variants=(_SIZES,)),
    image_sets=("montgomery-cxr",),
    caution="The test split has 31 images, and lungs are easy to mark: small differences of Dice mean little.",
    page=TaskPage(
        about=(
            "138 frontal chest X-rays of the tuberculosis programme of Montgomery County, USA, with and without "
            "tuberculosis (by the file names; the data set's own page counts 80 normal and 58 with). Both lungs are "
            "to be marked."
        ),
        access="Free download from the National Library of Medicine (LHNCBC), without registration.",
        layout=(
            "CXR_png/MCUCXR_0001_0.png             digit before .png: 1 is tuberculosis\n"
            "ManualMask/leftMask/MCUCXR_0001_0.png   the left lung\n"
            "ManualMask/rightMask/MCUCXR_0001_0.png  the right lung\n"
            "ClinicalReadings/MCUCXR_0001_0.txt    sex, age and finding; not used"
        ),
        split=(
            "Drawn with a fixed seed, stratified by the label in the file name: 92 / 15 / 31 images, one per "
            "patient. The lists of the studies that use this set are not published."
        ),
        traps=(
            "The lungs are in two files: their union is the mask. Every value above 0 counts.",
            "The X-rays are 4020 x 4892 pixels or the other way round, so batches of full images fit nowhere.",
            "With a Dice near 1 for every model, the choice of the threshold and of the size matters as much.",
        ),
    ),
    write_sample=write_montgomery_sample,
)
