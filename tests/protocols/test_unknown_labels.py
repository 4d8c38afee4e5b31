"""Labels nobody knows, and labels between 0 and 1: what linear heads, neighbours and losses make of them."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from medtransfer.core.task_kind import TaskKind
from medtransfer.protocols.logistic_heads import LogisticHeads, fit_heads
from medtransfer.protocols.logistic_heads.binary_path import fit_binary_path
from medtransfer.protocols.logistic_heads.geometry import build_geometry
from medtransfer.protocols.nearest_neighbours import vote_shares
from medtransfer.training.losses import build_loss
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.validation_metrics import build_goal

STRENGTHS = tuple(10.0**power for power in range(-4, 3))
NAMES = ("all", "some", "few")


def findings(cases: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features and three findings that follow them, some of the labels of the last two unknown.

    Cases with unknown labels are shifted, so that a mean over the others alone is another one.
    """
    random = np.random.default_rng(cases + columns)
    features = random.standard_normal((cases, columns)) * (1.0 + np.arange(columns)) ** -0.5
    scores = features @ random.standard_normal((columns, 3))
    labels = (scores + random.standard_normal(scores.shape) > np.median(scores, axis=0)).astype(np.float32)
    labels[random.random(cases) < 0.3, 1] = np.nan
    labels[random.random(cases) < 0.8, 2] = np.nan
    features[np.isnan(labels).any(axis=1)] += 2.0
    return features.astype(np.float32), labels


def heads_of(features: np.ndarray, labels: np.ndarray) -> LogisticHeads:
    return fit_heads(features, labels, TaskKind.MULTI_LABEL, NAMES, STRENGTHS)


class TestHeads:
    @pytest.mark.parametrize(("cases", "columns"), [(60, 90), (400, 30), (150, 100)])
    def test_each_head_is_scikit_learn_s_on_its_known_cases(self, cases: int, columns: int) -> None:
        features, labels = findings(cases, columns)
        heads = heads_of(features, labels)
        inputs = StandardScaler().fit_transform(features.astype(np.float64))
        probabilities = heads.probabilities(features)
        assert all(fit.converged for fit in heads.fits)
        assert heads.notes == ()
        for column in range(3):
            known = ~np.isnan(labels[:, column])
            targets = labels[known, column]
            assert known.sum() == cases or 5 < known.sum() < cases
            for i, c in enumerate(STRENGTHS):
                model = LogisticRegression(C=c, tol=1e-10, max_iter=3000, solver="newton-cholesky")
                model.fit(inputs[known], targets)
                distance = np.linalg.norm(heads.weights[i, column] - model.coef_[0])
                assert distance <= 2e-3 * np.linalg.norm(model.coef_)
                np.testing.assert_allclose(
                    probabilities[i, :, column], model.predict_proba(inputs)[:, 1], atol=2e-3
                )
                signs = 2 * targets - 1
                assert objective(
                    inputs[known], signs, heads.weights[i, column], heads.intercepts[i, column], c
                ) <= (1 + 1e-6) * objective(inputs[known], signs, model.coef_[0], model.intercept_[0], c)

    def test_a_finding_does_not_feel_what_is_unknown_of_others(self) -> None:
        features, labels = findings(120, 40)
        heads = heads_of(features, labels)
        guessed = heads_of(features, np.nan_to_num(labels, nan=1.0))
        np.testing.assert_array_equal(heads.weights[:, 0], guessed.weights[:, 0])
        np.testing.assert_array_equal(heads.intercepts[:, 0], guessed.intercepts[:, 0])
        for column in (1, 2):
            assert not np.allclose(heads.weights[:, column], guessed.weights[:, column], rtol=0.1)

    def test_labels_that_are_all_known_are_fitted_as_ever(self) -> None:
        features, labels = findings(90, 40)
        known = np.nan_to_num(labels)
        heads = heads_of(features, known)
        for column in range(3):
            alone = fit_heads(
                features, known[:, column].astype(np.int64), TaskKind.BINARY, ("no", "yes"), STRENGTHS
            )
            np.testing.assert_array_equal(heads.weights[:, column], alone.weights[:, 0])
            np.testing.assert_array_equal(heads.intercepts[:, column], alone.intercepts[:, 0])

    def test_shares_count_by_half(self) -> None:
        features, labels = findings(90, 40)
        random = np.random.default_rng(1)
        soft = np.where(
            labels == 1, random.uniform(0.501, 1, labels.shape), random.uniform(0, 0.5, labels.shape)
        )
        soft = np.where(np.isnan(labels), np.nan, soft).astype(np.float32)
        assert np.nanmin(soft[labels == 1]) > 0.5
        soft[np.flatnonzero(labels[:, 0] == 0)[0], 0] = 0.5
        hard, shares = heads_of(features, labels), heads_of(features, soft)
        np.testing.assert_array_equal(shares.weights, hard.weights)
        np.testing.assert_array_equal(shares.intercepts, hard.intercepts)

    def test_a_finding_known_one_way_only_gets_a_constant_score(self) -> None:
        features, labels = findings(60, 20)
        labels[:, 1] = np.where(np.arange(60) % 2, np.nan, 1.0)
        labels[:, 2] = np.where(np.arange(60) % 2, np.nan, 0.3)
        heads = heads_of(features, labels)
        probabilities = heads.probabilities(features)
        np.testing.assert_array_equal(probabilities[:, :, 1], 1)
        np.testing.assert_array_equal(probabilities[:, :, 2], 0)
        assert np.ptp(probabilities[3, :, 0]) > 0
        assert heads.notes == (
            "constant score 1 for 'some': every training case has it",
            "constant score 0 for 'few': no training case has it",
        )

    def test_a_finding_nobody_knows_gets_a_constant_score(self) -> None:
        features, labels = findings(60, 20)
        labels[:, 2] = np.nan
        heads = heads_of(features, labels)
        np.testing.assert_array_equal(heads.probabilities(features)[:, :, 2], 0)
        assert [note.split(":")[0] for note in heads.notes] == ["constant score 0 for 'few'"]

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
    def test_the_worst_head_is_told(self, order: tuple[int, ...]) -> None:
        features, labels = findings(400, 30)
        labels = labels[:, order]
        heads = heads_of(features, labels)
        inputs = heads.standardisation(features)
        paths = []
        for column in range(3):
            known = ~np.isnan(labels[:, column])
            targets = labels[known, column].astype(np.float64)
            paths.append(fit_binary_path(build_geometry(inputs[known]), targets, STRENGTHS))
        for i, fit in enumerate(heads.fits):
            assert fit.steps == max(path[i].steps for path in paths)
            assert fit.gradient_norm == max(path[i].gradient_norm for path in paths)


def objective(
    inputs: np.ndarray, signs: np.ndarray, weights: np.ndarray, intercept: float, c: float
) -> float:
    losses = np.logaddexp(0, -signs * (inputs @ weights + intercept))
    return float(c * losses.sum() + weights @ weights / 2)


class TestVotes:
    KS = (1, 2, 5, 12)

    def neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(3)
        labels = random.integers(0, 2, (40, 12, 3)).astype(np.float64)
        labels[random.random(labels.shape) < 0.4] = np.nan
        labels[:, :, 2] = random.integers(0, 2, (40, 12))
        labels[:3, :, 0] = np.nan
        return labels, -np.sort(-random.uniform(-1, 1, (40, 12)), axis=1)

    def by_loop(self, labels: np.ndarray, similarities: np.ndarray, k: int, vote: str) -> np.ndarray:
        shares = np.empty((len(labels), labels.shape[2]))
        for query in range(len(labels)):
            for name in range(labels.shape[2]):
                votes, total = 0.0, 0.0
                for place in range(k):
                    label = labels[query, place, name]
                    weight = 1.0 if vote == "plain" else np.exp(similarities[query, place] / 0.07)
                    if not np.isnan(label):
                        votes, total = votes + weight * label, total + weight
                shares[query, name] = votes / total if total else 0.5
        return shares

    @pytest.mark.parametrize("vote", ["plain", "temperature"])
    def test_neighbours_vote_on_what_is_known_of_them(self, vote: str) -> None:
        labels, similarities = self.neighbours()
        found = vote_shares(labels, similarities, self.KS, vote)
        assert tuple(found) == self.KS
        for k, shares in found.items():
            expected = self.by_loop(labels, similarities, k, vote)
            np.testing.assert_allclose(shares, expected, rtol=0, atol=1e-12)
            assert (shares[:3, 0] == 0.5).all()

    @pytest.mark.parametrize("vote", ["plain", "temperature"])
    def test_what_is_known_everywhere_is_voted_on_as_ever(self, vote: str) -> None:
        labels, similarities = self.neighbours()
        known = np.nan_to_num(labels)
        whole, part = (vote_shares(values, similarities, self.KS, vote) for values in (known, labels))
        for k in self.KS:
            np.testing.assert_allclose(part[k][:, 2], whole[k][:, 2], rtol=0, atol=1e-12)
            np.testing.assert_allclose(whole[k], self.by_loop(known, similarities, k, vote), atol=1e-12)
            assert not np.allclose(part[k][:, 1], whole[k][:, 1])

    def test_shares_are_voted_on_as_shares(self) -> None:
        labels = np.array([[[0.75], [np.nan], [0.0]]])
        found = vote_shares(labels, np.array([[0.9, 0.8, 0.7]]), (1, 2, 3), "plain")
        assert {k: share.item() for k, share in found.items()} == {1: 0.75, 2: 0.75, 3: 0.375}


def batch(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and labels of 9 cases and 4 findings: zeros, ones, shares and unknown ones."""
    random = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(9, 4, generator=random, dtype=dtype)
    labels = (torch.rand(9, 4, generator=random) < 0.5).float()
    labels[::3, 1] = 0.7
    labels[torch.rand(9, 4, generator=random) < 0.4] = torch.nan
    return logits.requires_grad_(), labels


def loss_of(**options: object) -> object:
    return build_loss(TaskKind.MULTI_LABEL, TrainingRecipe(), **options)  # type: ignore[arg-type]


WEIGHTS = (1.0, 0.001, 3.0, 0.5)


class TestLosses:
    @pytest.mark.parametrize("weights", [None, WEIGHTS])
    def test_the_loss_is_the_mean_over_known_labels(self, weights: tuple[float, ...] | None) -> None:
        logits, labels = batch()
        found = loss_of(class_weights=weights, unknown_labels=True)(logits, labels)
        found.backward()
        shares = 1 / (1 + np.exp(-logits.detach().numpy()))
        terms, slopes = [], np.zeros((9, 4))
        for case in range(9):
            for name in range(4):
                label, share = labels[case, name].item(), shares[case, name]
                weight = 1.0 if weights is None else weights[name]
                if not np.isnan(label):
                    terms.append(-weight * (label * np.log(share) + (1 - label) * np.log(1 - share)))
                    slopes[case, name] = weight * (share - label)
        assert 10 < len(terms) < 36
        assert found.item() == pytest.approx(sum(terms) / len(terms))
        assert logits.grad is not None
        np.testing.assert_allclose(logits.grad.numpy(), slopes / len(terms), atol=1e-7)
        unknown = labels.isnan()
        assert (logits.grad[unknown] == 0).all()
        assert (logits.grad[~unknown] != 0).all()

    @pytest.mark.parametrize("weights", [None, WEIGHTS])
    def test_a_batch_of_which_nothing_is_known_teaches_nothing(
        self, weights: tuple[float, ...] | None
    ) -> None:
        logits, labels = batch()
        found = loss_of(class_weights=weights, unknown_labels=True)(
            logits, torch.full_like(labels, torch.nan)
        )
        found.backward()
        assert found.item() == 0
        assert logits.grad is not None
        assert (logits.grad == 0).all()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_extreme_logits_of_unknown_labels_do_no_harm(self, dtype: torch.dtype) -> None:
        logits = torch.tensor([[1e4, -1e4, 0.0]], dtype=dtype, requires_grad=True)
        labels = torch.tensor([[torch.nan, torch.nan, 1.0]])
        found = loss_of(unknown_labels=True)(logits, labels)
        found.backward()
        assert found.item() == pytest.approx(np.log(2), rel=1e-2)
        assert logits.grad is not None
        assert logits.grad.tolist() == [[0, 0, -0.5]]

    def test_weights_alone_are_the_mean_over_all_labels(self) -> None:
        logits, labels = batch()
        labels = labels.nan_to_num(0.25)
        found = loss_of(class_weights=WEIGHTS)(logits, labels)
        shares = 1 / (1 + np.exp(-logits.detach().numpy()))
        truth = labels.numpy().astype(np.float64)
        terms = -(truth * np.log(shares) + (1 - truth) * np.log(1 - shares)) * np.array(WEIGHTS)
        assert found.item() == pytest.approx(terms.mean())
        torch.testing.assert_close(found, loss_of(class_weights=WEIGHTS, unknown_labels=True)(logits, labels))

    def test_known_labels_are_learned_from_as_ever(self) -> None:
        logits, labels = batch(torch.float32)
        labels = (labels.nan_to_num(0) > 0.5).float()
        expected = functional.binary_cross_entropy_with_logits(logits, labels)
        assert torch.equal(loss_of()(logits, labels), expected)
        mean = np.mean(
            [
                log_loss(labels[:, k].numpy(), logits[:, k].sigmoid().detach().numpy(), labels=[0, 1])
                for k in range(4)
            ]
        )
        assert expected.item() == pytest.approx(mean, rel=1e-5)
        for options in ({"unknown_labels": True}, {"class_weights": (1.0,) * 4}):
            torch.testing.assert_close(loss_of(**options)(logits, labels), expected)

    def test_unknown_labels_nobody_declared_are_not_passed_over(self) -> None:
        logits, labels = batch()
        for weights in (None, WEIGHTS):
            assert loss_of(class_weights=weights)(logits, labels).isnan()

    @pytest.mark.parametrize(
        ("weighted", "unknown"), [(False, False), (True, False), (False, True), (True, True)]
    )
    def test_the_case_table_decides(self, drawn: ModuleType, weighted: bool, unknown: bool) -> None:
        cases = drawn.drawn_labels(kind=TaskKind.MULTI_LABEL, classes=4)
        frame = cases.frame.astype(dict.fromkeys((f"label:finding{k}" for k in range(4)), float))
        if unknown:
            frame.loc[3, "label:finding2"] = np.nan
        weights = {"finding1": 0.001, "finding2": 3.0} if weighted else {}
        cases = replace(cases, frame=frame, class_weights=weights)
        assert cases.has_unknown_labels() is unknown
        goal = build_goal(
            cases, "auc", TrainingRecipe(), masks=None, validate=cases.indices("val").astype(np.int64)
        )
        logits, _ = batch(torch.float32)
        labels = torch.from_numpy(cases.labels()[:9].copy())
        expected = loss_of(class_weights=(1.0, 0.001, 3.0, 1.0) if weighted else None, unknown_labels=unknown)
        found = goal.loss(logits, labels)
        assert not found.isnan()
        torch.testing.assert_close(found, expected(logits, labels))
        if weighted:
            assert found.item() != pytest.approx(loss_of(unknown_labels=unknown)(logits, labels).item())
