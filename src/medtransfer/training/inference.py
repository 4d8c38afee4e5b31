"""From a trained network to probabilities: whole arrays for labels, one case at a time for masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from medtransfer.core.errors import TrialError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.device_copies import DeviceCopies, read_later
from medtransfer.training.determinism import reproducible
from medtransfer.training.device_data import sent
from medtransfer.training.training_data import IndexArray, TensorBatch

FloatArray = npt.NDArray[np.float64]


def predict_probabilities(
    network: nn.Module, batches: Iterable[TensorBatch], kind: TaskKind, device: str = "cpu"
) -> FloatArray:
    """Return class probabilities of labels.

    Args:
        network: Gives logits; it is put into evaluation mode.
        batches: The cases, in order.
        kind: Binary, multi-class or multi-label.
        device: Where to compute.

    Returns:
        (N, C), float64; two columns for binary tasks; rows sum to 1 unless multi-label.
    """
    parts = [class_probabilities(logits, kind) for _, logits in predict_logits(network, batches, device)]
    return np.concatenate(parts)


def class_probabilities(logits: Tensor, kind: TaskKind) -> FloatArray:
    """Return probabilities of logits (N, K), shape (N, C), computed in float64.

    Example:
        >>> class_probabilities(torch.zeros(1, 1), TaskKind.BINARY).tolist()
        [[0.5, 0.5]]
    """
    values = logits.detach().double()
    if kind is TaskKind.MULTI_CLASS:
        shares = values.softmax(dim=1)
    elif kind is TaskKind.BINARY:
        shares = torch.cat([(-values).sigmoid(), values.sigmoid()], dim=1)
    else:
        shares = values.sigmoid()
    return np.asarray(shares.cpu().numpy(), dtype=np.float64)


def predict_masks(
    network: nn.Module, batches: Iterable[TensorBatch], device: str = "cpu"
) -> Iterator[tuple[int, Tensor]]:
    """Yield the row number and the pixel probabilities of one case after another.

    Yields:
        Row and float32 tensor (K, H, W) on the CPU, in the network's resolution; K as in
        :func:`~medtransfer.training.losses.output_count`.

    Raises:
        TrialError: If a probability is NaN.
    """
    for rows, shares in _outputs(network, batches, device, pixel_probabilities):
        for row, share in zip(rows.tolist(), shares, strict=True):
            if not bool(torch.isfinite(share).all()):
                raise TrialError(
                    "non_finite_predictions",
                    f"predictions: expected finite pixel probabilities, got NaN in row {row}.",
                )
            yield row, share


def pixel_probabilities(logits: Tensor) -> Tensor:
    """Return probabilities of logits (N, K, H, W): sigmoid of a single one, softmax over several."""
    values = logits.detach().float()
    return values.sigmoid() if values.shape[1] == 1 else values.softmax(dim=1)


def predict_logits(
    network: nn.Module, batches: Iterable[TensorBatch], device: str
) -> Iterator[tuple[IndexArray, Tensor]]:
    """Yield rows and logits of each batch, on the CPU, in evaluation mode and full precision."""
    return _outputs(network, batches, device, torch.Tensor.detach)


def _outputs(
    network: nn.Module, batches: Iterable[TensorBatch], device: str, finish: Callable[[Tensor], Tensor]
) -> Iterator[tuple[IndexArray, Tensor]]:
    """Yield rows and what is made of the logits of each batch, read while the device computes the next."""
    place = torch.device(device)
    network.to(place).eval()
    for rows, (found,) in read_later(_computed(network, batches, place, finish), place):
        yield rows, found


def _computed(
    network: nn.Module,
    batches: Iterable[TensorBatch],
    place: torch.device,
    finish: Callable[[Tensor], Tensor],
) -> Iterator[tuple[IndexArray, tuple[Tensor]]]:
    for batch in sent(iter(batches), DeviceCopies(place)):
        with reproducible(0, place), torch.inference_mode():
            logits = network(batch.inputs)
        yield batch.rows, (finish(logits),)
