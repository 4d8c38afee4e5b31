"""The table of memory formats."""

from __future__ import annotations

import pytest
import torch

from medtransfer.models.catalogue import resolve_model
from medtransfer.models.convolution_order import UsualOrderConv2d
from medtransfer.models.network import build_encoder
from medtransfer.training.device_policy import VARIABLE
from medtransfer.training.memory_layout import lay_out, memory_format_for
from medtransfer.training.recipe import Precision


@pytest.mark.parametrize(
    ("name", "size", "device", "last"),
    [
        ("resnet20.random", 31, "cpu", False),
        ("resnet20.random", 32, "cpu", True),
        ("mobilenetv1_100.random", 64, "cpu", True),
        ("timm/test_vit.random", 160, "cpu", False),
        ("timm/test_vit.random", 160, "cuda", False),
        ("resnet20.random", 32, "cuda", True),
        ("resnet20.random", 512, "mps", False),
    ],
)
def test_table(name: str, size: int, device: str, last: bool) -> None:
    encoder = build_encoder(resolve_model(name), weights_folder=None, seed=0)
    expected = torch.channels_last if last else torch.contiguous_format
    assert memory_format_for(encoder, size, torch.device(device)) is expected


@pytest.mark.parametrize(
    ("device", "precision", "policy", "ordered"),
    [
        ("cpu", "fp32", "", 7),
        ("cpu", "bf16-mixed", "", 0),
        ("cpu", "fp32", "layout=contiguous", 0),
        ("cuda", "fp32", "", 0),
    ],
)
def test_single_convolutions_stay_in_the_usual_order_on_cpus_in_fp32(
    device: str, precision: Precision, policy: str, ordered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, policy)
    encoder = build_encoder(resolve_model("resnet18.random"), weights_folder=None, seed=0)
    layout = lay_out(encoder, 64, torch.device(device), precision)
    expected = torch.contiguous_format if policy else torch.channels_last
    assert layout is expected
    assert sum(type(module) is UsualOrderConv2d for module in encoder.modules()) == ordered
    first = next(encoder.parameters())
    assert first.is_contiguous(memory_format=expected)
