from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from medtransfer.reports.evidence import latest_of_each, model_key, run_key, task_key
from medtransfer.store.records import State


def test_a_rerun_of_a_newer_revision_replaces_the_old_result(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    task = synthetic.TASKS[0]
    old = maker.add(task, "resnet20.random", "linear")
    later = replace(
        old,
        description=replace(old.description, fingerprint="0" * 64),
        finished_at="2026-06-01T00:00:00Z",
    )
    other = maker.add(task, "resnet20.random", "linear", repetition=1)
    assert latest_of_each([old, later, other]) == [later, other]
    assert latest_of_each([later, other, old]) == [later, other]


def test_a_pending_rerun_does_not_hide_a_result(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    done = maker.add(synthetic.TASKS[0], "resnet20.random", "linear")
    pending = replace(
        done,
        description=replace(done.description, fingerprint="f" * 64),
        state=State.PENDING,
        outcome=None,
        finished_at=None,
    )
    failed = replace(pending, state=State.FAILED, finished_at="2026-07-01T00:00:00Z")
    assert latest_of_each([pending, done, failed]) == [done]
    assert latest_of_each([failed, pending]) == [pending]


def test_keys_separate_data_weights_and_settings(synthetic: ModuleType) -> None:
    maker, task = synthetic.StudyMaker(), synthetic.TASKS[0]
    first = maker.add(task, "resnet20.random", "linear")
    other_data = maker.add(task, "resnet20.random", "linear", facts={"data_hash": "other"})
    other_weights = maker.add(task, "resnet20.random", "linear", facts={"weights_hash": "other"})
    other_settings = maker.add(task, "resnet20.random", "linear", settings={"k": 5})
    assert task_key(first) != task_key(other_data)
    assert model_key(first) == model_key(other_data) != model_key(other_weights)
    assert len({run_key(record) for record in (first, other_data, other_weights, other_settings)}) == 4
