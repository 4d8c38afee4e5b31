"""Depthwise convolutions of mixed-precision steps: computed in fp32, handed on as autocast would."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from medtransfer.data.augmentation import NONE
from medtransfer.data.decoded_cache import open_decoded_cache
from medtransfer.training.depthwise_precision import fp32_depthwise
from medtransfer.training.device_policy import VARIABLE
from medtransfer.training.fit_network import fit_network
from medtransfer.training.recipe import Precision, TrainingRecipe
from medtransfer.training.training_data import CachedImages
from medtransfer.training.validation_metrics import build_goal

SIZE = 32


class Watched(nn.Conv2d):
    """A convolution that notes how it is asked."""

    def forward(self, maps: Tensor) -> Tensor:
        seen = self.__dict__.setdefault("seen", [])
        in_fp32 = maps.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        seen.append((self.training, in_fp32))
        return super().forward(maps)


class Separable(nn.Module):
    """A depthwise convolution between two ordinary ones."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.first = Watched(1, 8, 3, padding=1)
            self.depthwise = Watched(8, 8, 3, stride=2, padding=1, groups=8)
            self.norm = nn.BatchNorm2d(8)
            self.last = nn.Conv2d(8, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(self.depthwise(self.first(images.float() / 255))).relu()
        return self.last(maps).mean(dim=(2, 3))


def test_they_are_exact_before_their_output_is_rounded() -> None:
    layer = Separable().depthwise
    maps = torch.randn(4, 8, 16, 16, generator=torch.Generator().manual_seed(1))
    exact = layer(maps)
    with torch.autocast("cpu", torch.bfloat16), fp32_depthwise(layer):
        found = layer(maps)
        of_rounded = layer(maps.bfloat16())
    assert found.dtype == of_rounded.dtype == torch.bfloat16
    assert torch.equal(found, exact.bfloat16())
    assert torch.equal(of_rounded, layer(maps.bfloat16().float()).bfloat16())


def test_gradients_are_those_of_fp32() -> None:
    layer = Separable().depthwise
    maps = torch.randn(4, 8, 16, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
    above = torch.randn(4, 8, 8, 8, generator=torch.Generator().manual_seed(2)).bfloat16()
    expected = torch.autograd.grad(layer(maps), (maps, layer.weight), above.float())
    with torch.autocast("cpu", torch.bfloat16), fp32_depthwise(layer):
        found = torch.autograd.grad(layer(maps), (maps, layer.weight), above)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_other_convolutions_and_other_moments_stay_as_they_are() -> None:
    network = Separable()
    images = torch.randint(0, 256, (2, 1, SIZE, SIZE), dtype=torch.uint8)
    plain = network(images)
    with fp32_depthwise(network):
        assert torch.equal(network(images), plain)
        with torch.autocast("cpu", torch.bfloat16):
            network(images)
    with torch.autocast("cpu", torch.bfloat16):
        network(images)
    assert [in_fp32 for _, in_fp32 in network.first.seen] == [True, True, False, False]
    assert [in_fp32 for _, in_fp32 in network.depthwise.seen] == [True, True, True, False]


def test_a_failing_step_leaves_the_network_as_it_was() -> None:
    network = Separable()
    with pytest.raises(ZeroDivisionError), fp32_depthwise(network):
        raise ZeroDivisionError
    assert "forward" not in vars(network.depthwise)


@pytest.mark.parametrize(
    ("precision", "policy", "lifted"),
    [("bf16-mixed", "", True), ("bf16-mixed", "depthwise=as-the-rest", False), ("fp32", "", True)],
)
def test_training_follows_the_policy_and_scores_in_fp32(
    precision: Precision,
    policy: str,
    lifted: bool,
    drawn: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, policy)
    cases = drawn.drawn_labels()
    cache = open_decoded_cache(cases, SIZE, tmp_path)
    recipe = TrainingRecipe(epochs=1, precision=precision)
    data = CachedImages(
        cache=cache,
        labels=cases.labels(),
        train=cases.indices("train"),
        validate=cases.indices("val"),
        size=SIZE,
        augmentation=NONE,
        batch_size=8,
        seed=1,
    )
    network = Separable()
    goal = build_goal(cases, "auc", recipe, masks=None, validate=data.validate)
    fit_network(network, data, recipe, goal, seed=1)
    assert {in_fp32 for training, in_fp32 in network.depthwise.seen if training} == {lifted}
    assert {in_fp32 for training, in_fp32 in network.first.seen if training} == {precision == "fp32"}
    assert {in_fp32 for training, in_fp32 in network.depthwise.seen if not training} == {True}
    assert "forward" not in vars(network.depthwise)
