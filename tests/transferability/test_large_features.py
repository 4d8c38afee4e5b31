"""Scores of features that are read in blocks: the same as of features held in double precision, in less memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from medtransfer.core.errors import ShapeError
from medtransfer.features import row_blocks
from medtransfer.transferability.decomposition import decompose
from medtransfer.transferability.h_score import h_score, shrinkage_h_score
from medtransfer.transferability.logme import logme
from medtransfer.transferability.ridge import ridge_left_out

SHAPES = [pytest.param(130, 11, id="more cases"), pytest.param(30, 45, id="more features")]
PENALTIES = (1e-2, 1.0, 100.0)


def draw(cases: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(cases + columns)
    features = random.standard_normal((cases, columns)) * np.geomspace(0.3, 3, columns) + 2
    labels = (features @ random.standard_normal((columns, 3)) + random.gumbel(size=(cases, 3))).argmax(axis=1)
    return features.astype(np.float32), labels


def in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("HELD_VALUES", 0),
        ("BLOCK_VALUES", 60),
        ("WIDE_BLOCK_VALUES", 200),
        ("GRAM_ROWS", 7),
    ):
        monkeypatch.setattr(row_blocks, name, value)


@pytest.mark.parametrize(("cases", "columns"), SHAPES)
def test_blocks_change_no_score(cases: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = draw(cases, columns)

    def scores() -> list[float]:
        several = np.column_stack([labels == 0, labels == 1]).astype(int)
        found = [logme(features, labels).value, logme(features, several).value]
        h_scores = (score(features, labels) for score in (h_score, shrinkage_h_score))
        return [*found, *(score.value for score in h_scores if score.value is not None)]

    held = scores()
    assert len(held) == (4 if cases > columns else 3)
    in_blocks(monkeypatch)
    np.testing.assert_allclose(scores(), held, rtol=1e-8)


@pytest.mark.parametrize(("cases", "columns"), SHAPES)
def test_a_decomposition_in_blocks_is_one(cases: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    features, _ = draw(cases, columns)
    in_blocks(monkeypatch)
    found = decompose(features)
    basis = np.concatenate([rows_of_basis for _, rows_of_basis in found.basis_blocks(features)])
    kept = min(cases, columns)
    _, singular, _ = np.linalg.svd(features.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(np.sqrt(found.energies), singular, rtol=1e-9)
    np.testing.assert_allclose(basis.T @ basis, np.eye(kept), atol=1e-9)
    np.testing.assert_allclose(found.basis(features), basis, atol=1e-12)
    targets = np.random.default_rng(0).standard_normal((cases, 2))
    np.testing.assert_allclose(found.coordinates(features, targets), basis.T @ targets, atol=1e-9)


@pytest.mark.parametrize(("cases", "columns"), SHAPES)
def test_ridge_in_blocks_equals_fitting_again(
    cases: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = draw(cases, columns)
    targets = (labels[:, None] == np.arange(3)).astype(np.float64)
    in_blocks(monkeypatch)
    found = ridge_left_out(features, targets, PENALTIES)
    double = features.astype(np.float64)
    for number, penalty in enumerate(PENALTIES):
        expected = cross_val_predict(Ridge(penalty, solver="cholesky"), double, targets, cv=LeaveOneOut())
        np.testing.assert_allclose(found[number], expected, atol=1e-6)


def test_values_that_are_not_finite_are_found_in_any_block(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = draw(130, 11)
    features[[57, 120], 3] = np.nan, np.inf
    in_blocks(monkeypatch)
    with pytest.raises(ShapeError, match="in 2 of 130 cases, first in row 57"):
        logme(features, labels)


def test_constant_features_are_found_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    in_blocks(monkeypatch)
    labels = np.arange(60) % 2
    with pytest.raises(ShapeError, match="columns that vary"):
        shrinkage_h_score(np.full((60, 4), 2.0), labels)
    features = np.full((60, 4), 2.0)
    features[59, 1] = 3.0
    assert shrinkage_h_score(features, labels).value is not None


@pytest.mark.parametrize("score", ["logme", "h_score", "shrinkage_h_score", "ridge"])
def test_large_features_are_not_copied(score: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = draw(8000, 128)
    for name, value in (("HELD_VALUES", 2**19), ("BLOCK_VALUES", 2**13), ("WIDE_BLOCK_VALUES", 2**14)):
        monkeypatch.setattr(row_blocks, name, value)
    targets = (labels[:, None] == np.arange(3)).astype(np.float64)

    def compute() -> object:
        if score == "ridge":
            return ridge_left_out(features, targets, (1.0,))
        return {"logme": logme, "h_score": h_score, "shrinkage_h_score": shrinkage_h_score}[score](
            features, labels
        )

    tracemalloc.start()
    try:
        compute()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3.5 * features.size
