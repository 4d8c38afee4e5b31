"""What every protocol that trains a network checks before and records after."""

from __future__ import annotations

from typing import Any

from torch import nn

from medtransfer.core.errors import TrialError
from medtransfer.protocols.transfer_protocol import Bench, TransferRequest
from medtransfer.training.fit_network import FitResult
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.training_data import TrainingData

_SCORED = {"val": ("validation", "choose on"), "test": ("test", "score")}
"""Splits that are scored once a network is trained, and what for."""


def require_training_cases(bench: Bench, request: TransferRequest) -> None:
    """Refuse to train on a single case, which batch normalisation cannot, or for splits without cases to score.

    Raises:
        TrialError: If there are fewer than 2 training cases, or none of validation or test.
    """
    if len(request.train) < 2:
        raise TrialError(
            "too_few_cases",
            f"task {bench.task!r}: expected at least 2 training cases to train on, got {len(request.train)}. "
            "Use a larger label fraction.",
        )
    for split, (word, purpose) in _SCORED.items():
        if not len(bench.cases.indices(split)):
            raise TrialError(
                f"no_{word}_cases",
                f"task {bench.task!r}: expected {word} cases to {purpose}, got none. Check its split.",
            )


def training_facts(
    network: nn.Module, fitted: FitResult, data: TrainingData, recipe: TrainingRecipe
) -> dict[str, Any]:
    """Return facts of a training for the record, as JSON values."""
    return {
        **fitted.facts,
        "batch_size": data.batch_size,
        "precision": recipe.precision,
        "parameters": sum(p.numel() for p in network.parameters()),
        "trained_parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
    }
