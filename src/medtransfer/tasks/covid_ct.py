"""COVID-CT: figure crops of CT slices with and without COVID-19, split by the lists beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import SPLITS, CaseTable, SplitSource
from medtransfer.data.file_source import FileSource
from medtransfer.tasks.samples_of_covid_ct import write_covid_ct_sample
from medtransfer.tasks.target_task import TargetTask, TaskPage

CLASSES = ("non-covid", "covid")
_FOLDERS = {"non-covid": "CT_NonCOVID", "covid": "CT_COVID"}
_LISTS = {"non-covid": "NonCOVID", "covid": "COVID"}
_OFFICIAL_IMAGES = {"non-covid": 397, "covid": 349}
_OFFICIAL_SPLIT = {"train": 425, "val": 118, "test": 203}


def open_covid_ct(root: Path) -> CaseTable:
    """Return the case table of a folder in the official layout.

    Args:
        root: Folder with ``Images-processed/CT_COVID``, ``Images-processed/CT_NonCOVID`` and
            ``Data-split/{COVID,NonCOVID}/{train,val,test}CT_*.txt``.

    Raises:
        DataError: If a folder or list is missing, a listed image does not exist, or an image is
            listed twice.
    """
    rows = [row for name in CLASSES for split in SPLITS for row in _listed(root, name, split)]
    frame = pd.DataFrame(rows, columns=["case_id", "patient_id", "split", "image", "label"])
    repeated = frame.loc[frame["case_id"].duplicated(), "case_id"].tolist()
    if repeated:
        raise DataError(
            f"covid-ct: Data-split: expected each image in one list, got {repeated[:5]!r} more than once. "
            "Remove the repeated lines."
        )
    return CaseTable(
        frame=frame.sort_values("case_id", ignore_index=True),
        kind=TaskKind.BINARY,
        classes=CLASSES,
        source=FileSource(root),
        split_source=_split_source(frame),
        opening_problems=(*_count_problems(root), *_unlisted(root, set(frame["case_id"]))),
    )


def source_group(file_name: str) -> str:
    """Return the publication a figure crop comes from, by the data set's way of naming files.

    COVID files are ``<paper>-p<page>-<figure>…``; the others ``<number>%<part>`` or ``<number>``.

    Example:
        >>> source_group("2020.02.10.20021584-p6-52%1.png")
        '2020.02.10.20021584'
        >>> source_group("30%0.jpg")
        '30'
    """
    stem = file_name.rsplit(".", 1)[0]
    by_page = re.match(r"(.+?)-p\d+-", stem)
    return by_page.group(1) if by_page else stem.split("%", 1)[0]


def _listed(root: Path, name: str, split: str) -> list[tuple[str, str, str, str, int]]:
    folder = _FOLDERS[name]
    images = root / "Images-processed" / folder
    if not images.is_dir():
        raise DataError(
            f"covid-ct: expected a folder {folder!r} in {root / 'Images-processed'}, got none. "
            f"Unpack Images-processed/{folder}.zip there."
        )
    path = root / "Data-split" / _LISTS[name] / f"{split}CT_{_LISTS[name]}.txt"
    if not path.is_file():
        raise DataError(f"covid-ct: expected the list {path.relative_to(root)}, got no such file in {root}.")
    names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    present = {entry.name for entry in images.iterdir()}
    missing = [entry for entry in names if entry not in present]
    if missing:
        raise DataError(
            f"covid-ct: {path.relative_to(root)}: expected every listed image in {folder}, "
            f"got {len(missing)} missing, first {missing[:5]!r}. Complete the folder or the list."
        )
    label = CLASSES.index(name)
    return [
        (
            f"{folder}/{entry}",
            f"{folder}:{source_group(entry)}",
            split,
            f"Images-processed/{folder}/{entry}",
            label,
        )
        for entry in names
    ]


def _split_source(frame: pd.DataFrame) -> SplitSource:
    counts = frame["split"].value_counts().to_dict()
    return "official" if counts == _OFFICIAL_SPLIT else "user"


def _count_problems(root: Path) -> list[Problem]:
    problems = []
    for name, official in _OFFICIAL_IMAGES.items():
        found = sum(1 for _ in (root / "Images-processed" / _FOLDERS[name]).iterdir())
        if found != official:
            problems.append(
                Problem(
                    what="unexpected-count",
                    where=f"Images-processed/{_FOLDERS[name]}",
                    expected=f"{official} images",
                    found=str(found),
                    next_step="Complete the download, or accept it by name.",
                )
            )
    return problems


def _unlisted(root: Path, listed: set[str]) -> list[Problem]:
    found = {
        f"{folder}/{entry.name}"
        for folder in _FOLDERS.values()
        for entry in (root / "Images-processed" / folder).iterdir()
    }
    extra = sorted(found - listed)
    if not extra:
        return []
    return [
        Problem(
            what="unlisted-image",
            where="Data-split",
            expected="every image in one list",
            found=f"{len(extra)} images in none, first {extra[:5]!r}",
            next_step="Add them to a list, or accept that they are left out.",
        )
    ]


covid_ct = TargetTask(
    name="covid-ct",
    revision=1,
    title="COVID-19 in CT slices cropped from publications",
    kind=TaskKind.BINARY,
    classes=CLASSES,
    metrics=("auc", "accuracy", "balanced-accuracy"),
    open=open_covid_ct,
    folders=("covid-ct", "covid_ct", "COVID-CT"),
    licence="unstated; images belong to the publications they were cropped from",
    citation="Yang et al., COVID-CT-Dataset: A CT Scan Dataset about COVID-19, arXiv:2003.13865, 2020",
    url="https://github.com/UCSD-AI4H/COVID-CT",
    image_sets=("covid-ct",),
    caution=(
        "Figure crops from publications: Hounsfield units are lost and the two classes come from different "
        "papers, so a high AUC may be shortcut learning. Groups are source papers, read from file names."
    ),
    page=TaskPage(
        about=(
            "Slices of chest CT, cut out of the figures of preprints and other publications: 349 images "
            "with COVID-19 and 397 without. Images with COVID-19 are told from the others."
        ),
        access="Download the repository at the address given; no registration, no stated licence.",
        layout=(
            "Images-processed/CT_COVID/*.png           CT_COVID.zip, unpacked\n"
            "Images-processed/CT_NonCOVID/*.jpg *.png  CT_NonCOVID.zip, unpacked\n"
            "Data-split/COVID/trainCT_COVID.txt        valCT_COVID.txt, testCT_COVID.txt\n"
            "Data-split/NonCOVID/trainCT_NonCOVID.txt  valCT_NonCOVID.txt, testCT_NonCOVID.txt\n"
            "One file name per line in the lists."
        ),
        split=(
            "The lists decide. With the lists of the authors, 425 / 118 / 203 images, the split counts as "
            "official; with any others it is called the user's. Images of one publication are one group: "
            "the number before % and the name before -p<page>- in a file name."
        ),
        traps=(
            (
                "Figures carry no Hounsfield units and no depth: window, size and compression differ from paper "
                "to paper, and the papers differ by class. A network can tell the papers apart."
            ),
            (
                "Grey images, colour images and images with transparency are mixed, and some files named .png "
                "hold JPEG data: what a file is, its content says. Transparency is dropped."
            ),
            (
                "The abstract of the paper counts 463 images without COVID-19, the archive holds 397. A folder "
                "with another number is reported."
            ),
            "Patients are not named: two publications about one patient count as two groups.",
        ),
    ),
    write_sample=write_covid_ct_sample,
)
