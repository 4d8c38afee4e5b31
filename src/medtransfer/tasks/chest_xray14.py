"""NIH ChestX-ray14: thorax diseases in frontal chest X-rays, as 14 labels and as the 15 outputs of study C."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import LABEL_PREFIX, CaseTable, SplitSource
from medtransfer.data.file_source import FileSource
from medtransfer.data.inside_root import path_inside
from medtransfer.data.splits import hold_out
from medtransfer.tasks.opening_problems import unlisted_images
from medtransfer.tasks.published_lists import read_published_lists
from medtransfer.tasks.stored_images import refuse_missing, stored_images
from medtransfer.tasks.tables import read_table, refuse, refuse_disagreement
from medtransfer.tasks.target_task import TargetTask, TaskPage

FINDINGS: Final = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia"),
    *("Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)
"""The 14 labels in the order of studies A and B."""

NO_FINDING: Final = "No Finding"

OUTPUTS_OF_STUDY_C: Final = (
    *("Cardiomegaly", "Emphysema", "Effusion", NO_FINDING, "Hernia", "Infiltration", "Mass", "Nodule"),
    *("Atelectasis", "Pneumothorax", "Pleural_Thickening", "Pneumonia", "Fibrosis", "Edema", "Consolidation"),
)
"""The 15 outputs of study C in its order."""

LABEL_FILES: Final = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", "sample_labels.csv")
"""Label files; the first that exists is read."""

PUBLISHED_LISTS: Final[Mapping[str, str]] = MappingProxyType(
    {"train": "60cc170f", "val": "4ea551a6", "test": "7fa6a186"}
)
"""First digits of the SHA-256 of the lists of studies A and B."""

_NAME: Final = "chestxray14"
_SUBJECT: Final = f"task {_NAME!r}"
_SAMPLE: Final = LABEL_FILES[-1]
_COLUMNS: Final = ("Image Index", "Finding Labels", "Patient ID")
_FOLDERS: Final = ("images", *(f"images_{number:03d}/images" for number in range(1, 13)))
_OFFICIAL_LISTS: Final = {"train": "train_val_list.txt", "test": "test_list.txt"}
_VALIDATION_SHARE: Final = 11_212 / 86_524
_TRAIN_VAL, _TEST = 86_524, 25_596
_POSITIVES: Final = {
    "train+val": dict(
        zip(
            (*FINDINGS, NO_FINDING),
            (8280, 1707, 8659, 13_782, 4034, 4708, 876, 2637, 2852, 1378, 1423, 1251, 2242, 141, 50_500),
            strict=True,
        )
    ),
    "test": dict(
        zip(
            (*FINDINGS, NO_FINDING),
            (3279, 1069, 4658, 6112, 1748, 1623, 555, 2665, 1815, 925, 1093, 435, 1143, 86, 9861),
            strict=True,
        )
    ),
}


def open_chestxray14(root: Path, classes: tuple[str, ...] = FINDINGS) -> CaseTable:
    """Return the case table of a folder in the official layout.

    Args:
        root: Folder with a label file, the official lists or the studies' own lists in ``splits/``,
            and the images below ``images/`` or ``images_001/images/`` to ``images_012/images/``.
        classes: What is predicted, out of the findings and ``No Finding``.

    Raises:
        DataError: If a file is missing or does not say what it must, an image that is labelled is
            missing or lies in two folders, or an image stands in two lists.
    """
    name = _label_file(root)
    labels = read_chestxray14_labels(root, name)
    stored = _stored(root)
    refuse_missing(_SUBJECT, name, labels["image"], stored)
    labels = labels.set_index("image")
    listed, source = _listed(root, labels)
    if name != _SAMPLE:
        unknown = [repr(image) for image in listed if image not in labels.index]
        refuse(_SUBJECT, "split lists", f"only images that {name} labels", unknown)
    used = labels[labels.index.isin(list(listed))].sort_index()
    split = used.index.map(listed).to_numpy()
    if source == "official":
        strata = used[[*FINDINGS, NO_FINDING]].to_numpy()
        seed = seed_from("split", _NAME)
        split = hold_out(split, used["patient"].tolist(), strata, share=_VALIDATION_SHARE, seed=seed)
    frame = pd.DataFrame(
        {
            "case_id": used.index,
            "patient_id": used["patient"].to_numpy(),
            "split": split,
            "image": used.index.map(stored),
            **{LABEL_PREFIX + label: used[label].to_numpy() for label in classes},
        }
    )
    return CaseTable(
        frame=frame,
        kind=TaskKind.MULTI_LABEL,
        classes=classes,
        source=FileSource(root),
        split_source=source,
        opening_problems=(
            *unlisted_images(name, labels.index, stored),
            *unlisted_images("split lists", listed, labels.index),
        ),
        scored=_findings_of(classes) if NO_FINDING in classes else (),
        class_weights={NO_FINDING: 0.001} if NO_FINDING in classes else {},
    )


def read_chestxray14_labels(root: Path, name: str) -> pd.DataFrame:
    """Return the labels of a file in any of the published forms.

    The forms differ in the header: width, height and pixel spacing are named with brackets and commas,
    or without; the columns that count here are found by name.

    Args:
        root: Folder of the data set.
        name: Label file below it, such as ``Data_Entry_2017.csv``.

    Returns:
        One row per image, with its line in the file as index: ``image``, ``patient`` (8 digits), and 0
        or 1 for each of the 14 findings and for ``No Finding``.

    Raises:
        DataError: If a column is missing, an image is not named ``<patient>_<number>.png``, its patient
            is not that of ``Patient ID``, a finding is unknown, or rows of one image disagree.
    """
    rows = read_table(_SUBJECT, root, name, _COLUMNS, only=True)
    images = rows["Image Index"]
    named = images.str.fullmatch(r"\d{8}_\d{3}\.png")
    _refuse_cells(name, images[~named], "names such as '00000001_000.png'")
    agrees = rows["Patient ID"].str.lstrip("0") == images.str[:8].str.lstrip("0")
    _refuse_cells(name, rows.loc[~agrees, "Patient ID"], "the first 8 digits of the image's name")
    shown = _shown(name, rows["Finding Labels"])
    table = pd.concat([images.rename("image"), images.str[:8].rename("patient"), shown], axis=1)
    refuse_disagreement(_SUBJECT, name, table, "image", list(shown.columns))
    return table.drop_duplicates("image")


def _shown(name: str, cells: pd.Series) -> pd.DataFrame:
    """Return 0 or 1 per finding, then for none, of cells such as ``Edema|Mass``."""
    known = (*FINDINGS, NO_FINDING)
    parts = {text: text.split("|") for text in cells.unique()}
    wrong = [
        text
        for text, found in parts.items()
        if not set(found) <= set(known) or (NO_FINDING in found and len(found) > 1)
    ]
    _refuse_cells(name, cells[cells.isin(wrong)], f"findings joined by '|', or {NO_FINDING!r} alone")
    values = {text: [int(label in found) for label in known] for text, found in parts.items()}
    by_text = pd.DataFrame.from_dict(values, orient="index", columns=list(known))
    return by_text.loc[cells].set_index(cells.index)


def _refuse_cells(name: str, cells: pd.Series, expected: str) -> None:
    faults = [f"line {line}: {text!r}" for line, text in cells.items()]
    refuse(_SUBJECT, f"{name}: column {cells.name!r}", expected, faults)


def _label_file(root: Path) -> str:
    for name in LABEL_FILES:
        if (root / name).is_file():
            return name
    raise DataError(f"{_SUBJECT}: expected one of {LABEL_FILES!r} in {root}, got none. Check the folder.")


def _stored(root: Path) -> dict[str, str]:
    """Return the path below the root of each image, by name."""
    stored: dict[str, str] = {}
    twice = []
    for folder in _FOLDERS:
        for path in stored_images(root, folder, (".png",)):
            name = path.rsplit("/", 1)[1]
            if name in stored:
                twice.append(f"{stored[name]!r} and {path!r}")
            stored[name] = path
    if twice:
        raise DataError(
            f"{_SUBJECT}: expected each image in one folder, got {'; '.join(twice[:5])} "
            f"({len(twice)} in two). Remove one of them."
        )
    return stored


def _listed(root: Path, labels: pd.DataFrame) -> tuple[dict[str, str], SplitSource]:
    """Return the split of each listed image, and where it comes from."""
    published = read_published_lists(_NAME, root, PUBLISHED_LISTS)
    if published is None:
        official = {split: _read_list(root, name) for split, name in _OFFICIAL_LISTS.items()}
        return _one_split_each(official), "official"
    values = {image: row for image, *row in labels[list(FINDINGS)].astype(str).itertuples(name=None)}
    lists: dict[str, list[str]] = {split: [] for split in published}
    differing = []
    for split, lines in published.items():
        for image, *listed in map(str.split, lines):
            lists[split].append(image)
            if values.get(image, listed) != listed:
                differing.append(repr(image))
    refuse(_SUBJECT, "splits", "lists with the labels of the label file", differing)
    return _one_split_each(lists), "published-list"


def _read_list(root: Path, name: str) -> list[str]:
    path = path_inside(root, name)
    if not path.is_file():
        raise DataError(
            f"{_SUBJECT}: expected the official list {name} in {root}, got none. "
            "It lies beside the images where they are downloaded."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{_SUBJECT}: {name}: expected a list in UTF-8, got {error}.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _one_split_each(lists: Mapping[str, list[str]]) -> dict[str, str]:
    splits: dict[str, str] = {}
    twice = []
    for split, names in lists.items():
        for name in names:
            if name in splits:
                twice.append(f"{name!r} in {splits[name]} and {split}")
            splits[name] = split
    refuse(_SUBJECT, "split lists", "each image once", twice)
    return splits


def _findings_of(classes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(label for label in classes if label != NO_FINDING)


def _write_sample(root: Path) -> None:
    from medtransfer.tasks.samples_of_chest_xray14 import write_chestxray14_sample

    write_chestxray14_sample(root)


_PAGE = TaskPage(
    about=(
        "112,120 frontal chest X-rays of 30,805 patients of the NIH Clinical Center, 1024 x 1024 pixels. "
        "A program mined the 14 findings from the radiology reports; an image may show several or none. "
        "chestxray14 predicts the 14 findings and scores their mean AUC. chestxray14-15 is the form of study C: "
        "15 outputs in its own order, where 'No Finding' is an output of its own that weighs 0.001 in the "
        "training loss; 'auc' is its mean over all 15, 'auc-scored' over the 14 findings."
    ),
    access=(
        "Free download from the NIH Clinical Center's box (https://nihcc.app.box.com/v/ChestXray-NIHCC), "
        "without registration; the authors ask to be cited and the NIH to be named as the provider."
    ),
    layout=(
        "Data_Entry_2017.csv or Data_Entry_2017_v2020.csv   (the later one is read when both are there)\n"
        "train_val_list.txt, test_list.txt\n"
        "images_001/images/*.png ... images_012/images/*.png, or all of them in images/*.png\n"
        "splits/*.txt   (optional: the three lists of studies A and B, known by their SHA-256)\n"
        "For the 5,606-image sample: sample_labels.csv instead of Data_Entry, its images in images/, and the "
        "two official lists; images of the lists that the sample does not have are passed over."
    ),
    split=(
        "Test is the official list of 25,596 images. 11,212 of the 86,524 images of the official training "
        "list become validation, drawn by patient with a fixed seed and stratified by finding, so the exact "
        "number may differ by a few. With the three lists of studies A and B in splits/, those are used as they "
        "are (75,312 / 11,212 / 25,596) and compared with the label file. Both tasks share one split."
    ),
    traps=(
        "Labels come from a program that read reports, in the test list too: they contain errors.",
        (
            "The header of the label file names width, height and spacing in brackets with commas in them; columns "
            "are found by name, not by position."
        ),
        (
            "Many patients have several images. A division by image, as in study C, puts a patient's images "
            "into training and validation; here patients are never cut."
        ),
        "A few PNG files have four channels; the alpha channel is dropped.",
        (
            "RSNA Pneumonia and ChestMNIST are made of these images, and a pneumothorax challenge probably is: "
            "another name does not make them other images, and reports mark such pairs."
        ),
        "The code of studies A and B never applied its label fraction to this data set.",
    ),
)


def _task(name: str, title: str, classes: tuple[str, ...], metrics: tuple[str, ...]) -> TargetTask:
    return TargetTask(
        name=name,
        revision=1,
        title=title,
        kind=TaskKind.MULTI_LABEL,
        classes=classes,
        metrics=metrics,
        open=partial(open_chestxray14, classes=classes),
        folders=("chestxray14", "ChestX-ray14", "ChestXray14", "NIH-ChestX-ray14", "CXR8"),
        licence="no restriction on use; citation and acknowledgement of the NIH Clinical Center asked",
        citation=(
            "Wang et al., ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on Weakly-Supervised "
            "Classification and Localization of Common Thorax Diseases, CVPR 2017"
        ),
        url="https://nihcc.app.box.com/v/ChestXray-NIHCC",
        expected=ExpectedCounts(
            variants=({"train+val": _TRAIN_VAL, "test": _TEST},),
            classes={
                split: {label: positives[label] for label in classes}
                for split, positives in _POSITIVES.items()
            },
        ),
        image_sets=("chestxray14",),
        caution="Labels, those of the test set too, were mined from reports by a program.",
        page=_PAGE,
        family="chestxray14",
        write_sample=_write_sample,
    )


chestxray14 = _task("chestxray14", "14 thorax diseases in chest X-rays", FINDINGS, ("auc",))
chestxray14_15 = _task(
    "chestxray14-15",
    "14 thorax diseases and their absence in chest X-rays, the 15 outputs of study C",
    OUTPUTS_OF_STUDY_C,
    ("auc", "auc-scored"),
)
chestxray14_tasks = (chestxray14, chestxray14_15)
