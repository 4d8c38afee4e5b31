"""What every transfer protocol owes, for every kind of task it supports; a new one is tested by existing."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from medtransfer.core.errors import UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.label_fractions import label_subset
from medtransfer.data.phantoms import PhantomSource, chest_locator
from medtransfer.metrics.predictions import ClassificationPredictions, SegmentationPredictions
from medtransfer.models.catalogue import resolve_model
from medtransfer.protocols.registry import protocols
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferProtocol, TransferRequest

QUICK: dict[str, Any] = {
    "image_size": 32,
    "epochs": 1,
    "batch_size": 8,
    "ks": (1, 3),
    "decoder_channels": (8, 8),
}
"""Settings that make a trial short, of those that a protocol has."""
FINDINGS = ("nodule", "effusion", "consolidation")
CASES, PATIENTS = 40, 20
METRICS = {TaskKind.SEGMENTATION: "dice"}
CURVE = {"epoch", "train_loss", "val_loss", "val_metric", "learning_rate"}

PAIRS = [
    (name, kind) for name in protocols.names() for kind in TaskKind if protocols.get(name)().supports(kind)
]
REFUSED = [
    (name, kind)
    for name in protocols.names()
    for kind in TaskKind
    if not protocols.get(name)().supports(kind)
]
supported = pytest.mark.parametrize(("name", "kind"), PAIRS)


def quick(name: str) -> TransferProtocol:
    fields = protocols.get(name).model_fields  # type: ignore[attr-defined]
    return protocols.get(name)(**{field: value for field, value in QUICK.items() if field in fields})


@cache
def phantom_cases(kind: TaskKind) -> CaseTable:
    """Chests with none, one or several findings, two pictures per patient, whatever the kind asks of them."""
    shown = [{FINDINGS[number % 3]} if number % 4 else set() for number in range(CASES)]
    ids = [f"chest-{number}" for number in range(CASES)]
    frame = pd.DataFrame({"case_id": ids, "patient_id": [f"p{number % PATIENTS}" for number in range(CASES)]})
    frame["image"] = [chest_locator("contract", number, 0, shown[number]) for number in range(CASES)]
    frame["split"] = [("train", "train", "val", "train", "test")[number % 5] for number in range(CASES)]
    classes: tuple[str, ...] = FINDINGS
    if kind is TaskKind.BINARY:
        frame["label"], classes = [int(bool(each)) for each in shown], ("clear", "finding")
    elif kind is TaskKind.MULTI_CLASS:
        frame["label"] = [number % 3 for number in range(CASES)]
    elif kind is TaskKind.MULTI_LABEL:
        for finding in FINDINGS:
            frame[f"label:{finding}"] = [int(finding in each) for each in shown]
    else:
        frame["mask"], classes = [(locator,) for locator in frame["image"]], ("lung",)
    return CaseTable(frame, kind, classes, PhantomSource(), "ours")


def bench(cases: CaseTable, folder: Path) -> Bench:
    metric = METRICS.get(cases.kind, "auc")
    return Bench("contract", cases, resolve_model("resnet20.random"), None, folder, metric)


def request(cases: CaseTable, fraction: float, repetition: int) -> TransferRequest:
    train = label_subset(cases, fraction, task="contract", repetition=repetition)
    return TransferRequest(fraction, repetition, train, seed=repetition + 1)


@dataclass(frozen=True)
class Trials:
    """Four trials that were asked for in one call."""

    cases: CaseTable
    half: Transfer
    other_half: Transfer
    whole: Transfer
    other_whole: Transfer
    global_numbers_untouched: bool
    decoded_sides: frozenset[int]

    @property
    def all(self) -> tuple[Transfer, ...]:
        return (self.half, self.other_half, self.whole, self.other_whole)


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, TaskKind], Trials]:
    folder = tmp_path_factory.mktemp("together")

    @cache
    def run(name: str, kind: TaskKind) -> Trials:
        cases = phantom_cases(kind)
        asked = [request(cases, fraction, repetition) for fraction in (0.5, 1.0) for repetition in (0, 1)]
        before = _global_numbers()
        own = folder / f"{name}-{kind.value}"
        found = list(quick(name).fit(bench(cases, own), asked))
        untouched = _global_numbers() == before
        decoded = [np.load(path, mmap_mode="r") for path in (own / "decoded").glob("*/images.npy")]
        return Trials(cases, *found, untouched, frozenset(images.shape[1] for images in decoded))

    return run


def _global_numbers() -> tuple[bytes, bytes]:
    return torch.random.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()  # type: ignore[union-attr] # noqa: NPY002


def numbers(transfer: Transfer) -> Mapping[tuple[str, str], np.ndarray]:
    return {
        (checkpoint, split): found.counts if isinstance(found, SegmentationPredictions) else found.scores
        for checkpoint, by_split in transfer.predictions.items()
        for split, found in by_split.items()
    }


def same_numbers(first: Transfer, second: Transfer) -> bool:
    one, other = numbers(first), numbers(second)
    return one.keys() == other.keys() and all(one[key].tobytes() == other[key].tobytes() for key in one)


# The interface


@pytest.mark.parametrize("name", protocols.names())
def test_settings_are_strict_and_described(name: str) -> None:
    protocol = protocols.get(name)
    with pytest.raises(ValidationError, match="no_such_setting"):
        protocol(no_such_setting=1)
    assert all(field.description for field in protocol.model_fields.values())  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", protocols.names())
def test_protocol_has_a_name_a_revision_and_travels(name: str) -> None:
    protocol = quick(name)
    assert protocol.name == name
    assert protocol.revision >= 1
    assert pickle.loads(pickle.dumps(protocol)) == protocol
    assert all(isinstance(protocol.shares_work(kind), bool) for kind in TaskKind)


@supported
def test_the_side_of_decoded_images_is_known_before_anything_runs(
    name: str, kind: TaskKind, trials: Callable[[str, TaskKind], Trials]
) -> None:
    assert trials(name, kind).decoded_sides == {quick(name).decoded_side(kind, 999)}
    own = protocols.get(name)().decoded_side(kind, 64)
    assert own >= 64, "nothing set: the source model's own size decides"
    assert own != protocols.get(name)().decoded_side(kind, 80)


@supported
def test_settings_for_the_fingerprint_are_json_and_follow_what_is_set(name: str, kind: TaskKind) -> None:
    plain, changed = protocols.get(name)().settings(kind), quick(name).settings(kind)
    for settings in (plain, changed):
        assert json.loads(json.dumps(settings, allow_nan=False)) == settings
    assert changed["image_size"] == QUICK["image_size"] != plain["image_size"]


@pytest.mark.parametrize(("name", "kind"), REFUSED)
def test_a_kind_that_is_not_supported_is_refused_in_words(name: str, kind: TaskKind, tmp_path: Path) -> None:
    cases = phantom_cases(kind)
    with pytest.raises(UsageError) as caught:
        list(quick(name).fit(bench(cases, tmp_path), [request(cases, 1.0, 0)]))
    message = str(caught.value)
    assert all(word in message for word in (repr(name), "expected", "got", "'contract'", kind.value))


def test_every_kind_has_a_protocol() -> None:
    assert {kind for _, kind in PAIRS} == set(TaskKind)


# Predictions


@supported
def test_val_and_test_cases_all_get_predictions_in_range(name: str, kind: TaskKind, trials: Any) -> None:
    found = trials(name, kind)
    for transfer in found.all:
        assert {"best"} <= set(transfer.predictions) <= {"best", "last"}
        for by_split in transfer.predictions.values():
            assert set(by_split) == {"val", "test"}
            for split, predictions in by_split.items():
                frame = found.cases.frame.iloc[found.cases.indices(split)]
                assert predictions.case_ids == tuple(frame["case_id"])
                assert predictions.patient_ids == tuple(frame["patient_id"])
                assert predictions.classes == found.cases.classes
                (_check_masks if kind is TaskKind.SEGMENTATION else _check_scores)(
                    found.cases, split, predictions
                )


def _check_scores(cases: CaseTable, split: str, found: ClassificationPredictions) -> None:
    assert found.kind is cases.kind
    assert found.scores.dtype == np.float64
    assert np.isfinite(found.scores).all()
    assert found.scores.min() >= 0
    assert found.scores.max() <= 1
    assert len(np.unique(found.scores, axis=0)) > 1
    np.testing.assert_array_equal(found.labels, cases.labels()[cases.indices(split)])
    if cases.kind is not TaskKind.MULTI_LABEL:
        np.testing.assert_allclose(found.scores.sum(axis=1), 1)


def _check_masks(cases: CaseTable, split: str, found: SegmentationPredictions) -> None:
    assert found.counts.min() >= 0
    truth = [cases.source.read_mask(image) for image in cases.frame["image"].iloc[cases.indices(split)]]
    true_positive, false_positive, false_negative = np.moveaxis(found.counts[:, 0, 0], -1, 0)
    np.testing.assert_array_equal(true_positive + false_negative, [(mask == 1).sum() for mask in truth])
    background = [(mask == 0).sum() for mask in truth]
    assert (false_positive <= background).all()


@supported
def test_record_says_what_was_used_in_json(name: str, kind: TaskKind, trials: Any) -> None:
    found = trials(name, kind)
    train = len(found.cases.indices("train"))
    assert found.whole.train_cases == found.other_whole.train_cases == train
    assert found.half.train_cases == len(request(found.cases, 0.5, 0).train) < train
    for transfer in found.all:
        stored = [dict(transfer.choices), list(transfer.curve), dict(transfer.details)]
        assert json.loads(json.dumps(stored, allow_nan=False)) == stored
        assert transfer.details["image_size"] == QUICK["image_size"]
        assert all(set(point) == CURVE for point in transfer.curve)
        assert [point["epoch"] for point in transfer.curve] == list(range(len(transfer.curve)))


# What numbers depend on, and on what they must not


@supported
def test_a_trial_alone_gives_the_numbers_it_gives_among_others(
    name: str, kind: TaskKind, trials: Any, tmp_path: Path
) -> None:
    found = trials(name, kind)
    torch.rand(3)
    asked = [request(found.cases, 1.0, 0), request(found.cases, 0.5, 0)]
    again = [next(iter(quick(name).fit(bench(found.cases, tmp_path), [one]))) for one in asked]
    for alone, together in zip(again, (found.whole, found.half), strict=True):
        assert same_numbers(alone, together)
        assert (alone.choices, list(alone.curve)) == (together.choices, list(together.curve))
        assert alone.details == together.details


@supported
def test_sources_of_variation_are_those_declared(name: str, kind: TaskKind, trials: Any) -> None:
    found, protocol = trials(name, kind), quick(name)
    assert same_numbers(found.whole, found.other_whole) is ("training" not in protocol.varied(kind, 1.0))
    assert same_numbers(found.half, found.other_half) is (not protocol.varied(kind, 0.5))
    assert "label subset" in protocol.varied(kind, 0.5)
    assert set(protocol.varied(kind, 1.0)) == set(protocol.varied(kind, 0.5)) - {"label subset"}


@supported
def test_the_seed_matters_only_where_training_is_declared(
    name: str, kind: TaskKind, trials: Any, tmp_path: Path
) -> None:
    found, protocol = trials(name, kind), quick(name)
    other_seed = replace(request(found.cases, 0.5, 0), seed=77)
    (transfer,) = protocol.fit(bench(found.cases, tmp_path), [other_seed])
    assert same_numbers(transfer, found.half) is ("training" not in protocol.varied(kind, 0.5))


@supported
def test_truth_of_test_and_unused_cases_changes_no_prediction(
    name: str, kind: TaskKind, trials: Any, tmp_path: Path
) -> None:
    found = trials(name, kind)
    asked = request(found.cases, 0.5, 0)
    unused = np.setdiff1d(found.cases.indices("train"), asked.train)
    changed = _with_other_truth(found.cases, np.concatenate([unused, found.cases.indices("test")]))
    (transfer,) = quick(name).fit(bench(changed, tmp_path), [asked])
    for checkpoint, by_split in transfer.predictions.items():
        for split, predictions in by_split.items():
            before = found.half.predictions[checkpoint][split]
            np.testing.assert_array_equal(_predicted(predictions), _predicted(before))
    assert list(transfer.curve) == list(found.half.curve)


def _with_other_truth(cases: CaseTable, rows: np.ndarray) -> CaseTable:
    """Return the table with the truth of some rows turned into other, equally possible truth."""
    frame = cases.frame.copy()
    columns = [name for name in frame.columns if name.startswith(("label", "mask"))]
    for column in columns:
        if cases.kind is TaskKind.SEGMENTATION:
            frame.loc[rows, column] = pd.Series(list(np.roll(frame[column].iloc[rows], 1)), index=rows)
        else:
            classes = 3 if cases.kind is TaskKind.MULTI_CLASS else 2
            frame.loc[rows, column] = (frame.loc[rows, column] + 1) % classes
    assert not frame.loc[rows, columns].equals(cases.frame.loc[rows, columns])
    return cases.with_frame(frame)


def _predicted(found: ClassificationPredictions | SegmentationPredictions) -> np.ndarray:
    """Return scores, or the numbers of pixels that were predicted as each class."""
    if isinstance(found, SegmentationPredictions):
        return found.counts[..., 0] + found.counts[..., 1]
    return found.scores


@supported
def test_global_random_numbers_are_left_alone(name: str, kind: TaskKind, trials: Any) -> None:
    assert trials(name, kind).global_numbers_untouched
