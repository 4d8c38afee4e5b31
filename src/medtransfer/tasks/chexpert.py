"""CheXpert: 14 findings in chest X-rays, some of them uncertain, scored on five."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import LABEL_PREFIX, CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.splits import hold_out
from medtransfer.tasks.opening_problems import unlisted_images
from medtransfer.tasks.stored_images import refuse_missing, stored_images
from medtransfer.tasks.tables import read_table, refuse, refuse_disagreement
from medtransfer.tasks.target_task import TargetTask, TaskPage
from medtransfer.tasks.uncertain_labels import UncertainPolicy, read_uncertain_labels, settle_uncertain

CLASSES: Final = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"),
    *("Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other"),
    *("Fracture", "Support Devices"),
)
"""The 14 labels that are trained, in the order of the label files."""

SCORED: Final = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
"""The five labels that are scored."""

TEST_FILES: Final = ("test.csv", "test_labels.csv")
"""Names of the label file of the 668 test images."""

_NAME: Final = "chexpert"
_SUBJECT: Final = f"task {_NAME!r}"
_PATH: Final = r"(?:CheXpert[^/]*/)?(?P<image>(?P<folder>[a-z]+)/(?P<patient>patient\d+)/study\d+/[^/]+\.jpg)"
_VALIDATION_SHARE: Final = 0.1
_CHECKED: Final = ("No Finding", *SCORED)
_POSITIVES: Final[Mapping[str, tuple[int, ...]]] = {
    "valid": (38, 80, 68, 33, 45, 67),
    "test": (109, 178, 175, 35, 85, 120),
}


def open_chexpert(root: Path, policy: UncertainPolicy = "lsr-ones") -> CaseTable:
    """Return the case table of a folder in the official layout.

    Test is the test set where its label file is there, else the official validation images. A tenth
    of the official training patients, drawn with a fixed seed, is the validation split.

    Args:
        root: Folder with ``train.csv`` and ``train/``, and either one of ``TEST_FILES`` and ``test/``
            or ``valid.csv`` and ``valid/``.
        policy: What an uncertain label becomes.

    Raises:
        DataError: If a file or a labelled image is missing, a path or label is not as declared, rows of
            one image disagree, or there are two files of test labels.
    """
    test_file, test_folder = _test_labels(root)
    train, unlisted_train = _labelled(root, "train.csv", "train")
    test, unlisted_test = _labelled(root, test_file, test_folder)
    seed = seed_from("split", _NAME)
    certain = train[list(CLASSES)].to_numpy() == 1
    split = hold_out(
        ["train"] * len(train), train["patient"].tolist(), certain, share=_VALIDATION_SHARE, seed=seed
    )
    rows = pd.concat([train.assign(split=split), test.assign(split="test")]).sort_values(
        "image", ignore_index=True
    )
    return CaseTable(
        frame=_case_frame(rows, policy),
        kind=TaskKind.MULTI_LABEL,
        classes=CLASSES,
        source=FileSource(root),
        split_source="official",
        opening_problems=(*unlisted_train, *unlisted_test, *_wrong_counts(test_file, test_folder, test)),
        scored=SCORED,
    )


def _test_labels(root: Path) -> tuple[str, str]:
    """Return the file of labels that make the test split, and the folder of its images."""
    found = [name for name in TEST_FILES if (root / name).is_file()]
    if len(found) > 1:
        raise DataError(
            f"{_SUBJECT}: expected one file of test labels, got {' and '.join(found)} in {root}. Keep one of them."
        )
    return (found[0], "test") if found else ("valid.csv", "valid")


def _labelled(root: Path, name: str, folder: str) -> tuple[pd.DataFrame, tuple[Problem, ...]]:
    """Return image, patient and labels (-1 for uncertain) of a label file, and the images it does not name."""
    rows = read_table(_SUBJECT, root, name, ("Path", *CLASSES), only=True)
    parts = rows["Path"].str.extract(f"^{_PATH}$")
    wrong = rows.loc[parts["folder"] != folder, "Path"]
    refuse(
        _SUBJECT,
        f"{name}: column 'Path'",
        f"paths such as 'CheXpert-v1.0/{folder}/patient00001/study1/view1_frontal.jpg'",
        [f"line {line}: {text!r}" for line, text in wrong.items()],
    )
    labels = read_uncertain_labels(_SUBJECT, name, rows, CLASSES)
    table = pd.concat([parts[["image", "patient"]], labels], axis=1)
    refuse_disagreement(_SUBJECT, name, table, "image", list(CLASSES))
    stored = stored_images(root, folder, (".jpg",), depth=2)
    refuse_missing(_SUBJECT, name, table["image"], stored)
    return table.drop_duplicates("image"), unlisted_images(name, table["image"].tolist(), stored)


def _case_frame(rows: pd.DataFrame, policy: UncertainPolicy) -> pd.DataFrame:
    values: npt.NDArray[np.float64] = rows[list(CLASSES)].to_numpy(dtype=np.float64)
    in_training = (rows["split"] == "train").to_numpy()
    seed = seed_from("soft-labels", _NAME)
    settled = settle_uncertain(values, policy, in_training, rows["image"].tolist(), seed)
    columns = {
        "case_id": rows["image"],
        "patient_id": rows["patient"],
        "split": rows["split"],
        "image": rows["image"],
    }
    labels = {LABEL_PREFIX + name: settled[:, column] for column, name in enumerate(CLASSES)}
    return pd.DataFrame(columns | labels)


def _wrong_counts(name: str, folder: str, test: pd.DataFrame) -> tuple[Problem, ...]:
    """Return a problem when the positives are not those of the official test or validation images."""
    official = dict(zip(_CHECKED, _POSITIVES[folder], strict=True))
    found = {label: int((test[label] == 1).sum()) for label in _CHECKED}
    wrong = [label for label in _CHECKED if found[label] != official[label]]
    if not wrong:
        return ()
    return (
        Problem(
            what="unexpected-count",
            where=f"{name}, images per class",
            expected=", ".join(f"{official[label]} {label}" for label in wrong),
            found=", ".join(f"{found[label]} {label}" for label in wrong),
            next_step="Check the label file.",
        ),
    )


def _write_sample(root: Path) -> None:
    from medtransfer.tasks.samples_of_chexpert import write_chexpert_sample

    write_chexpert_sample(root)


_PAGE = TaskPage(
    about=(
        "224,316 chest X-rays, frontal and lateral, of Stanford Hospital: 223,414 for training, 234 for validation "
        "and 668 for test. A program mined 14 labels from the reports of the training images, each present, "
        "absent, uncertain or not mentioned; radiologists labelled validation and test. All 14 are "
        "trained, five are scored ('auc-scored': Atelectasis, Cardiomegaly, Consolidation, Edema, Pleural Effusion); "
        "'auc' is the mean over all 14.\n"
        "A label that is not mentioned counts as absent. The tasks differ in what an uncertain label becomes "
        "in training: chexpert (as studies A and B) draws a share from 0.55 to 0.85, chexpert-lsr-zeros from 0 to "
        "0.3, each once per image and label with a fixed seed; chexpert-ones takes it as present, chexpert-zeros "
        "as absent, chexpert-ignore leaves it out of the loss. For validation and test an uncertain label "
        "is never soft: present in chexpert and chexpert-ones, absent in the two tasks named zeros, left out in "
        "chexpert-ignore."
    ),
    access="Register with Stanford AIMI and accept its research use agreement; free of charge.",
    layout=(
        "train.csv, train/patient00001/study1/view1_frontal.jpg ...\n"
        "valid.csv, valid/patient64541/study1/view1_frontal.jpg ...\n"
        "test.csv or test_labels.csv, test/patient64741/study1/view1_frontal.jpg ...   (where you have them)\n"
        "The folder may be CheXpert-v1.0 or the smaller CheXpert-v1.0-small: the first part of each path in the "
        "label files, the name of that folder, is left out."
    ),
    split=(
        "Test is the test set of 668 images where its label file is there; the 234 official validation images "
        "are then not used. Without that file test is the 234 validation images, which is what studies A and B "
        "report on, so that results compare with theirs. The number of test images in a report says which it "
        "was. Validation, which selects, is a tenth of the official training patients, drawn with a fixed seed "
        "and stratified by the labels that are certain. No patient is cut, and all five tasks share one split."
    ),
    traps=(
        (
            "The released label file of the test set has no columns for sex, age and view, so its labels begin "
            "further left: read by position, each would be taken for another. Columns are found by name."
        ),
        (
            "Studies A and B select the best epoch on the same 234 images they report on. Here selection uses "
            "a part of the training images."
        ),
        (
            "The published code draws soft labels anew each time an image is read, in validation too, so its "
            "validation targets change from epoch to epoch. Here they are drawn once, for training only."
        ),
        (
            "The published label fraction also makes validation and test smaller. Here a fraction is taken "
            "from the training split alone."
        ),
        "MIMIC-CXR has the same labels in alphabetical order: labels are matched by name.",
    ),
)

_TITLE: Final = "14 findings in chest X-rays, scored on five"
_MEANINGS: Final[Mapping[UncertainPolicy, str]] = {
    "lsr-ones": "uncertain labels soft, leaning to present",
    "lsr-zeros": "uncertain labels soft, leaning to absent",
    "ones": "uncertain labels as present",
    "zeros": "uncertain labels as absent",
    "ignore": "uncertain labels left out",
}


def _task(name: str, policy: UncertainPolicy) -> TargetTask:
    return TargetTask(
        name=name,
        revision=1,
        title=f"{_TITLE}; {_MEANINGS[policy]}",
        kind=TaskKind.MULTI_LABEL,
        classes=CLASSES,
        metrics=("auc-scored", "auc"),
        open=partial(open_chexpert, policy=policy),
        folders=(
            *("chexpert/CheXpert-v1.0", "chexpert/CheXpert-v1.0-small"),
            *("CheXpert-v1.0", "CheXpert-v1.0-small", "chexpert"),
        ),
        licence="Stanford University dataset research use agreement; registration at Stanford AIMI",
        citation=(
            "Irvin et al., CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert "
            "Comparison, AAAI 2019"
        ),
        url="https://stanfordmlgroup.github.io/competitions/chexpert/",
        expected=ExpectedCounts(
            variants=({"train+val": 223_414, "test": 668}, {"train+val": 223_414, "test": 234})
        ),
        image_sets=("chexpert",),
        caution=(
            "Test is the official test set (668 images) where its labels are in the data folder, else the official "
            "validation images (234); the number of test cases says which."
        ),
        page=_PAGE,
        family=_NAME,
        write_sample=_write_sample,
    )


chexpert = _task("chexpert", "lsr-ones")
chexpert_tasks = (
    chexpert,
    _task("chexpert-ones", "ones"),
    _task("chexpert-zeros", "zeros"),
    _task("chexpert-ignore", "ignore"),
    _task("chexpert-lsr-zeros", "lsr-zeros"),
)
