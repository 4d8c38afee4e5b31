"""Fine-tuning: settings, and whole trials of a small network."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from medtransfer.core.errors import TrialError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.metrics.declared_metrics import compute_metrics
from medtransfer.models import network
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.decoders import Decoder, build_segmenter
from medtransfer.models.network import Encoder, build_encoder, state_hash
from medtransfer.protocols import fit_finetune
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest

QUICK: dict[str, Any] = {
    "image_size": 32,
    "epochs": 5,
    "learning_rate": 3e-3,
    "batch_size": 8,
    "augmentation": "none",
    "decoder_channels": (16, 8),
}
SEGMENTATION = TaskKind.SEGMENTATION


def bench(cases: CaseTable, folder: Path, metric: str = "auc") -> Bench:
    return Bench("drawn", cases, resolve_model("resnet20.random"), None, folder, metric)


def request(cases: CaseTable, seed: int = 1, train: np.ndarray | None = None) -> TransferRequest:
    return TransferRequest(1.0, 0, cases.indices("train") if train is None else train, seed)


def fit(cases: CaseTable, folder: Path, metric: str = "auc", seed: int = 1, **changes: Any) -> Transfer:
    (transfer,) = Finetune(**(QUICK | changes)).fit(bench(cases, folder, metric), [request(cases, seed)])
    return transfer


def scores(transfer: Transfer, checkpoint: str = "best", split: str = "test") -> np.ndarray:
    return transfer.predictions[checkpoint][split].scores


# Settings


def test_preset_of_study_a_for_labels() -> None:
    found = Finetune(preset="studyA-cls").settings(TaskKind.BINARY)
    assert found == {
        "preset": "studyA-cls",
        "image_size": 224,
        "optimiser": "adam",
        "learning_rate": 2e-4,
        "weight_decay": 0.0,
        "momentum": 0.9,
        "schedule": "plateau",
        "cosine_step": "iteration",
        "warmup_epochs": 0,
        "plateau_factor": 0.5,
        "plateau_patience": 5,
        "plateau_threshold": 1e-4,
        "epochs": 1000,
        "patience": 10,
        "select_on": "loss",
        "batch_size": 32,
        "least_steps": 1,
        "precision": "fp32",
        "augmentation": {
            "crop_scale": [0.08, 1.0],
            "crop_ratio": [3 / 4, 4 / 3],
            "flip": 0.5,
            "rotation_degrees": 7.0,
            "brightness": 0.0,
            "contrast": 0.0,
        },
        "ten_crops": True,
    }


def test_preset_of_study_a_for_masks() -> None:
    found = Finetune(preset="studyA-seg").settings(SEGMENTATION)
    expected = {"image_size": 224, "optimiser": "adam", "learning_rate": 1e-3, "weight_decay": 0.0}
    expected |= {
        "schedule": "cosine",
        "cosine_step": "epoch",
        "warmup_epochs": 0,
        "epochs": 200,
        "patience": 20,
    }
    expected |= {"batch_size": 32, "mask_loss": "dice", "batch_dice": True, "select_on": "loss"}
    assert {name: found[name] for name in expected} == expected
    assert found["augmentation"]["crop_scale"] == [pytest.approx((156 / 224) ** 2), 1.0]
    assert found["augmentation"]["flip"] == 0.0


def test_fields_that_are_set_win_over_the_preset() -> None:
    settings = Finetune(preset="studyA-cls", epochs=7, image_size=96, augmentation="none", schedule="cosine")
    found = settings.settings(TaskKind.BINARY)
    assert (found["epochs"], found["image_size"], found["schedule"]) == (7, 96, "cosine")
    assert found["augmentation"]["crop_scale"] is None
    assert found["learning_rate"] == 2e-4


def test_a_batch_size_that_is_set_is_taken_as_it_is() -> None:
    assert Finetune().recipe().batch_size_for(16) == 4
    assert Finetune(batch_size=16).recipe().batch_size_for(16) == 16


def test_settings_are_json_and_tell_every_difference() -> None:
    settings = Finetune(decoder_channels=[16, 8])
    for kind in TaskKind:
        assert json.loads(json.dumps(settings.settings(kind))) == settings.settings(kind)
    assert settings.settings(SEGMENTATION)["decoder_channels"] == [16, 8]
    assert settings.settings(TaskKind.BINARY) == Finetune().settings(TaskKind.BINARY)
    changed = {"epochs": 9, "batch_size": 9, "learning_rate": 0.9, "weight_decay": 0.9, "optimiser": "sgd"}
    changed |= {
        "schedule": "constant",
        "warmup_epochs": 0,
        "patience": 3,
        "select_on": "metric",
        "image_size": 99,
    }
    changed |= {"precision": "bf16-mixed", "mask_loss": "bce", "batch_dice": True, "augmentation": "none"}
    changed |= {"preset": "studyA-seg", "decoder": "upernet", "decoder_channels": (9,), "micro_batch": 2}
    changed |= {"learning_rates": (3e-4, 1e-3), "layer_decay": 0.7, "train_last": 1, "average_decay": 0.9}
    changed |= {"pixel_weights": (1.0, 2.0), "normalization": "study"}
    changed |= {"least_rate": 1e-5}
    apart = {"ten_crops", "batch_normalization", "epoch_factor"}
    assert set(changed) | apart == set(Finetune.model_fields)
    falling = Finetune(schedule="exponential")
    faster = Finetune(schedule="exponential", epoch_factor=0.9)
    assert faster.settings(SEGMENTATION) != falling.settings(SEGMENTATION)
    assert Finetune(ten_crops=True).settings(TaskKind.BINARY) != Finetune().settings(TaskKind.BINARY)
    for name, value in changed.items():
        assert Finetune(**{name: value}).settings(SEGMENTATION) != Finetune().settings(SEGMENTATION), name


@pytest.mark.parametrize(
    "fields",
    [
        {"epoch": 3},
        {"epochs": "3"},
        {"epochs": 0},
        {"image_size": 96.0},
        {"learning_rate": -1.0},
        {"preset": "studyZ"},
        {"learning_rates": [1e-4, 1e-3]},
        {"learning_rates": [3e-4, 3e-4]},
        {"learning_rates": [3e-4, -1.0]},
        {"learning_rates": [3e-4, 1e-5], "least_rate": 2e-5},
        {"least_rate": 4e-4},
        {"batch_normalization": "keep", "train_last": 0},
        {"layer_decay": 0.0},
        {"train_last": -1},
        {"average_decay": 1.0},
        {"micro_batch": 0},
        {"pixel_weights": [1.0]},
        {"pixel_weights": [1.0, -2.0]},
        {"pixel_weights": [0.0, 0.0]},
        {"pixel_weights": [1.0, float("inf")]},
        {"epochs": 2, "warmup_epochs": 3},
        {"decoder_channels": []},
        {"decoder_channels": [0]},
        {"decoder_channels": [-4, 8]},
        {"decoder": "upernet", "decoder_channels": [0]},
        {"decoder": "fpn"},
        {"decoder": "upernet", "decoder_channels": [16, 8]},
    ],
)
def test_what_is_no_setting_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Finetune(**fields)


@pytest.mark.parametrize(
    ("fields", "partner"),
    [
        (
            {"pixel_weights": [1, 9], "mask_loss": "dice"},
            "'mask_loss' 'bce+dice' or 'bce' beside it, got 'dice'",
        ),
        ({"pixel_weights": [1, 9], "preset": "studyA-seg"}, "'mask_loss' 'bce+dice' or 'bce'"),
        ({"batch_dice": True, "mask_loss": "bce"}, "'mask_loss' 'bce+dice' or 'dice' beside it, got 'bce'"),
        ({"batch_dice": True, "preset": "studyC-LiTS"}, "'mask_loss' 'bce+dice' or 'dice'"),
        ({"least_rate": 1e-5, "schedule": "constant"}, "'schedule' 'cosine' beside it, got 'constant'"),
        ({"least_rate": 1e-5, "preset": "studyA-cls"}, "'schedule' 'cosine' beside it, got 'plateau'"),
        ({"epoch_factor": 0.9}, "'schedule' 'exponential' beside it, got 'cosine'"),
        ({"epoch_factor": 0.9, "preset": "studyC-LiTS", "schedule": "cosine"}, "'schedule' 'exponential'"),
    ],
)
def test_what_would_have_no_effect_is_refused(fields: dict[str, Any], partner: str) -> None:
    name = next(iter(fields))
    with pytest.raises(ValidationError, match=f"{name}: expected {re.escape(partner)}"):
        Finetune(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"pixel_weights": [0, 9]},
        {"pixel_weights": [1, 9], "preset": "studyA-seg", "mask_loss": "bce+dice"},
        {"preset": "studyC-LiTS", "mask_loss": "dice"},
        {"preset": "studyC-LiTS", "schedule": "constant"},
        {"preset": "studyB-cls-cosine", "schedule": "plateau"},
        {"least_rate": 0.0, "schedule": "constant"},
        {"batch_dice": False, "mask_loss": "bce"},
        {"pixel_weights": None, "mask_loss": "dice"},
        {"epoch_factor": 0.9, "preset": "studyC-CX8"},
    ],
)
def test_what_a_preset_brings_along_or_says_nothing_is_taken(fields: dict[str, Any]) -> None:
    settings = Finetune(**fields)
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_ten_crops_need_a_margin_around_the_view() -> None:
    with pytest.raises(ValidationError, match=r"ten_crops: .* got 'studyC-CX8', which sees the whole image"):
        Finetune(preset="studyC-CX8", ten_crops=True)
    assert not Finetune(preset="studyC-CX8", ten_crops=False).scores_ten_crops(TaskKind.MULTI_LABEL)
    assert Finetune(preset="studyA-cls", ten_crops=True).scores_ten_crops(TaskKind.MULTI_LABEL)


def test_only_another_decoder_enters_the_settings() -> None:
    assert "decoder" not in Finetune().settings(SEGMENTATION)
    other = Finetune(decoder="upernet")
    assert other.settings(SEGMENTATION) == {**Finetune().settings(SEGMENTATION), "decoder": "upernet"}
    assert other.settings(TaskKind.BINARY) == Finetune().settings(TaskKind.BINARY)


def test_every_field_is_described_and_the_protocol_travels() -> None:
    assert all(field.description for field in Finetune.model_fields.values())
    settings = Finetune(preset="studyA-seg", decoder_channels=[4, 4])
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_presets_are_for_their_kind() -> None:
    for kind in TaskKind:
        assert Finetune.supports(kind)
        right, wrong = (
            ("studyA-cls", "studyA-seg") if kind.is_classification else ("studyA-seg", "studyA-cls")
        )
        assert Finetune(preset=right).settings(kind)["preset"] == right
        with pytest.raises(
            UsageError, match=rf"a preset for {kind.value} tasks \(default, .*{right}.*got '{wrong}'"
        ):
            Finetune(preset=wrong).settings(kind)


def test_sources_of_variation() -> None:
    for kind in TaskKind:
        assert Finetune().varied(kind, 1.0) == ("training",)
        assert set(Finetune().varied(kind, 0.5)) == {"label subset", "training"}
        assert not Finetune().shares_work(kind)


# Trials


@pytest.mark.parametrize(
    ("kind", "classes"), [(TaskKind.BINARY, 2), (TaskKind.MULTI_CLASS, 3), (TaskKind.MULTI_LABEL, 3)]
)
def test_labels_are_learnt(drawn: ModuleType, tmp_path: Path, kind: TaskKind, classes: int) -> None:
    cases = drawn.drawn_labels(48, kind=kind, classes=classes)
    transfer = fit(cases, tmp_path, epochs=6)
    assert set(transfer.predictions) == {"best", "last"}
    assert all(set(by_split) == {"val", "test"} for by_split in transfer.predictions.values())
    found = transfer.predictions["best"]["test"]
    assert found.case_ids == tuple(cases.frame["case_id"][cases.indices("test")])
    assert found.scores.shape == (len(cases.indices("test")), classes)
    value = compute_metrics(["auc"], transfer.predictions["best"]["val"])["auc"].value
    assert value is not None
    assert value > 0.9


def test_record_of_a_trial(drawn: ModuleType, tmp_path: Path) -> None:
    cases = drawn.drawn_labels()
    transfer = fit(cases, tmp_path)
    count = len(cases.indices("train"))
    assert transfer.train_cases == count
    assert [point["epoch"] for point in transfer.curve] == list(range(5))
    best = int(np.argmin([point["val_loss"] for point in transfer.curve]))
    assert transfer.choices == {"best_epoch": best, "selected_on": "loss"}
    assert transfer.details["cases_seen"] == count * 5
    assert transfer.details["steps"] == -(-count // 8) * 5
    assert transfer.details["parameters"] == transfer.details["trained_parameters"]
    assert transfer.details["image_size"] == 32
    json.dumps([transfer.choices, transfer.details, list(transfer.curve)])


def test_predictions_belong_to_the_epochs_they_name(drawn: ModuleType, tmp_path: Path) -> None:
    cases = drawn.drawn_labels(60, kind=TaskKind.MULTI_LABEL, classes=3)
    transfer = fit(cases, tmp_path, select_on="metric")
    truth = cases.labels()[cases.indices("val")]
    for checkpoint, epoch in (("best", transfer.choices["best_epoch"]), ("last", 4)):
        p = scores(transfer, checkpoint, "val")
        loss = -np.log(np.where(truth == 1, p, 1 - p)).mean()
        assert loss == pytest.approx(transfer.curve[epoch]["val_loss"], rel=1e-4)
    values = [point["val_metric"] for point in transfer.curve]
    assert transfer.choices == {"best_epoch": int(np.argmax(values)), "selected_on": "metric"}
    assert transfer.choices["best_epoch"] < 4
    assert not np.array_equal(scores(transfer, "best"), scores(transfer, "last"))


def test_same_seed_same_bits_whatever_else_is_asked_or_drawn(drawn: ModuleType, tmp_path: Path) -> None:
    cases = drawn.drawn_labels()
    settings = Finetune(**(QUICK | {"epochs": 2, "augmentation": "default"}))
    subset = request(cases, 1, cases.indices("train")[:12])
    together = list(settings.fit(bench(cases, tmp_path), [request(cases, 2), subset, request(cases, 1)]))
    torch.manual_seed(5)
    (alone,) = settings.fit(bench(cases, tmp_path), [request(cases, 1)])
    np.testing.assert_array_equal(scores(together[2]), scores(alone))
    assert list(together[2].curve) == list(alone.curve)
    assert not np.array_equal(scores(together[0]), scores(alone))
    assert together[1].train_cases == 12


def test_encoder_of_random_weights_differs_between_seeds_and_a_head_too(
    drawn: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = drawn.drawn_labels()
    built: list[str] = []

    def spy(*arguments: Any, **options: Any) -> Encoder:
        encoder = build_encoder(*arguments, **options)
        built.append(state_hash(encoder))
        return encoder

    monkeypatch.setattr(fit_finetune, "build_encoder", spy)
    for seed in (1, 2, 1):
        fit(cases, tmp_path, seed=seed, epochs=1)
    assert built[0] == built[2] != built[1]


@pytest.mark.parametrize(("classes", "view", "metric"), [(1, True, "dice-fov"), (2, False, "dice")])
def test_masks_are_learnt_and_scored_at_their_size(
    drawn: ModuleType, tmp_path: Path, classes: int, view: bool, metric: str
) -> None:
    cases = drawn.drawn_masks(30, classes=classes, view=view)
    transfer = fit(cases, tmp_path, metric, epochs=10, learning_rate=5e-3, batch_size=6)
    found = transfer.predictions["best"]["test"]
    assert found.regions == (("image", "field-of-view") if view else ("image",))
    truth = [cases.source.arrays[f"m{row}"] for row in cases.indices("test")]
    pixels = [[(mask == k + 1).sum() for k in range(classes)] for mask in truth]
    np.testing.assert_array_equal(found.counts[:, 0, :, 0] + found.counts[:, 0, :, 2], pixels)
    value = compute_metrics([metric], transfer.predictions["best"]["val"])[metric].value
    assert value is not None
    assert value > (0.75 if classes == 1 else 0.4)
    selected = transfer.curve[transfer.choices["best_epoch"]]["val_metric"]
    assert value == pytest.approx(selected, abs=0.1)


def test_image_size_defaults_to_the_source_model_s(drawn: ModuleType, tmp_path: Path) -> None:
    cases = drawn.drawn_labels()
    transfer = fit(cases, tmp_path, image_size=None, epochs=1)
    assert transfer.details["image_size"] == resolve_model("resnet20.random").input.size


def test_one_training_case_is_too_few(drawn: ModuleType, tmp_path: Path) -> None:
    cases = drawn.drawn_labels()
    with pytest.raises(TrialError, match="at least 2 training cases") as caught:
        next(Finetune(**QUICK).fit(bench(cases, tmp_path), [request(cases, 1, np.array([0]))]))
    assert caught.value.reason == "too_few_cases"


def test_a_diverging_trial_fails_and_the_next_is_as_if_alone(drawn: ModuleType, tmp_path: Path) -> None:
    cases = drawn.drawn_labels()
    before = fit(cases, tmp_path, epochs=2)
    with pytest.raises(TrialError, match=r"at step \d+|at the end of epoch") as caught:
        fit(cases, tmp_path, epochs=2, learning_rate=1e30, optimiser="sgd", warmup_epochs=0)
    assert caught.value.reason == "non_finite_loss"
    np.testing.assert_array_equal(scores(fit(cases, tmp_path, epochs=2)), scores(before))


def test_a_network_without_feature_maps_is_refused_for_masks(
    drawn: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "find_token_pyramid", lambda *_: None)
    cases = drawn.drawn_masks(8)
    vit = replace(bench(cases, tmp_path, "dice"), model=resolve_model("timm/test_vit.random"))
    with pytest.raises(UsageError, match="feature maps"):
        next(Finetune(image_size=32, epochs=1).fit(vit, [request(cases)]))


@pytest.mark.parametrize("decoder", ["unet", "upernet"])
@pytest.mark.parametrize("model", ["resnet20.random", "timm/test_vit.random"])
def test_every_decoder_is_trained_on_masks(
    drawn: ModuleType, tmp_path: Path, decoder: Decoder, model: str
) -> None:
    cases = drawn.drawn_masks(12)
    place = replace(bench(cases, tmp_path, "dice"), model=resolve_model(model))
    settings = Finetune(image_size=32, epochs=2, batch_size=6, decoder=decoder)
    first, second = settings.fit(place, [request(cases, 1), request(cases, 1)])
    found, again = first.predictions["best"]["test"], second.predictions["best"]["test"]
    np.testing.assert_array_equal(found.counts, again.counts)
    assert first.curve[1]["train_loss"] < first.curve[0]["train_loss"]
    encoder = network.build_encoder(place.model, weights_folder=None, seed=0, image_size=32)
    whole = build_segmenter(decoder, encoder, 1, image_size=32, seed=0)
    assert first.details["parameters"] == sum(parameter.numel() for parameter in whole.parameters())


def test_training_cases_are_those_of_the_request(drawn: ModuleType, tmp_path: Path) -> None:
    cases = drawn.drawn_labels()
    train = cases.indices("train")[:9]
    seen: list[np.ndarray] = []
    original = fit_finetune.CachedImages.training

    def spy(self: Any, epoch: int) -> Any:
        for batch in original(self, epoch):
            seen.append(batch.rows)
            yield batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_finetune.CachedImages, "training", spy)
        next(Finetune(**(QUICK | {"epochs": 2})).fit(bench(cases, tmp_path), [request(cases, 1, train)]))
    assert sorted(np.concatenate(seen).tolist()) == sorted([*train, *train])


@pytest.mark.parametrize("fields", [{"batch_dice": True}, {"preset": "studyA-seg"}])
def test_a_dice_over_the_batch_is_not_computed_in_parts(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="micro_batch: expected 'batch_dice: false' beside it"):
        Finetune(**fields, micro_batch=2)
    settings = Finetune(**(fields | {"batch_dice": False}), micro_batch=2)
    assert (settings.recipe().micro_batch, settings.recipe().batch_dice) == (2, False)
    assert Finetune(**fields).recipe().batch_dice
