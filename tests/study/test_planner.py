"""What a study would cost: from the store where like trials are done, else from one forward pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from medtransfer.store.records import Outcome
from medtransfer.study import planner
from medtransfer.study.planner import Plan, PlanRow
from medtransfer.study.session import RunRequest, StudySession
from medtransfer.study.study import Study

STUDY: dict[str, Any] = {
    "name": "plan",
    "tasks": [{"lesions": {"root": "lesions"}}],
    "models": ["resnet20.random"],
    "protocols": [{"finetune": {"image_size": 32, "epochs": 10}}],
    "label_fractions": [0.5, 1.0],
    "seeds": 2,
}
FRAME = pd.DataFrame({"case_id": ["a"]})


@pytest.fixture
def prepare(lesions: Path, tmp_path: Path):
    def call(workers: int = 1, **changes: Any) -> StudySession:
        request = RunRequest(str(tmp_path / "store"), data=lesions, cache=tmp_path / "cache", workers=workers)
        return StudySession.prepare(Study.parse({**STUDY, **changes}), request)

    return call


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every forward pass takes 1 ms per image; which image sizes were asked for."""
    sizes: list[int] = []

    def forward(model: object, size: int, folders: object) -> float:
        sizes.append(size)
        return 0.001

    monkeypatch.setattr(planner, "_forward_seconds", forward)
    return sizes


def finish(session: StudySession, durations: list[float]) -> None:
    session.store.submit(session.study.name, [trial.description for trial in session.trials])
    names = [trial.fingerprint for trial in session.trials]
    for claim, seconds in zip(session.store.claim(names[: len(durations)], "me", 60), durations, strict=True):
        session.store.finish(claim, Outcome({}, 10, duration_s=seconds), FRAME)


def test_training_costs_by_epochs_cases_and_fractions(prepare, speed: list[int]) -> None:
    session = prepare()
    (row,) = session.estimate().rows
    assert speed == [32]
    assert (row.task, row.model, row.protocol, row.basis) == (
        "lesions",
        "resnet20.random",
        "finetune",
        "probe",
    )
    assert (dict(row.fractions), row.trials, row.done) == ({0.5: 2, 1.0: 2}, 4, 0)
    splits = session.trials[0].description.facts["split_counts"]
    training = 3.0 * splits["train"] * 10 * (0.5 * 2 + 1.0 * 2)
    scoring = 4 * (splits["val"] * 10 + splits["test"])
    assert row.seconds == pytest.approx(0.001 * (training + scoring))


def test_longer_training_and_more_seeds_cost_more(prepare, speed: list[int]) -> None:
    base = prepare().estimate().seconds
    assert prepare(seeds=4).estimate().seconds == pytest.approx(2 * base)
    double = [{"finetune": {"image_size": 32, "epochs": 20}}]
    assert 1.9 * base < prepare(protocols=double).estimate().seconds < 2.1 * base


def test_features_are_counted_once_however_many_heads(prepare, speed: list[int]) -> None:
    linear = [{"linear": {"image_size": 32}}]
    (few,) = prepare(protocols=linear, seeds=1).estimate().rows
    (many,) = prepare(protocols=linear, seeds=11).estimate().rows
    heads = planner._HEADS_S
    assert few.seconds == pytest.approx(40 * 0.001 + 2 * heads)
    assert many.seconds - few.seconds == pytest.approx(10 * heads)


def test_one_forward_pass_serves_all_protocols_of_a_size(prepare, speed: list[int]) -> None:
    sized = {"image_size": 32}
    prepare(protocols=[{"linear": sized}, {"knn": sized}, {"finetune": {"image_size": 48}}]).estimate()
    assert sorted(speed) == [32, 48]


def test_done_trials_give_the_measure_for_the_rest(prepare, speed: list[int]) -> None:
    session = prepare()
    finish(session, [2.0, 4.0])
    (row,) = session.estimate().rows
    assert (row.trials, row.done, row.basis) == (4, 2, "measured")
    assert row.seconds == pytest.approx(2 * 3.0)
    assert speed == []


def test_other_settings_are_no_measure(prepare, speed: list[int]) -> None:
    finish(prepare(), [2.0, 4.0])
    (row,) = prepare(protocols=[{"finetune": {"image_size": 64, "epochs": 10}}]).estimate().rows
    assert (row.done, row.basis) == (0, "probe")


def test_a_study_that_is_done_costs_nothing(prepare, speed: list[int]) -> None:
    session = prepare()
    finish(session, [2.0] * 4)
    plan = session.estimate()
    assert (plan.total, plan.done, plan.seconds) == (4, 4, 0.0)
    assert speed == []


def test_wall_clock_time_is_shared_by_the_workers() -> None:
    row = PlanRow("t", "m", "p", {1.0: 2}, trials=2, done=1, seconds=30.0, basis="probe")
    assert [Plan((row, row), workers).seconds for workers in (0, 1, 3)] == [60.0, 60.0, 20.0]
    assert (Plan((row, row), 1).total, Plan((row, row), 1).done) == (4, 2)


@pytest.mark.parametrize("model", ["resnet20.random", "timm/test_vit.random"])
def test_the_forward_pass_is_one_of_the_network_at_the_protocols_size(prepare, model: str) -> None:
    session = prepare(models=[model], protocols=[{"linear": {"image_size": 32}}])
    (row,) = session.estimate().rows
    assert 0 < row.seconds < 60
