"""Linear evaluation: the right cases, the right choice, and numbers that depend on the subset alone."""

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
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medtransfer.core.errors import ShapeError, TrialError
from medtransfer.core.task_kind import TaskKind
from medtransfer.models.catalogue import resolve_model
from medtransfer.protocols import bench_features, fit_linear
from medtransfer.protocols.linear import STRENGTHS, Linear
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from tests.training.drawn_cases import drawn_labels

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

    def install(bench: Bench, noise: float = 2.0) -> np.ndarray:
        random = np.random.default_rng(7)
        labels = bench.cases.labels().astype(np.float64).reshape(len(bench.cases), -1)
        known = np.column_stack([labels, labels**2]) @ random.standard_normal((2 * labels.shape[1], 24))
        embeddings = (known + noise * random.standard_normal(known.shape)).astype(np.float32)
        monkeypatch.setattr(fit_linear, "bench_features", lambda *_: embeddings)
        return embeddings

    return install


@pytest.mark.parametrize("kind", list(MULTIPLE))
def test_every_kind_gives_val_and_test_predictions(drawn: ModuleType, tmp_path: Path, kind: TaskKind) -> None:
    bench = make_bench(drawn, tmp_path, kind)
    asked = request(bench, 0.5)
    (transfer,) = Linear(image_size=32).fit(bench, [asked])
    for split in ("val", "test"):
        rows = bench.cases.indices(split)
        predictions = transfer.predictions["best"][split]
        assert predictions.case_ids == tuple(bench.cases.frame["case_id"].iloc[rows])
        np.testing.assert_array_equal(predictions.labels, bench.cases.labels()[rows])
        assert predictions.scores.shape == (len(rows), MULTIPLE[kind])
        if kind is not TaskKind.MULTI_LABEL:
            np.testing.assert_allclose(predictions.scores.sum(axis=1), 1)
    assert transfer.train_cases == len(asked.train)
    assert transfer.details["embedding_size"] == 64
    json.dumps({**transfer.choices, **transfer.details}, allow_nan=False)


def test_features_of_a_network_tell_the_discs_apart(drawn: ModuleType, tmp_path: Path) -> None:
    bench = make_bench(drawn, tmp_path)
    (transfer,) = Linear(image_size=32).fit(bench, [request(bench)])
    labels = bench.cases.labels()[bench.cases.indices("test")]
    assert roc_auc_score(labels, scores(transfer, "test")[:, 1]) > 0.9


def test_scores_are_those_of_the_strength_that_is_best_on_validation(
    drawn: ModuleType, tmp_path: Path, features: Any
) -> None:
    bench = make_bench(drawn, tmp_path)
    embeddings, labels = features(bench).astype(np.float64), bench.cases.labels()
    asked = request(bench, 0.6)
    (transfer,) = Linear().fit(bench, [asked])
    val, test = bench.cases.indices("val"), bench.cases.indices("test")
    found = {}
    for c in STRENGTHS:
        head = LogisticRegression(C=c, tol=1e-9, max_iter=5000, solver="newton-cholesky")
        model = make_pipeline(StandardScaler(), head)
        model.fit(embeddings[asked.train], labels[asked.train])
        found[c] = roc_auc_score(labels[val], model.predict_proba(embeddings[val])[:, 1]), model
    best = max(found, key=lambda c: (found[c][0], -c))
    assert transfer.choices["strength"] == best
    expected = found[best][1].predict_proba(embeddings[test])
    np.testing.assert_allclose(scores(transfer, "test"), expected, atol=1e-3)
    by_strength = {row["strength"]: row["val"] for row in transfer.details["strengths"]}
    assert by_strength == {c: pytest.approx(value, abs=1e-9) for c, (value, _) in found.items()}


def test_ties_go_to_the_strongest_regularisation(drawn: ModuleType, tmp_path: Path, features: Any) -> None:
    bench = make_bench(drawn, tmp_path)
    features(bench, noise=0.0)
    (transfer,) = Linear().fit(bench, [request(bench)])
    assert {row["val"] for row in transfer.details["strengths"]} == {1.0}
    assert transfer.choices == {"strength": 1e-5, "at_grid_edge": "strongest", "converged": True}
    (transfer,) = Linear(strengths=(0.5,)).fit(bench, [request(bench)])
    assert transfer.choices["at_grid_edge"] is None


@pytest.mark.parametrize("kind", list(MULTIPLE))
def test_numbers_do_not_depend_on_the_other_requests(
    drawn: ModuleType, tmp_path: Path, features: Any, kind: TaskKind
) -> None:
    bench = make_bench(drawn, tmp_path, kind)
    features(bench)
    asked = [request(bench, share, number) for share in (0.3, 0.7, 1.0) for number in (0, 1)]
    together = list(Linear().fit(bench, asked))
    for one, transfer in zip(reversed(asked), reversed(together), strict=True):
        (alone,) = Linear().fit(bench, [one])
        for split in ("val", "test"):
            assert scores(alone, split).tobytes() == scores(transfer, split).tobytes()
        assert (alone.choices, alone.details) == (transfer.choices, transfer.details)
    assert scores(together[0], "test").tobytes() != scores(together[1], "test").tobytes()
    assert scores(together[4], "test").tobytes() == scores(together[5], "test").tobytes()


def test_labels_outside_the_subset_change_nothing(drawn: ModuleType, tmp_path: Path, features: Any) -> None:
    bench = make_bench(drawn, tmp_path)
    features(bench)
    asked = request(bench, 0.4)
    (before,) = Linear().fit(bench, [asked])
    frame = bench.cases.frame.copy()
    unused = np.setdiff1d(np.concatenate([bench.cases.indices(s) for s in ("train", "test")]), asked.train)
    frame.loc[unused, "label"] = 1 - frame.loc[unused, "label"]
    (after,) = Linear().fit(replace(bench, cases=bench.cases.with_frame(frame)), [asked])
    for split in ("val", "test"):
        np.testing.assert_array_equal(scores(after, split), scores(before, split))


def test_embeddings_are_extracted_once(
    drawn: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(drawn, tmp_path)
    first = list(Linear(image_size=32).fit(bench, [request(bench, 0.5)]))
    monkeypatch.setattr(bench_features, "extract_embeddings", lambda *_, **__: pytest.fail("extracted again"))
    second = list(Linear(image_size=32).fit(bench, [request(bench, 0.5)]))
    assert scores(first[0], "test").tobytes() == scores(second[0], "test").tobytes()


def test_a_validation_without_both_classes_ends_the_trial(
    drawn: ModuleType, tmp_path: Path, features: Any
) -> None:
    bench = make_bench(drawn, tmp_path)
    features(bench)
    frame = bench.cases.frame.copy()
    frame.loc[bench.cases.indices("val"), "label"] = 1
    with pytest.raises(TrialError, match="expected a defined 'auc' on validation") as caught:
        list(Linear().fit(replace(bench, cases=bench.cases.with_frame(frame)), [request(bench)]))
    assert caught.value.reason == "selection_undefined"
    frame.loc[bench.cases.indices("val"), "split"] = "test"
    with pytest.raises(TrialError, match="expected validation cases") as caught:
        list(Linear().fit(replace(bench, cases=bench.cases.with_frame(frame)), [request(bench)]))
    assert caught.value.reason == "no_validation_cases"


def test_test_cases_never_train(drawn: ModuleType, tmp_path: Path, features: Any) -> None:
    bench = make_bench(drawn, tmp_path)
    features(bench)
    wrong = replace(request(bench), train=bench.cases.indices("test"))
    with pytest.raises(ShapeError, match="training rows: expected rows of the training split"):
        list(Linear().fit(bench, [wrong]))


def test_settings_are_resolved_by_kind() -> None:
    assert Linear(strengths=[1.0, 0.1]).settings(TaskKind.BINARY) == {
        "image_size": None,
        "strengths": [0.1, 1.0],
    }
    segmentation = Linear(epochs=3, image_size=64, decoder_channels=[8, 8]).settings(TaskKind.SEGMENTATION)
    assert segmentation["epochs"] == 3
    assert segmentation["image_size"] == 64
    assert segmentation["decoder_channels"] == [8, 8]
    assert "decoder" not in segmentation
    assert Linear(decoder="upernet").settings(TaskKind.SEGMENTATION)["decoder"] == "upernet"
    assert Linear(decoder="upernet").settings(TaskKind.BINARY) == Linear().settings(TaskKind.BINARY)
    assert "strengths" not in segmentation
    json.dumps(segmentation)


@pytest.mark.parametrize(
    "wrong",
    [
        {"strengths": []},
        {"strengths": [0.0]},
        {"decoder": "upernet", "decoder_channels": [8, 8]},
        {"decoder_channels": [8, 0]},
        {"strengths": [1.0, 1.0]},
        {"strengths": ["1"]},
        {"strengths": [float("inf")]},
        {"image_size": 8},
        {"image_size": "96"},
        {"epochs": 0},
        {"c": 1.0},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Linear(**wrong)


def test_only_the_subset_varies() -> None:
    for kind in MULTIPLE:
        assert Linear().varied(kind, 1.0) == ()
        assert Linear().varied(kind, 0.1) == ("label subset",)
        assert Linear().shares_work(kind)
    assert Linear().varied(TaskKind.SEGMENTATION, 1.0) == ("training",)
    assert all(Linear.supports(kind) for kind in TaskKind)


def test_features_in_half_precision_take_half_the_room_and_give_nearly_the_same(tmp_path: Path) -> None:
    cases = drawn_labels()
    bench = Bench("drawn", cases, resolve_model("resnet20.random"), None, tmp_path, "auc")
    request = TransferRequest(1.0, 0, cases.indices("train"), 0)
    (full,) = Linear(image_size=28).fit(bench, [request])
    (half,) = Linear(image_size=28, feature_precision="fp16").fit(bench, [request])
    sizes = sorted(path.stat().st_size for path in (tmp_path / "features").glob("*.npy"))
    assert sizes[0] < 0.6 * sizes[1]
    assert half.predictions["best"]["test"].scores == pytest.approx(
        full.predictions["best"]["test"].scores, abs=0.02
    )


def test_only_another_extraction_enters_the_settings() -> None:
    plain = Linear().settings(TaskKind.BINARY)
    assert {"engine", "feature_precision"}.isdisjoint(plain)
    other = Linear(engine="openvino", feature_precision="fp16").settings(TaskKind.BINARY)
    assert other == plain | {"engine": "openvino", "feature_precision": "fp16"}
    assert Linear(engine="openvino").settings(TaskKind.SEGMENTATION) == Linear().settings(
        TaskKind.SEGMENTATION
    )
