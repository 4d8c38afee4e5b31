"""What every registered target task must be; a new one is tested by being registered."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.models.overlap import MEDICAL, NATURAL, OWN_PREFIX, PHANTOM_PREFIX
from medtransfer.tasks.registry import target_tasks
from medtransfer.tasks.target_task import TargetTask

every_task = pytest.mark.parametrize("task", list(target_tasks), ids=lambda task: task.name)


@every_task
def test_the_record_is_complete(task: TargetTask) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", task.name)
    assert task.revision >= 1
    assert all((task.title, task.licence, task.citation, task.image_sets))
    assert task.phantom or (task.url.startswith("https://") and task.folders)
    assert len(set(task.classes)) == len(task.classes) >= 1
    assert not any(folder.startswith("/") or ".." in folder for folder in task.folders)


@every_task
def test_its_metrics_exist_and_are_of_its_kind(task: TargetTask) -> None:
    assert task.primary_metric == task.metrics[0]
    assert len(set(task.metrics)) == len(task.metrics)
    assert all(task.kind in metrics.get(name).kinds for name in task.metrics)


@every_task
def test_kinds_and_classes_fit(task: TargetTask) -> None:
    least = {TaskKind.BINARY: 2, TaskKind.MULTI_CLASS: 3}.get(task.kind, 1)
    assert len(task.classes) >= least
    assert task.kind is not TaskKind.BINARY or len(task.classes) == 2


@every_task
def test_expected_counts_name_splits_or_sums_of_them(task: TargetTask) -> None:
    expected = task.expected
    for counts in expected.variants if expected else ():
        named = [split for splits in counts for split in splits.split("+")]
        assert set(named) <= {"train", "val", "test"}
        assert len(named) == len(set(named)), "no case is counted twice"
        assert min(counts.values()) > 0
    for splits, classes in ((expected and expected.classes) or {}).items():
        assert set(splits.split("+")) <= {"train", "val", "test"}
        assert set(classes) <= set(task.classes)


@every_task
def test_its_image_sets_are_known_to_the_overlap_register(task: TargetTask) -> None:
    assert all(
        name in NATURAL | MEDICAL or name.startswith((PHANTOM_PREFIX, OWN_PREFIX)) for name in task.image_sets
    )


@every_task
def test_the_page_says_everything(task: TargetTask) -> None:
    page = task.page
    if page is not None:
        assert all(len(text.strip()) > 40 for text in (page.about, page.access, page.layout, page.split))
        assert all(trap.endswith((".", "!")) for trap in page.traps)


def test_listing_reads_nothing_and_imports_no_torch() -> None:
    program = (
        "import sys\nfrom medtransfer.tasks.registry import target_tasks\n"
        "print(len(target_tasks), sorted({'torch', 'PIL', 'cv2'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split(maxsplit=1)[0] == str(len(target_tasks))
    assert "torch" not in done.stdout
