"""Heads of training sets that are read in blocks: the same minimum as with all features held, in less memory."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from medtransfer.core.task_kind import TaskKind
from medtransfer.features import row_blocks
from medtransfer.protocols.logistic_heads import LogisticHeads, binary_path, fit_heads, training_features
from medtransfer.protocols.logistic_heads.blocked_geometry import BlockedGeometry
from medtransfer.protocols.logistic_heads.standardisation import Standardisation

STRENGTHS = (1e-4, 1e-2, 1.0, 100.0)
CLASSES = {TaskKind.BINARY: ("no", "yes"), TaskKind.MULTI_CLASS: "abc", TaskKind.MULTI_LABEL: "abc"}


def draw(cases: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features far from zero and of different spread, and three noisy scores that follow them."""
    random = np.random.default_rng(cases + columns)
    features = random.standard_normal((cases, columns)) * np.geomspace(0.3, 3, columns)
    scores = features @ random.standard_normal((columns, 3))
    scores = 2 * (scores - scores.mean(axis=0)) / scores.std(axis=0)
    return (features + 5).astype(np.float32), scores + random.gumbel(size=scores.shape)


def labels_of(kind: TaskKind, scores: np.ndarray, *, unknown: bool = False) -> np.ndarray:
    if kind is TaskKind.BINARY:
        return (scores[:, 0] > 0.5).astype(np.int64)
    if kind is TaskKind.MULTI_CLASS:
        return scores.argmax(axis=1)
    labels = (scores > 0.5).astype(np.float64)
    if unknown:
        labels[::3, 1] = np.nan
    return labels


def in_blocks(monkeypatch: pytest.MonkeyPatch, held: int = 0) -> None:
    for name, value in (
        ("HELD_VALUES", held),
        ("BLOCK_VALUES", 90),
        ("WIDE_BLOCK_VALUES", 200),
        ("GRAM_ROWS", 17),
    ):
        monkeypatch.setattr(row_blocks, name, value)


def sklearn_heads(kind: TaskKind, inputs: np.ndarray, labels: np.ndarray, c: float) -> np.ndarray:
    solver = "newton-cg" if kind is TaskKind.MULTI_CLASS else "newton-cholesky"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=c, tol=1e-12, max_iter=3000, solver=solver).fit(inputs, labels)
    return model.predict_proba(inputs)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("kind", CLASSES)
def test_blocks_change_no_head(
    kind: TaskKind, constant: bool, unknown: bool, balanced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary_path, "SINGLE_PRECISION_FACTORS", 0)
    features, scores = draw(150, 12)
    features[:, [2, 7]] = 4.0 if constant else features[:, [2, 7]]
    labels = labels_of(kind, scores, unknown=unknown)

    def fit() -> tuple[LogisticHeads, np.ndarray]:
        heads = fit_heads(features, labels, kind, CLASSES[kind], STRENGTHS, balanced=balanced)
        return heads, heads.probabilities(features[:40])

    held, expected = fit()
    in_blocks(monkeypatch)
    blocked, found = fit()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(blocked.weights, held.weights, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(blocked.intercepts, held.intercepts, rtol=1e-7, atol=1e-10)
    np.testing.assert_array_equal(blocked.standardisation.kept, held.standardisation.kept)
    assert [fit.steps for fit in blocked.fits] == [fit.steps for fit in held.fits]
    assert all(fit.converged for fit in blocked.fits)


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.MULTI_CLASS])
def test_blocked_heads_are_scikit_learn_s(kind: TaskKind, monkeypatch: pytest.MonkeyPatch) -> None:
    features, scores = draw(150, 12)
    labels = labels_of(kind, scores)
    in_blocks(monkeypatch)
    found = fit_heads(features, labels, kind, CLASSES[kind], STRENGTHS).probabilities(features)
    inputs = StandardScaler().fit_transform(features.astype(np.float64))
    for number, strength in enumerate(STRENGTHS):
        expected = sklearn_heads(kind, inputs, labels, strength)
        np.testing.assert_allclose(found[number], expected, rtol=0, atol=2e-3)


def test_a_finding_known_for_few_cases_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    features, scores = draw(150, 12)
    labels = labels_of(TaskKind.MULTI_LABEL, scores)
    labels[10:, 1] = np.nan
    labels[:2, 1] = 0, 1
    expected = fit_heads(features, labels, TaskKind.MULTI_LABEL, "abc", STRENGTHS)
    in_blocks(monkeypatch, held=1000)
    built: list[int] = []
    build = training_features.build_geometry
    monkeypatch.setattr(training_features, "build_geometry", lambda few: built.append(len(few)) or build(few))
    found = fit_heads(features, labels, TaskKind.MULTI_LABEL, "abc", STRENGTHS)
    assert built == [10]
    np.testing.assert_allclose(found.weights[:, 1], expected.weights[:, 1], rtol=1e-6)


@pytest.mark.parametrize("far", [0.0, 1e3, 1e4])
def test_a_direction_solves_newton_s_equations_far_from_zero(
    far: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_blocks(monkeypatch)
    random = np.random.default_rng(0)
    features = random.standard_normal((60, 9)) * np.geomspace(0.1, 10, 9) + far * random.uniform(1, 2, 9)
    standardisation = Standardisation.of(features)
    space, inputs = BlockedGeometry(features, standardisation), standardisation(features)
    curvatures, slopes = random.uniform(0.1, 5, 60), random.standard_normal(60)
    head = random.standard_normal(9)
    gradient = np.append(inputs.T @ slopes + head, slopes.sum())
    with_ones = np.column_stack([inputs, np.ones(60)])
    hessian = with_ones.T @ (with_ones * curvatures[:, None]) + np.diag([1.0] * 9 + [0.0])
    expected = -np.linalg.solve(hessian, gradient)
    np.testing.assert_allclose(space.margins(head), inputs @ head, rtol=0, atol=1e-14 * max(far, 1) * 100)
    np.testing.assert_allclose(space.gradient(head, slopes), gradient[:-1], rtol=0, atol=1e-8)
    for precision, tolerance in ((np.float64, 1e-9), (np.float32, 2e-5)):
        step, intercept = space.factorise(curvatures, precision).direction(
            space.gradient(head, slopes), slopes.sum()
        )
        np.testing.assert_allclose(step, expected[:-1], rtol=0, atol=tolerance)
        assert intercept == pytest.approx(expected[-1], abs=tolerance)


@pytest.mark.parametrize("kind", CLASSES)
def test_large_features_are_not_copied(kind: TaskKind, monkeypatch: pytest.MonkeyPatch) -> None:
    features, scores = draw(8000, 256)
    labels = labels_of(kind, scores)
    for name, value in (("HELD_VALUES", 2**20), ("BLOCK_VALUES", 2**13), ("WIDE_BLOCK_VALUES", 2**14)):
        monkeypatch.setattr(row_blocks, name, value)
    tracemalloc.start()
    try:
        heads = fit_heads(features, labels, kind, CLASSES[kind], (1e-3, 0.1))
        heads.probabilities(features)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * features.size
