"""The transform agrees with the textbook formula for every value range and channel count."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.models.input_transform import InputTransform
from medtransfer.models.source_model import IMAGENET_MEAN, IMAGENET_STD, InputContract


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (3, 3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_unit_range_is_torchvision_normalisation(images: torch.Tensor) -> None:
    from torchvision.transforms.v2 import functional

    scaled = functional.to_dtype(images, torch.float32, scale=True)
    expected = functional.normalize(scaled, list(IMAGENET_MEAN), list(IMAGENET_STD))
    torch.testing.assert_close(InputTransform(InputContract())(images), expected, rtol=1e-5, atol=1e-6)


def test_grey_is_repeated_before_each_channel_is_normalised(images: torch.Tensor) -> None:
    transform = InputTransform(InputContract())
    grey = images[:, :1]
    assert torch.equal(transform(grey), transform(grey.expand(-1, 3, -1, -1)))


def test_minmax_stretches_each_image_alone(images: torch.Tensor) -> None:
    contract = InputContract(value_range="minmax", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    images[0] = images[0] // 4 + 50
    out = InputTransform(contract)(images).numpy()
    for image, result in zip(images.numpy().astype(np.float64), out, strict=True):
        np.testing.assert_allclose(result, (image - image.min()) / (image.max() - image.min()), atol=1e-6)


def test_constant_image_is_finite_under_minmax() -> None:
    contract = InputContract(value_range="minmax")
    out = InputTransform(contract)(torch.full((1, 3, 4, 4), 7, dtype=torch.uint8))
    expected = -torch.tensor(IMAGENET_MEAN) / torch.tensor(IMAGENET_STD)
    torch.testing.assert_close(out[0, :, 0, 0], expected)


def test_hounsfield_like_range_spans_its_ends() -> None:
    contract = InputContract(channels=1, mean=(0.0,), std=(1.0,), value_range="hounsfield-like")
    out = InputTransform(contract)(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2))
    torch.testing.assert_close(out.flatten(), torch.tensor([-1024.0, 1024.0]))


def test_colour_becomes_grey_as_pillow_does_it(images: torch.Tensor) -> None:
    from PIL import Image

    contract = InputContract(channels=1, mean=(0.0,), std=(1.0,))
    ours = InputTransform(contract)(images)[0, 0].numpy() * 255
    pillow = np.asarray(Image.fromarray(images[0].permute(1, 2, 0).numpy()).convert("L"), dtype=float)
    assert np.abs(ours - pillow).max() <= 1.0


def test_floats_pass_unchanged_and_must_have_the_networks_channels() -> None:
    transform = InputTransform(InputContract())
    ready = torch.rand(2, 3, 4, 4)
    assert transform(ready) is ready
    with pytest.raises(ShapeError, match="expected shape"):
        transform(torch.rand(2, 1, 4, 4))


@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (3, 4, 4), (1, 4, 4, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="expected shape"):
        InputTransform(InputContract())(torch.zeros(shape, dtype=torch.uint8))


def test_contract_must_have_a_value_per_channel() -> None:
    with pytest.raises(UsageError, match="1 values"):
        InputTransform(InputContract(channels=1))
    with pytest.raises(UsageError, match="above 0"):
        InputTransform(InputContract(std=(1.0, 0.0, 1.0)))


def test_transform_adds_nothing_to_checkpoints() -> None:
    assert not InputTransform(InputContract()).state_dict()
