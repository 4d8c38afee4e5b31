"""From a study to its trials: which there are, what their fingerprints depend on, and what not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from medtransfer.core.errors import UsageError
from medtransfer.models.catalogue import resolve_model
from medtransfer.study import plan as plan_module
from medtransfer.study.plan import Trial, _network_facts, group_trials, plan_trials
from medtransfer.study.preparation import Folders, prepare_models, prepare_tasks
from medtransfer.study.study import Study

LESIONS = {"root": "lesions", "patient_pattern": "^([a-z][0-9]+)_"}
STUDY: dict[str, Any] = {
    "name": "plan",
    "tasks": [{"lesions": LESIONS}],
    "models": ["resnet20.random"],
    "protocols": [{"linear": {"image_size": 32}}],
    "label_fractions": [1.0],
    "seeds": 1,
}
Plan = Callable[..., list[Trial]]


@pytest.fixture
def plan(lesions: Path, tmp_path: Path) -> Plan:
    """Plan the study, with changes, over the drawn images."""

    def call(data: Path = lesions, weights: Path | None = None, **changes: Any) -> list[Trial]:
        study = Study.parse({**STUDY, **changes})
        folders = Folders(data=data, weights=weights, cache=tmp_path / "cache")
        return plan_trials(study, prepare_tasks(study, folders), prepare_models(study, folders))

    return call


def fingerprint(trials: list[Trial]) -> str:
    (trial,) = trials
    return trial.fingerprint


# Which trials there are


def test_only_what_a_seed_can_change_is_repeated(plan: Plan) -> None:
    trials = plan(
        protocols=[
            {"linear": {"image_size": 32}},
            {"knn": {"image_size": 32}},
            {"finetune": {"image_size": 32}},
        ],
        label_fractions=[0.5, 1.0],
        seeds=3,
    )
    found = [
        (t.description.protocol, t.description.label_fraction, t.description.repetition, t.description.varied)
        for t in trials
    ]
    subset, both = ("label subset",), ("label subset", "training")
    expected = [(name, 0.5, n, subset) for name in ("linear", "knn") for n in range(3)]
    expected += [(name, 1.0, 0, ()) for name in ("linear", "knn")]
    expected += [("finetune", 0.5, n, both) for n in range(3)]
    expected += [("finetune", 1.0, n, ("training",)) for n in range(3)]
    assert sorted(found) == sorted(expected)


def test_the_cases_of_a_task_are_looked_at_once_however_many_trials_it_has(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    facts = plan_module._task_facts
    monkeypatch.setattr(plan_module, "_task_facts", lambda task: looked.append(task.task.name) or facts(task))
    trials = plan(label_fractions=[0.25, 0.5, 0.75], seeds=20)
    assert len(trials) == 60
    assert looked == ["lesions"]
    assert {trial.description.facts["data_hash"] for trial in trials} == {trials[0].task.data_hash}


def test_a_trial_two_blocks_ask_for_is_planned_once(plan: Plan) -> None:
    blocks = [{"seeds": 2, "label_fractions": [0.5]}, {"seeds": 4, "label_fractions": [0.5, 0.5]}]
    trials = plan(blocks=blocks)
    assert [t.description.repetition for t in trials] == [0, 1, 2, 3]


def test_jobs_share_a_bench_where_the_protocol_shares_work(plan: Plan) -> None:
    trials = plan(
        models=["resnet20.random", "squeezenet1_1.random"],
        protocols=[{"finetune": {"image_size": 32}}, {"linear": {"image_size": 32}}],
        label_fractions=[0.5, 1.0],
        seeds=2,
    )
    jobs = group_trials(trials)
    sizes = [
        (job[0].description.model.partition(".")[0], job[0].description.protocol, len(job)) for job in jobs
    ]
    assert sizes == [
        (model, *what)
        for model in ("resnet20", "squeezenet1_1")
        for what in [("finetune", 1)] * 4 + [("linear", 3)]
    ]
    assert sorted(t.fingerprint for job in jobs for t in job) == sorted(t.fingerprint for t in trials)


# What a fingerprint depends on


@pytest.mark.parametrize(
    "changes",
    [
        {"protocols": [{"linear": {"image_size": 40}}]},
        {"protocols": [{"linear": {"image_size": 32, "strengths": [1.0]}}]},
        {"protocols": [{"knn": {"image_size": 32}}]},
        {"models": ["squeezenet1_1.random"]},
        {"label_fractions": [0.5]},
        {"tasks": [{"lesions": {**LESIONS, "metrics": ["accuracy"]}}]},
        {"tasks": [{"lesions": {**LESIONS, "classes": ["malignant", "benign"]}}]},
        {"tasks": [{"lesions": {"root": "lesions"}}]},
        {"tasks": [{"spots": LESIONS}]},
    ],
    ids=["size", "strengths", "protocol", "model", "fraction", "metrics", "classes", "patients", "name"],
)
def test_what_can_change_a_number_changes_the_fingerprint(plan: Plan, changes: dict[str, Any]) -> None:
    assert fingerprint(plan(**changes)) != fingerprint(plan())


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "another-name"},
        {"seeds": 9},
        {"accept": {"lesions": ["duplicate-image"]}},
        {"tasks": [{"lesions": {**LESIONS, "title": "Spots on skin", "image_sets": ["isic"]}}]},
        {"tasks": [{"lesions": {**LESIONS, "metrics": ["auc", "accuracy", "balanced-accuracy"]}}]},
        {"protocols": [{"linear": {"image_size": 32, "epochs": 3}}]},
    ],
    ids=["study", "seeds", "accepted", "words", "defaults written out", "a setting classification ignores"],
)
def test_what_cannot_change_a_number_leaves_the_fingerprint(plan: Plan, changes: dict[str, Any]) -> None:
    assert fingerprint(plan(**changes)) == fingerprint(plan())


def test_another_place_of_the_same_files_leaves_the_fingerprint(
    plan: Plan, lesions: Path, tmp_path: Path
) -> None:
    before = fingerprint(plan())
    shutil.copytree(lesions, tmp_path / "moved")
    assert fingerprint(plan(data=tmp_path / "moved")) == before
    (tmp_path / "moved" / "lesions").rename(tmp_path / "moved" / "spots")
    assert (
        fingerprint(plan(data=tmp_path / "moved", tasks=[{"lesions": {**LESIONS, "root": "spots"}}]))
        == before
    )


def brighten(path: Path) -> None:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    pixels[0, 0] = 255 - pixels[0, 0]
    assert cv2.imwrite(str(path), pixels)


@pytest.mark.parametrize(
    "change",
    [
        brighten,
        lambda path: path.rename(path.with_name("b99_99.png")),
        lambda path: path.unlink(),
        lambda path: path.rename(path.parents[1] / "malignant" / "m30_1.png"),
    ],
    ids=["pixel", "file name", "absent", "label"],
)
def test_other_data_changes_the_fingerprint(
    plan: Plan, lesions: Path, change: Callable[[Path], object]
) -> None:
    before = fingerprint(plan())
    change(lesions / "lesions" / "benign" / "b00_0.png")
    assert fingerprint(plan()) != before


def test_a_hidden_file_is_no_data(plan: Plan, lesions: Path) -> None:
    before = fingerprint(plan())
    (lesions / "lesions" / "benign" / ".DS_Store").write_bytes(b"view settings")
    assert fingerprint(plan()) == before


def test_weights_and_how_they_are_read_are_in_the_fingerprint(plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.save({"a": torch.zeros(1)}, folder / "mine.pth")
    mine = {"file": "mine.pth", "architecture": "resnet20", "size": 32}

    def with_model(**declaration: Any) -> str:
        return fingerprint(plan(weights=folder, models=[{"mine": {**mine, **declaration}}]))

    before = with_model()
    assert with_model(licence="MIT", citation="someone", pretraining={"objective": "simclr"}) == before
    changed = [
        with_model(prefix="net."),
        with_model(mean=[0.5] * 3),
        with_model(size=48),
        with_model(drop=["fc"]),
        with_model(containers=["model", ""]),
        with_model(strip=["module."]),
        with_model(scheme="resnet-sequential"),
        with_model(ignore=["queue"]),
        with_model(adapt=["positions"]),
    ]
    torch.save({"a": torch.ones(1)}, folder / "mine.pth")
    changed.append(with_model())
    assert len({before, *changed}) == 1 + len(changed)


def test_rules_that_came_later_leave_the_fingerprints_of_models_without_them() -> None:
    facts = _network_facts(resolve_model("mobilenetv1_100.sup_in1k"))
    assert facts["loading"] == {
        "container": None,
        "prefix": "",
        "rename": [],
        "drop": [],
        "gaps": ["blocks.4.1."],
    }
    later = _network_facts(resolve_model("densenet121.radimagenet"))["loading"]
    assert later["containers"] == ["state_dict", ""]
    assert (later["strip"], later["scheme"]) == (["module.", "backbone."], "densenet-sequential")
    assert not {"ignore", "adapt", "converter"} & set(later)


def test_revisions_are_in_the_fingerprint(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    (trial,) = plan()
    monkeypatch.setattr(type(trial.protocol), "revision", trial.protocol.revision + 1)
    assert fingerprint(plan()) != trial.fingerprint


# Seeds and facts


def test_seeds_come_from_names_and_differ_between_trials(plan: Plan) -> None:
    protocols = [{"finetune": {"image_size": 32}}]
    trials = plan(protocols=protocols, label_fractions=[0.5, 1.0], seeds=4)
    assert len({trial.seed for trial in trials}) == len(trials) == 8
    again = plan(protocols=protocols, label_fractions=[1.0], seeds=2, name="other")
    by_place = {(t.description.label_fraction, t.description.repetition): t.seed for t in trials}
    assert {by_place[1.0, t.description.repetition] == t.seed for t in again} == {True}


def test_the_record_says_what_a_reader_must_know(plan: Plan) -> None:
    (trial,) = plan()
    facts = trial.description.facts
    assert facts["kind"] == "binary"
    assert facts["classes"] == ["benign", "malignant"]
    assert facts["split_source"] == "ours"
    assert sum(facts["split_counts"].values()) == 40
    assert (facts["patients"], facts["patients_known"]) == (20, True)
    assert (facts["weights_hash"], facts["overlap"]) == ("random", "clean")
    assert facts["phantom"] is False
    assert len(facts["data_hash"]) == 64


# What cannot be planned


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    for folder in ("images", "masks"):
        (tmp_path / "data" / "spots" / folder).mkdir(parents=True)
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "data" / "spots" / "images" / f"{number}.png"), pixels)
        cv2.imwrite(
            str(tmp_path / "data" / "spots" / "masks" / f"{number}.png"), (pixels > 128).astype(np.uint8)
        )
    return tmp_path / "data"


def test_a_protocol_that_cannot_do_a_task_stops_the_plan(plan: Plan, masks: Path) -> None:
    spots = {"spots": {"root": "spots", "images": "images", "masks": "masks"}}
    with pytest.raises(
        UsageError, match=r"protocol 'knn' cannot do segmentation \(task 'spots'\).*block of their own"
    ):
        plan(data=masks, tasks=[spots], protocols=["knn"])
    assert len(plan(data=masks, tasks=[spots], protocols=["linear"])) == 1


def test_a_metric_that_cannot_do_a_task_stops_the_plan(plan: Plan) -> None:
    wrong = {"lesions": {**LESIONS, "metrics": ["auc", "dice"]}}
    with pytest.raises(
        UsageError, match=r"task 'lesions', metrics: expected metrics of a binary task, got 'dice'\."
    ):
        plan(tasks=[wrong])


def test_metrics_that_fit_are_named(plan: Plan) -> None:
    with pytest.raises(
        UsageError,
        match=r"expected volumes for 'auc-volume', got cases without them\. Name metrics among .*auc,",
    ):
        plan(tasks=[{"lesions": {**LESIONS, "metrics": ["auc-volume"]}}])


@pytest.mark.parametrize("order", ["patients", "shuffle99"])
def test_a_share_that_no_repetition_can_have_stops_the_plan(plan: Plan, order: str) -> None:
    with pytest.raises(UsageError) as refused:
        plan(label_fractions=[0.01, 1.0], seeds=3, label_order=order)
    lines = str(refused.value).splitlines()
    assert 1 <= len(lines) <= 3
    assert all(line.startswith("study 'plan': task 'lesions': ") for line in lines)
    assert all(line.count("'lesions'") == 1 for line in lines)
    assert all(
        "label fraction 0.01" in line and "fraction" in line.rpartition(". Use a")[2] for line in lines
    )


def test_only_the_smallest_share_of_a_repetition_is_drawn(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[float, int]] = []
    monkeypatch.setattr(
        plan_module,
        "label_subset",
        lambda cases, share, *, repetition, **_: drawn.append((share, repetition)),
    )
    plan(label_fractions=[0.75, 0.25, 0.5], seeds=3)
    assert sorted(drawn) == [(0.25, 0), (0.25, 1), (0.25, 2)]
    plan(label_fractions=[1.0])
    assert len(drawn) == 3


# Label orders


MANY: dict[str, Any] = {
    "protocols": [{"linear": {"image_size": 32}}, {"finetune": {"image_size": 32}}],
    "label_fractions": [0.5, 1.0],
    "seeds": 3,
}


def test_the_usual_label_order_is_no_part_of_a_trial(plan: Plan) -> None:
    said, unsaid = plan(**MANY, label_order="patients"), plan(**MANY)
    assert [trial.description for trial in said] == [trial.description for trial in unsaid]
    assert not any("label_order" in trial.description.facts for trial in said)


def test_another_label_order_is_another_trial_where_labels_are_missing(plan: Plan) -> None:
    usual, found = plan(**MANY), plan(**MANY, label_order="shuffle99")
    whole = [trial.description for trial in found if trial.description.label_fraction == 1]
    assert whole == [trial.description for trial in usual if trial.description.label_fraction == 1]
    parts = [trial.description for trial in found if trial.description.label_fraction < 1]
    assert not {d.fingerprint for d in parts} & {trial.fingerprint for trial in usual}
    assert {d.facts["label_order"] for d in parts} == {"shuffle99"}
    assert {trial.label_order for trial in found} == {"shuffle99"}
    # One subset for all repetitions: nothing is left that a seed could change in a linear evaluation.
    assert sorted((d.protocol, d.repetition, d.varied) for d in parts) == [
        *(("finetune", repetition, ("training",)) for repetition in range(3)),
        ("linear", 0, ()),
    ]
