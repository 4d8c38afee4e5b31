"""Every registered data set on its own synthetic sample: written, checked, and run through two protocols."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import medtransfer as mt
from medtransfer.core.fingerprints import hash_file
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import SPLITS
from medtransfer.data.data_check import CheckOptions, check_data
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.tasks.location import locate_task
from medtransfer.tasks.opening import open_target_task
from medtransfer.tasks.registry import target_tasks
from medtransfer.tasks.samples import CAUTION, sample_family, write_sample
from medtransfer.tasks.target_task import TargetTask

SAMPLED = [task for task in target_tasks if task.write_sample is not None]
FAMILIES = list({task.family or task.name: task for task in SAMPLED}.values())
LEFT_OUT = {"unlisted-image", "dropped-rows"}
"""What some data sets leave out on purpose; samples show it, and a study says that it knows."""

FEW_STRENGTHS = {"strengths": [1e-3]}
"""For a softmax over a thousand classes, where every strength takes a while."""

every_sample = pytest.mark.parametrize("task", SAMPLED, ids=lambda task: task.name)
every_family = pytest.mark.parametrize("task", FAMILIES, ids=lambda task: task.family or task.name)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_every_task_that_is_downloaded_has_a_sample_and_a_page() -> None:
    for task in target_tasks:
        assert (task.write_sample is None) == task.phantom, task.name
        assert (task.page is None) == task.phantom, task.name


def files_of(root: Path) -> dict[str, str]:
    paths = root.rglob("*") if root.is_dir() else [root]
    return {path.relative_to(root).as_posix(): hash_file(path) for path in paths if path.is_file()}


@every_family
def test_samples_are_small_and_the_same_every_time(task: TargetTask, tmp_path: Path) -> None:
    roots = [write_sample(task, tmp_path / name) for name in ("one", "two/deeper")]
    assert files_of(roots[0]) == files_of(roots[1])
    paths = roots[0].rglob("*") if roots[0].is_dir() else [roots[0]]
    assert sum(path.stat().st_size for path in paths) < 12e6
    assert sample_family(roots[0]) == (task.family or task.name)


@every_sample
def test_a_sample_is_what_the_task_expects(task: TargetTask, tmp_path: Path) -> None:
    write_sample(task, tmp_path)
    marked, cases = open_target_task(task, locate_task(task, tmp_path))
    assert (marked.phantom, marked.expected, marked.caution) == (True, None, CAUTION)
    assert (cases.kind, cases.classes) == (task.kind, task.classes)
    assert set(cases.frame["split"]) == set(SPLITS)
    assert (cases.frame.groupby("patient_id")["split"].nunique() == 1).all()
    assert not any(str(tmp_path) in str(value) for value in cases.frame.to_numpy().ravel())
    check = check_data(cases, None, CheckOptions(near_duplicates=False))
    assert {problem.what for problem in check.problems} <= LEFT_OUT
    for split in check.splits:
        assert min(split.classes.values()) >= 1, split.name
    again = open_target_task(task, locate_task(task, tmp_path))[1]
    assert again.content_hash() == cases.content_hash()
    if task.kind is TaskKind.SEGMENTATION:
        assert set(cases.scored_structures()) == set(cases.structures or cases.classes)
    for name in task.metrics:
        assert cases.offers(metrics.get(name).needs), name


@every_sample
def test_two_protocols_run_on_the_sample(task: TargetTask, tmp_path: Path, own_cache: Path) -> None:
    write_sample(task, tmp_path / "data")
    done = mt.run(
        mt.Study(
            "rehearsal",
            tasks=[task.name],
            models=["test_resnet.random"],
            protocols=[
                {"linear": {"image_size": 32} | (FEW_STRENGTHS if len(task.classes) > 200 else {})},
                {"finetune": {"epochs": 2, "image_size": 32}},
            ],
            seeds=1,
            accept={task.name: sorted(LEFT_OUT)},
        ),
        store=tmp_path / "store",
        data=tmp_path / "data",
        cache=own_cache,
    )
    assert (done.counts.done, done.counts.failed) == (2, 0), done.table()["reason"].tolist()
    for record in done.records():
        assert record.description.facts["phantom"]
    for _, row in done.table().iterrows():
        for name in task.metrics:
            value = row[f"test.best.{name}"]
            assert np.isnan(value) or 0 <= value <= 1
        assert not np.isnan(row[f"test.best.{task.primary_metric}"])
