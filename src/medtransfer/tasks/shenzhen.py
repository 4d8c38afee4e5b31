"""NIH Shenzhen: tuberculosis or none in chest X-rays, split by the published lists or as they are sized."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pandas as pd

from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import SPLITS, CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.splits import draw_split
from medtransfer.tasks.image_names import image_names
from medtransfer.tasks.opening_problems import unlisted_images
from medtransfer.tasks.published_lists import read_published_lists
from medtransfer.tasks.sample_files import write_lines, write_picture
from medtransfer.tasks.sample_pictures import UInt8Array, chest_picture
from medtransfer.tasks.tables import refuse
from medtransfer.tasks.target_task import TargetTask, TaskPage

CLASSES: Final = ("normal", "tuberculosis")

_NAME: Final = "shenzhen-tb"
_SUBJECT: Final = f"task {_NAME!r}"
_PATTERN: Final = re.compile(r"CHNCXR_\d{4}_([01])\.png")
_LISTS: Final = {"train": "77ac16bc", "val": "b8e0ea0e", "test": "3bff5fa6"}
_SIZES: Final = {"train": 463, "val": 65, "test": 134}
_SAMPLE_PER_CLASS: Final = 35


def open_shenzhen(root: Path) -> CaseTable:
    """Return the case table of a folder in the official layout.

    Args:
        root: Folder with ``CXR_png``, and with ``splits`` where the published lists are to be used.

    Raises:
        DataError: If an image has another name, or a published list names an image that does not
            exist, names one twice, or disagrees with its name.
    """
    names = image_names(_SUBJECT, root, "CXR_png", _PATTERN, "CHNCXR_0001_0.png")
    labels = {name: int(match.group(1)) for name, match in names.items()}
    lists = read_published_lists(_NAME, root, _LISTS)
    split = _draw(labels) if lists is None else _listed(labels, lists)
    used = [name for name in labels if name in split]
    frame = pd.DataFrame({"case_id": [name.removesuffix(".png") for name in used]})
    frame["patient_id"] = frame["case_id"]
    frame["split"] = [split[name] for name in used]
    frame["image"] = [f"CXR_png/{name}" for name in used]
    frame["label"] = [labels[name] for name in used]
    return CaseTable(
        frame=frame,
        kind=TaskKind.BINARY,
        classes=CLASSES,
        source=FileSource(root),
        split_source="ours" if lists is None else "published-list",
        opening_problems=unlisted_images("splits", split, labels),
    )


def _draw(labels: dict[str, int]) -> dict[str, str]:
    shares = {split: number / sum(_SIZES.values()) for split, number in _SIZES.items()}
    drawn = draw_split(list(labels), list(labels.values()), shares, seed=seed_from("split", _NAME))
    return dict(zip(labels, drawn.tolist(), strict=True))


def _listed(labels: dict[str, int], lists: dict[str, list[str]]) -> dict[str, str]:
    """Return the split of each image on the lists, whose lines are ``CHNCXR_0402_1.png,1``."""
    split: dict[str, str] = {}
    faults = []
    for part in SPLITS:
        for line in lists[part]:
            name, _, label = line.partition(",")
            if name not in labels:
                faults.append(f"{line!r} in {part}, whose image is missing")
            elif label.strip() != str(labels[name]):
                faults.append(f"{line!r} in {part}, whose name says {labels[name]}")
            elif name in split:
                faults.append(f"{name!r} in {split[name]} and {part}")
            split[name] = part
    refuse(_SUBJECT, "splits", "each listed image once, with the label its name ends with", faults)
    return split


def write_shenzhen_sample(root: Path) -> None:
    """Write seventy drawn chests with their readings, some in colour, of two sizes.

    Args:
        root: Folder to write into.
    """
    for label, first in ((0, 1), (1, 327)):
        for number in range(first, first + _SAMPLE_PER_CLASS):
            stem = f"CHNCXR_{number:04}_{label}"
            grey, _ = chest_picture("shenzhen", number, 0, [1] * label, 64 if number % 3 else 56)
            write_picture(root / "CXR_png" / f"{stem}.png", _coloured(grey) if number % 2 else grey)
            finding = "bilateral PTB" if label else "normal"
            sex, age = ("male", "female")[number % 2], 20 + number % 50
            write_lines(root / "ClinicalReadings" / f"{stem}.txt", [f"{sex} {age}yrs", finding])


def _coloured(grey: UInt8Array) -> UInt8Array:
    return grey[..., None].repeat(3, axis=2)


shenzhen_tb = TargetTask(
    name=_NAME,
    revision=1,
    title="Tuberculosis in chest X-rays of Shenzhen",
    kind=TaskKind.BINARY,
    classes=CLASSES,
    metrics=("auc", "accuracy", "balanced-accuracy"),
    open=open_shenzhen,
    folders=("shenzhen", "ChinaSet_AllFiles", "shenzhen/ChinaSet_AllFiles"),
    licence="free for research; the source must be cited",
    citation=(
        "Jaeger et al., Two public chest X-ray datasets for computer-aided screening of pulmonary diseases, "
        "Quantitative Imaging in Medicine and Surgery 4(6), 2014"
    ),
    url="https://lhncbc.nlm.nih.gov/LHC-publications/pubs/TuberculosisChestXrayImageDataSets.html",
    expected=ExpectedCounts(
        variants=(_SIZES,),
        classes={
            "train": {"normal": 228, "tuberculosis": 235},
            "val": {"normal": 32, "tuberculosis": 33},
            "test": {"normal": 66, "tuberculosis": 68},
        },
    ),
    image_sets=("shenzhen-cxr",),
    caution="The test split has 134 images: an AUC on it means little without its interval.",
    page=TaskPage(
        about=(
            "662 frontal chest X-rays of one hospital in Shenzhen, China, one per patient: 336 with signs of "
            "tuberculosis and 326 without. Images with tuberculosis are told from normal ones."
        ),
        access="Free download from the National Library of Medicine (LHNCBC), without registration.",
        layout=(
            "CXR_png/CHNCXR_0001_0.png ... CHNCXR_0662_1.png    label before .png: 1 is tuberculosis\n"
            "ClinicalReadings/CHNCXR_0001_0.txt                 sex, age and finding; not used\n"
            "splits/*.txt                                       optional: the published lists"
        ),
        split=(
            "Without lists: drawn with a fixed seed, stratified by label, 463 / 65 / 134 images with "
            "235 / 33 / 68 positives, which are the sizes of the published lists. With the three published "
            "lists in splits/, recognised by their SHA-256, these decide; a label that differs from the one "
            "in the file name is refused."
        ),
        traps=(
            (
                "One study that uses these lists prints 529 training images; training and validation together "
                "are 528."
            ),
            "The X-rays differ in size and partly are stored in colour, though grey.",
            "The test is small: two models rarely differ clearly on it.",
        ),
    ),
    write_sample=write_shenzhen_sample,
)
