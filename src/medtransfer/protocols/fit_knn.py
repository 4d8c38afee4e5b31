"""k-nearest-neighbour evaluation: all similarities in one pass, then one vote per training subset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import TrialError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.protocols.bench_features import (
    bench_features,
    embedding_side,
    require_training_rows,
    splits_of,
)
from medtransfer.protocols.knn import Knn
from medtransfer.protocols.nearest_neighbours import Neighbours, Vote, nearest, unit_rows, vote_shares
from medtransfer.protocols.single_thread import single_thread
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from medtransfer.protocols.validation_choice import choose_on_validation
from medtransfer.training.case_predictions import classification_predictions

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

QUERIES_AT_ONCE = 256
"""Queries compared with all training cases in one matrix product; bounds memory."""


def fit_knn(settings: Knn, bench: Bench, requests: Sequence[TransferRequest]) -> Iterator[Transfer]:
    """Yield the transfer of each request, in order; see :meth:`Knn.fit`.

    Validation and test are compared with all training cases once, and every subset reads its columns of
    that one matrix, so no number depends on which subsets are asked for together.
    """
    if not bench.cases.kind.is_classification:
        raise UsageError(
            f"protocol 'knn': expected a classification task, got {bench.task!r}, which is "
            f"{bench.cases.kind.value}. Use 'linear' or 'finetune'."
        )
    size = embedding_side(bench, settings.image_size)
    features = bench_features(bench, size, settings.extraction())
    for request in requests:
        require_training_rows(bench, request)
    subsets = {request.train.tobytes(): request.train for request in requests}
    with single_thread():
        found = _search(bench, features, subsets, settings.ks[-1])
    facts = {"image_size": size, "embedding_size": int(features.shape[1])}
    voted: dict[bytes, Transfer] = {}
    for request in requests:
        subset = request.train.tobytes()
        if subset not in voted:
            voted[subset] = _vote(settings, bench, request.train, found.pop(subset), facts)
        yield voted[subset]


def _search(
    bench: Bench, features: npt.NDArray[np.float32], subsets: Mapping[bytes, IndexArray], most: int
) -> dict[bytes, Neighbours]:
    """Return the nearest cases of validation, then test, in every subset, by row of the case table."""
    train = bench.cases.indices("train")
    targets = unit_rows(features[train]).T
    queries = np.concatenate(splits_of(bench))
    columns = {key: np.searchsorted(train, rows) for key, rows in subsets.items()}
    parts: dict[bytes, list[Neighbours]] = {key: [] for key in subsets}
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        similarities = unit_rows(features[queries[start : start + QUERIES_AT_ONCE]]) @ targets
        for key, chosen in columns.items():
            within = nearest(similarities[:, chosen], min(most, len(chosen)))
            parts[key].append(Neighbours(subsets[key][within.numbers], within.similarities))
        bench.progress("neighbours", min(start + QUERIES_AT_ONCE, len(queries)), len(queries))
    return {key: _joined(found) for key, found in parts.items()}


def _joined(parts: Sequence[Neighbours]) -> Neighbours:
    return Neighbours(
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.similarities for part in parts]),
    )


def _vote(
    settings: Knn, bench: Bench, train: IndexArray, found: Neighbours, facts: Mapping[str, int]
) -> Transfer:
    cases = bench.cases
    val, test = splits_of(bench)
    grid = _grid(settings, bench, len(train))
    labels = _label_columns(cases)
    on_val = _shares(labels, found, slice(0, len(val)), grid)
    choice = choose_on_validation(bench, val, list(on_val.values()))
    k, vote = grid[choice.index]
    on_test = _shares(labels, found, slice(len(val), None), [(k, vote)])
    return Transfer(
        predictions={
            "best": {
                "val": classification_predictions(cases, val, on_val[k, vote]),
                "test": classification_predictions(cases, test, on_test[k, vote]),
            }
        },
        train_cases=len(train),
        choices={"k": k, "vote": vote},
        details={
            **facts,
            "selection_metric": bench.selection_metric,
            "grid": [
                {"k": k, "vote": vote, "val": value}
                for (k, vote), value in zip(grid, choice.values, strict=True)
            ],
            "ks_dropped": [k for k in settings.ks if k > len(train)],
        },
    )


def _grid(settings: Knn, bench: Bench, cases: int) -> list[tuple[int, Vote]]:
    """Return the settings to choose from, the one that wins ties first."""
    usable = [k for k in settings.ks if k <= cases]
    if not usable:
        raise TrialError(
            "too_few_cases",
            f"task {bench.task!r}: expected at least {settings.ks[0]} training cases for the smallest k, "
            f"got {cases}. Use a larger label fraction or a smaller k.",
        )
    return [(k, vote) for k in reversed(usable) for vote in settings.votes]


def _shares(
    labels: FloatArray, found: Neighbours, rows: slice, grid: Sequence[tuple[int, Vote]]
) -> dict[tuple[int, Vote], FloatArray]:
    """Return the class shares (Q, C) of each setting, in the order of the grid."""
    of_neighbours, similarities = labels[found.numbers[rows]], found.similarities[rows]
    by_vote = {
        vote: vote_shares(of_neighbours, similarities, sorted({k for k, _ in grid}), vote)
        for vote in dict.fromkeys(vote for _, vote in grid)
    }
    return {(k, vote): by_vote[vote][k] for k, vote in grid}


def _label_columns(cases: CaseTable) -> FloatArray:
    """Return the labels of all cases as zeros and ones, shape (N, C)."""
    labels = cases.labels()
    if cases.kind is TaskKind.MULTI_LABEL:
        return np.asarray(labels, dtype=np.float64)
    return np.asarray(labels[:, None] == np.arange(len(cases.classes)), dtype=np.float64)
