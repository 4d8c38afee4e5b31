"""LiTS 2017: liver and liver lesions in CT, as NIfTI volumes or as an export in PNG slices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.intensity import WINDOWS
from medtransfer.data.locators import class_locator, slice_locator
from medtransfer.tasks.opening_problems import left_out, other_total
from medtransfer.tasks.stored_images import files_below
from medtransfer.tasks.tables import refuse
from medtransfer.tasks.target_task import TargetTask, TaskPage
from medtransfer.tasks.volume_slices import agreed_slices, draw_volume_splits

NAME: Final = "lits"

_SUBJECT = f"task {NAME!r}"
_NIFTI = re.compile(r"(?P<what>volume|segmentation)-(?P<number>\d+)\.nii(\.gz)?")
_PNG = re.compile(
    r"(?P<what>volume|segmentation)-(?P<number>\d+)(_(?P<mask>liver|lesion)mask)?_(?P<index>\d+)\.png"
)
_PNG_FOLDERS = {"volume": "volumes", "segmentation": "segmentations"}
_OFFICIAL_VOLUMES = 131

_Row = dict[str, object]
_Key = TypeVar("_Key")


def open_lits(root: Path) -> CaseTable:
    """Return the case table of the volumes that have masks, one case per axial slice.

    Args:
        root: Folder with ``volume-N.nii`` and ``segmentation-N.nii`` in it or in folders below, packed
            (``.nii.gz``) or not; or with ``volumes/volume-N_S.png`` and
            ``segmentations/segmentation-N_livermask_S.png`` and ``…_lesionmask_S.png``.

    Raises:
        DataError: If there are no volumes or both forms of them, an image or a mask is missing or there
            twice, or an image and its mask differ in their number of slices.
    """
    volumes = files_below(_SUBJECT, root, ".", (".nii", ".nii.gz"))
    pictures = [file for folder in _PNG_FOLDERS.values() for file in _pictures(root, folder)]
    if bool(volumes) == bool(pictures):
        found = "both" if volumes else "neither"
        raise DataError(
            f"{_SUBJECT}: expected either volume-N.nii with segmentation-N.nii, or an export in "
            f"volumes/ and segmentations/ as PNG, in {root}, got {found}. Check the folder."
        )
    rows, others = _volume_rows(root, volumes) if volumes else _picture_rows(pictures)
    names = sorted({str(row["volume_id"]) for row in rows})
    splits = draw_volume_splits(NAME, names)
    frame = pd.DataFrame([row | {"split": splits[str(row["volume_id"])]} for row in rows])
    return CaseTable(
        frame=frame.sort_values("case_id", ignore_index=True),
        kind=TaskKind.SEGMENTATION,
        classes=lits.classes,
        source=FileSource(
            root,
            mask_rule={0: 0, 1: 1, 2: 2} if volumes else "nonzero",
            intensity=WINDOWS["liver"] if volumes else None,
        ),
        split_source="ours",
        opening_problems=(*_total(names), *left_out("all folders", "only volumes and their masks", others)),
    )


def _total(names: list[str]) -> tuple[Problem, ...]:
    return other_total("all folders", _OFFICIAL_VOLUMES, len(names), "volumes with masks")


def _volume_rows(root: Path, files: list[str]) -> tuple[list[_Row], list[str]]:
    """Return a row per slice, and the files that are no volume or mask of this data set."""
    found, others = _by_key(files, _NIFTI, ("what", "number"))
    images = {number: file for (what, number), file in found.items() if what == "volume"}
    masks = {number: file for (what, number), file in found.items() if what == "segmentation"}
    _refuse_unpaired(images, masks, "segmentation-N.nii")
    _refuse_unpaired(masks, images, "volume-N.nii")
    rows: list[_Row] = []
    for number, image in images.items():
        count = agreed_slices(_SUBJECT, root, (image, masks[number]))
        rows += [
            _row(
                int(number),
                index,
                slice_locator(image, index),
                (slice_locator(masks[number], index),),
            )
            for index in range(count)
        ]
    return rows, others


def _picture_rows(files: list[str]) -> tuple[list[_Row], list[str]]:
    """As :func:`_volume_rows`, for the export in PNG."""
    found, others = _by_key(files, _PNG, ("what", "mask", "number", "index"))
    wrong = [key for key in found if (key[0] == "volume") != (key[1] == "")]
    others += [found.pop(key) for key in wrong]
    images = {key[2:]: file for key, file in found.items() if not key[1]}
    masks = {
        kind: {key[2:]: file for key, file in found.items() if key[1] == kind} for kind in ("liver", "lesion")
    }
    for kind, known in masks.items():
        _refuse_unpaired(images, known, f"segmentation-N_{kind}mask_S.png")
        _refuse_unpaired(known, images, "volume-N_S.png")
    rows = [
        _row(
            int(number),
            int(index),
            image,
            (
                class_locator(masks["liver"][number, index], 1),
                class_locator(masks["lesion"][number, index], 2),
            ),
        )
        for (number, index), image in images.items()
    ]
    return rows, sorted(others)


def _row(number: int, index: int, image: str, masks: tuple[str, ...]) -> _Row:
    volume = f"volume-{number:03}"
    return {
        "case_id": f"{volume}-slice-{index:04}",
        "patient_id": volume,
        "volume_id": volume,
        "image": image,
        "mask": masks,
    }


def _by_key(
    files: Iterable[str], pattern: re.Pattern[str], parts: tuple[str, ...]
) -> tuple[dict[tuple[str, ...], str], list[str]]:
    """Return files by what their names say, numbers without leading zeros, and the files that say nothing."""
    found: dict[tuple[str, ...], str] = {}
    others, twice = [], []
    for file in files:
        match = pattern.fullmatch(PurePosixPath(file).name)
        if match is None:
            others.append(file)
            continue
        cells = [match[part] or "" for part in parts]
        key = tuple(str(int(cell)) if cell.isdigit() else cell for cell in cells)
        first = found.setdefault(key, file)
        twice += [f"{file!r} beside {first!r}"] if first != file else []
    refuse(_SUBJECT, "all folders", "one file of a name", twice)
    return found, others


def _refuse_unpaired(known: Mapping[_Key, str], partners: Mapping[_Key, str], wanted: str) -> None:
    alone = [f"none for {file!r}" for key, file in known.items() if key not in partners]
    refuse(_SUBJECT, "all folders", f"a file {wanted} of the same numbers", alone)


def _pictures(root: Path, folder: str) -> list[str]:
    return files_below(_SUBJECT, root, folder, (".png",)) if (root / folder).is_dir() else []


def _write_sample(root: Path) -> None:
    from medtransfer.tasks.samples_of_lits import write_lits_sample

    write_lits_sample(root)


lits = TargetTask(
    name=NAME,
    revision=1,
    title="Liver and liver lesions in CT",
    kind=TaskKind.SEGMENTATION,
    classes=("liver", "lesion"),
    metrics=("dice-volume", "dice", "dice-pooled", "dice-nonempty", "dice-batch128-compat"),
    open=open_lits,
    folders=("lits", "LiTS", "lits17", "LITS17"),
    licence="CC BY-NC-ND 4.0 (not verified: read the terms on the challenge's page)",
    citation="Bilic et al., The Liver Tumor Segmentation Benchmark (LiTS), Medical Image Analysis 84:102680, 2023",
    url="https://competitions.codalab.org/competitions/17094",
    image_sets=("lits",),
    caution=(
        "The split is ours, by volume, because no list was published; patients are not named, so a volume counts "
        "as a patient."
    ),
    page=TaskPage(
        about=(
            "Contrast CT of the abdomen from several hospitals, 131 volumes with masks: 0 background, 1 liver, "
            "2 lesion. A case is an axial slice; Dice per volume is the score. Volumes are shown from -100 to "
            "400 HU; an export in PNG is taken as it is."
        ),
        access="Registration at the challenge's page; free of charge.",
        layout=(
            "lits/\n"
            "  Training Batch 1/volume-0.nii        (or all files in one folder; .nii.gz as well)\n"
            "  Training Batch 1/segmentation-0.nii\n"
            "  Training Batch 2/…\n"
            "or, the export of study C:\n"
            "  volumes/volume-0_45.png\n"
            "  segmentations/segmentation-0_livermask_45.png\n"
            "  segmentations/segmentation-0_lesionmask_45.png"
        ),
        split=(
            "70 % train, 10 % val, 20 % test of the volumes, drawn with a fixed seed; every volume counts once, so "
            "NIfTI and PNG of the same volumes are divided alike. Study C tested on 3,038 slices of an unpublished "
            "list."
        ),
        traps=(
            (
                "The class liver is liver without lesions, as in study C; where a paper counts lesions as liver, its "
                "Dice of the liver is another quantity."
            ),
            "Neighbouring slices are nearly alike: a split by slice would put them on both sides.",
            "In the PNG export a lesion overrides the liver, and the liver the background.",
            (
                "Grey levels and sizes of a PNG export depend on who made it: state them with the results. Results "
                "on NIfTI and on PNG are not comparable."
            ),
            (
                "Study C averages Dice over batches of 128 slices; dice-batch128-compat repeats that for comparison "
                "only, since it depends on the order of the slices."
            ),
            "OrganMNIST is made from these volumes; models pretrained on it have seen them.",
        ),
    ),
    write_sample=_write_sample,
)
