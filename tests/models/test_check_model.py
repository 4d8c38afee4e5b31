"""A check tells all about a model and turns every fault of its weights into a problem."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from medtransfer.core.errors import NotRegisteredError
from medtransfer.models.architectures.resnet20 import ResNet20
from medtransfer.models.check import check_model


def save(path: Path, change: dict[str, object] | None = None) -> str:
    torch.manual_seed(11)
    network = ResNet20().train()
    with torch.no_grad():
        network(torch.rand(4, 3, 32, 32))
    torch.save({**network.state_dict(), "linear.weight": torch.rand(10, 64), **(change or {})}, path)
    return f"file:{path.name}?arch=resnet20"


def test_good_weights(tmp_path: Path) -> None:
    checked = check_model(save(tmp_path / "w.pth"), tmp_path)
    assert checked.ok
    assert checked.share == 1.0
    assert checked.counts["loaded"] == 114
    assert checked.dropped == ("linear.weight",)
    assert (checked.embedding_size, checked.pyramid_channels) == (64, (32, 64))
    assert checked.parameters == 269_722 - 650
    document = json.loads(json.dumps(checked.as_json()))
    assert document["ok"] is True
    assert document["input"]["size"] == 224


def test_random_weights() -> None:
    checked = check_model("resnet20.random", None)
    assert (checked.ok, checked.weights, checked.share) == (True, "random", None)


def test_absent_file(tmp_path: Path) -> None:
    checked = check_model("squeezenet1_1.sup_in1k", tmp_path)
    assert [problem.what for problem in checked.problems] == ["absent-weights"]
    assert "squeezenet1_1_in1k_features.pth" in checked.problems[0].found


def test_each_kind_of_wrong_tensor_is_its_own_problem(tmp_path: Path) -> None:
    name = save(tmp_path / "w.pth", {"conv1.weight": torch.ones(2), "extra.weight": torch.ones(2)})
    checked = check_model(name, tmp_path)
    assert not checked.ok
    assert [problem.what for problem in checked.problems] == ["unmatched-weights", "mismatched-weights"]
    assert checked.counts["loaded"] == 113


def test_unsafe_and_untrained_weights(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.")
    checked = check_model("file:w.pth?arch=resnet20", tmp_path)
    assert [problem.what for problem in checked.problems] == ["unsafe-weights"]
    torch.save({name: torch.zeros_like(t) for name, t in ResNet20().state_dict().items()}, tmp_path / "w.pth")
    os.utime(tmp_path / "w.pth", ns=(1, 1))
    checked = check_model("file:w.pth?arch=resnet20", tmp_path)
    assert [problem.what for problem in checked.problems] == ["unusable-weights"]
    assert "constant value" in checked.problems[0].found


def test_weights_that_give_the_same_embedding_for_every_image(tmp_path: Path) -> None:
    name = save(tmp_path / "w.pth", {"bn1.weight": torch.zeros(16)})
    checked = check_model(name, tmp_path)
    assert "embeddings that depend on the image" in checked.problems[0].found


def test_unknown_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotRegisteredError):
        check_model("squeezenet1_1.sup_in2k", tmp_path)
