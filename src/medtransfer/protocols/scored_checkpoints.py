"""Predictions of a training's best and last weights on validation and test."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from medtransfer.metrics.predictions import Predictions
from medtransfer.protocols.transfer_protocol import Bench
from medtransfer.training.case_predictions import classification_predictions
from medtransfer.training.fit_network import FitResult
from medtransfer.training.inference import predict_masks, predict_probabilities
from medtransfer.training.mask_scoring import score_masks
from medtransfer.training.training_data import TrainingData

SCORED_SPLITS = ("val", "test")


def score_checkpoints(
    network: nn.Module, fitted: FitResult, data: TrainingData, bench: Bench
) -> Mapping[str, Mapping[str, Predictions]]:
    """Return predictions by checkpoint (``best``, ``last``) and split (``val``, ``test``).

    Args:
        network: The trained network; it is left with its best weights.
        fitted: Its best and last weights.
        data: Gives the inputs of any case.
        bench: Cases and device.
    """
    final_is_best = fitted.best_epoch == len(fitted.curve) - 1
    network.load_state_dict(fitted.best_state)
    best = _score_splits(network, data, bench)
    if final_is_best:
        return {"best": best, "last": best}
    network.load_state_dict(fitted.last_state)
    last = _score_splits(network, data, bench)
    network.load_state_dict(fitted.best_state)
    return {"best": best, "last": last}


def _score_splits(network: nn.Module, data: TrainingData, bench: Bench) -> dict[str, Predictions]:
    return {split: _score_split(network, data, bench, split) for split in SCORED_SPLITS}


def _score_split(network: nn.Module, data: TrainingData, bench: Bench, split: str) -> Predictions:
    cases = bench.cases
    rows = cases.indices(split)
    batches = data.evaluation(rows)
    if cases.kind.is_classification:
        scores = predict_probabilities(network, batches, cases.kind, bench.device)
        return classification_predictions(cases, rows, scores)
    return score_masks(cases, rows, predict_masks(network, batches, bench.device))
