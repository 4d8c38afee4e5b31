"""Phantom tasks: complete, grouped by patient, apart from the pretraining sets, and learnable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import open_decoded_cache
from medtransfer.data.phantom_photographs import motifs
from medtransfer.tasks.phantom_tasks import (
    CHEST_PRETRAINING_SET,
    PHOTOGRAPHIC_SET,
    chest_pretraining_cases,
    phantom_tasks,
    photographic_cases,
)
from medtransfer.tasks.target_task import TargetTask

every_task = pytest.mark.parametrize("task", phantom_tasks, ids=lambda task: task.name)
every_table = pytest.mark.parametrize(
    "cases",
    [
        *(task.open(Path("nowhere")) for task in phantom_tasks),
        chest_pretraining_cases(),
        photographic_cases(),
    ],
    ids=[*(task.name for task in phantom_tasks), CHEST_PRETRAINING_SET, PHOTOGRAPHIC_SET],
)


@every_task
def test_the_table_is_what_the_record_declares(task: TargetTask) -> None:
    cases = task.open(Path("nowhere"))
    assert (cases.kind, cases.classes) == (task.kind, task.classes)
    assert task.expected is not None
    assert cases.frame["split"].value_counts().to_dict() in [
        dict(counts) for counts in task.expected.variants
    ]
    assert task.phantom
    assert "Phantom" in task.caution
    assert cases.content_hash() == task.open(Path("elsewhere")).content_hash()


def test_there_is_a_task_of_each_sort() -> None:
    assert {task.name: task.kind for task in phantom_tasks} == {
        "phantom-findings": TaskKind.MULTI_LABEL,
        "phantom-nodule": TaskKind.BINARY,
        "phantom-lungs": TaskKind.SEGMENTATION,
    }


@every_table
def test_no_patient_is_in_two_splits(cases: CaseTable) -> None:
    assert (cases.frame.groupby("patient_id")["split"].nunique() == 1).all()


@every_table
def test_every_label_says_what_is_drawn(cases: CaseTable) -> None:
    if cases.kind is TaskKind.SEGMENTATION:
        assert [
            mask == (image,) for mask, image in zip(cases.frame["mask"], cases.frame["image"], strict=True)
        ]
        return
    last = cases.frame["image"].str.split("/").str[-1].str.split("+")
    for row, labels in enumerate(cases.labels()):
        if cases.kind is TaskKind.MULTI_LABEL:
            assert [name in last[row] for name in cases.classes] == labels.astype(bool).tolist()
        elif cases.kind is TaskKind.BINARY:
            assert ("nodule" in last[row]) == bool(labels)
        else:
            assert f"/{cases.classes[labels]}/" in cases.frame["image"][row]


def test_some_patients_have_two_exams_and_one_heart() -> None:
    frame = phantom_tasks[0].open(Path()).frame
    exams = frame.groupby("patient_id")["case_id"].count()
    assert set(exams) == {1, 2}
    assert 0.15 < (exams == 2).mean() < 0.35
    assert (frame.groupby("patient_id")["label:cardiomegaly"].nunique() == 1).all()
    assert (frame.groupby("patient_id")["label:nodule"].nunique() == 2).any()


def test_prevalence_is_balanced_over_splits() -> None:
    for task in phantom_tasks[:2]:
        cases = task.open(Path())
        shares = [cases.labels()[cases.indices(split)].mean(axis=0) for split in ("train", "val", "test")]
        assert np.ptp(shares, axis=0).max() < 0.06
        assert 0.2 < np.min(shares) < np.max(shares) < 0.6


def test_no_picture_is_used_twice() -> None:
    tables = [
        *(task.open(Path()) for task in phantom_tasks),
        chest_pretraining_cases(300),
        photographic_cases(50),
    ]
    hashes = [cases.source.content_hash(locator) for cases in tables for locator in cases.frame["image"]]
    assert len(set(hashes)) == len(hashes)
    series = [{tuple(locator.split("/")[:2]) for locator in cases.frame["image"]} for cases in tables]
    assert len(set.union(*series)) == len(tables)


def test_image_sets_tell_tasks_and_pretraining_apart() -> None:
    names = [name for task in phantom_tasks for name in task.image_sets]
    names += [CHEST_PRETRAINING_SET, PHOTOGRAPHIC_SET]
    assert len(set(names)) == 5
    assert all(name.startswith("phantom-") for name in names)


def test_pretraining_tables_have_the_asked_size_and_all_classes() -> None:
    photographs = photographic_cases(200)
    assert photographs.classes == tuple(motifs)
    assert np.bincount(photographs.labels()).tolist() == [20] * 10
    assert photographs.frame["split"].value_counts().to_dict() == {"train": 180, "val": 20}
    chests = chest_pretraining_cases(300)
    assert len(chests) == 300
    assert len(chests.classes) == 7
    assert set(phantom_tasks[0].classes) < set(chests.classes)
    assert set(chests.frame["split"]) == {"train", "val"}


def test_findings_can_be_learned_from_pixels_but_not_at_once(tmp_path: Path) -> None:
    cases = phantom_tasks[0].open(Path())
    pixels = open_decoded_cache(cases, 20, tmp_path).images.reshape(len(cases), -1) / 255.0
    pixels = (pixels - pixels.mean(axis=1, keepdims=True)) / pixels.std(axis=1, keepdims=True)
    train, test = cases.indices("train"), cases.indices("test")
    areas = []
    for labels in cases.labels().T:
        model = LogisticRegression(C=0.01, max_iter=300).fit(pixels[train], labels[train])
        areas.append(roc_auc_score(labels[test], model.predict_proba(pixels[test])[:, 1]))
    assert 0.60 < np.mean(areas) < 0.95
