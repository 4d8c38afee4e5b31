"""Neighbours and votes against scikit-learn and against loops."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from medtransfer.core.errors import ShapeError
from medtransfer.features import row_blocks
from medtransfer.protocols.nearest_neighbours import nearest, unit_rows, vote_shares


def draw(cases: int = 60, queries: int = 25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    return (
        random.normal(0.3, 1, (cases, 8)),
        random.normal(0.3, 1, (queries, 8)),
        random.integers(0, 3, cases),
    )


@pytest.mark.parametrize("k", [1, 7, 60])
def test_neighbours_are_scikit_learn_s(k: int) -> None:
    train, queries, _ = draw()
    found = nearest(unit_rows(queries) @ unit_rows(train).T, k)
    reference = NearestNeighbors(n_neighbors=k, metric="cosine").fit(train)
    distances, numbers = reference.kneighbors(queries)
    np.testing.assert_array_equal(found.numbers, numbers)
    np.testing.assert_allclose(found.similarities, 1 - distances, atol=1e-12)


@pytest.mark.parametrize("vote", ["plain", "temperature"])
def test_votes_are_scikit_learn_s(vote: str) -> None:
    train, queries, labels = draw()
    found = nearest(unit_rows(queries) @ unit_rows(train).T, 20)
    shares = vote_shares(np.eye(3)[labels[found.numbers]], found.similarities, (1, 5, 20), vote)
    for k, ours in shares.items():
        weights = "uniform" if vote == "plain" else lambda distances: np.exp((1 - distances) / 0.07)
        reference = KNeighborsClassifier(k, metric="cosine", weights=weights).fit(train, labels)
        np.testing.assert_allclose(ours, reference.predict_proba(queries), atol=1e-9)


@pytest.mark.parametrize("k", range(1, 13))
def test_ties_go_to_the_first_columns(k: int) -> None:
    similarities = np.random.default_rng(k).integers(0, 3, (200, 12)) / 4
    found = nearest(similarities, k)
    for query in range(200):
        expected = sorted(range(12), key=lambda n: (-similarities[query, n], n))[:k]
        assert found.numbers[query].tolist() == expected
        np.testing.assert_array_equal(found.similarities[query], similarities[query, expected])


def test_multi_label_votes_are_mean_labels() -> None:
    labels = np.array([[[1, 1], [0, 1], [0, 0]]], dtype=float)
    shares = vote_shares(labels, np.array([[0.9, 0.8, 0.1]]), (1, 2, 3), "plain")
    assert {k: value.tolist() for k, value in shares.items()} == {
        1: [[1, 1]],
        2: [[0.5, 1]],
        3: [[pytest.approx(1 / 3), pytest.approx(2 / 3)]],
    }


def test_weights_fall_to_one_e_th_within_a_temperature() -> None:
    labels = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    shares = vote_shares(labels, np.array([[0.5, 0.43]]), (2,), "temperature")[2][0]
    assert shares[1] / shares[0] == pytest.approx(np.exp(-1))


def test_a_row_of_zeros_is_like_nothing() -> None:
    units = unit_rows(np.array([[0.0, 0.0], [5.0, 0.0]], dtype=np.float32))
    assert units.dtype == np.float64
    assert (units @ units.T).tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize("k", [0, 4])
def test_k_is_at_most_the_number_of_cases(k: int) -> None:
    with pytest.raises(ShapeError, match="k: expected 1 to 3"):
        nearest(np.zeros((2, 3)), k)


def test_unit_rows_of_blocks_are_those_of_the_whole_and_the_only_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features = np.random.default_rng(0).standard_normal((4000, 64)).astype(np.float32)
    lengths = np.sqrt((features.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    monkeypatch.setattr(row_blocks, "BLOCK_VALUES", 1000)
    tracemalloc.start()
    try:
        units = unit_rows(features)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(units, features / lengths, rtol=1e-15)
    assert peak < 1.2 * units.nbytes
