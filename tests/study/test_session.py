"""From a study to records and back: what is checked before the first trial, and what really is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medtransfer.core.errors import DataError, StoreError, UsageError, WeightsError
from medtransfer.data.splits import read_split
from medtransfer.store.records import State
from medtransfer.study.session import RunRequest, StudySession
from medtransfer.study.study import Study

STUDY: dict[str, Any] = {
    "name": "session",
    "tasks": [{"lesions": {"root": "lesions", "patient_pattern": "^([a-z][0-9]+)_"}}],
    "models": ["resnet20.random"],
    "protocols": [{"linear": {"image_size": 32}}],
}


@pytest.fixture
def prepare(lesions: Path, tmp_path: Path):
    def call(content: dict[str, Any] = STUDY, **options: Any) -> StudySession:
        places = {
            "store": str(tmp_path / "store"),
            "data": lesions,
            "cache": tmp_path / "cache",
            "workers": 0,
        }
        return StudySession.prepare(Study.parse(content), RunRequest(**{**places, **options}))

    return call


def test_preparing_declares_nothing_and_running_does(prepare) -> None:
    session = prepare()
    assert session.store.studies() == []
    counts = session.run()
    assert (counts.done, counts.total) == (1, 1)
    assert session.store.studies() == ["session"]
    assert Study.parse(STUDY).source == session.store.study_source("session")


def test_a_record_holds_what_an_auditor_asks_for(prepare) -> None:
    session = prepare({**STUDY, "protocols": [{"finetune": {"image_size": 32, "epochs": 2}}], "seeds": 1})
    session.run()
    (record,) = session.store.records("session")
    outcome = record.outcome
    assert outcome is not None
    assert set(outcome.metrics) == {"test", "val", "test/last", "val/last"}
    assert set(outcome.metrics["test"]) == {"auc", "accuracy", "balanced-accuracy"}
    assert outcome.train_cases == record.description.facts["split_counts"]["train"]
    assert [epoch["epoch"] for epoch in outcome.curve] == [0, 1]
    assert outcome.duration_s > 0
    assert {"versions", "hardware", "code", "command", "device"} <= set(outcome.provenance)
    frame = session.store.predictions(record)
    assert set(frame["checkpoint"]) == {"best", "last"}
    counts = frame[frame["checkpoint"] == "best"]["split"].value_counts().to_dict()
    assert counts == {split: record.description.facts["split_counts"][split] for split in ("val", "test")}


def test_the_split_lies_beside_the_records(prepare) -> None:
    session = prepare()
    session.run()
    (path,) = (session.store.artifacts / "splits").glob("*.csv")
    split = read_split(path)
    assert len(split) == 40
    assert split.groupby("patient_id")["split"].nunique().max() == 1


def test_the_longest_name_still_names_its_split(prepare) -> None:
    name = "é" * 40 + "肺" * 40
    session = prepare({**STUDY, "tasks": [{name: STUDY["tasks"][0]["lesions"]}]})
    session.run()
    assert len([*(session.store.artifacts / "splits").glob("*.csv")]) == 1


def test_a_name_that_leads_out_of_the_store_is_refused_before_anything_is_read(prepare, tmp_path) -> None:
    with pytest.raises(UsageError, match=r"tasks\.0: task '\.\./\.\./\.\./evil': name: expected"):
        prepare({**STUDY, "tasks": [{"../../../evil": STUDY["tasks"][0]["lesions"]}]})
    assert not (tmp_path / "store").exists()


def test_a_diverging_training_fails_alone(prepare) -> None:
    blocks = [
        {"protocols": [{"finetune": {"image_size": 32, "epochs": 1, "learning_rate": 1e30}}], "seeds": 1},
        {"protocols": [{"linear": {"image_size": 32}}]},
    ]
    session = prepare({**STUDY, "blocks": blocks})
    counts = session.run()
    assert (counts.done, counts.failed) == (1, 1)
    (failed,) = session.store.records("session", states=[State.FAILED])
    assert failed.reason is not None
    assert failed.reason.startswith("non_finite")
    assert "step" in str(failed.message)
    again = prepare({**STUDY, "blocks": blocks})
    again.run()
    (left,) = again.store.records("session", states=[State.FAILED])
    assert left.attempts == 1, "what diverged would diverge again"
    retried = prepare({**STUDY, "blocks": blocks}, retry_failed=True)
    retried.run()
    (left,) = retried.store.records("session", states=[State.FAILED])
    assert left.attempts == 2


def test_data_that_changes_after_the_plan_is_refused(prepare, lesions: Path) -> None:
    session = prepare()
    image = lesions / "lesions" / "benign" / "b00_0.png"
    image.write_bytes((lesions / "lesions" / "benign" / "b01_2.png").read_bytes())
    counts = session.run()
    assert counts.failed == 1
    (failed,) = session.store.records("session", states=[State.FAILED])
    assert failed.reason == "data_changed"


def test_two_studies_share_their_trials(prepare) -> None:
    first = prepare({**STUDY, "label_fractions": [0.5, 1.0], "seeds": 2})
    assert first.run().done == 3
    second = prepare({**STUDY, "name": "other", "label_fractions": [1.0]})
    before = second.store.records("session")
    assert second.run().done == 1
    assert second.store.records("session") == before
    assert second.store.counts().total == 3


def test_accepted_problems_are_kept_with_the_records(prepare, lesions: Path) -> None:
    folder = lesions / "lesions" / "benign"
    pixels = (folder / "b00_0.png").read_bytes()
    for path in folder.glob("*.png"):
        path.write_bytes(pixels)
    with pytest.raises(DataError, match=r"accept: \{lesions: \[duplicate-image\]\}"):
        prepare()
    session = prepare({**STUDY, "accept": {"lesions": ["duplicate-image"]}})
    problems = session.trials[0].description.facts["accepted"]
    assert {problem["what"] for problem in problems} == {"duplicate-image"}


def test_all_tasks_are_looked_at_before_one_is_refused(prepare, lesions: Path) -> None:
    content = {
        **STUDY,
        "tasks": [*STUDY["tasks"], "breastmnist", {"spots": {"root": "absent"}}],
    }
    (lesions / "lesions" / "benign" / "b00_0.png").write_bytes(b"")
    with pytest.raises(DataError) as refused:
        prepare(content)
    message = str(refused.value)
    assert "task 'lesions': expected data as declared" in message
    assert "task 'breastmnist': expected its data at one of" in message
    assert f"task 'spots': expected a folder at {lesions / 'absent'}" in message


@pytest.mark.parametrize(("place", "error"), [("data", DataError), ("weights", WeightsError)])
def test_a_named_folder_must_be_there(prepare, tmp_path: Path, place: str, error: type[Exception]) -> None:
    with pytest.raises(
        error, match=rf"{place} folder: expected a folder at .*absent, got none. Check --{place}"
    ):
        prepare(**{place: tmp_path / "absent"})


def test_nothing_is_made_where_a_store_cannot_be(prepare, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("words")
    with pytest.raises(StoreError, match=r"file\.txt"):
        prepare(store=str(tmp_path / "file.txt" / "store"))
    assert (tmp_path / "file.txt").read_text() == "words"


def test_numbers_do_not_depend_on_store_and_cache(prepare, tmp_path: Path) -> None:
    content = {
        **STUDY,
        "protocols": [{"linear": {"image_size": 32}}, {"finetune": {"image_size": 32, "epochs": 1}}],
        "label_fractions": [0.5],
        "seeds": 1,
    }
    here = prepare(content)
    here.run()
    there = prepare(content, store=str(tmp_path / "other"), cache=tmp_path / "other cache")
    there.run()

    def results(session: StudySession) -> list[tuple[Any, ...]]:
        return [
            (r.description.fingerprint, r.outcome.metrics, r.predictions_sha256)
            for r in session.store.records()
        ]

    assert results(here) == results(there)


@pytest.mark.parametrize("code", ["unreadable-image", "unreadable-mask"])
def test_what_nothing_can_be_computed_with_is_never_accepted(prepare, lesions: Path, code: str) -> None:
    (lesions / "lesions" / "benign" / "b00_0.png").write_bytes(b"no image")
    with pytest.raises(
        UsageError, match=rf"accept\.lesions: expected .*, got '{code}'\. Take it out, and repair"
    ):
        prepare({**STUDY, "accept": {"lesions": [code, "class-absent"]}})


def test_only_what_can_be_accepted_is_offered(prepare, lesions: Path) -> None:
    folder = lesions / "lesions"
    (folder / "benign" / "b00_0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="unreadable-image") as refused:
        prepare()
    assert "accept" not in str(refused.value)
    assert "Correct the data: with unreadable-image, nothing can be computed." in str(refused.value)
    for path in (folder / "malignant").glob("m0[0-9]_*.png"):
        path.write_bytes((folder / "malignant" / "m00_0.png").read_bytes())
    with pytest.raises(DataError) as refused:
        prepare()
    offered = str(refused.value).splitlines()[-1]
    assert offered.endswith(
        "You may accept the others in the study file with 'accept: {lesions: [duplicate-image]}'."
    )
    (folder / "benign" / "b00_0.png").write_bytes((folder / "benign" / "b00_1.png").read_bytes())
    with pytest.raises(DataError) as refused:
        prepare()
    assert str(refused.value).endswith(
        "Correct the data, or accept them in the study file with 'accept: {lesions: [duplicate-image]}'."
    )


@pytest.mark.parametrize("limit", ["many", "0", "nan"])
def test_a_limit_nobody_can_understand_is_refused_before_anything_is_read(
    prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setenv("MEDTRANSFER_FEATURES_LIMIT", limit)
    with pytest.raises(
        UsageError, match=r"MEDTRANSFER_FEATURES_LIMIT: expected .* above 0, got .* unset it for the usual 50"
    ):
        prepare()
    assert not (tmp_path / "store").exists()
