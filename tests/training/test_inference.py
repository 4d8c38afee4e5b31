"""Probabilities of networks in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from torch import nn

from medtransfer.core.errors import TrialError
from medtransfer.core.task_kind import TaskKind
from medtransfer.training.inference import predict_masks, predict_probabilities
from medtransfer.training.training_data import TensorBatch


def batches(values: torch.Tensor) -> Iterator[TensorBatch]:
    for rows in np.array_split(np.arange(len(values)), 3):
        yield TensorBatch(values[rows], torch.zeros(len(rows)), rows + 10)


def noisy(module: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Dropout(0.5), module).train()


VALUES = torch.linspace(-30, 30, 21).view(7, 3)


def test_multi_class_rows_sum_to_one_in_double_precision() -> None:
    found = predict_probabilities(noisy(nn.Identity()), batches(VALUES), TaskKind.MULTI_CLASS)
    np.testing.assert_allclose(found, softmax(VALUES.double().numpy(), axis=1), rtol=1e-12)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-14)


def test_multi_label_columns_stand_alone() -> None:
    found = predict_probabilities(noisy(nn.Identity()), batches(VALUES), TaskKind.MULTI_LABEL)
    np.testing.assert_allclose(found, expit(VALUES.double().numpy()), rtol=1e-12)


def test_binary_has_two_columns_and_keeps_small_probabilities() -> None:
    found = predict_probabilities(noisy(nn.Identity()), batches(VALUES[:, :1]), TaskKind.BINARY)
    values = VALUES[:, :1].double().numpy()
    np.testing.assert_allclose(found, np.hstack([expit(-values), expit(values)]), rtol=1e-12)


def test_masks_come_one_by_one_with_their_rows() -> None:
    logits = torch.linspace(-3, 3, 5 * 3 * 4).view(5, 3, 2, 2)
    found = list(predict_masks(noisy(nn.Identity()), batches(logits)))
    assert [row for row, _ in found] == [10, 11, 12, 13, 14]
    for (_, shares), values in zip(found, logits, strict=True):
        np.testing.assert_allclose(shares.numpy(), softmax(values.numpy(), axis=0), rtol=1e-5)
    single = next(predict_masks(noisy(nn.Identity()), batches(logits[:, :1])))[1]
    np.testing.assert_allclose(single.numpy(), expit(logits[0, :1].numpy()), rtol=1e-5)


def test_non_finite_masks_end_the_trial() -> None:
    logits = torch.zeros(5, 1, 2, 2)
    logits[4, 0, 1, 1] = torch.nan
    with pytest.raises(TrialError, match="row 14") as caught:
        list(predict_masks(nn.Identity(), batches(logits)))
    assert caught.value.reason == "non_finite_predictions"


def test_prediction_leaves_the_random_state_alone() -> None:
    state = torch.get_rng_state()
    predict_probabilities(noisy(nn.Identity()), batches(VALUES), TaskKind.MULTI_LABEL)
    assert torch.equal(torch.get_rng_state(), state)
