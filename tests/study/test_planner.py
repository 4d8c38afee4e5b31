"""What a study would cost: from the store where like trials are done, else from probes of the networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from medtransfer.store.records import Outcome
from medtransfer.study import probing
from medtransfer.study.planner import Plan, PlanRow
from medtransfer.study.probe import Probe, ProbeRequest, ProbeRun
from medtransfer.study.row_costs import RowCost
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
GIB = 1 << 30
RUN = ProbeRun(
    batch_size=4,
    train_cases=16,
    cases=32,
    pass_s=0.001,
    pass_bytes=0.0,
    setup_s=0.0,
    step_s=0.04,
    validation_s=0.0,
    results_s=((16, 0.016),),
    embedding_size=0,
    before_bytes=GIB,
    peak_bytes=GIB,
)


@pytest.fixture
def prepare(lesions: Path, tmp_path: Path):
    def call(workers: int = 1, **changes: Any) -> StudySession:
        request = RunRequest(str(tmp_path / "store"), data=lesions, cache=tmp_path / "cache", workers=workers)
        study = Study.parse({**STUDY, **changes})
        return StudySession.prepare(study, request, plan_only=True)

    return call


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[ProbeRequest]:
    """Every probe takes the same; which were asked for."""
    found: list[ProbeRequest] = []

    def run(requests: Mapping[str, ProbeRequest], progress: object) -> dict[str, Probe | str]:
        found.extend(requests.values())
        return dict.fromkeys(requests, Probe(RUN, RUN))

    monkeypatch.setattr(probing, "run_probes", run)
    return found


def finish(session: StudySession, seconds: list[float], peaks: Sequence[int | None] = ()) -> None:
    session.store.submit(session.study.name, [trial.description for trial in session.trials])
    names = [trial.fingerprint for trial in session.trials]
    claims = session.store.claim(names[: len(seconds)], "me", 60)
    for claim, cpu_s, peak in zip(claims, seconds, peaks or [None] * len(seconds), strict=True):
        session.store.finish(claim, Outcome({}, 10, cpu_s=cpu_s), FRAME, peak_bytes=peak)


def test_a_row_is_probed_at_its_largest_subset(prepare, asked: list[ProbeRequest]) -> None:
    session = prepare()
    (row,) = session.estimate().rows
    splits = session.trials[0].description.facts["split_counts"]
    (request,) = asked
    assert (request.train_cases, request.side, request.shape.classes) == (
        splits["train"],
        37,
        ("benign", "malignant"),
    )
    assert request.batch_size == splits["train"] // 4, "few training cases are cut into four batches"
    assert (row.task, row.model, row.protocol, row.basis, row.fault) == (
        "lesions",
        "resnet20.random",
        "finetune",
        "probe",
        "",
    )
    assert (dict(row.fractions), row.trials, row.done) == ({0.5: 2, 1.0: 2}, 4, 0)
    train = 10 * 0.01 * splits["train"] * (0.5 * 2 + 1.0 * 2)
    scoring = 4 * 2 * 0.001 * (splits["val"] + splits["test"])
    assert row.cost is not None
    encoder = 0.001 * 40
    assert row.cost.cpu_s == row.cost.most_s == pytest.approx(encoder + train + scoring), "patience of 15"
    assert row.cost.longest_s == pytest.approx(encoder + train / 3 + scoring / 4)


def test_one_probe_serves_rows_that_cost_the_same_per_case(prepare, asked: list[ProbeRequest]) -> None:
    sized = [{"linear": {"image_size": 32}}, {"finetune": {"image_size": 32, "epochs": 10}}]
    tasks = [{"lesions": {"root": "lesions"}}, {"again": {"root": "lesions"}}]
    plan = prepare(
        protocols=sized, tasks=tasks, models=["resnet20.random", "timm/test_vit.random"]
    ).estimate()
    assert len(plan.rows) == 8
    assert sorted((r.model.name, r.protocol.name) for r in asked) == [
        ("resnet20.random", "finetune"),
        ("resnet20.random", "linear"),
        ("timm/test_vit.random", "finetune"),
        ("timm/test_vit.random", "linear"),
    ]


def test_embeddings_are_paid_once_per_task_and_model(prepare, asked: list[ProbeRequest]) -> None:
    sized = {"image_size": 32}
    plan = prepare(protocols=[{"linear": sized}, {"knn": sized}, {"knn": {"image_size": 48}}]).estimate()
    linear, knn, other = (row.cost.cpu_s for row in plan.rows if row.cost is not None)
    cases = 40
    assert linear - knn == pytest.approx(cases * RUN.pass_s)
    assert other == pytest.approx(linear)


@pytest.mark.parametrize("rule", ["study", "imagenet"])
def test_embeddings_of_other_inputs_are_paid_again(prepare, asked: list[ProbeRequest], rule: str) -> None:
    sized = {"image_size": 32}
    rows = [{"linear": sized}, {"linear": {**sized, "normalization": rule}}]
    again = [{"knn": sized}, {"knn": {**sized, "normalization": rule}}]
    plan = prepare(protocols=[*rows, *again]).estimate()
    plain, other, *knn = (row.cost.cpu_s for row in plan.rows if row.cost is not None)
    assert other == pytest.approx(plain)
    assert knn == pytest.approx([plain - 40 * RUN.pass_s] * 2)
    assert [row.settings.get("normalization") for row in plan.rows] == [None, rule, None, rule]


def test_embeddings_of_a_row_that_has_begun_are_there(prepare, asked: list[ProbeRequest]) -> None:
    session = prepare(protocols=[{"linear": {"image_size": 32}}])
    (before,) = session.estimate().rows
    finish(session, [1.0])
    (begun,) = session.estimate().rows
    assert (begun.done, begun.basis) == (1, "probe"), "another label fraction was not measured"
    assert before.cost is not None
    assert begun.cost is not None
    assert before.cost.cpu_s - begun.cost.cpu_s > 40 * RUN.pass_s


def test_done_trials_give_the_measure_for_the_rest(prepare, asked: list[ProbeRequest]) -> None:
    session = prepare(label_fractions=[1.0], seeds=4)
    finish(session, [2.0, 4.0])
    (row,) = session.estimate().rows
    assert (row.trials, row.done, row.basis) == (4, 2, "measured")
    assert row.cost == RowCost(6.0, 6.0, 3.0, None)
    assert asked == []


def test_memory_is_the_most_that_like_trials_took(prepare, asked: list[ProbeRequest]) -> None:
    finish(prepare(seeds=1), [1.0, 5.0], [3 * GIB, 2 * GIB])
    plan = prepare(seeds=3).estimate()
    (row,) = plan.rows
    assert row.cost == RowCost(12.0, 12.0, 5.0, 3 * GIB)
    assert (plan.worker_bytes, plan.unmeasured) == (3 * GIB, 0)
    half, whole = (prepare(seeds=3, label_fractions=[share]).estimate() for share in (0.5, 1.0))
    assert (half.worker_bytes, whole.worker_bytes) == (3 * GIB, 2 * GIB), "each fraction has its own"


def test_memory_of_which_a_part_was_not_measured_is_not_known(prepare, asked: list[ProbeRequest]) -> None:
    finish(prepare(seeds=1), [1.0, 5.0], [3 * GIB, None])
    plan = prepare(seeds=3).estimate()
    (row,) = plan.rows
    assert row.cost == RowCost(12.0, 12.0, 5.0, None)
    assert (plan.worker_bytes, plan.unmeasured) == (0, 4)
    assert asked == []


def test_each_label_fraction_has_its_own_measure(prepare, asked: list[ProbeRequest]) -> None:
    finish(prepare(seeds=1), [1.0, 5.0])
    (row,) = prepare(seeds=3).estimate().rows
    assert (row.done, row.basis) == (2, "measured")
    assert row.cost == RowCost(12.0, 12.0, 5.0, None)
    (more,) = prepare(seeds=3, label_fractions=[0.5, 0.75]).estimate().rows
    assert more.basis == "probe", "nobody knows what another fraction costs"


def test_trials_of_other_studies_are_a_measure(prepare, asked: list[ProbeRequest]) -> None:
    finish(prepare(name="other", seeds=1), [1.0, 5.0])
    (row,) = prepare(seeds=3).estimate().rows
    assert row.basis == "measured"


def test_other_settings_are_no_measure(prepare, asked: list[ProbeRequest]) -> None:
    finish(prepare(), [2.0, 4.0])
    (row,) = prepare(protocols=[{"finetune": {"image_size": 64, "epochs": 10}}]).estimate().rows
    assert (row.done, row.basis) == (0, "probe")


def test_a_study_that_is_done_costs_nothing(prepare, asked: list[ProbeRequest]) -> None:
    session = prepare()
    finish(session, [2.0] * 4)
    plan = session.estimate()
    assert (plan.total, plan.done, plan.seconds, plan.worker_bytes) == (4, 4, 0.0, 0)
    assert [row.basis for row in plan.rows] == ["done"]
    assert asked == []


def test_images_that_are_not_cached_are_part_of_the_time(prepare, asked: list[ProbeRequest], lesions) -> None:
    plan = prepare().estimate()
    assert 0 < plan.decoding_s < 10
    assert plan.seconds == pytest.approx(plan.decoding_s + sum(r.cost.cpu_s for r in plan.rows if r.cost))


# A plan


def row(cost: RowCost | None, trials: int = 2, done: int = 1) -> PlanRow:
    return PlanRow("t", "m", "p", {1.0: trials}, trials=trials, done=done, cost=cost, basis="probe")


def test_wall_clock_time_is_shared_by_the_workers_down_to_the_longest_job() -> None:
    rows = (row(RowCost(30.0, 60.0, 15.0, 3 * GIB)), row(RowCost(30.0, 30.0, 10.0, 2 * GIB)))
    plans = [Plan(rows, workers) for workers in (0, 1, 3, 100)]
    assert [plan.seconds for plan in plans] == [60.0, 60.0, 20.0, 15.0]
    assert [plan.most_seconds for plan in plans] == [90.0, 90.0, 30.0, 30.0]
    assert (plans[0].total, plans[0].done, plans[0].unknown) == (4, 2, 0)


def test_memory_is_that_of_the_largest_row_in_every_worker() -> None:
    rows = (row(RowCost(1.0, 1.0, 1.0, 3 * GIB)), row(RowCost(1.0, 1.0, 1.0, 2 * GIB)), row(None))
    assert [Plan(rows, 2, machine_bytes=size * GIB).needs_too_much_memory for size in (5, 6, 7)] == [
        True,
        False,
        False,
    ]
    assert Plan(rows, 0, machine_bytes=2 * GIB).needs_too_much_memory
    assert Plan(rows, 2).worker_bytes == 3 * GIB
    assert not Plan(rows, 2, machine_bytes=0).needs_too_much_memory, "of a machine that is not known"
    assert not Plan((row(None),), 2, machine_bytes=1).needs_too_much_memory


def test_rows_whose_memory_was_not_measured_are_counted_apart() -> None:
    rows = (row(RowCost(1.0, 1.0, 1.0, None), trials=5), row(RowCost(1.0, 1.0, 1.0, GIB)), row(None))
    plan = Plan(rows, 2, machine_bytes=GIB)
    assert (plan.unmeasured, plan.worker_bytes, plan.needs_too_much_memory) == (4, GIB, True)


def test_trials_of_unknown_cost_are_counted() -> None:
    plan = Plan((row(None, trials=5, done=2), row(RowCost(4.0, 4.0, 4.0, 1))), 1)
    assert (plan.unknown, plan.seconds) == (3, 4.0)
