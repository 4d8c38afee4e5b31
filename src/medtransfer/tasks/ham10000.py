"""Dermatoscopic photographs of pigmented skin lesions: HAM10000, ISIC 2018 task 3 and ISIC 2019."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pandas as pd

from medtransfer.core.problems import Problem
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import CaseTable, SplitSource
from medtransfer.data.file_source import FileSource
from medtransfer.data.splits import draw_split, hold_out
from medtransfer.tasks.lesion_tables import read_diagnoses, read_one_hot, with_lesions, with_paths
from medtransfer.tasks.samples_of_ham10000 import (
    write_ham10000_sample,
    write_isic2018_sample,
    write_isic2019_sample,
)
from medtransfer.tasks.tables import read_table, refuse
from medtransfer.tasks.target_task import TargetTask, TaskPage

DIAGNOSES: Final = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
"""Classes of HAM10000 in label order."""
ISIC2018_CLASSES: Final = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
"""Classes of ISIC 2018 task 3, in the order of its label columns."""
ISIC2019_CLASSES: Final = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC")
"""Classes of ISIC 2019, in the order of its label columns."""

_HAM_FOLDERS: Final = (
    *("HAM10000_images_part_1", "HAM10000_images_part_2", "HAM10000_images", "images"),
    "ISIC2018_Task3_Training_Input",
)
_HAM_TABLES: Final = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")
_TEST_FOLDERS: Final = ("ISIC2018_Task3_Test_Input", "ISIC2018_Task3_Test_Images")
_VALIDATION_SHARE: Final = 0.1


def open_ham10000(root: Path) -> CaseTable:
    """Return the case table of the 10,015 images, divided by lesion.

    Args:
        root: Folder with the table of lesions and the images, in two parts or in one folder.

    Raises:
        DataError: If a file, column or listed image is missing, a diagnosis or lesion id is not as
            declared, an image lies in two folders, or rows of one image disagree.
    """
    subject, table = "task 'ham10000'", _first(root, _HAM_TABLES)
    rows = read_diagnoses(subject, root, table, {dx: dx for dx in DIAGNOSES})
    rows, extra = with_paths(subject, root, _HAM_FOLDERS, table, rows)
    return _case_table(root, _drawn("ham10000", rows), DIAGNOSES, "ours", extra)


def open_isic2018(root: Path) -> CaseTable:
    """Return the case table of the official training and test images of task 3.

    Args:
        root: Folder with the training input, ground truth and lesion groupings, and the test input
            and ground truth, whose table may be that of the challenge or that of HAM10000.

    Raises:
        DataError: As for :func:`open_ham10000`, or if an image has no lesion, not exactly one class, or
            is both in training and test.
    """
    subject = "task 'isic2018'"
    table, test_table = _ground_truth(root, "Training"), _ground_truth(root, "Test")
    train = read_one_hot(subject, root, table, ISIC2018_CLASSES)
    train = with_lesions(subject, root, "ISIC2018_Task3_Training_LesionGroupings.csv", train, blank=False)
    train, extra_train = with_paths(subject, root, ("ISIC2018_Task3_Training_Input",), table, train)
    test = _test_rows(subject, root, test_table)
    both = [repr(image) for image in test["image"][test["image"].isin(train["image"])]]
    refuse(subject, test_table, "test images that are not for training", both)
    test, extra_test = with_paths(subject, root, _TEST_FOLDERS, test_table, test)
    split = hold_out(
        ["train"] * len(train),
        train["lesion"].tolist(),
        train["class"].tolist(),
        share=_VALIDATION_SHARE,
        seed=seed_from("split", "isic2018"),
    )
    rows = pd.concat([train.assign(split=split), test.assign(split="test")])
    return _case_table(root, rows, ISIC2018_CLASSES, "official", (*extra_train, *extra_test))


def open_isic2019(root: Path) -> CaseTable:
    """Return the case table of the official training images, divided by lesion.

    Args:
        root: Folder with ``ISIC_2019_Training_Input``, its ground truth and its metadata.

    Raises:
        DataError: As for :func:`open_ham10000`, or if an image has no row of metadata, not exactly one
            class, or the class UNK.
    """
    subject, table = "task 'isic2019'", "ISIC_2019_Training_GroundTruth.csv"
    rows = read_one_hot(subject, root, table, ISIC2019_CLASSES, never=("UNK",))
    rows = with_lesions(subject, root, "ISIC_2019_Training_Metadata.csv", rows, blank=True)
    folders = ("ISIC_2019_Training_Input", "ISIC_2019_Training_Input/ISIC_2019_Training_Input")
    rows, extra = with_paths(subject, root, folders, table, rows)
    return _case_table(root, _drawn("isic2019", rows), ISIC2019_CLASSES, "ours", extra)


def _drawn(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    split = draw_split(rows["lesion"].tolist(), rows["class"].tolist(), seed=seed_from("split", name))
    return rows.assign(split=split)


def _case_table(
    root: Path,
    rows: pd.DataFrame,
    classes: tuple[str, ...],
    split_source: SplitSource,
    problems: tuple[Problem, ...],
) -> CaseTable:
    rows = rows.sort_values("image", ignore_index=True)
    frame = pd.DataFrame({"case_id": rows["image"], "patient_id": rows["lesion"], "split": rows["split"]})
    frame["image"] = rows["path"]
    frame["label"] = rows["class"].map({name: number for number, name in enumerate(classes)})
    return CaseTable(
        frame, TaskKind.MULTI_CLASS, classes, FileSource(root), split_source, opening_problems=problems
    )


def _first(root: Path, names: Sequence[str]) -> str:
    """Return the first of the files that is there; the first name where none is."""
    return next((name for name in names if (root / name).is_file()), names[0])


def _ground_truth(root: Path, part: str) -> str:
    stem = f"ISIC2018_Task3_{part}_GroundTruth"
    return _first(root, (f"{stem}/{stem}.csv", f"{stem}.csv", f"{stem}.tab"))


def _test_rows(subject: str, root: Path, table: str) -> pd.DataFrame:
    """Return image, lesion and class of the test images; each its own lesion where none is named."""
    if "dx" in read_table(subject, root, table, ()):
        return read_diagnoses(subject, root, table, {dx: dx.upper() for dx in DIAGNOSES})
    rows = read_one_hot(subject, root, table, ISIC2018_CLASSES)
    return rows.assign(lesion=rows["image"])


_record = partial(
    TargetTask,
    revision=1,
    kind=TaskKind.MULTI_CLASS,
    metrics=("balanced-accuracy", "auc", "accuracy"),
)
_TSCHANDL: Final = (
    "Tschandl et al., The HAM10000 dataset, a large collection of multi-source dermatoscopic images of "
    "common pigmented skin lesions, Scientific Data 5:180161, 2018"
)
_ONE_LESION: Final = (
    "Many lesions were photographed several times, and the files are in no order that shows it: a split by "
    "image puts one lesion into training and test. Here a lesion stays in one split. Several lesions of "
    "one person are not marked and may be divided."
)
_UNEQUAL: Final = (
    "Two thirds of the images are moles (nv): a model that always says mole is right two times out of "
    "three. Balanced accuracy, the mean of the classes' sensitivities, is therefore the first metric."
)
_SAME_IMAGES: Final = (
    "HAM10000, ISIC 2018 task 3 and DermaMNIST hold the same training images, and ISIC 2019 contains them: "
    "results on one are no confirmation of results on another."
)

ham10000 = _record(
    name="ham10000",
    title="Pigmented skin lesions of HAM10000, seven classes",
    classes=DIAGNOSES,
    open=open_ham10000,
    folders=("ham10000", "HAM10000"),
    licence="CC BY-NC 4.0",
    citation=_TSCHANDL,
    url="https://doi.org/10.7910/DVN/DBW86T",
    expected=ExpectedCounts(variants=({"train+val+test": 10_015},)),
    image_sets=("ham10000",),
    caution="Lesions, not persons, were kept together: several lesions of one person may lie in training and test.",
    page=TaskPage(
        about=(
            "10,015 dermatoscopic photographs, 600 x 450 pixels, of about 7,470 pigmented skin lesions "
            "from Austria and Australia. Seven diagnoses: actinic keratosis or Bowen's disease (akiec), "
            "basal cell carcinoma (bcc), benign keratosis (bkl), dermatofibroma (df), melanoma (mel), mole "
            "(nv), vascular lesion (vasc)."
        ),
        access="Free download from Harvard Dataverse or the ISIC archive; not for commercial use.",
        layout=(
            "HAM10000_metadata.csv              lesion_id, image_id, dx, dx_type, age, sex, localization\n"
            "HAM10000_images_part_1/*.jpg       5,000 images\n"
            "HAM10000_images_part_2/*.jpg       the others; both parts may lie in HAM10000_images/ or images/"
        ),
        split=(
            "Drawn here with a fixed seed, 70 / 10 / 20 %, by lesion and stratified by diagnosis. For the "
            "official test images see the task isic2018."
        ),
        traps=(_ONE_LESION, _UNEQUAL, _SAME_IMAGES),
    ),
    write_sample=write_ham10000_sample,
)

isic2018 = _record(
    name="isic2018",
    title="Pigmented skin lesions of the ISIC 2018 challenge, seven classes, official test",
    classes=ISIC2018_CLASSES,
    open=open_isic2018,
    folders=("isic2018", "ISIC2018"),
    licence="CC BY-NC 4.0",
    citation=(
        f"{_TSCHANDL}; Codella et al., Skin lesion analysis toward melanoma detection 2018, arXiv:1902.03368, 2019"
    ),
    url="https://challenge.isic-archive.com/data/",
    expected=ExpectedCounts(
        variants=({"train+val": 10_015, "test": 1_512}, {"train+val": 10_015, "test": 1_511})
    ),
    image_sets=("isic2018", "ham10000"),
    caution="Validation is a tenth of the training lesions, drawn here with a fixed seed.",
    page=TaskPage(
        about=(
            "Task 3 of the ISIC 2018 challenge: the 10,015 photographs of HAM10000 for training, and a "
            "test set of its own, partly from other clinics. The seven diagnoses are those of HAM10000."
        ),
        access="Free download from the ISIC archive, without registration; not for commercial use.",
        layout=(
            "ISIC2018_Task3_Training_Input/*.jpg\n"
            "ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv   a column per "
            "class\n"
            "ISIC2018_Task3_Training_LesionGroupings.csv                                   image, lesion_id\n"
            "ISIC2018_Task3_Test_Input/*.jpg                      or ISIC2018_Task3_Test_Images/\n"
            "ISIC2018_Task3_Test_GroundTruth/ISIC2018_Task3_Test_GroundTruth.csv\n"
            "Label files may also lie directly in the folder."
        ),
        split=(
            "The official test images are the test split: 1,512 in the ISIC archive, 1,511 in the release "
            "beside HAM10000. A tenth of the training lesions, drawn with a fixed seed, is the validation "
            "split; the 193 official validation images are not used."
        ),
        traps=(
            _ONE_LESION,
            _UNEQUAL,
            _SAME_IMAGES,
            (
                "The test table of HAM10000's release names diagnoses in a column dx, that of the archive "
                "has a column per class: both are read."
            ),
        ),
    ),
    write_sample=write_isic2018_sample,
)

isic2019 = _record(
    name="isic2019",
    title="Skin lesions of the ISIC 2019 challenge, eight classes",
    classes=ISIC2019_CLASSES,
    open=open_isic2019,
    folders=("isic2019", "ISIC2019", "ISIC_2019"),
    licence="CC BY-NC 4.0",
    citation=(
        f"{_TSCHANDL}; Codella et al., Skin lesion analysis toward melanoma detection, ISBI 2018; Combalia et al., "
        "BCN20000: dermoscopic lesions in the wild, arXiv:1908.02288, 2019"
    ),
    url="https://challenge.isic-archive.com/data/",
    expected=ExpectedCounts(variants=({"train+val+test": 25_331},)),
    image_sets=("isic2019", "ham10000"),
    caution="Lesions without an id count as lesions of their own; several lesions of one person may be divided.",
    page=TaskPage(
        about=(
            "The 25,331 training photographs of the ISIC 2019 challenge, joined from HAM10000, BCN20000 "
            "and the MSK collection. Eight diagnoses: those of HAM10000 and squamous cell carcinoma (SCC)."
        ),
        access="Free download from the ISIC archive, without registration; not for commercial use.",
        layout=(
            "ISIC_2019_Training_Input/*.jpg\n"
            "ISIC_2019_Training_GroundTruth.csv      image and a column per class, UNK among them\n"
            "ISIC_2019_Training_Metadata.csv         image, age_approx, anatom_site_general, lesion_id, sex"
        ),
        split=(
            "Drawn here with a fixed seed, 70 / 10 / 20 %, by lesion and stratified by diagnosis. The "
            "official test images are not used: they include a ninth class, unknown, that no training "
            "image shows."
        ),
        traps=(
            _ONE_LESION,
            "The lesion id is blank for some images; each of these is then a lesion of its own.",
            "The column UNK is 0 in all training rows; a row that is not is refused.",
            (
                "Images of the three collections differ in size and frame, and the collections differ in "
                "diagnoses: a network can learn the collection. Some file names end with _downsampled."
            ),
            _SAME_IMAGES,
        ),
    ),
    write_sample=write_isic2019_sample,
)
