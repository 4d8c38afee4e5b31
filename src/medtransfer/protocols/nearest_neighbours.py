"""The mathematics of k-nearest-neighbour evaluation: cosine similarity, ranking, votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError
from medtransfer.features.row_blocks import small_slices

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]
Vote = Literal["temperature", "plain"]

TEMPERATURE = 0.07
"""Similarity difference, in units of cosine, by which a neighbour's weight falls to 1/e."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest cases of each query, nearest first."""

    numbers: IndexArray
    """(Q, k) columns of the similarity matrix."""
    similarities: FloatArray
    """(Q, k) cosines in [-1, 1], falling along each row."""


def unit_rows(features: npt.NDArray[Any]) -> FloatArray:
    """Return each row divided by its length, in double precision; a row of zeros stays zero.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
        array([[0.6, 0.8],
               [0. , 0. ]])
    """
    units = np.empty(features.shape)
    for rows in small_slices(*features.shape):
        values = np.asarray(features[rows], dtype=np.float64)
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        np.divide(values, np.where(lengths > 0, lengths, 1.0), out=units[rows])
    return units


def nearest(similarities: FloatArray, k: int) -> Neighbours:
    """Return the k most similar cases of each query; of equally similar ones the first columns.

    Args:
        similarities: (Q, n), n >= k.
        k: Number of neighbours, at least 1.

    Raises:
        ShapeError: If there are fewer than k cases.

    Example:
        >>> nearest(np.array([[0.2, 0.9, 0.9, 0.1]]), 2).numbers
        array([[1, 2]])
    """
    cases = similarities.shape[1]
    if not 1 <= k <= cases:
        raise ShapeError(f"k: expected 1 to {cases}, the number of training cases, got {k}.")
    if k < cases:
        numbers = np.sort(np.argpartition(-similarities, k - 1, axis=1)[:, :k], axis=1)
    else:
        numbers = np.broadcast_to(np.arange(cases), similarities.shape)
    found = np.take_along_axis(similarities, numbers, axis=1)
    limit = found.min(axis=1, keepdims=True)
    for query in np.flatnonzero((similarities >= limit).sum(axis=1) > k):
        numbers[query] = np.sort(np.argsort(-similarities[query], kind="stable")[:k])
        found[query] = similarities[query, numbers[query]]
    order = np.argsort(-found, axis=1, kind="stable")
    return Neighbours(np.take_along_axis(numbers, order, axis=1), np.take_along_axis(found, order, axis=1))


def vote_shares(
    labels: FloatArray, similarities: FloatArray, ks: Sequence[int], vote: Vote
) -> dict[int, FloatArray]:
    """Return the weighted mean label of the k nearest cases, for several k.

    Args:
        labels: Labels of the neighbours, nearest first, one column per class: zeros and ones, shape
            (Q, m, C), m at least every k; a neighbour whose label of a class is NaN has no vote on it.
        similarities: Their cosines, shape (Q, m), falling along each row.
        ks: Numbers of neighbours.
        vote: ``plain`` counts every neighbour alike; ``temperature`` weights it by ``exp(cosine / 0.07)``.

    Returns:
        k to shares in [0, 1], shape (Q, C); rows sum to 1 where the labels of each case do; 0.5 where
        no neighbour has a vote.

    Reference:
        Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018
        (the weighted vote and its temperature).
    """
    weights = np.ones_like(similarities)
    if vote == "temperature":
        weights = np.exp((similarities - similarities[:, :1]) / TEMPERATURE)
    unknown = np.isnan(labels)
    if unknown.any():
        return _known_vote_shares(weights, labels, unknown, ks)
    votes = np.cumsum(weights[:, :, None] * labels, axis=1)
    totals = np.cumsum(weights, axis=1)
    return {k: np.clip(votes[:, k - 1] / totals[:, k - 1, None], 0.0, 1.0) for k in ks}


def _known_vote_shares(
    weights: FloatArray, labels: FloatArray, unknown: npt.NDArray[np.bool_], ks: Sequence[int]
) -> dict[int, FloatArray]:
    votes = np.cumsum(weights[:, :, None] * np.where(unknown, 0.0, labels), axis=1)
    totals = np.cumsum(weights[:, :, None] * ~unknown, axis=1)
    shares = np.divide(votes, totals, out=np.full(votes.shape, 0.5), where=totals > 0)
    return {k: np.clip(shares[:, k - 1], 0.0, 1.0) for k in ks}
