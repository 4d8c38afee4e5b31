"""Supervised pretraining: the file is a source model, and one can go on from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from medtransfer.core.errors import TrialError, UsageError
from medtransfer.core.fingerprints import hash_file
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.augmentation import NONE
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.network import build_encoder, state_hash
from medtransfer.models.source_model import SourceModel
from medtransfer.pretraining.supervised import PretrainedFile, pretrain_supervised
from medtransfer.training.recipe import TrainingRecipe

RECIPE = TrainingRecipe(epochs=3, learning_rate=3e-3, batch_size=8)


def pretrain(cases: Any, folder: Path, **changes: Any) -> PretrainedFile:
    options: dict[str, Any] = {
        "model": resolve_model("resnet20.random"),
        "recipe": RECIPE,
        "image_size": 32,
        "cache_folder": folder / "cache",
        "seed": 4,
        "out": folder / "weights" / "made.safetensors",
        "pretraining_data": "drawn-discs",
        "augmentation": NONE,
    } | changes
    return pretrain_supervised(cases, options.pop("model"), **options)


def encoder_hash(model: SourceModel, size: int = 32) -> str:
    return state_hash(build_encoder(model, weights_folder=None, seed=0, image_size=size))


@pytest.fixture(scope="module")
def made(drawn: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> PretrainedFile:
    cases = drawn.drawn_labels(48, kind=TaskKind.MULTI_CLASS, classes=3)
    return pretrain(cases, tmp_path_factory.mktemp("made"))


def test_the_file_is_a_source_model_by_its_name(made: PretrainedFile) -> None:
    by_name = resolve_model(f"file:{made.path}?arch=resnet20")
    encoder = build_encoder(by_name, weights_folder=None, seed=0, image_size=32)
    file = load_file(made.path)
    state = encoder.backbone.state_dict()
    assert set(file) == set(state)
    assert all(torch.equal(file[name], state[name]) for name in file)


def test_its_record_names_file_data_and_contract(made: PretrainedFile) -> None:
    model = made.model
    assert made.sha256 == hash_file(made.path)
    assert model.weights is not None
    assert (model.weights.sha256, model.weights.file) == (made.sha256, str(made.path.absolute()))
    assert (model.pretraining.objective, model.pretraining.data) == ("supervised", ("drawn-discs",))
    assert model.name == "resnet20.sup_drawn-discs"
    assert model.input == replace(resolve_model("resnet20.random").input, size=32)
    assert not model.is_random
    build_encoder(model, weights_folder=None, seed=0)


def test_its_numbers_are_those_of_the_best_epoch(made: PretrainedFile) -> None:
    point = made.curve[made.best_epoch]
    assert (made.train_loss, made.val_loss, made.val_metric) == (
        point["train_loss"],
        point["val_loss"],
        point["val_metric"],
    )
    assert made.val_loss == min(point["val_loss"] or 0.0 for point in made.curve)
    assert made.val_metric is not None
    assert made.val_metric > 0.8


def test_same_seed_same_file(drawn: ModuleType, made: PretrainedFile, tmp_path: Path) -> None:
    cases = drawn.drawn_labels(48, kind=TaskKind.MULTI_CLASS, classes=3)
    torch.manual_seed(99)
    assert pretrain(cases, tmp_path).sha256 == made.sha256
    assert pretrain(cases, tmp_path, seed=5).sha256 != made.sha256


def test_pretraining_goes_on_from_a_file(drawn: ModuleType, made: PretrainedFile, tmp_path: Path) -> None:
    cases = drawn.drawn_labels(30, kind=TaskKind.MULTI_LABEL, classes=3)
    tiny = TrainingRecipe(epochs=1, learning_rate=1e-6, warmup_epochs=0, weight_decay=0.0)
    again = pretrain(cases, tmp_path, model=made.model, recipe=tiny, pretraining_data="more-discs")
    before, after = load_file(made.path), load_file(again.path)
    kernels = [name for name in before if name.endswith("conv1.weight")]
    assert all(torch.allclose(before[name], after[name], atol=1e-4) for name in kernels)
    assert encoder_hash(again.model) != encoder_hash(made.model)
    assert again.model.pretraining.data == ("drawn-discs", "more-discs")


def test_a_network_that_ends_at_its_trunk_can_be_loaded_again(drawn: ModuleType, tmp_path: Path) -> None:
    cases = drawn.drawn_labels(20)
    tiny = TrainingRecipe(epochs=1, batch_size=8)
    found = pretrain(cases, tmp_path, model=resolve_model("mobilenetv1_100.random"), recipe=tiny)
    encoder = build_encoder(found.model, weights_folder=None, seed=0, image_size=32)
    assert encoder.audit is not None
    assert encoder.audit.missing == ()
    assert set(load_file(found.path)) == set(encoder.backbone.state_dict())


def test_a_failed_pretraining_leaves_the_old_file(drawn: ModuleType, tmp_path: Path) -> None:
    cases = drawn.drawn_labels(20)
    out = tmp_path / "weights" / "made.safetensors"
    out.parent.mkdir()
    out.write_bytes(b"old")
    with pytest.raises(TrialError, match="finite"):
        pretrain(cases, tmp_path, recipe=RECIPE.changed(optimiser="sgd", learning_rate=1e30, warmup_epochs=0))
    assert out.read_bytes() == b"old"


def test_masks_are_refused(drawn: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="classification task, got segmentation"):
        pretrain(drawn.drawn_masks(6), tmp_path)
