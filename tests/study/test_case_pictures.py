"""Pictures of test cases: only of the data the trials were run on, and only of the cases asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from medtransfer.core.errors import DataError, UsageError
from medtransfer.reports.evidence import read_evidence
from medtransfer.reports.study_reading import read_study
from medtransfer.reports.worst_cases import worst_cases
from medtransfer.study.case_pictures import case_pictures
from medtransfer.study.session import RunRequest, StudySession
from medtransfer.study.study import Study

CONTENT: dict[str, Any] = {
    "name": "pictures",
    "models": ["resnet20.random"],
    "protocols": [{"linear": {"image_size": 32}}],
    "blocks": [{"tasks": [{"lesions": {"root": "lesions", "patient_pattern": "^([a-z][0-9]+)_"}}]}],
}


@pytest.fixture
def session(lesions: Path, tmp_path: Path) -> StudySession:
    places = {"store": str(tmp_path / "store"), "data": lesions, "cache": tmp_path / "cache", "workers": 0}
    prepared = StudySession.prepare(Study.parse(CONTENT), RunRequest(**places))
    prepared.run()
    return prepared


def _pictures(png: bytes) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found


def test_pictures_show_the_images_of_the_shown_cases(
    session: StudySession, lesions: Path, tmp_path: Path
) -> None:
    reading = read_study(read_evidence(session.store, "pictures"))
    (task,) = reading.tasks.values()
    thumbnails = case_pictures(session.store, "pictures", lesions, tmp_path / "cache")
    _, gallery, table = worst_cases(reading, task, thumbnails)
    shown = [picture for group in gallery.groups for picture in group]
    assert len(shown) == len(table.rows) > 0
    for picture in shown:
        original = cv2.imread(str(lesions / "lesions" / picture.lines[0]))
        assert original is not None
        small = _pictures(picture.png)
        assert max(small.shape[:2]) == 128
        expected = cv2.resize(original, (128, 128), interpolation=cv2.INTER_NEAREST)
        np.testing.assert_array_equal(small, expected)


def test_a_picture_is_kept_and_found_again(session: StudySession, lesions: Path, tmp_path: Path) -> None:
    reading = read_study(read_evidence(session.store, "pictures"))
    (task,) = reading.tasks.values()
    case = worst_cases(reading, task, None)[-1].rows[0][0].text
    first = case_pictures(session.store, "pictures", lesions, tmp_path / "cache")(task, [case])
    (kept,) = (tmp_path / "cache" / "thumbnails").glob("*.png")
    assert kept.read_bytes() == first[case]
    written = kept.stat().st_mtime_ns
    again = case_pictures(session.store, "pictures", lesions, tmp_path / "cache")(task, [case])
    assert again == first
    assert kept.stat().st_mtime_ns == written


def test_cases_nobody_knows_have_no_picture(session: StudySession, lesions: Path, tmp_path: Path) -> None:
    (task,) = read_study(read_evidence(session.store, "pictures")).tasks.values()
    assert case_pictures(session.store, "pictures", lesions, tmp_path / "cache")(task, ["other.png"]) == {}


def test_other_data_is_refused(session: StudySession, draw_lesions: Any, tmp_path: Path) -> None:
    (task,) = read_study(read_evidence(session.store, "pictures")).tasks.values()
    other = draw_lesions(tmp_path / "other")
    image = next((other / "lesions" / "benign").glob("*.png"))
    cv2.imwrite(str(image), np.zeros((36, 36), dtype=np.uint8))
    pictures = case_pictures(session.store, "pictures", other, tmp_path / "cache")
    with pytest.raises(DataError, match="expected the data its trials were run on"):
        pictures(task, [])


def test_data_that_is_not_there_is_named(session: StudySession, tmp_path: Path) -> None:
    (task,) = read_study(read_evidence(session.store, "pictures")).tasks.values()
    with pytest.raises(DataError, match="expected a folder"):
        case_pictures(session.store, "pictures", tmp_path / "nowhere", tmp_path / "cache")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"expected a folder at .*lesions"):
        case_pictures(session.store, "pictures", empty, tmp_path / "cache")(task, [])


def test_a_task_of_another_study_is_refused(session: StudySession, lesions: Path, tmp_path: Path) -> None:
    class Other:
        label = "other"
        data_hash = "0" * 64

    with pytest.raises(UsageError, match="expected a task of the study file"):
        case_pictures(session.store, "pictures", lesions, tmp_path / "cache")(Other(), [])


def test_the_stored_file_is_read_as_the_study_file_was(lesions: Path, tmp_path: Path) -> None:
    """``2e-2`` is a number in a study file; read as a word, the task would be refused."""
    task = CONTENT["blocks"][0]["tasks"][0]["lesions"]
    text = yaml.safe_dump(
        {**CONTENT, "blocks": [{"tasks": [{"lesions": {**task, "equivalence_margin": 9}}]}]}
    )
    (tmp_path / "study.yaml").write_text(text.replace("equivalence_margin: 9", "equivalence_margin: 2e-2"))
    places = {"store": str(tmp_path / "store"), "data": lesions, "cache": tmp_path / "cache", "workers": 0}
    prepared = StudySession.prepare(Study.read(tmp_path / "study.yaml"), RunRequest(**places))
    prepared.run()
    (found,) = read_study(read_evidence(prepared.store, "pictures")).tasks.values()
    assert found.equivalence_margin == 0.02
    pictures = case_pictures(prepared.store, "pictures", lesions, tmp_path / "cache")
    assert pictures(found, ["other.png"]) == {}
