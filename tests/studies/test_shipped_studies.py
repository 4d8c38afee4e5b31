"""Every study that is shipped parses, expands, and is what its documentation says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medtransfer.core.task_kind import TaskKind
from medtransfer.study.entries import TaskEntry
from medtransfer.study.study import Block, Study
from medtransfer.tasks.own_data_declaration import parse_own_data
from medtransfer.tasks.registry import target_tasks

FOLDER = Path(__file__).parents[2] / "studies"
STUDIES = sorted(FOLDER.glob("**/*.yaml"))


def kind_of(entry: TaskEntry) -> TaskKind:
    """The kind of a task, known without its files: own data of a shipped study says it."""
    if entry.own_data is None:
        return target_tasks.get(entry.name).kind
    declared = parse_own_data(entry.name, dict(entry.own_data))
    assert declared.kind is not None
    return declared.kind


def cells(study: Study) -> list[tuple[str, str, str, float, int]]:
    """Task, model, protocol, label fraction and number of repetitions of every cell."""
    return [
        (
            entry.name,
            model.name,
            protocol.name,
            fraction,
            block.seeds if protocol.varied(kind_of(entry), fraction) else 1,
        )
        for block in study.blocks
        for entry in block.tasks
        for model in block.models
        for protocol in block.protocols
        for fraction in block.label_fractions
    ]


@pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])
def test_shipped_study(path: Path) -> None:
    study = Study.read(path)
    assert study.name == path.stem
    found = cells(study)
    assert len(found) == len(set(found)), "no cell is asked for twice"
    for block in study.blocks:
        for entry in block.tasks:
            for protocol in block.protocols:
                kind = kind_of(entry)
                assert protocol.supports(kind)
                json.dumps(protocol.settings(kind), allow_nan=False)


@pytest.fixture(scope="module")
def first_light() -> Study:
    return Study.read(FOLDER / "first-light.yaml")


def test_there_are_studies() -> None:
    assert FOLDER / "first-light.yaml" in STUDIES


def test_first_light_asks_what_it_says(first_light: Study) -> None:
    assert list(first_light.tasks) == ["breastmnist", "pneumoniamnist", "covid-ct", "drive-vessel", "lungs"]
    networks = ("mobilenetv1_100", "squeezenet1_1")
    assert set(first_light.models) == {
        f"{name}.{start}" for name in networks for start in ("random", "sup_in1k")
    }
    repetitions = {cell[:4]: cell[4] for cell in cells(first_light)}
    for model in first_light.models:
        for task in first_light.tasks:
            masks = task in {"drive-vessel", "lungs"}
            assert repetitions[task, model, "linear", 0.1] == 5
            assert repetitions[task, model, "linear", 1.0] == (5 if masks else 1)
            assert ((task, model, "knn", 0.1) in repetitions) is not masks
    tuned = {(task, model) for task, model, protocol, _ in repetitions if protocol == "finetune"}
    assert tuned == {
        (task, f"mobilenetv1_100.{start}")
        for task in ("breastmnist", "covid-ct", "drive-vessel", "lungs")
        for start in ("random", "sup_in1k")
    }
    assert all(number >= 3 for cell, number in repetitions.items() if cell[2] == "finetune")


def test_first_light_trains_at_sizes_that_show_something(first_light: Study) -> None:
    def sizes(block: Block, entry: TaskEntry) -> list[int]:
        return [int(protocol.settings(kind_of(entry))["image_size"]) for protocol in block.protocols]

    for block in first_light.blocks:
        for entry in block.tasks:
            least = 64 if kind_of(entry).is_classification else 128
            assert min(sizes(block, entry)) >= least


def test_own_data_of_first_light_is_six_lines() -> None:
    text = (FOLDER / "first-light.yaml").read_text()
    start = text.index("- lungs:\n")
    declared = text[start : text.index("label_fractions:")].strip().splitlines()[1:]
    assert len(declared) == 6


def test_first_light_accepts_by_name_what_is_known_of_its_data(first_light: Study) -> None:
    assert "unexpected-count" in first_light.accept["pneumoniamnist"]
    assert set(first_light.accept) <= set(first_light.tasks)
