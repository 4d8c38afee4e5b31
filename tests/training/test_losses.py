"""Losses against scikit-learn, segmentation-models-pytorch and plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from segmentation_models_pytorch.losses import DiceLoss
from sklearn.metrics import log_loss

from medtransfer.core.task_kind import TaskKind
from medtransfer.training.losses import build_loss, output_count, soft_dice_loss
from medtransfer.training.recipe import TrainingRecipe

HALF_SMOOTH = 0.5
"""That library adds it to half the Dice ratio's two sides."""


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def masks(values: int, count: int = 3, side: int = 7) -> torch.Tensor:
    drawn = torch.randint(0, values, (count, side, side), generator=torch.Generator().manual_seed(2))
    return drawn.to(torch.uint8)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def test_binary_is_log_loss() -> None:
    logits, labels = draw(9, 1), torch.arange(9) % 2
    expected = log_loss(labels.numpy(), sigmoid(logits.numpy()[:, 0]))
    assert build_loss(TaskKind.BINARY, TrainingRecipe())(logits, labels).item() == pytest.approx(expected)


def test_multi_class_is_log_loss() -> None:
    logits, labels = draw(9, 3), torch.arange(9) % 3
    expected = log_loss(labels.numpy(), logits.softmax(1).numpy())
    assert build_loss(TaskKind.MULTI_CLASS, TrainingRecipe())(logits, labels).item() == pytest.approx(
        expected
    )


def test_multi_label_is_the_mean_of_one_log_loss_per_label() -> None:
    logits, labels = draw(9, 4), (draw(9, 4).flip(0) > 0).float()
    shares = sigmoid(logits.numpy())
    expected = np.mean([log_loss(labels[:, k].numpy(), shares[:, k]) for k in range(4)])
    found = build_loss(TaskKind.MULTI_LABEL, TrainingRecipe())(logits, labels)
    assert found.item() == pytest.approx(expected)


def test_dice_of_a_batch_pools_its_pixels() -> None:
    logits, truth = draw(3, 1, 7, 7), masks(2)
    expected = DiceLoss("binary", smooth=HALF_SMOOTH)(logits, truth)
    torch.testing.assert_close(soft_dice_loss(logits, truth, batch_dice=True), expected)


def test_dice_of_images_is_the_mean_over_images() -> None:
    logits, truth = draw(3, 1, 7, 7), masks(2)
    truth[1] = 0
    each = [DiceLoss("binary", smooth=HALF_SMOOTH)(logits[i : i + 1], truth[i : i + 1]) for i in (0, 2)]
    empty = 1 - 1 / (logits[1].sigmoid().sum() + 1)
    torch.testing.assert_close(soft_dice_loss(logits, truth), (each[0] + each[1] + empty) / 3)


def test_dice_of_several_classes_leaves_the_background_out() -> None:
    logits, truth = draw(3, 4, 7, 7), masks(4)
    shares = logits.softmax(1).numpy()
    values = [
        (2 * (shares[n, k] * (truth[n].numpy() == k)).sum() + 1)
        / (shares[n, k].sum() + (truth[n].numpy() == k).sum() + 1)
        for n in range(3)
        for k in (1, 2, 3)
    ]
    assert soft_dice_loss(logits, truth).item() == pytest.approx(1 - np.mean(values))


@pytest.mark.parametrize("outputs", [1, 3])
def test_mask_losses_add_up(outputs: int) -> None:
    logits, truth = draw(3, outputs, 7, 7), masks(max(2, outputs))
    parts = {
        name: build_loss(TaskKind.SEGMENTATION, TrainingRecipe(mask_loss=name))(logits, truth).item()
        for name in ("bce", "dice", "bce+dice")
    }
    if outputs == 1:
        pixels = log_loss(truth.numpy().ravel(), sigmoid(logits.numpy().ravel()))
    else:
        pixels = log_loss(truth.numpy().ravel(), logits.softmax(1).movedim(1, 3).reshape(-1, outputs).numpy())
    assert parts["bce"] == pytest.approx(pixels)
    assert parts["dice"] == pytest.approx(soft_dice_loss(logits, truth).item())
    assert parts["bce+dice"] == pytest.approx(parts["bce"] + parts["dice"])


def test_batch_dice_reaches_the_loss() -> None:
    logits, truth = draw(3, 1, 7, 7), masks(2)
    truth[0] = 0
    loss = build_loss(TaskKind.SEGMENTATION, TrainingRecipe(mask_loss="dice", batch_dice=True))
    torch.testing.assert_close(loss(logits, truth), soft_dice_loss(logits, truth, batch_dice=True))
    assert loss(logits, truth) != soft_dice_loss(logits, truth)


def test_an_empty_mask_has_a_gradient() -> None:
    logits = draw(1, 1, 5, 5).requires_grad_()
    soft_dice_loss(logits, torch.zeros(1, 5, 5, dtype=torch.uint8)).backward()
    assert logits.grad is not None
    assert (logits.grad > 0).all()


@pytest.mark.parametrize(
    ("kind", "classes", "outputs"),
    [
        (TaskKind.BINARY, 2, 1),
        (TaskKind.MULTI_CLASS, 5, 5),
        (TaskKind.MULTI_LABEL, 14, 14),
        (TaskKind.SEGMENTATION, 1, 1),
        (TaskKind.SEGMENTATION, 3, 4),
    ],
)
def test_number_of_outputs(kind: TaskKind, classes: int, outputs: int) -> None:
    assert output_count(kind, classes) == outputs


def test_weights_of_pixels_are_those_of_the_true_class() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, generator=generator)
    masks = torch.randint(0, 3, (2, 4, 4), generator=generator).to(torch.uint8)
    loss = build_loss(TaskKind.SEGMENTATION, TrainingRecipe(mask_loss="bce", pixel_weights=(1.0, 3.0, 10.0)))
    weights = torch.tensor([1.0, 3.0, 10.0])[masks.long()]
    right = logits.log_softmax(dim=1).gather(1, masks.long().unsqueeze(1))[:, 0]
    assert float(loss(logits, masks)) == pytest.approx(
        float(-(weights * right).sum() / weights.sum()), rel=1e-6
    )


def test_weights_of_a_single_class_are_the_same_with_one_output() -> None:
    generator = torch.Generator().manual_seed(0)
    single = torch.randn(2, 1, 4, 4, generator=generator)
    masks = torch.randint(0, 2, (2, 4, 4), generator=generator).to(torch.uint8)
    loss = build_loss(TaskKind.SEGMENTATION, TrainingRecipe(mask_loss="bce", pixel_weights=(1.0, 4.0)))
    both = torch.cat([torch.zeros_like(single), single], dim=1)
    assert float(loss(single, masks)) == pytest.approx(float(loss(both, masks)), rel=1e-6)


@pytest.mark.parametrize("kind", [TaskKind.MULTI_LABEL, TaskKind.SEGMENTATION])
def test_weights_are_made_into_a_tensor_once_and_serve_training_after_validation(
    kind: TaskKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    tensor = torch.tensor
    monkeypatch.setattr(
        torch, "tensor", lambda *given, **named: made.append(given) or tensor(*given, **named)
    )
    recipe = TrainingRecipe(pixel_weights=(1.0, 2.0, 3.0))
    loss = build_loss(kind, recipe, class_weights=(1.0, 2.0, 3.0))
    shape, targets = (
        ((2, 3, 7, 7), masks(3, 2)) if kind is TaskKind.SEGMENTATION else ((2, 3), draw(2, 3) > 0)
    )
    with torch.inference_mode():
        expected = loss(draw(*shape), targets)
    logits = draw(*shape).requires_grad_()
    for _ in range(2):
        found = loss(logits, targets)
        found.backward()
    assert found.item() == expected.item()
    assert len(made) == 1
