"""Linear evaluation of classification: one set of features, one path of heads per training subset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.protocols.bench_features import (
    bench_features,
    embedding_side,
    require_training_rows,
    splits_of,
)
from medtransfer.protocols.linear import Linear
from medtransfer.protocols.logistic_heads import LogisticHeads, fit_heads
from medtransfer.protocols.single_thread import single_thread
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from medtransfer.protocols.validation_choice import Choice, choose_on_validation
from medtransfer.training.case_predictions import classification_predictions


def fit_linear(settings: Linear, bench: Bench, requests: Sequence[TransferRequest]) -> Iterator[Transfer]:
    """Yield the transfer of each request, in order; see :meth:`Linear.fit`.

    A training subset is solved by itself, so its numbers do not depend on the other requests; requests
    with the same subset, such as all those with all labels, are solved once.
    """
    size = embedding_side(bench, settings.image_size)
    features = bench_features(bench, size, settings.extraction())
    solved: dict[bytes, Transfer] = {}
    for request in requests:
        subset = request.train.tobytes()
        if subset not in solved:
            require_training_rows(bench, request)
            with single_thread():
                solved[subset] = _fit_subset(settings, bench, features, request, size)
        yield solved[subset]


def _fit_subset(
    settings: Linear,
    bench: Bench,
    features: npt.NDArray[np.float32],
    request: TransferRequest,
    size: int,
) -> Transfer:
    cases, train = bench.cases, request.train
    heads = fit_heads(
        features[train],
        cases.labels()[train],
        cases.kind,
        cases.classes,
        settings.strengths,
        balanced=settings.class_weights == "balanced",
    )
    val, test = splits_of(bench)
    on_val = heads.probabilities(features[val])
    choice = choose_on_validation(bench, val, list(on_val))
    on_test = heads.probabilities(features[test])[choice.index]
    return Transfer(
        predictions={
            "best": {
                "val": classification_predictions(cases, val, on_val[choice.index]),
                "test": classification_predictions(cases, test, on_test),
            }
        },
        train_cases=len(train),
        choices=_choices(heads, choice),
        details={
            "image_size": size,
            "embedding_size": features.shape[1],
            "features_that_vary": len(heads.standardisation.kept),
            "selection_metric": bench.selection_metric,
            "strengths": _path(heads, choice),
            "heads_not_converged": sum(max(len(fit.unfinished), not fit.converged) for fit in heads.fits),
            "notes": list(heads.notes),
        },
    )


def _choices(heads: LogisticHeads, choice: Choice) -> dict[str, Any]:
    last = len(heads.strengths) - 1
    edge = {0: "strongest", last: "weakest"}.get(choice.index) if last else None
    return {
        "strength": heads.strengths[choice.index],
        "at_grid_edge": edge,
        "converged": heads.fits[choice.index].converged,
    }


def _path(heads: LogisticHeads, choice: Choice) -> list[dict[str, Any]]:
    return [
        {"strength": strength, "val": value, **fit.as_json()}
        for strength, value, fit in zip(heads.strengths, choice.values, heads.fits, strict=True)
    ]
