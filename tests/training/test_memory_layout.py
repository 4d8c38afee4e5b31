"""The table of memory formats."""

from __future__ import annotations

import pytest
import torch

from medtransfer.models.catalogue import resolve_model
from medtransfer.models.network import build_encoder
from medtransfer.training.memory_layout import memory_format_for


@pytest.mark.parametrize(
    ("name", "size", "device", "last"),
    [
        ("resnet20.random", 64, "cpu", False),
        ("resnet20.random", 128, "cpu", True),
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
