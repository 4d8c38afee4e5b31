from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from medtransfer.core.task_kind import TaskKind
from medtransfer.reports.patient_draws import read_predictions
from medtransfer.reports.subjects import read_blocks, read_models, read_tasks


def test_one_protocol_with_one_setting_per_kind_is_one_block(synthetic: ModuleType) -> None:
    blocks = read_blocks(synthetic.full_study().records)
    assert [block.label for block in blocks] == ["linear", "finetune"]
    assert "segmentation" in blocks[1].settings_text()
    assert "loss dice" in blocks[1].settings_text()


def test_settings_of_one_kind_make_blocks_that_are_named_by_what_differs(synthetic: ModuleType) -> None:
    maker, task = synthetic.StudyMaker(), synthetic.TASKS[0]
    for epochs in (5, 15):
        maker.add(task, "resnet20.random", "finetune", settings={"epochs": epochs, "image_size": 96})
    blocks = read_blocks(maker.records)
    assert [block.label for block in blocks] == ["finetune (epochs 5)", "finetune (epochs 15)"]
    assert blocks[0].settings_text() == "epochs 5; image size 96"
    assert not blocks[0].hashes & blocks[1].hashes


def test_settings_that_only_one_kind_knows_are_named_last(synthetic: ModuleType) -> None:
    maker, (breast, _, phantom) = synthetic.StudyMaker(), synthetic.TASKS[:3]
    maker.add(breast, "resnet20.random", "finetune", settings={"epochs": 5})
    maker.add(phantom, "resnet20.random", "finetune", settings={"epochs": 9, "batch_dice": False})
    assert maker.records[0].description.facts["kind"] != maker.records[1].description.facts["kind"]
    maker.add(breast, "resnet20.random", "finetune", settings={"epochs": 7})
    labels = [block.label for block in read_blocks(maker.records)]
    assert labels == ["finetune (epochs 5)", "finetune (epochs 7)", "finetune (epochs 9)"]


def test_labels_say_phantom_and_tell_two_versions_apart(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    breast, phantom = synthetic.TASKS[0], synthetic.TASKS[2]
    maker.add(phantom, "resnet20.random", "linear")
    maker.add(breast, "resnet20.random", "linear")
    maker.add(breast, "resnet20.random", "linear", facts={"data_hash": "other"})
    labels = [task.label for task in read_tasks(maker.records)]
    assert labels[0] == "phantom-chest (phantom)"
    assert len(set(labels)) == 3
    assert all(label.startswith("breastmnist (data ") for label in labels[1:])


def test_models_of_one_name_are_told_apart_by_their_weights(synthetic: ModuleType) -> None:
    maker, task = synthetic.StudyMaker(), synthetic.TASKS[0]
    for folder, weights in (("a", "1" * 64), ("b", "2" * 64), ("c", "2" * 64)):
        maker.add(task, f"file:/home/ann/{folder}/w.pth?arch=x", "linear", facts={"weights_hash": weights})
    labels = [model.label for model in read_models(maker.records)]
    assert len(set(labels)) == 3
    assert labels[0] == "file:…/w.pth?arch=x [111111111111]"
    assert not any("ann" in label for label in labels)


def test_a_block_is_named_by_what_only_it_has(synthetic: ModuleType) -> None:
    maker, breast = synthetic.StudyMaker(), synthetic.TASKS[0]
    usual = {"preset": "default", "epochs": 5, "views": {"flip": 0.5}}
    own = {"learning_rates": [0.1, 0.2], "ten_crops": True}
    other = {"preset": "studyA-cls", "epochs": 9, "views": {"flip": 0.1}}
    for settings in (usual, usual | own, usual | {"train_last": 2}, usual | other):
        maker.add(breast, "resnet20.random", "finetune", settings=settings)
    assert [block.label for block in read_blocks(maker.records)] == [
        "finetune",
        "finetune (learning rates [0.1, 0.2], ten crops yes)",
        "finetune (train last 2)",
        "finetune (preset studyA-cls, epochs 9, views (flip 0.1))",
    ]


STROKES = ("1+/2+", "HER2 (+/-)", "benign /malignant", "T2*/FLAIR", "~5/10 mm")


@pytest.mark.parametrize("kind", [TaskKind.MULTI_CLASS, TaskKind.MULTI_LABEL])
def test_class_names_with_a_stroke_are_words_and_find_their_predictions(
    synthetic: ModuleType, kind: TaskKind
) -> None:
    task = replace(synthetic.TASKS[1], kind=kind, classes=STROKES, metrics=("auc",))
    maker = synthetic.StudyMaker()
    facts = {"scored": list(STROKES[:2]), "caution": "scans in /home/ann/scans"}
    record = maker.add(task, "resnet20.random", "linear", facts=facts)
    (reported,) = read_tasks(maker.records)
    found = read_predictions(reported, maker.frames[record.description.fingerprint])
    assert found.classes == reported.classes == tuple(reported.facts["classes"]) == STROKES
    assert found.scored == tuple(reported.facts["scored"]) == STROKES[:2]
    assert reported.facts["caution"] == "scans in …/scans"


def test_a_class_name_that_is_a_path_is_not_shown_but_finds_its_predictions(synthetic: ModuleType) -> None:
    raw = ("/home/ann lee/scans/ill", r"C:\scans\well", "~ann/other")
    task = replace(synthetic.TASKS[1], classes=raw)
    maker = synthetic.StudyMaker()
    structures = {raw[0]: [raw[0], raw[1]]}
    record = maker.add(task, "resnet20.random", "linear", facts={"structures": structures})
    (reported,) = read_tasks(maker.records)
    assert reported.classes == ("…/ill", "…/well", "…/other")
    assert reported.facts["structures"] == {"…/ill": ["…/ill", "…/well"]}
    assert read_predictions(reported, maker.frames[record.description.fingerprint]).classes == raw


def test_a_report_over_class_names_with_a_stroke_is_written(synthetic: ModuleType, tmp_path: Path) -> None:
    from medtransfer.reports.write_report import write_report_of

    task = replace(synthetic.TASKS[0], classes=("1+/2+", "HER2 (+/-)"), metrics=("auc", "accuracy"))
    maker = synthetic.StudyMaker()
    for model in list(synthetic.MODELS)[:2]:
        maker.add(task, model, "linear", varied=())
    files = write_report_of(maker.evidence(), tmp_path / "report")
    (shown,) = json.loads(files.json.read_text(encoding="utf-8"))["tasks"]
    assert shown["classes"] == ["1+/2+", "HER2 (+/-)"]
