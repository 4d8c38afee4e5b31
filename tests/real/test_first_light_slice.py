"""The first-light study on its real images, cut down to two minutes: every task, both networks, every protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from medtransfer.reports.renderers.csv_files import read_rows

STUDY = Path(__file__).parents[2] / "studies" / "first-light.yaml"
CLASSIFICATION = ("breastmnist", "pneumoniamnist", "covid-ct")
SEGMENTATION = ("drive-vessel", "lungs")
MODELS = ["mobilenetv1_100.sup_in1k", "squeezenet1_1.sup_in1k"]


def cut(study: dict[str, Any]) -> dict[str, Any]:
    """The study with pretrained models only, one seed, small images and one epoch."""
    blocks = [cut_block(block) for block in study["blocks"]]
    return {**study, "name": "slice", "models": MODELS, "blocks": blocks}


def cut_block(block: dict[str, Any]) -> dict[str, Any]:
    """A block with all its tasks, or with the first task and model when it fine-tunes."""
    changed = {**block, "seeds": 1, "protocols": [cut_protocol(protocol) for protocol in block["protocols"]]}
    return changed | {"tasks": block["tasks"][:1], "models": MODELS[:1]} if "models" in block else changed


def cut_protocol(protocol: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    ((name, settings),) = protocol.items()
    small = {**settings, "image_size": settings["image_size"] // 2}
    return {name: small if name == "knn" else {**small, "epochs": 1}}


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_slice_of_first_light(
    shared_data: Path, medtransfer: Callable[..., Any], write_study: Callable[..., Path], tmp_path: Path
) -> None:
    study = write_study(cut(yaml.safe_load(STUDY.read_text())))
    arguments = ("run", study, "--data", shared_data, "--weights", shared_data / "weights", "--workers", 0)
    ended = medtransfer(*arguments, "--store", tmp_path / "store", "--out", tmp_path / "report")
    assert ended.code == 0, ended.err
    runs = {
        (row["task"], row["model"], row["protocol"], float(row["label_fraction"])): row
        for row in read_rows((tmp_path / "report" / "runs.csv").read_text())
    }
    assert len(runs) == 34
    assert {row["state"] for row in runs.values()} == {"done"}
    assert {row["overlap"] for row in runs.values()} == {"clean"}
    for name, model in ((task, model) for task in CLASSIFICATION for model in MODELS):
        full, tenth = (runs[name, model, "linear", fraction] for fraction in (1.0, 0.1))
        assert float(tenth["train_cases"]) == pytest.approx(float(full["train_cases"]) / 10, abs=3)
        assert all(0.0 <= float(row["test.best.auc"]) <= 1.0 for row in (full, tenth))
    assert float(runs["pneumoniamnist", MODELS[0], "linear", 1.0]["test.best.auc"]) > 0.85
    assert float(runs["breastmnist", MODELS[0], "linear", 1.0]["test.best.auc"]) > 0.65
    for name in SEGMENTATION:
        assert 0.0 <= float(runs[name, MODELS[0], "linear", 1.0]["test.best.dice"]) <= 1.0
    assert float(runs["lungs", MODELS[0], "linear", 1.0]["test.best.dice"]) > 0.3, (
        "even one epoch finds lungs"
    )
    assert "unexpected-count" in (tmp_path / "report" / "report.md").read_text()

    again = medtransfer(*arguments, "--store", tmp_path / "store", "--dry-run")
    assert again.code == 0
    assert "34 trials, 34 done, 0 to run" in again.out
