"""k nearest neighbours: the right cases, the right choice, and numbers that depend on the subset alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from medtransfer.core.errors import ShapeError, TrialError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.models.catalogue import resolve_model
from medtransfer.protocols import fit_knn
from medtransfer.protocols.knn import Knn
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest

MULTIPLE = {TaskKind.BINARY: 2, TaskKind.MULTI_CLASS: 3, TaskKind.MULTI_LABEL: 3}


def make_bench(drawn: ModuleType, folder: Path, kind: TaskKind = TaskKind.BINARY) -> Bench:
    cases = drawn.drawn_labels(count=90, kind=kind, classes=MULTIPLE[kind])
    parts = np.resize(["train"] * 10 + ["val"] * 4 + ["test"] * 4, len(cases))
    cases = cases.with_frame(cases.frame.assign(split=parts))
    return Bench("discs", cases, resolve_model("resnet20.random"), None, folder, "auc")


def request(bench: Bench, share: float = 1.0, repetition: int = 0) -> TransferRequest:
    rows = bench.cases.indices("train")
    order = np.random.default_rng(repetition).permutation(rows)
    return TransferRequest(share, repetition, np.sort(order[: round(share * len(rows))]), seed=repetition)


def scores(transfer: Transfer, split: str) -> np.ndarray:
    return transfer.predictions["best"][split].scores


@pytest.fixture
def features(monkeypatch: pytest.MonkeyPatch) -> Callable[[Bench], np.ndarray]:
    """Replace the embeddings of a bench by noisy functions of the labels."""

    def install(bench: Bench, noise: float = 1.5) -> np.ndarray:
        random = np.random.default_rng(3)
        labels = bench.cases.labels().astype(np.float64).reshape(len(bench.cases), -1)
        known = np.column_stack([labels, labels**2]) @ random.standard_normal((2 * labels.shape[1], 12))
        embeddings = (known + noise * random.standard_normal(known.shape)).astype(np.float32)
        monkeypatch.setattr(fit_knn, "bench_features", lambda *_: embeddings)
        return embeddings

    return install


@pytest.mark.parametrize("kind", list(MULTIPLE))
def test_every_kind_gives_val_and_test_predictions(drawn: ModuleType, tmp_path: Path, kind: TaskKind) -> None:
    bench = make_bench(drawn, tmp_path, kind)
    (transfer,) = Knn(image_size=32).fit(bench, [request(bench)])
    for split in ("val", "test"):
        rows = bench.cases.indices(split)
        predictions = transfer.predictions["best"][split]
        assert predictions.case_ids == tuple(bench.cases.frame["case_id"].iloc[rows])
        assert predictions.scores.shape == (len(rows), MULTIPLE[kind])
        if kind is not TaskKind.MULTI_LABEL:
            np.testing.assert_allclose(predictions.scores.sum(axis=1), 1)
    assert transfer.details["ks_dropped"] == [100, 200]
    json.dumps({**transfer.choices, **transfer.details}, allow_nan=False)


def test_scores_are_scikit_learn_s_for_the_setting_that_is_best_on_validation(
    drawn: ModuleType, tmp_path: Path, features: Any
) -> None:
    bench = make_bench(drawn, tmp_path)
    embeddings, labels = features(bench).astype(np.float64), bench.cases.labels()
    asked = request(bench, 0.6)
    (transfer,) = Knn().fit(bench, [asked])
    val, test = bench.cases.indices("val"), bench.cases.indices("test")
    found = {}
    for k in (1, 5, 10, 20):
        for vote in ("plain", "temperature"):
            weights = "uniform" if vote == "plain" else lambda distances: np.exp((1 - distances) / 0.07)
            model = KNeighborsClassifier(k, metric="cosine", weights=weights)
            model.fit(embeddings[asked.train], labels[asked.train])
            value = roc_auc_score(labels[val], model.predict_proba(embeddings[val])[:, 1])
            found[k, vote] = value, model.predict_proba(embeddings[test])
    k, vote = transfer.choices["k"], transfer.choices["vote"]
    assert (k, vote) == max(found, key=lambda setting: (found[setting][0], setting[0], setting[1] == "plain"))
    np.testing.assert_allclose(scores(transfer, "test"), found[k, vote][1], atol=1e-6)
    ours = {(row["k"], row["vote"]): row["val"] for row in transfer.details["grid"]}
    assert ours == {setting: pytest.approx(value) for setting, (value, _) in found.items()}


def test_ties_go_to_the_larger_k_and_the_plain_vote(drawn: ModuleType, tmp_path: Path, features: Any) -> None:
    bench = make_bench(drawn, tmp_path)
    embeddings = features(bench)
    embeddings[:] = np.where(bench.cases.labels()[:, None] == 1, 1.0, -1.0)
    (transfer,) = Knn(ks=(1, 5, 10)).fit(bench, [request(bench)])
    assert transfer.choices == {"k": 10, "vote": "plain"}


def test_multi_label_scores_are_mean_labels(drawn: ModuleType, tmp_path: Path, features: Any) -> None:
    bench = make_bench(drawn, tmp_path, TaskKind.MULTI_LABEL)
    embeddings, labels = features(bench).astype(np.float64), bench.cases.labels()
    (transfer,) = Knn(ks=(5,), votes=("plain",)).fit(bench, [request(bench)])
    train, test = bench.cases.indices("train"), bench.cases.indices("test")
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    near = np.argsort(-units[test] @ units[train].T, axis=1)[:, :5]
    np.testing.assert_allclose(scores(transfer, "test"), labels[train][near].mean(axis=1))


@pytest.mark.parametrize("kind", list(MULTIPLE))
def test_numbers_do_not_depend_on_the_other_requests(
    drawn: ModuleType, tmp_path: Path, features: Any, monkeypatch: pytest.MonkeyPatch, kind: TaskKind
) -> None:
    monkeypatch.setattr(fit_knn, "QUERIES_AT_ONCE", 7)
    bench = make_bench(drawn, tmp_path, kind)
    features(bench)
    asked = [request(bench, share, number) for share in (0.3, 0.7, 1.0) for number in (0, 1)]
    together = list(Knn().fit(bench, asked))
    for one, transfer in zip(reversed(asked), reversed(together), strict=True):
        (alone,) = Knn().fit(bench, [one])
        for split in ("val", "test"):
            assert scores(alone, split).tobytes() == scores(transfer, split).tobytes()
        assert (alone.choices, alone.details) == (transfer.choices, transfer.details)
    assert scores(together[0], "test").tobytes() != scores(together[1], "test").tobytes()


def test_every_pair_is_compared_once_in_blocks_for_all_subsets_and_ks(
    drawn: ModuleType, tmp_path: Path, features: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    products: list[tuple[int, ...]] = []

    class Watched(np.ndarray):
        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
            plain = [np.asarray(each) for each in inputs]
            found = getattr(ufunc, method)(*plain, **options)
            if ufunc is np.matmul:
                products.append(found.shape)
            return found

    unit_rows = fit_knn.unit_rows
    monkeypatch.setattr(fit_knn, "unit_rows", lambda values: unit_rows(values).view(Watched))
    monkeypatch.setattr(fit_knn, "QUERIES_AT_ONCE", 16)
    bench = make_bench(drawn, tmp_path)
    features(bench)
    asked = [request(bench, share, number) for share in (0.3, 0.7, 1.0) for number in range(5)]
    assert len(list(Knn().fit(bench, asked))) == 15
    queries = sum(len(bench.cases.indices(split)) for split in ("val", "test"))
    assert sum(rows for rows, _ in products) == queries
    assert max(rows for rows, _ in products) == 16
    assert {columns for _, columns in products} == {len(bench.cases.indices("train"))}


def test_only_the_subset_votes(drawn: ModuleType, tmp_path: Path, features: Any) -> None:
    bench = make_bench(drawn, tmp_path)
    features(bench)
    asked = request(bench, 0.4)
    (before,) = Knn().fit(bench, [asked])
    frame = bench.cases.frame.copy()
    unused = np.setdiff1d(np.concatenate([bench.cases.indices(s) for s in ("train", "test")]), asked.train)
    frame.loc[unused, "label"] = 1 - frame.loc[unused, "label"]
    (after,) = Knn().fit(replace(bench, cases=bench.cases.with_frame(frame)), [asked])
    np.testing.assert_array_equal(scores(after, "test"), scores(before, "test"))


def test_what_cannot_vote_is_refused(drawn: ModuleType, tmp_path: Path, features: Any) -> None:
    bench = make_bench(drawn, tmp_path)
    features(bench)
    with pytest.raises(TrialError, match="expected at least 50 training cases") as caught:
        list(Knn(ks=(50,)).fit(bench, [request(bench, 0.2)]))
    assert caught.value.reason == "too_few_cases"
    with pytest.raises(ShapeError, match="training rows"):
        list(Knn().fit(bench, [replace(request(bench), train=bench.cases.indices("test"))]))
    masks = replace(bench, cases=drawn.drawn_masks())
    with pytest.raises(UsageError, match="protocol 'knn': expected a classification task"):
        list(Knn().fit(masks, []))
    assert not Knn.supports(TaskKind.SEGMENTATION)
    assert all(Knn.supports(kind) for kind in MULTIPLE)


@pytest.mark.parametrize(
    "wrong",
    [{"ks": []}, {"ks": [0]}, {"ks": [5, 5]}, {"ks": [1.5]}, {"votes": ["cosine"]}, {"votes": []}, {"k": 5}],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Knn(**wrong)


def test_settings_are_plain_values_in_one_order() -> None:
    first, second = Knn(ks=[5, 1], votes=["plain", "temperature"]), Knn(ks=(1, 5))
    assert first.settings(TaskKind.BINARY) == second.settings(TaskKind.BINARY)
    assert first.settings(TaskKind.BINARY) == {
        "image_size": None,
        "ks": [1, 5],
        "votes": ["plain", "temperature"],
        "temperature": 0.07,
    }
    assert first.varied(TaskKind.BINARY, 1.0) == ()
    assert first.varied(TaskKind.BINARY, 0.5) == ("label subset",)
    assert first.shares_work(TaskKind.BINARY)
