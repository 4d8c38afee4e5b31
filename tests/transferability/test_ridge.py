"""Predictions of left-out cases against ridge regressions that really leave them out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from medtransfer.core.errors import ShapeError
from medtransfer.transferability.decomposition import decompose
from medtransfer.transferability.kept_decomposition import open_decomposition
from medtransfer.transferability.ridge import ridge_left_out

IRIS, SPECIES = load_iris(return_X_y=True)
DIGITS, NUMBERS = load_digits(return_X_y=True)
PENALTIES = (1e-3, 1.0, 300.0)


def columns(labels: np.ndarray) -> np.ndarray:
    return (labels[:, None] == np.unique(labels)).astype(np.float64)


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        pytest.param(IRIS, SPECIES, id="iris"),
        pytest.param(IRIS + 20, SPECIES, id="far from zero"),
        pytest.param(DIGITS[:40] / 16, NUMBERS[:40], id="fewer cases than features"),
        pytest.param(np.column_stack([IRIS, np.ones(150)]), SPECIES, id="a constant feature"),
    ],
)
def test_equals_fitting_again_without_each_case(features, labels):
    targets = columns(labels)
    found = ridge_left_out(features, targets, PENALTIES)
    assert found.shape == (3, *targets.shape)
    for number, penalty in enumerate(PENALTIES):
        expected = cross_val_predict(Ridge(penalty, solver="cholesky"), features, targets, cv=LeaveOneOut())
        np.testing.assert_allclose(found[number], expected, atol=1e-6)


def test_the_kept_decomposition_serves_it(tmp_path):
    rows = np.arange(60)
    kept = open_decomposition(tmp_path, "k", DIGITS, rows)
    targets = columns(NUMBERS[rows])
    fresh = ridge_left_out(DIGITS[rows], targets, PENALTIES)
    np.testing.assert_allclose(ridge_left_out(DIGITS[rows], targets, PENALTIES, kept), fresh, atol=1e-12)


@pytest.mark.parametrize(
    ("features", "targets", "penalties", "says"),
    [
        (IRIS, columns(SPECIES), (0.0, 1.0), "numbers above 0"),
        (IRIS, columns(SPECIES), (), "numbers above 0"),
        (IRIS, SPECIES, (1.0,), "one row for each"),
        (IRIS, columns(SPECIES)[:-1], (1.0,), "one row for each"),
        (IRIS[:1], columns(SPECIES)[:1], (1.0,), "2 or more cases"),
    ],
)
def test_what_has_no_prediction_is_refused(features, targets, penalties, says):
    with pytest.raises(ShapeError, match=says):
        ridge_left_out(features, targets, penalties)


def test_the_decomposition_of_other_features_is_refused():
    with pytest.raises(ShapeError, match="decomposition of features"):
        ridge_left_out(IRIS, columns(SPECIES), (1.0,), decompose(IRIS[:100]))
