"""Losses on logits, one per kind of task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from medtransfer.core.errors import UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.training.recipe import MaskLoss, TrainingRecipe

DICE_SMOOTH = 1.0
"""Pixels added to both sides of the soft Dice ratio, so that empty masks have a gradient."""


@dataclass(frozen=True)
class Term:
    """A loss that is a mean, and over what."""

    mean: Callable[[Tensor, Tensor], Tensor]
    """From logits and targets of some cases to a scalar."""
    count: Callable[[Tensor], Tensor] | None = None
    """From targets to what the mean divides by, a scalar: known labels, weights of pixels. None where all cases
    count the same."""


@dataclass(frozen=True)
class Loss:
    """A loss of a batch: the sum of its terms.

    Means of several batches must not be averaged over their cases where a term's cases count differently;
    the counts of its terms say how.
    """

    terms: tuple[Term, ...]

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        return self.summed(self.means(logits, targets))

    def means(self, logits: Tensor, targets: Tensor) -> list[Tensor]:
        """Return each term of a batch, scalars."""
        return [term.mean(logits, targets) for term in self.terms]

    def counts(self, targets: Tensor) -> list[Tensor | None]:
        """Return what each term divides by, scalars; None for the number of cases."""
        return [None if term.count is None else term.count(targets) for term in self.terms]

    @staticmethod
    def summed(means: Sequence[Tensor]) -> Tensor:
        """Return the sum of terms."""
        return means[0] if len(means) == 1 else torch.stack(list(means)).sum()


def output_count(kind: TaskKind, classes: int) -> int:
    """Return how many logits a case (or a pixel) has for C classes.

    Binary tasks have one, for the second class. Segmentation has one for a single class, else one per
    class and one for the background, which comes first.

    Example:
        >>> [output_count(kind, 2) for kind in (TaskKind.BINARY, TaskKind.MULTI_LABEL, TaskKind.SEGMENTATION)]
        [1, 2, 3]
    """
    if kind is TaskKind.BINARY:
        return 1
    if kind is TaskKind.SEGMENTATION:
        return 1 if classes == 1 else classes + 1
    return classes


def build_loss(
    kind: TaskKind,
    recipe: TrainingRecipe,
    *,
    class_weights: Sequence[float] | None = None,
    unknown_labels: bool = False,
) -> Loss:
    """Return the loss of a kind of task.

    The loss takes logits (N, K) and labels (N,), or (N, K) for multi-label tasks; for segmentation
    logits (N, K, H, W) and masks (N, H, W), where K is :func:`output_count`.

    Args:
        kind: What is predicted.
        recipe: Choice of loss.
        class_weights: Factor of each of K classes of a multi-label task; None for 1.
        unknown_labels: Whether labels of a multi-label task may be NaN: they add nothing to the loss.
    """
    if kind is TaskKind.MULTI_CLASS:
        return Loss((Term(functional.cross_entropy),))
    if kind is TaskKind.SEGMENTATION:
        return _mask_loss(recipe.mask_loss, recipe.pixel_weights, batch_dice=recipe.batch_dice)
    if kind is TaskKind.BINARY:
        return Loss((Term(_binary_loss),))
    if class_weights is None and not unknown_labels:
        return Loss((Term(_multi_label_loss),))
    mean = _weighted_multi_label_loss(class_weights, unknown_labels=unknown_labels)
    return Loss((Term(mean, _known_labels if unknown_labels else None),))


def soft_dice_loss(logits: Tensor, masks: Tensor, *, batch_dice: bool = False) -> Tensor:
    """Return one minus the soft Dice overlap, mean over images and foreground classes.

    Args:
        logits: (N, K, H, W).
        masks: (N, H, W), 0 background and k + 1 class k.
        batch_dice: Count the pixels of all images together, once per class.

    Returns:
        Scalar in [0, 1).

    Reference:
        Milletari et al., "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image
        Segmentation", 3DV 2016, with plain instead of squared sums in the denominator.
    """
    shares, truth = _foreground(logits, masks)
    axes = (0, 2, 3) if batch_dice else (2, 3)
    common = (shares * truth).sum(dim=axes)
    total = shares.sum(dim=axes) + truth.sum(dim=axes)
    return 1 - ((2 * common + DICE_SMOOTH) / (total + DICE_SMOOTH)).mean()


class _Constant:
    """Numbers that are sent to a device once, because sending them at every step would wait for it."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = tuple(values)
        self._sent: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def like(self, tensor: Tensor) -> Tensor:
        """Return them with a tensor's device and type."""
        key = (tensor.device, tensor.dtype)
        if key not in self._sent:
            with torch.inference_mode(mode=False):  # what validation sends first must serve training, too
                self._sent[key] = torch.tensor(self.values, dtype=tensor.dtype, device=tensor.device)
        return self._sent[key]


def _foreground(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return class probabilities and truth of the foreground classes, both (N, C, H, W)."""
    outputs = logits.shape[1]
    if outputs == 1:
        return logits.sigmoid(), (masks > 0).unsqueeze(1).to(logits.dtype)
    values = torch.arange(1, outputs, device=masks.device, dtype=masks.dtype).view(1, -1, 1, 1)
    return logits.softmax(dim=1)[:, 1:], (masks.unsqueeze(1) == values).to(logits.dtype)


def _mask_loss(name: MaskLoss, pixel_weights: Sequence[float] | None, *, batch_dice: bool) -> Loss:
    weights = None if pixel_weights is None else _Constant(pixel_weights)
    of_pixels = partial(_pixel_loss, weights=weights)
    of_overlap = partial(soft_dice_loss, batch_dice=batch_dice)
    terms = []
    if "bce" in name:
        terms.append(
            Term(of_pixels, None if weights is None else partial(_weight_of_pixels, weights=weights))
        )
    if "dice" in name:
        terms.append(Term(of_overlap))
    if len(terms) > 1 and weights is None:
        return Loss((Term(lambda logits, masks: of_pixels(logits, masks) + of_overlap(logits, masks)),))
    return Loss(tuple(terms))


def _pixel_loss(logits: Tensor, masks: Tensor, weights: _Constant | None) -> Tensor:
    """Return the cross entropy over pixels, each pixel weighted by its true class."""
    if weights is not None and len(weights.values) != max(logits.shape[1], 2):
        raise UsageError(
            f"pixel_weights: expected {max(logits.shape[1], 2)} numbers, the background's and one per class, "
            f"got {len(weights.values)}. Give one number for each."
        )
    if logits.shape[1] == 1:
        truth = (masks > 0).unsqueeze(1).to(logits.dtype)
        if weights is None:
            return functional.binary_cross_entropy_with_logits(logits, truth)
        losses = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        of_pixels = _object_weights(truth, weights)
        return (losses * of_pixels).sum() / of_pixels.sum().clamp(min=torch.finfo(logits.dtype).tiny)
    return functional.cross_entropy(
        logits, masks.long(), weight=None if weights is None else weights.like(logits)
    )


def _object_weights(truth: Tensor, weights: _Constant) -> Tensor:
    """Return the weight of each pixel from whether it is the object's, 0 or 1."""
    background, object_ = weights.values
    return background + (object_ - background) * truth


def _weight_of_pixels(masks: Tensor, weights: _Constant) -> Tensor:
    """Return the weights of all pixels, added up."""
    if len(weights.values) == 2:
        return _object_weights((masks > 0).float(), weights).sum()
    of_classes = weights.like(torch.empty((), device=masks.device))
    return of_classes[masks.long()].sum()


def _binary_loss(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype))


def _multi_label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


def _known_labels(labels: Tensor) -> Tensor:
    """Return how many labels are not NaN."""
    return (~labels.isnan()).sum()


def _weighted_multi_label_loss(
    class_weights: Sequence[float] | None, *, unknown_labels: bool
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the mean of weighted losses over all known labels, 0 where none is known."""
    weights = None if class_weights is None else _Constant(class_weights)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        targets = labels.to(logits.dtype)
        losses = functional.binary_cross_entropy_with_logits(
            logits, targets.nan_to_num(0.0) if unknown_labels else targets, reduction="none"
        )
        if weights is not None:
            losses = losses * weights.like(losses)
        if not unknown_labels:
            return losses.mean()
        known = ~targets.isnan()
        return (losses * known).sum() / known.sum().clamp(min=1)

    return loss
