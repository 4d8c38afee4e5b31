"""H-scores against printed values and a direct computation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits, load_iris

from medtransfer.core.errors import ShapeError
from medtransfer.transferability.decomposition import decompose
from medtransfer.transferability.h_score import h_score, shrinkage_h_score

IRIS, SPECIES = load_iris(return_X_y=True)
DIGITS, NUMBERS = load_digits(return_X_y=True)
DIGITS = DIGITS / 16
UNEVEN = np.r_[0:80, 100:110]


def test_reference_values():
    assert h_score(DIGITS, NUMBERS).value == pytest.approx(5.9179093367, abs=1e-8)
    assert shrinkage_h_score(IRIS, SPECIES).value == pytest.approx(1.1778424993, abs=1e-8)
    assert shrinkage_h_score(IRIS[UNEVEN], SPECIES[UNEVEN]).value == pytest.approx(1.1103890327, abs=1e-8)
    assert shrinkage_h_score(DIGITS[:40], NUMBERS[:40]).value == pytest.approx(7.1889828, abs=1e-6)


def test_the_plain_score_is_null_where_it_would_be_the_number_of_classes_less_one():
    saturated = h_score(DIGITS[:40], NUMBERS[:40])
    assert saturated.value is None
    assert "40 cases for 64 features" in saturated.reason


@pytest.mark.parametrize("cases", [30, 200])
def test_shrinkage_equals_the_dense_computation_on_either_side(cases):
    rng = np.random.default_rng(cases)
    labels = rng.integers(0, 3, cases)
    features = rng.standard_normal((cases, 60)) + labels[:, None] * np.linspace(0, 1, 60)
    centred = features - features.mean(axis=0)
    fitted = LedoitWolf(assume_centered=True).fit(centred)
    means = np.array([centred[labels == label].mean(axis=0) for label in labels])
    direct = np.trace(
        np.linalg.pinv(fitted.covariance_) @ np.cov(means, rowvar=False) * (1 - fitted.shrinkage_)
    )
    assert shrinkage_h_score(features, labels).value == pytest.approx(direct, rel=1e-8)


def test_invariances():
    rng = np.random.default_rng(1)
    rotation = np.linalg.qr(rng.standard_normal((64, 64)))[0]
    order = rng.permutation(len(DIGITS))
    plain = h_score(DIGITS, NUMBERS).value
    assert h_score(DIGITS[order], NUMBERS[order]).value == pytest.approx(plain, abs=1e-9)
    assert h_score(DIGITS @ rotation, NUMBERS).value == pytest.approx(plain, abs=1e-7)
    assert h_score(DIGITS * 10 + 3, NUMBERS).value == pytest.approx(plain, abs=1e-7)


def test_features_without_a_relation_score_about_d_times_classes_less_one_over_n():
    rng = np.random.default_rng(0)
    found = h_score(rng.standard_normal((4000, 50)), rng.integers(0, 5, 4000)).value
    assert found == pytest.approx(50 * 4 / 4000, rel=0.25)


@pytest.mark.parametrize("score", [h_score, shrinkage_h_score])
def test_what_no_score_can_mean_is_refused(score):
    with pytest.raises(ShapeError, match="two classes"):
        score(IRIS, np.ones(150, int))
    with pytest.raises(ShapeError, match="constant"):
        score(np.ones((150, 4)), SPECIES)
    with pytest.raises(ShapeError, match="shape"):
        score(IRIS, SPECIES[:-1])


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        pytest.param(IRIS, SPECIES, id="iris"),
        pytest.param(IRIS[UNEVEN] + 5, SPECIES[UNEVEN], id="uneven classes, shifted"),
        pytest.param(DIGITS, NUMBERS, id="columns of zeros"),
        pytest.param(DIGITS[:40], NUMBERS[:40], id="fewer cases than features"),
        pytest.param(np.column_stack([IRIS, np.ones(150)]), SPECIES, id="a constant feature"),
        pytest.param(IRIS - IRIS.mean(axis=0), SPECIES, id="centred already"),
        pytest.param(np.column_stack([IRIS, IRIS @ [1, 2, 3, 4]]), SPECIES, id="one feature too many"),
    ],
)
def test_the_decomposition_that_logme_uses_gives_the_same_scores(features, labels, monkeypatch):
    plain, shrunk = h_score(features, labels), shrinkage_h_score(features, labels)
    spectrum = decompose(features)
    monkeypatch.setattr("numpy.linalg.pinv", lambda *_, **__: pytest.fail("decomposed again"))
    monkeypatch.setattr("scipy.linalg.pinvh", lambda *_, **__: pytest.fail("decomposed again"))
    monkeypatch.setattr("scipy.linalg.solve", lambda *_, **__: pytest.fail("solved again"))
    found = shrinkage_h_score(features, labels, spectrum)
    assert found.value == pytest.approx(shrunk.value, rel=1e-7)
    assert found.shrinkage == pytest.approx(shrunk.shrinkage, rel=1e-9)
    again = h_score(features, labels, spectrum)
    assert again.reason == plain.reason
    assert again.value == (None if plain.value is None else pytest.approx(plain.value, rel=1e-7))


@pytest.mark.parametrize("score", [h_score, shrinkage_h_score])
def test_the_decomposition_of_other_features_is_refused(score):
    with pytest.raises(ShapeError, match="decomposition of features"):
        score(IRIS, SPECIES, decompose(IRIS[:100]))
