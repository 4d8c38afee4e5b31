"""DeLong's covariance: reference values, the definition pair by pair, and a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from medtransfer.core.errors import ShapeError
from medtransfer.stats.delong import auc_covariance, auc_interval, compare_aucs

Y = [0, 0, 0, 1, 1, 1]
FIRST, SECOND = np.array([0.1, 0.4, 0.35, 0.8, 0.3, 0.4]), np.array([0.2, 0.6, 0.1, 0.7, 0.5, 0.65])


def by_definition(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    positive, negative = scores[:, labels == 1], scores[:, labels == 0]
    psi = (positive[:, :, None] > negative[:, None]) + 0.5 * (positive[:, :, None] == negative[:, None])
    v10, v01 = psi.mean(axis=2), psi.mean(axis=1)
    covariance = np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]
    return psi.mean(axis=(1, 2)), np.atleast_2d(covariance)


def test_the_reference_values_with_ties() -> None:
    found = auc_covariance(Y, np.stack([FIRST, SECOND]))
    np.testing.assert_allclose(found.auc, [0.722222222, 0.888888889], atol=1e-9)
    np.testing.assert_allclose(
        found.covariance, [[0.061728395, 0.033950617], [0.033950617, 0.024691358]], atol=1e-9
    )
    compared = compare_aucs(Y, FIRST, SECOND)
    assert compared.z == pytest.approx(-1.224744871)
    assert compared.p == pytest.approx(0.220671362)
    assert auc_interval(0.75, 0.125) == (pytest.approx(0.069323, abs=1e-6), pytest.approx(0.991792, abs=1e-6))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 40), st.integers(1, 12))
def test_midranks_give_the_definition_ties_included(seed: int, cases: int, levels: int) -> None:
    draw = np.random.default_rng(seed)
    labels = np.concatenate([[0, 0, 1, 1], draw.integers(0, 2, cases - 4)])
    scores = draw.integers(0, levels, (3, cases)) / levels
    found, (auc, covariance) = auc_covariance(labels, scores), by_definition(labels, scores)
    np.testing.assert_allclose(found.auc, auc, atol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)
    np.testing.assert_allclose(found.auc, [roc_auc_score(labels, row) for row in scores], atol=1e-12)


def test_the_variance_is_that_of_repeated_samples() -> None:
    draw = np.random.default_rng(7)
    labels = np.repeat([0, 1], 60)
    aucs, variances = [], []
    for _ in range(600):
        found = auc_covariance(labels, (draw.normal(size=120) + labels)[None])
        aucs.append(found.auc[0])
        variances.append(found.covariance[0, 0])
    assert np.mean(variances) == pytest.approx(np.var(aucs, ddof=1), rel=0.12)


def test_equal_scores_and_perfect_ones_have_no_test() -> None:
    assert compare_aucs(Y, FIRST, FIRST).p is None
    perfect = np.array([0, 0, 0, 1, 1, 1.0])
    assert auc_covariance(Y, perfect[None]).covariance[0, 0] == 0
    assert auc_interval(1.0, 0.0) is None


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([0, 1, 2], np.zeros((1, 3))), ([0, 1], np.zeros((1, 3))), ([0, 0, 1], np.zeros((1, 3)))],
)
def test_what_cannot_be_compared_is_refused(labels: list[int], scores: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="AUC covariance: expected"):
        auc_covariance(labels, scores)
    with pytest.raises(ShapeError, match="finite"):
        auc_covariance(Y, np.full((1, 6), np.nan))
