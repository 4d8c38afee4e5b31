"""LogME against printed values, the dense evidence, and what must and must not change it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.datasets import load_digits, load_iris

from medtransfer.core.errors import ShapeError
from medtransfer.transferability.decomposition import decompose
from medtransfer.transferability.logme import logme

IRIS, SPECIES = load_iris(return_X_y=True)
DIGITS, NUMBERS = load_digits(return_X_y=True)
UNEVEN = np.r_[0:80, 100:110]


@pytest.mark.parametrize(
    ("features", "labels", "expected"),
    [
        pytest.param(IRIS, SPECIES, -0.1600602434, id="iris"),
        pytest.param(IRIS[UNEVEN], SPECIES[UNEVEN], -0.0408584557, id="uneven classes"),
        pytest.param(IRIS + 5, SPECIES, -0.2039068912, id="shifted: there is no intercept"),
        pytest.param(DIGITS[:40] / 16, NUMBERS[:40], -0.01308814, id="fewer cases than features"),
    ],
)
def test_reference_values(features, labels, expected):
    assert logme(features, labels).value == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("rows", [150, 3])
def test_equals_the_dense_evidence_maximised_over_both_precisions(rows):
    pick = np.linspace(0, 149, rows).astype(int)
    features, target = IRIS[pick], (SPECIES[pick] == 1).astype(float)

    def minus_evidence(logarithms):
        a, b = np.exp(logarithms)
        covariance = np.eye(rows) / b + features @ features.T / a
        return -stats.multivariate_normal(np.zeros(rows), covariance, allow_singular=True).logpdf(target)

    starts = [(a, b) for a in (-4.0, 0.0, 4.0) for b in (-1.0, 1.0, 3.0)]
    found = [optimize.minimize(minus_evidence, start, method="Nelder-Mead", tol=1e-12) for start in starts]
    best = -min(result.fun for result in found) / rows
    by_class = logme(features, np.stack([target], axis=1)).by_class
    assert by_class[0] == pytest.approx(best, abs=1e-7)


def test_invariant_to_order_rotation_scale_and_class_names():
    rng = np.random.default_rng(3)
    order = rng.permutation(150)
    rotation = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    plain = logme(IRIS, SPECIES).value
    assert logme(IRIS[order], SPECIES[order]).value == pytest.approx(plain, abs=1e-11)
    assert logme(IRIS @ rotation, SPECIES).value == pytest.approx(plain, abs=1e-9)
    assert logme(IRIS * 10, SPECIES).value == pytest.approx(plain, abs=1e-9)
    assert logme(IRIS, 7 - 2 * SPECIES).value == pytest.approx(plain, abs=1e-12)
    assert logme(IRIS.astype(np.float32), SPECIES).value == pytest.approx(plain, abs=1e-4)


def test_one_decomposition_serves_other_labels_of_the_same_cases():
    spectrum = decompose(IRIS)
    others = (np.arange(150) % 2).astype(int)
    assert logme(IRIS, others, spectrum) == logme(IRIS, others)


def test_null_directions_belong_to_the_residual():
    doubled = np.hstack([IRIS, IRIS[:, :2], np.zeros((150, 3))])
    spectrum = decompose(doubled)
    assert len(spectrum.energies) == 4
    same = np.hstack([IRIS[:, :2] * np.sqrt(2), IRIS[:, 2:]])
    assert logme(doubled, SPECIES).value == pytest.approx(logme(same, SPECIES).value, abs=1e-9)


def test_multi_label_skips_and_counts_columns_without_both_values():
    labels = np.stack([SPECIES == 0, np.zeros(150), SPECIES == 2], axis=1).astype(int)
    found = logme(IRIS, labels)
    of_all = logme(IRIS, SPECIES).by_class
    assert found.skipped == 1
    assert found.by_class == pytest.approx((of_all[0], of_all[2]))


def test_inputs_are_not_changed():
    features, labels = IRIS.copy(), SPECIES.copy()
    logme(features, labels)
    assert np.array_equal(features, IRIS)
    assert np.array_equal(labels, SPECIES)


def test_a_single_case_of_a_class_counts():
    labels = np.zeros(150, int)
    labels[7] = 1
    assert np.isfinite(logme(IRIS, labels).value)


@pytest.mark.parametrize(
    ("features", "labels", "says"),
    [
        (np.where(np.arange(600).reshape(150, 4) == 41, np.nan, IRIS), SPECIES, "first in row 10"),
        (np.zeros((150, 4)), SPECIES, "zeros only"),
        (IRIS, np.zeros(150, int), "one class only"),
        (IRIS[:0], SPECIES[:0], "shape"),
        (IRIS, SPECIES[:-1], "one row for each of 150"),
        (IRIS, np.full((150, 2), 0.5), "zeros and ones"),
    ],
)
def test_what_no_score_can_mean_is_refused(features, labels, says):
    with pytest.raises(ShapeError, match=says):
        logme(features, labels)


def test_the_decomposition_of_other_features_is_refused():
    with pytest.raises(ShapeError, match="decomposition of features"):
        logme(IRIS, SPECIES, decompose(IRIS[:100]))
