"""Which worker gets which trial, and when, changes no number."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from medtransfer.store.records import Outcome
from medtransfer.study import runner as module
from medtransfer.study.plan import group_trials
from medtransfer.study.runner import RunOptions, StudyRunner
from medtransfer.study.session import RunRequest, StudySession
from medtransfer.study.study import Study

STUDY: dict[str, Any] = {
    "name": "order",
    "tasks": [{"lesions": {"root": "lesions"}}],
    "models": ["resnet20.random", "timm/test_resnet.random"],
    "protocols": [
        {"linear": {"image_size": 32}},
        {"knn": {"image_size": 32}},
        {"finetune": {"image_size": 32, "epochs": 1}},
    ],
    "label_fractions": [0.5],
    "seeds": 2,
}
NAMES = tuple(field.name for field in fields(Outcome))
MEASURED = ("duration_s", "cpu_s", "provenance")


@pytest.fixture
def run(lesions: Path, tmp_path: Path):
    def call(name: str, workers: int) -> StudySession:
        place = tmp_path / name
        request = RunRequest(str(place / "store"), data=lesions, cache=place / "cache", workers=workers)
        session = StudySession.prepare(Study.parse(STUDY), request)
        assert session.run().done == len(session.trials)
        return session

    return call


def results(session: StudySession) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Everything a record says but what was measured about the run, with its predictions."""
    found = []
    for record in session.store.records(session.study.name):
        assert record.outcome is not None
        kept = {name: getattr(record.outcome, name) for name in NAMES if name not in MEASURED}
        found.append((kept, session.store.predictions(record)))
    session.store.close()
    return found


def test_records_are_equal_bit_for_bit_in_any_order_and_in_any_worker(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_order = results(run("one", 0))
    assert set(NAMES) >= set(MEASURED)
    real = group_trials
    monkeypatch.setattr(module, "group_trials", lambda trials: real(trials)[::-1])
    for other in (results(run("backwards", 0)), results(run("workers", 2))):
        assert len(other) == len(in_order) == 12
        for (kept, predictions), (expected, expected_predictions) in zip(other, in_order, strict=True):
            assert kept == expected
            pd.testing.assert_frame_equal(predictions, expected_predictions, check_exact=True)


def test_jobs_share_their_task_then_their_model(run, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Any] = []

    def see(given: list[Any], **options: Any) -> Any:
        jobs.extend(given)
        yield from ()

    session = run("one", 0)
    monkeypatch.setattr(module, "run_jobs", see)
    StudyRunner(session.store, "order", RunOptions(session.request.folders))._run_round(session.trials)
    session.store.close()
    protocols = [group[0].description.protocol for group in group_trials(session.trials)]
    assert protocols == ["linear", "knn", *["finetune"] * 2] * 2, "all heads of a model and task are one job"
    models = ["resnet20.random"] * 4 + ["timm/test_resnet.random"] * 4
    assert [job.affinity for job in jobs] == [("lesions", model) for model in models]


def test_the_features_of_a_model_are_extracted_once(run, monkeypatch: pytest.MonkeyPatch) -> None:
    from medtransfer.protocols import bench_features

    extracted: list[str] = []
    real = bench_features._extract

    def count(bench: Any, *arguments: Any) -> Any:
        extracted.append(bench.model.name)
        return real(bench, *arguments)

    monkeypatch.setattr(bench_features, "_extract", count)
    run("one", 0).store.close()
    assert extracted == ["resnet20.random", "timm/test_resnet.random"], "linear and knn read the same"
