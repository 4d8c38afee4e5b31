"""Which decoded images a study needs; a task it cannot do hides nothing that is wrong with others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from medtransfer.core.errors import DataError, UsageError
from medtransfer.study.session import RunRequest, StudySession
from medtransfer.study.study import Study

OUTLINES = {"outlines": {"root": "outlines", "images": "images", "masks": "masks"}}
LESIONS = {"lesions": {"root": "lesions"}}
ABSENT = {"spots": {"root": "absent"}}


@pytest.fixture
def data(lesions: Path) -> Path:
    """The drawn lesions, and discs in noise with their outlines."""
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (lesions / "outlines" / folder).mkdir(parents=True)
    for number in range(24):
        disc = np.zeros((40, 44), dtype=np.uint8)
        cv2.circle(disc, tuple(random.integers(14, 26, 2).tolist()), 9, 255, -1)
        noisy = random.integers(0, 256, disc.shape, dtype=np.uint8)
        cv2.imwrite(str(lesions / "outlines" / "images" / f"{number:02}.png"), noisy)
        cv2.imwrite(str(lesions / "outlines" / "masks" / f"{number:02}.png"), disc)
    return lesions


@pytest.fixture
def prepare(data: Path, tmp_path: Path):
    def call(*tasks: dict[str, Any]) -> StudySession:
        content = {"name": "sides", "models": ["resnet20.random"], "protocols": [{"knn": {"image_size": 32}}]}
        request = RunRequest(str(tmp_path / "store"), data=data, cache=tmp_path / "cache", workers=0)
        return StudySession.prepare(Study.parse({**content, "tasks": list(tasks)}), request)

    return call


@pytest.mark.parametrize("tasks", [(OUTLINES, ABSENT), (ABSENT, OUTLINES)])
def test_missing_data_is_told_before_a_task_no_protocol_can_do(prepare, data: Path, tasks: Any) -> None:
    with pytest.raises(DataError) as refused:
        prepare(*tasks)
    assert str(refused.value).startswith(f"task 'spots': expected a folder at {data / 'absent'}, got none.")


@pytest.mark.parametrize("tasks", [(OUTLINES, LESIONS), (LESIONS, OUTLINES)])
def test_with_all_data_there_the_plan_refuses_it(prepare, tmp_path: Path, tasks: Any) -> None:
    with pytest.raises(UsageError, match=r"protocol 'knn' cannot do segmentation \(task 'outlines'\)\. Put"):
        prepare(*tasks)
    assert [folder.name for folder in (tmp_path / "cache" / "decoded").iterdir()], "of the task it can do"
