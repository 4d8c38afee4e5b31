"""The first-light study on its real images, cut down to two minutes: every task, both networks, every protocol."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

STUDY = Path(__file__).parents[2] / "studies" / "first-light.yaml"
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
def test_slice_of_first_light(
    shared_data: Path, medtransfer: Callable[..., Any], write_study: Callable[..., Path], tmp_path: Path
) -> None:
    study = write_study(cut(yaml.safe_load(STUDY.read_text())))
    arguments = ("run", study, "--data", shared_data, "--weights", shared_data / "weights", "--workers", 0)
    ended = medtransfer(*arguments, "--store", tmp_path / "store", "--out", tmp_path / "report")
    assert ended.code == 0, ended.err
    with (tmp_path / "report" / "runs.csv").open(newline="") as stream:
        runs = list(csv.DictReader(stream))
    import shutil; shutil.copy(tmp_path / "report" / "runs.csv", "/tmp/cliwork/runs.csv")
