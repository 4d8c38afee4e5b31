"""Steps on a device are taken without waiting for it; what they compute is tested with the loop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from medtransfer.core.task_kind import TaskKind
from medtransfer.data.augmentation import Augmentation, draw_views
from medtransfer.data.distortions import Distortion
from medtransfer.data.looks import Looks
from medtransfer.training import moving_average
from medtransfer.training.device_views import compute_views
from medtransfer.training.learning_rate import LearningRate
from medtransfer.training.losses import Loss, build_loss
from medtransfer.training.moving_average import MovingAverage
from medtransfer.training.optimiser_steps import OptimiserSteps
from medtransfer.training.optimisers import build_optimiser
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.step_losses import StepLosses
from medtransfer.training.training_data import TensorBatch

RECIPE = TrainingRecipe(epochs=2, average_decay=0.9, pixel_weights=(1.0, 2.0))
CUDA = torch.device("cuda")
RANGES = Augmentation(
    distortion=Distortion(probability=1.0),
    looks=Looks(0.5, (0.8, 1.2), 0.5, 0.3, 0.2, 0.5, (0.1, 2.0), 0.5, 2.0, 0.2),
)


class Sent:
    """Copies to a device that only shapes and types are known of: to read a number there is an error."""

    place = CUDA

    def put(self, values: Any) -> Tensor:
        tensor = values if isinstance(values, Tensor) else torch.zeros(values.shape, dtype=kind_of(values))
        return tensor.to(CUDA)


def kind_of(values: np.ndarray) -> torch.dtype:
    return torch.from_numpy(np.empty(0, values.dtype)).dtype


class Network(nn.Sequential):
    """A small network of bytes."""

    def __init__(self, kind: TaskKind, *last: nn.Module) -> None:
        super().__init__(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), *last)
        self.kind = kind

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.float())


@pytest.fixture(autouse=True)
def copies_of_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build a like network where one is copied: tensors without numbers cannot be."""
    monkeypatch.setattr(moving_average, "deepcopy", lambda network: network_on_device(network.kind))


def network_on_device(kind: TaskKind) -> nn.Module:
    pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with CUDA:
        if kind is TaskKind.SEGMENTATION:
            return Network(kind, nn.Conv2d(4, 1, 1))
        return Network(kind, *pooled, nn.Linear(4, 1 if kind is TaskKind.BINARY else 3))


def steps_on_device(kind: TaskKind, look_every: int, micro_batch: int | None = None) -> OptimiserSteps:
    network = network_on_device(kind)

    def backward(loss: Tensor) -> None:  # torch's own wants a driver even for tensors without numbers
        assert loss.requires_grad
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)

    fabric: Any = SimpleNamespace(device=CUDA, backward=backward)
    optimiser = build_optimiser(network, RECIPE)
    return OptimiserSteps(
        fabric,
        network,
        optimiser,
        LearningRate(RECIPE, 2),
        loss_of(kind),
        losses=StepLosses(look_every),
        micro_batch=micro_batch,
        average=MovingAverage(network, 0.9),
    )


def batch(kind: TaskKind) -> TensorBatch:
    copies: Any = Sent()
    images = torch.zeros(6, 20, 20, 3, dtype=torch.uint8, device=CUDA)
    draws = draw_views(np.arange(6), side=20, size=16, augmentation=RANGES, seed=0, epoch=0)
    views, masks = compute_views(images, images[..., 0], draws, RANGES, copies)
    assert masks is not None
    labels = {TaskKind.SEGMENTATION: masks, TaskKind.MULTI_LABEL: torch.zeros(6, 3, device=CUDA)}
    return TensorBatch(views, labels.get(kind, torch.zeros(6, dtype=torch.int64, device=CUDA)), np.arange(6))


def loss_of(kind: TaskKind) -> Loss:
    weights = (1.0, 2.0, 3.0) if kind is TaskKind.MULTI_LABEL else None
    return build_loss(kind, RECIPE, class_weights=weights, unknown_labels=kind is TaskKind.MULTI_LABEL)


@pytest.mark.parametrize("kind", TaskKind)
@pytest.mark.parametrize("micro_batch", [None, 4])
def test_views_steps_and_average_never_wait_for_the_device(kind: TaskKind, micro_batch: int | None) -> None:
    with FakeTensorMode():
        steps = steps_on_device(kind, 99, micro_batch)
        with pytest.raises(DataDependentOutputException) as caught:
            steps.run_epoch(0, iter([batch(kind) for _ in range(3)]))
    assert steps.count == 3
    assert "end_epoch" in [entry.name for entry in caught.traceback]


def test_looking_at_every_step_waits_at_the_first() -> None:
    with FakeTensorMode():
        steps = steps_on_device(TaskKind.BINARY, 1)
        with pytest.raises(DataDependentOutputException):
            steps.run_epoch(0, iter([batch(TaskKind.BINARY)]))
    assert steps.count == 0
