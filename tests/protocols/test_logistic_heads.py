"""Logistic heads against scikit-learn: same objective, same coefficients, same probabilities, at every C."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from medtransfer.core.errors import ShapeError
from medtransfer.core.task_kind import TaskKind
from medtransfer.protocols.logistic_heads import LogisticHeads, binary_path, fit_heads
from medtransfer.protocols.logistic_heads.binary_path import fit_binary_path
from medtransfer.protocols.logistic_heads.geometry import CaseGeometry, FeatureGeometry, build_geometry
from medtransfer.protocols.logistic_heads.standardisation import Standardisation

STRENGTHS = tuple(10.0**power for power in range(-5, 5))


def draw(cases: int, columns: int, classes: int = 2, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return correlated features of very different spread, as networks give, and classes that follow them."""
    random = np.random.default_rng(cases + columns)
    spread = (1.0 + np.arange(columns)) ** -0.8
    features = (random.standard_normal((cases, columns)) * spread) @ random.standard_normal(
        (columns, columns)
    )
    scores = features @ random.standard_normal((columns, classes))
    scores = 2 * (scores - scores.mean(axis=0)) / scores.std(axis=0)
    labels = (scores + noise * random.gumbel(size=scores.shape)).argmax(axis=1)
    return (features + 3).astype(np.float32), labels


def objective(
    inputs: np.ndarray, signs: np.ndarray, weights: np.ndarray, intercept: float, c: float
) -> float:
    return c * np.logaddexp(0, -signs * (inputs @ weights + intercept)).sum() + weights @ weights / 2


def softmax_objective(
    inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray, intercepts: np.ndarray, c: float
) -> float:
    scores = inputs @ weights.T + intercepts
    losses = np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(labels)), labels]
    return c * losses.sum() + (weights**2).sum() / 2


def sklearn_head(inputs: np.ndarray, labels: np.ndarray, c: float, solver: str) -> LogisticRegression:
    model = LogisticRegression(C=c, tol=1e-10, max_iter=3000, solver=solver)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(inputs, labels)


@pytest.mark.parametrize(("cases", "columns"), [(30, 80), (80, 80), (300, 40), (150, 120)])
def test_binary_heads_are_scikit_learn_s(cases: int, columns: int) -> None:
    features, labels = draw(cases, columns)
    heads = fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), STRENGTHS)
    scaler = StandardScaler().fit(features.astype(np.float64))
    inputs, signs = scaler.transform(features.astype(np.float64)), 2 * labels - 1
    unseen = draw(50, columns)[0]
    probabilities = heads.probabilities(unseen)
    assert heads.weights.shape == (10, 1, columns)
    assert all(fit.converged for fit in heads.fits)
    for i, c in enumerate(STRENGTHS):
        reference = sklearn_head(inputs, labels, c, "newton-cholesky")
        best = objective(inputs, signs, reference.coef_[0], reference.intercept_[0], c)
        ours = objective(inputs, signs, heads.weights[i, 0], heads.intercepts[i, 0], c)
        assert ours <= best * (1 + 1e-6)
        assert np.linalg.norm(heads.weights[i] - reference.coef_) <= 2e-3 * np.linalg.norm(reference.coef_)
        expected = reference.predict_proba(scaler.transform(unseen.astype(np.float64)))
        np.testing.assert_allclose(probabilities[i], expected, atol=2e-3)


def test_a_head_of_one_strength_is_the_same_minimum() -> None:
    features, labels = draw(120, 60)
    path = fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), STRENGTHS)
    for i in (0, 5, 9):
        alone = fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), (STRENGTHS[i],))
        distance = np.linalg.norm(alone.weights[0] - path.weights[i])
        assert distance <= 2e-3 * np.linalg.norm(path.weights[i])
        assert alone.fits[0].converged


def test_both_geometries_end_at_the_same_heads() -> None:
    features, labels = draw(70, 50)
    inputs = Standardisation.of(features)(features)
    by_case, by_feature = CaseGeometry(inputs), FeatureGeometry(inputs)
    first = fit_binary_path(by_case, labels.astype(float), STRENGTHS)
    second = fit_binary_path(by_feature, labels.astype(float), STRENGTHS)
    for one, other in zip(first, second, strict=True):
        weights = by_case.weights(one.vector[None])[0]
        assert np.linalg.norm(weights - other.vector) <= 2e-3 * np.linalg.norm(other.vector)
        assert one.intercept == pytest.approx(other.intercept, rel=5e-3, abs=1e-5)


@pytest.mark.parametrize(
    ("cases", "geometry"), [(20, CaseGeometry), (100, CaseGeometry), (101, FeatureGeometry)]
)
def test_heads_are_held_by_case_until_there_are_many(cases: int, geometry: type) -> None:
    assert type(build_geometry(np.ones((cases, 80)))) is geometry


@pytest.mark.parametrize("geometry", [CaseGeometry, FeatureGeometry])
def test_a_direction_solves_newton_s_equations(geometry: type) -> None:
    random = np.random.default_rng(0)
    features = random.standard_normal((12, 9))
    space, curvatures = geometry(features), random.uniform(0.1, 5, 12)
    slopes = random.standard_normal(12)
    head = random.standard_normal(space.size)
    weights = space.weights(head[None])[0]
    gradient = np.append(features.T @ slopes + weights, slopes.sum())
    with_ones = np.column_stack([features, np.ones(12)])
    hessian = with_ones.T @ (with_ones * curvatures[:, None]) + np.diag([1.0] * 9 + [0.0])
    expected = -np.linalg.solve(hessian, gradient)
    for precision, tolerance in ((np.float64, 1e-10), (np.float32, 1e-3)):
        step, intercept = space.factorise(curvatures, precision).direction(
            space.gradient(head, slopes), slopes.sum()
        )
        np.testing.assert_allclose(space.weights(step[None])[0], expected[:-1], rtol=0, atol=tolerance)
        assert intercept == pytest.approx(expected[-1], abs=tolerance)
    np.testing.assert_allclose(space.margins(head), features @ weights, atol=1e-12)
    np.testing.assert_allclose(
        space.gradient_norm(space.gradient(head, slopes)), np.linalg.norm(gradient[:-1])
    )
    assert space.product(head, head, space.margins(head)) == pytest.approx(weights @ weights)


def test_single_precision_changes_the_way_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = draw(90, 60)
    mixed = fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), STRENGTHS)
    monkeypatch.setattr(binary_path, "SINGLE_PRECISION_FACTORS", 0)
    double = fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), STRENGTHS)
    distances = np.linalg.norm(mixed.weights - double.weights, axis=2)
    assert np.all(distances <= 2e-3 * np.linalg.norm(double.weights, axis=2))


@pytest.mark.parametrize(("cases", "columns"), [(60, 100), (200, 30)])
def test_softmax_heads_are_scikit_learn_s(cases: int, columns: int) -> None:
    features, labels = draw(cases, columns, classes=4)
    heads = fit_heads(features, labels, TaskKind.MULTI_CLASS, "abcd", STRENGTHS)
    inputs = StandardScaler().fit_transform(features.astype(np.float64))
    probabilities = heads.probabilities(features)
    np.testing.assert_allclose(probabilities.sum(axis=2), 1)
    np.testing.assert_allclose(heads.weights.sum(axis=1), 0, atol=1e-6)
    for i, c in enumerate(STRENGTHS):
        reference = sklearn_head(inputs, labels, c, "newton-cg")
        best = softmax_objective(inputs, labels, reference.coef_, reference.intercept_, c)
        ours = softmax_objective(inputs, labels, heads.weights[i], heads.intercepts[i], c)
        assert heads.fits[i].converged
        assert ours <= best * (1 + 2e-6)
        assert np.linalg.norm(heads.weights[i] - reference.coef_) <= 5e-3 * np.linalg.norm(reference.coef_)
        np.testing.assert_allclose(probabilities[i], reference.predict_proba(inputs), atol=5e-3)


def test_multi_label_heads_are_one_binary_head_per_class() -> None:
    features, _ = draw(100, 40)
    labels = np.stack([draw(100, 40, noise=noise)[1] for noise in (0.5, 1.0, 4.0)], axis=1)
    heads = fit_heads(features, labels.astype(np.float32), TaskKind.MULTI_LABEL, "abc", STRENGTHS)
    probabilities = heads.probabilities(features)
    for k in range(3):
        alone = fit_heads(features, labels[:, k], TaskKind.BINARY, ("no", "yes"), STRENGTHS)
        np.testing.assert_array_equal(heads.weights[:, k], alone.weights[:, 0])
        np.testing.assert_allclose(probabilities[:, :, k], alone.probabilities(features)[:, :, 1])


def test_a_class_without_cases_scores_its_share_and_is_named() -> None:
    features, labels = draw(40, 20)
    truth = np.stack([labels, np.zeros(40), np.ones(40)], axis=1).astype(np.float32)
    heads = fit_heads(features, truth, TaskKind.MULTI_LABEL, ("some", "none", "all"), STRENGTHS)
    probabilities = heads.probabilities(draw(15, 20)[0])
    assert np.ptp(probabilities[5, :, 0]) > 0
    np.testing.assert_array_equal(probabilities[:, :, 1], 0)
    np.testing.assert_array_equal(probabilities[:, :, 2], 1)
    assert heads.notes == (
        "constant score 0 for 'none': no training case has it",
        "constant score 1 for 'all': every training case has it",
    )


def test_exclusive_classes_that_are_absent_get_no_probability() -> None:
    features, labels = draw(60, 20, classes=3)
    kept = labels != 1
    heads = fit_heads(features[kept], labels[kept], TaskKind.MULTI_CLASS, "abc", STRENGTHS)
    probabilities = heads.probabilities(features)
    np.testing.assert_array_equal(probabilities[:, :, 1], 0)
    np.testing.assert_allclose(probabilities.sum(axis=2), 1)
    assert heads.notes == ("constant score 0 for 'b': no training case has it",)
    alone = fit_heads(features, np.full(60, 2), TaskKind.MULTI_CLASS, "abc", STRENGTHS)
    np.testing.assert_array_equal(alone.probabilities(features)[:, :, 2], 1)


def test_standardisation_uses_the_training_cases_and_drops_what_does_not_vary() -> None:
    features, labels = draw(50, 12)
    features[:, 3] = 7.25
    features[:, 5] = 0
    heads = fit_heads(features[:30], labels[:30], TaskKind.BINARY, ("no", "yes"), (1.0,))
    assert heads.standardisation.kept.tolist() == [0, 1, 2, 4, 6, 7, 8, 9, 10, 11]
    inputs = heads.standardisation(features[:30])
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(inputs.std(axis=0), 1)
    changed = features[30:].copy()
    changed[:, [3, 5]] = 1e6
    np.testing.assert_array_equal(heads.probabilities(changed), heads.probabilities(features[30:]))


@pytest.mark.parametrize("cases", [1, 2])
def test_one_or_two_cases_are_enough(cases: int) -> None:
    features = draw(cases + 5, 8)[0][:cases]
    labels = np.arange(cases)
    heads = fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), STRENGTHS)
    assert np.isfinite(heads.probabilities(features)).all()
    assert all(fit.converged for fit in heads.fits)


def test_separable_cases_and_repeated_ones_converge() -> None:
    features, labels = draw(40, 60)
    repeated = np.concatenate([features, features, features])
    for inputs, truth in ((features, labels), (repeated, np.tile(labels, 3))):
        heads = fit_heads(inputs, truth, TaskKind.BINARY, ("no", "yes"), STRENGTHS)
        assert all(fit.converged for fit in heads.fits)
        weakest = heads.probabilities(inputs)[-1, :, 1]
        assert np.all((weakest > 0.5) == (truth == 1))


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1])
@pytest.mark.parametrize("counts", [(10, 10, 10), (20, 7, 3), (1, 1, 998), (333, 5000, 41)])
def test_features_that_do_not_vary_take_no_steps(
    counts: tuple[int, ...], value: float, *, balanced: bool
) -> None:
    labels = np.repeat(np.arange(3), counts)
    features = np.full((len(labels), 8), value, np.float32)
    strengths = [10.0**power for power in range(-5, 5)]
    heads = fit_heads(features, labels, TaskKind.MULTI_CLASS, ("a", "b", "c"), strengths, balanced=balanced)
    assert all(fit.converged and fit.steps == 0 for fit in heads.fits)
    shares = np.full(3, 1 / 3) if balanced else np.array(counts) / sum(counts)
    assert heads.probabilities(features[:2]) == pytest.approx(np.broadcast_to(shares, (len(strengths), 2, 3)))


def test_the_weakest_features_still_take_steps() -> None:
    """Where the penalty leaves next to nothing of the features, rounding is not mistaken for the minimum."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(400, 8)), np.arange(400) % 3
    heads = fit_heads(features, labels, TaskKind.MULTI_CLASS, ("a", "b", "c"), [1e-13, 1e-12])
    assert all(fit.steps > 0 for fit in heads.fits)
    assert (np.abs(heads.weights).max(axis=(1, 2)) > 0).all()


def test_not_reaching_the_minimum_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = draw(60, 30)
    monkeypatch.setattr(binary_path, "MOST_STEPS", 1)
    heads = fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), STRENGTHS)
    assert not heads.fits[-1].converged
    monkeypatch.undo()
    full = fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), STRENGTHS)
    assert full.fits[-1].gradient_norm < heads.fits[-1].gradient_norm / 10


def test_the_gradient_norm_is_that_of_the_mean_objective() -> None:
    features, labels = draw(80, 30)
    heads = fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), (0.1,))
    inputs = np.column_stack([heads.standardisation(features), np.ones(80)])
    slopes = heads.probabilities(features)[0, :, 1] - labels
    gradient = inputs.T @ slopes / 80 + np.append(heads.weights[0, 0], 0) / (0.1 * 80)
    assert heads.fits[0].gradient_norm == pytest.approx(np.linalg.norm(gradient), rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.MULTI_CLASS])
def test_the_same_cases_give_the_same_bytes(kind: TaskKind) -> None:
    features, labels = draw(70, 40, classes=2 if kind is TaskKind.BINARY else 3)
    names = "ab" if kind is TaskKind.BINARY else "abc"

    def fit() -> LogisticHeads:
        return fit_heads(features.copy(), labels.copy(), kind, names, STRENGTHS)

    first, second = fit(), fit()
    np.testing.assert_array_equal(first.weights, second.weights)
    np.testing.assert_array_equal(first.intercepts, second.intercepts)


def test_stronger_regularisation_never_has_larger_weights() -> None:
    features, labels = draw(100, 50)
    norms = np.linalg.norm(
        fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), STRENGTHS).weights[:, 0], axis=1
    )
    assert all(first < second for first, second in itertools.pairwise(norms))


@pytest.mark.parametrize("strengths", [(), (1.0, 0.1), (0.0, 1.0), (1.0, 1.0)])
def test_strengths_must_rise_and_be_positive(strengths: tuple[float, ...]) -> None:
    features, labels = draw(20, 5)
    with pytest.raises(ShapeError, match="strengths: expected positive numbers in rising order"):
        fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), strengths)


def test_features_and_labels_must_agree() -> None:
    features, labels = draw(20, 5)
    with pytest.raises(ShapeError, match="labels: expected one for each of 20 training cases, got 19"):
        fit_heads(features, labels[:-1], TaskKind.BINARY, ("no", "yes"), (1.0,))
