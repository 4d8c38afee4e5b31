"""Heads whose classes count alike: scikit-learn's ``class_weight="balanced"`` at every strength and kind."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from medtransfer.core.task_kind import TaskKind
from medtransfer.models.catalogue import resolve_model
from medtransfer.protocols import fit_linear
from medtransfer.protocols.linear import Linear
from medtransfer.protocols.logistic_heads import binary_path, fit_heads
from medtransfer.protocols.transfer_protocol import Bench, TransferRequest

STRENGTHS = tuple(10.0**power for power in range(-5, 5))


def draw(cases: int, columns: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features and classes of which each is half as frequent as the one before it."""
    random = np.random.default_rng(cases + columns + classes)
    shares = 0.5 ** np.arange(classes)
    labels = random.choice(classes, cases, p=shares / shares.sum())
    labels[:classes] = np.arange(classes)
    centres = 1.2 * random.standard_normal((classes, columns))
    return centres[labels] + 2 * random.standard_normal((cases, columns)), labels


def reference(inputs: np.ndarray, labels: np.ndarray, c: float, solver: str) -> LogisticRegression:
    model = LogisticRegression(C=c, tol=1e-10, max_iter=3000, solver=solver, class_weight="balanced")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(inputs, labels)


def balance(labels: np.ndarray) -> np.ndarray:
    sizes = np.bincount(labels)
    return (len(labels) / (len(sizes) * sizes))[labels]


def objective(
    inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray, intercepts: np.ndarray, c: float
) -> float:
    """Return the balanced softmax objective; of a binary head for the two classes' half weights each."""
    scores = inputs @ weights.T + intercepts
    losses = np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(labels)), labels]
    return c * (balance(labels) * losses).sum() + (weights**2).sum() / 2


@pytest.mark.parametrize(("cases", "columns"), [(40, 70), (250, 30)])
def test_binary_heads(cases: int, columns: int) -> None:
    features, labels = draw(cases, columns, 2)
    heads = fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), STRENGTHS, balanced=True)
    plain = fit_heads(features, labels, TaskKind.BINARY, ("no", "yes"), STRENGTHS)
    inputs = StandardScaler().fit_transform(features)
    for i, c in enumerate(STRENGTHS):
        model = reference(inputs, labels, c, "newton-cholesky")
        assert heads.fits[i].converged
        assert np.linalg.norm(heads.weights[i] - model.coef_) <= 2e-3 * np.linalg.norm(model.coef_)
        np.testing.assert_allclose(heads.probabilities(features)[i], model.predict_proba(inputs), atol=2e-3)
    assert np.abs(heads.probabilities(features) - plain.probabilities(features)).max() > 0.05


@pytest.mark.parametrize(("cases", "columns"), [(60, 80), (250, 20)])
def test_softmax_heads(cases: int, columns: int) -> None:
    features, labels = draw(cases, columns, 4)
    heads = fit_heads(features, labels, TaskKind.MULTI_CLASS, "abcd", STRENGTHS, balanced=True)
    plain = fit_heads(features, labels, TaskKind.MULTI_CLASS, "abcd", STRENGTHS)
    inputs = StandardScaler().fit_transform(features)
    for i, c in enumerate(STRENGTHS):
        model = reference(inputs, labels, c, "newton-cg")
        best = objective(inputs, labels, model.coef_, model.intercept_, c)
        assert heads.fits[i].converged
        assert objective(inputs, labels, heads.weights[i], heads.intercepts[i], c) <= best * (1 + 2e-6)
        np.testing.assert_allclose(heads.probabilities(features)[i], model.predict_proba(inputs), atol=5e-3)
    assert np.abs(heads.probabilities(features) - plain.probabilities(features)).max() > 0.05


def test_each_label_is_balanced_by_the_cases_where_it_is_known() -> None:
    features, first = draw(120, 25, 2)
    labels = np.stack([first, draw(120, 25, 3)[1] == 2, np.zeros(120)], axis=1).astype(np.float64)
    labels[::3, 1] = np.nan
    heads = fit_heads(features, labels, TaskKind.MULTI_LABEL, "abc", (0.01, 1.0), balanced=True)
    inputs = StandardScaler().fit_transform(features)
    for column in range(2):
        known = ~np.isnan(labels[:, column])
        model = reference(inputs[known], labels[known, column].astype(int), 0.01, "newton-cholesky")
        weights = heads.weights[0, column]
        assert np.linalg.norm(weights - model.coef_[0]) <= 2e-3 * np.linalg.norm(model.coef_)
        assert heads.intercepts[0, column] == pytest.approx(model.intercept_[0], abs=1e-3)
    assert heads.notes == ("constant score 0 for 'c': no training case has it",)


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.MULTI_CLASS])
def test_equal_classes_are_balanced_already(kind: TaskKind) -> None:
    features, _ = draw(90, 12, 3)
    labels = np.arange(90) % (2 if kind is TaskKind.BINARY else 3)
    found, plain = (
        fit_heads(
            features, labels, kind, "ab" if kind is TaskKind.BINARY else "abc", (1.0,), balanced=balanced
        )
        for balanced in (True, False)
    )
    np.testing.assert_array_equal(found.weights, plain.weights)


def test_heads_that_stop_early_are_named_and_counted_one_by_one(
    drawn: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = drawn.drawn_labels(count=90, kind=TaskKind.MULTI_LABEL, classes=3)
    bench = Bench("discs", cases, resolve_model("resnet20.random"), None, tmp_path, "auc")
    embeddings = np.random.default_rng(0).standard_normal((90, 30)).astype(np.float32)
    embeddings[:, 0] += 40 * cases.labels()[:, 0]  # so easy that a single step cannot reach the minimum
    monkeypatch.setattr(fit_linear, "bench_features", lambda *_: embeddings)
    asked = TransferRequest(1.0, 0, cases.indices("train"), 0)
    (whole,) = Linear(strengths=(1e-5, 1e3)).fit(bench, [asked])
    assert whole.details["heads_not_converged"] == 0
    assert [row["unfinished"] for row in whole.details["strengths"]] == [[], []]
    monkeypatch.setattr(binary_path, "MOST_STEPS", 1)
    (cut,) = Linear(strengths=(1e-5, 1e3)).fit(bench, [asked])
    names = [row["unfinished"] for row in cut.details["strengths"]]
    assert names[1] == list(cases.classes)
    assert cut.details["heads_not_converged"] == sum(map(len, names))
    assert [row["converged"] for row in cut.details["strengths"]] == [not found for found in names]


def test_the_protocol_balances_only_when_asked(
    drawn: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = drawn.drawn_labels(count=90, kind=TaskKind.MULTI_CLASS, classes=3)
    cases = cases.with_frame(cases.frame.assign(label=np.maximum(cases.labels() - 1, 0)))
    cases = cases.with_frame(cases.frame.assign(label=np.where(np.arange(90) % 10 == 3, 2, cases.labels())))
    embeddings = (cases.labels()[:, None] + np.random.default_rng(1).standard_normal((90, 8))).astype(
        np.float32
    )
    monkeypatch.setattr(fit_linear, "bench_features", lambda *_: embeddings)
    bench = Bench("discs", cases, resolve_model("resnet20.random"), None, tmp_path, "balanced-accuracy")
    train, test = cases.indices("train"), cases.indices("test")
    (found,) = Linear(strengths=(0.1,), class_weights="balanced").fit(
        bench, [TransferRequest(1.0, 0, train, 0)]
    )
    scaler = StandardScaler().fit(embeddings[train].astype(np.float64))
    inputs = [scaler.transform(embeddings[rows].astype(np.float64)) for rows in (train, test)]
    model = reference(inputs[0], cases.labels()[train], 0.1, "newton-cg")
    np.testing.assert_allclose(
        found.predictions["best"]["test"].scores, model.predict_proba(inputs[1]), atol=2e-3
    )


def test_only_balanced_classes_enter_the_settings() -> None:
    for kind in (TaskKind.BINARY, TaskKind.MULTI_CLASS, TaskKind.MULTI_LABEL):
        plain = Linear().settings(kind)
        assert Linear(class_weights="balanced").settings(kind) == plain | {"class_weights": "balanced"}
        assert "class_weights" not in plain
    masks = TaskKind.SEGMENTATION
    assert Linear(class_weights="balanced").settings(masks) == Linear().settings(masks)
    with pytest.raises(ValidationError):
        Linear(class_weights="inverse")  # type: ignore[arg-type]
