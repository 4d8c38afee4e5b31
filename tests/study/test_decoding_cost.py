"""What is still to be decoded is estimated from a few images, once per task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medtransfer.data.decoded_cache import open_decoded_cache
from medtransfer.study import decoding_cost as module
from medtransfer.study.decoding_cost import decoded_side, decoding_seconds
from medtransfer.study.session import RunRequest, StudySession
from medtransfer.study.study import Study

STUDY: dict[str, Any] = {
    "name": "decode",
    "tasks": [{"lesions": {"root": "lesions"}}],
    "models": ["resnet20.random"],
    "protocols": [{"linear": {"image_size": 32}}, {"finetune": {"image_size": 48, "epochs": 1}}, "knn"],
    "seeds": 2,
}


@pytest.fixture
def session(lesions: Path, tmp_path: Path) -> StudySession:
    request = RunRequest(str(tmp_path / "store"), data=lesions, cache=tmp_path / "cache")
    return StudySession.prepare(Study.parse(STUDY), request, plan_only=True)


def test_sides_are_those_at_which_images_are_kept(session: StudySession) -> None:
    sides = {trial.description.protocol: decoded_side(trial) for trial in session.trials}
    assert sides == {"linear": 37, "finetune": 55, "knn": 37}, "the network's own size is 32"


def test_a_task_is_decoded_once_for_all_that_is_missing(
    session: StudySession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[tuple[int, int]] = []
    real = open_decoded_cache

    def count(cases: Any, side: int, folder: Path) -> Any:
        decoded.append((len(cases), side))
        return real(cases, side, folder)

    monkeypatch.setattr(module, "open_decoded_cache", count)
    cache, cases = tmp_path / "cache", session.trials[0].task.cases
    assert decoding_seconds(session.trials, cache) > 0
    assert decoded == [(16, 55)], "a few cases at the largest side"
    real(cases, 55, cache)
    assert decoding_seconds(session.trials, cache) > 0
    assert decoded[1:] == [(16, 37)]
    real(cases, 37, cache)
    assert decoding_seconds(session.trials, cache) == 0.0
    assert decoding_seconds([], cache) == 0.0
    assert len(decoded) == 2


def test_the_time_grows_with_the_cases(session: StudySession, tmp_path: Path, monkeypatch) -> None:
    clock = [0.0]

    def tick() -> float:
        clock[0] += 8.0
        return clock[0]

    monkeypatch.setattr(module.time, "process_time", tick)
    monkeypatch.setattr(module, "open_decoded_cache", lambda *_: None)
    assert decoding_seconds(session.trials, tmp_path / "cache") == pytest.approx(8.0 / 16 * 40)


def test_few_cases_are_all_tried(session: StudySession, tmp_path: Path, monkeypatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(module, "open_decoded_cache", lambda cases, *_: seen.append(len(cases)))
    few = session.trials[0].task.cases
    assert module._seconds(few.with_frame(few.frame.iloc[:3]), {20}, tmp_path / "cache") >= 0.0
    assert seen == [3]
