"""BraTS 2020: parts of brain tumours in MR, three sequences of a slice as its colours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.intensity import VolumeRange
from medtransfer.data.locators import channels_locator, slice_locator
from medtransfer.tasks.opening_problems import left_out, other_total
from medtransfer.tasks.stored_images import files_below
from medtransfer.tasks.tables import refuse
from medtransfer.tasks.target_task import TargetTask, TaskPage
from medtransfer.tasks.volume_slices import agreed_slices, draw_volume_splits

NAME: Final = "brats"
STRUCTURES: Final = {
    "ET": ("enhancing",),
    "WT": ("necrosis", "edema", "enhancing"),
    "TC": ("necrosis", "enhancing"),
}
"""The regions that are scored: enhancing tumour, whole tumour, tumour core."""

_SUBJECT = f"task {NAME!r}"
_FILE = re.compile(r"(?P<case>BraTS20_Training_\d{3})_(?P<what>flair|t1|t1ce|t2|seg)\.nii(\.gz)?")
_CHANNELS = ("t1", "t1ce", "flair")
_MASK_RULE = {0: 0, 1: 1, 2: 2, 4: 3}
_OFFICIAL_CASES = 369


def open_brats(root: Path) -> CaseTable:
    """Return the case table of the training cases, one case per axial slice.

    Args:
        root: Folder with ``BraTS20_Training_001/BraTS20_Training_001_flair.nii.gz`` and so on, in it or in
            folders below, packed or not.

    Raises:
        DataError: If there are no cases, a sequence or a mask is missing or there twice, or the files of a
            case differ in their number of slices.
    """
    by_case, others = _cases(files_below(_SUBJECT, root, ".", (".nii", ".nii.gz")))
    if not by_case:
        raise DataError(
            f"{_SUBJECT}: expected folders such as BraTS20_Training_001 with NIfTI files in {root}, got none. "
            "Check the folder."
        )
    _refuse_incomplete(by_case, others)
    splits = draw_volume_splits(NAME, list(by_case))
    rows = [
        row | {"split": splits[case]} for case, files in by_case.items() for row in _slices(root, case, files)
    ]
    return CaseTable(
        frame=pd.DataFrame(rows).sort_values("case_id", ignore_index=True),
        kind=TaskKind.SEGMENTATION,
        classes=brats.classes,
        source=FileSource(root, mask_rule=_MASK_RULE, intensity=VolumeRange()),
        split_source="ours",
        structures=STRUCTURES,
        unused=("*_t2.nii*",),
        opening_problems=(
            *other_total("all folders", _OFFICIAL_CASES, len(by_case), "training cases"),
            *left_out("all folders", "only files of training cases", others),
        ),
    )


def _cases(files: Iterable[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return the files of every case by what they are, and the files that belong to none."""
    found: dict[str, dict[str, str]] = {}
    others, twice = [], []
    for file in files:
        match = _FILE.fullmatch(PurePosixPath(file).name)
        if match is None:
            others.append(file)
            continue
        first = found.setdefault(match["case"], {}).setdefault(match["what"], file)
        twice += [f"{file!r} beside {first!r}"] if first != file else []
    refuse(_SUBJECT, "all folders", "each file once", twice)
    return dict(sorted(found.items())), others


def _refuse_incomplete(by_case: Mapping[str, Mapping[str, str]], others: Iterable[str]) -> None:
    """Refuse cases without a needed file; name what else lies there, since one may be called otherwise."""
    beside: dict[str, list[str]] = {}
    for file in others:
        beside.setdefault(PurePosixPath(file).parent.name, []).append(PurePosixPath(file).name)
    faults = []
    for case, files in by_case.items():
        missing = [what for what in (*_CHANNELS, "seg") if what not in files]
        hint = f", but {beside[case]!r}" if case in beside else ""
        faults += [f"none for {case}_{what}{hint}" for what in missing]
    refuse(_SUBJECT, "all folders", "t1, t1ce, flair and seg of every case as .nii or .nii.gz", faults)


def _slices(root: Path, case: str, files: Mapping[str, str]) -> list[dict[str, object]]:
    count = agreed_slices(_SUBJECT, root, [files[what] for what in (*_CHANNELS, "seg")])
    return [
        {
            "case_id": f"{case}-slice-{index:03}",
            "patient_id": case,
            "volume_id": case,
            "image": channels_locator(*(slice_locator(files[what], index) for what in _CHANNELS)),
            "mask": (slice_locator(files["seg"], index),),
        }
        for index in range(count)
    ]


def _write_sample(root: Path) -> None:
    from medtransfer.tasks.samples_of_brats import write_brats_sample

    write_brats_sample(root)


brats = TargetTask(
    name=NAME,
    revision=1,
    title="Parts of brain tumours in MR",
    kind=TaskKind.SEGMENTATION,
    classes=("necrosis", "edema", "enhancing"),
    metrics=("dice-volume", "dice", "dice-pooled", "dice-nonempty"),
    open=open_brats,
    folders=("brats", "brats2020", "BraTS2020", "MICCAI_BraTS2020_TrainingData"),
    licence="research use after registration; terms of the challenge",
    citation=(
        "Menze et al., The Multimodal Brain Tumor Image Segmentation Benchmark (BRATS), IEEE TMI 34(10), 2015; "
        "Bakas et al., Advancing The Cancer Genome Atlas glioma MRI collections with expert segmentation labels "
        "and radiomic features, Scientific Data 4:170117, 2017"
    ),
    url="https://www.med.upenn.edu/cbica/brats2020/data.html",
    image_sets=("brats2020",),
    caution="The split is ours, by case, because no list was published; it is none of the challenge's own sets.",
    page=TaskPage(
        about=(
            "MR of 369 patients with glioma, registered to one another, without skull, 240 x 240 x 155 voxels. The "
            "masks know necrosis and non-enhancing tumour (1), oedema (2) and enhancing tumour (4). A case is an "
            "axial slice whose red, green and blue are T1, T1 with contrast medium and FLAIR. The classes are "
            "learnt; what is scored are the regions enhancing tumour ET = {4}, whole tumour WT = {1, 2, 4} and "
            "tumour core TC = {1, 4}, as Dice per volume."
        ),
        access="Registration with the CBICA image portal of the University of Pennsylvania; free of charge.",
        layout=(
            "brats/\n"
            "  BraTS20_Training_001/BraTS20_Training_001_flair.nii.gz   (or .nii; folders may lie deeper)\n"
            "  BraTS20_Training_001/BraTS20_Training_001_t1.nii.gz\n"
            "  BraTS20_Training_001/BraTS20_Training_001_t1ce.nii.gz\n"
            "  BraTS20_Training_001/BraTS20_Training_001_t2.nii.gz     (not used)\n"
            "  BraTS20_Training_001/BraTS20_Training_001_seg.nii.gz\n"
            "  BraTS20_Training_002/…"
        ),
        split=(
            "70 % train, 10 % val, 20 % test of the 369 training cases, drawn with a fixed seed. The challenge's "
            "validation cases have no masks and are left out; they are reported where they lie in the folder."
        ),
        traps=(
            (
                "The stored labels are 0, 1, 2 and 4; 3 does not occur and is refused. The classes of this task "
                "are the labels 1, 2 and 4, in this order."
            ),
            (
                "The logs of study C have the columns class_0 background, class_1 ET, class_2 WT and class_3 TC; its "
                "figures print the names of class_2 and class_3 the wrong way round. Here every score bears the "
                "name of its region."
            ),
            "MR values have no unit: every volume is shown from its 0.5th to its 99.5th percentile.",
            (
                "Slices below and above the brain are black in all sequences; they are cases like all others. Empty "
                "slices with an empty prediction count as perfect in the "
                "mean over images: read the Dice per volume."
            ),
            (
                "In one common copy the mask of case 355 is called W39_1998.09.19_Segm.nii: rename it to "
                "BraTS20_Training_355_seg.nii."
            ),
            "Neighbouring slices are nearly alike: study C drew its reduced training sets by slice, ours go by case.",
        ),
    ),
    write_sample=_write_sample,
)
