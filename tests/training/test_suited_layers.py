"""Which layers compute in a way of their own, on which device and in which number format."""

from __future__ import annotations

import pytest
import torch

from medtransfer.models.catalogue import resolve_model
from medtransfer.models.channel_products import PointwiseConv2d
from medtransfer.models.convolution_order import UsualOrderConv2d
from medtransfer.models.doubled_convolution import FROM_POSITIONS_TRAINED, DoublingBlock
from medtransfer.models.heads import UNet
from medtransfer.models.network import build_encoder
from medtransfer.training.device_policy import VARIABLE
from medtransfer.training.recipe import Precision
from medtransfer.training.suited_layers import suit_layers

LAST, USUAL = torch.channels_last, torch.contiguous_format


def build() -> UNet:
    encoder = build_encoder(resolve_model("resnet18.random"), weights_folder=None, seed=0)
    return UNet(encoder, 1, image_size=64, seed=0)


def suited(network: UNet, layout: torch.memory_format, device: str, precision: Precision = "fp32") -> None:
    image = torch.zeros((1, 1, 64, 64), dtype=torch.uint8)
    network.to(memory_format=layout)
    suit_layers(network, lambda: network(image), layout, torch.device(device), precision=precision)


@pytest.mark.parametrize(
    ("layout", "device", "precision", "products", "ordered", "doubled", "multiplied"),
    [
        (LAST, "cpu", "fp32", "convolutions", True, True, True),
        (LAST, "cpu", "fp32", "library", True, True, False),
        (USUAL, "cpu", "fp32", "convolutions", False, False, True),
        (LAST, "cpu", "bf16-mixed", "convolutions", False, False, None),
        (LAST, "cuda", "fp32", "convolutions", False, False, None),
    ],
)
def test_which_ways(
    layout: torch.memory_format,
    device: str,
    precision: Precision,
    products: str,
    ordered: bool,
    doubled: bool,
    multiplied: bool | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, f"products={products}")
    network = build()
    # A kernel of one position without a stride, which this encoder lacks.
    network.head = torch.nn.Sequential(torch.nn.Conv2d(16, 16, 1), network.head)
    suited(network, layout, device, precision)
    kinds = [type(module) for module in network.modules()]
    chosen = [module.by_convolutions for module in network.modules() if isinstance(module, PointwiseConv2d)]
    assert (UsualOrderConv2d in kinds) == ordered
    assert chosen == ([] if multiplied is None else [multiplied])
    least = {module.convolves_first_from for module in network.modules() if isinstance(module, DoublingBlock)}
    assert least == {FROM_POSITIONS_TRAINED if doubled else None}


def test_logits_stay_but_for_the_last_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "products=convolutions")
    plain, ours = build().eval(), build().eval()
    suited(ours, LAST, "cpu")
    images = torch.randint(
        0, 256, (2, 1, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        torch.testing.assert_close(ours(images), plain(images), rtol=1e-4, atol=1e-4)
