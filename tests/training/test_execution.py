"""How a training is carried out: the plain path stays plain, the others train the same and say what they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medtransfer.core.errors import TrialError
from medtransfer.data.augmentation import DEFAULT, NONE, STUDY_A_SEGMENTATION, Augmentation
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import open_decoded_cache
from medtransfer.training.device_policy import VARIABLE
from medtransfer.training.execution import Execution
from medtransfer.training.fit_network import FitResult, fit_network
from medtransfer.training.memory_layout import memory_format_for
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.training_data import CachedImages
from medtransfer.training.validation_metrics import build_goal

SIZE = 32
RECIPE = TrainingRecipe(epochs=3, learning_rate=3e-3, average_decay=0.9, micro_batch=6)


class Small(nn.Module):
    """A small network of bytes for labels or, without a pooling, for masks."""

    def __init__(self, *, pools: bool) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.first = nn.Conv2d(3, 8, 5, padding=2, bias=False)
            self.norm = nn.BatchNorm2d(8)
            self.last = nn.Conv2d(8, 1, 3, padding=1)
        self.pools = pools

    def forward(self, images: Tensor) -> Tensor:
        colours = images.float().repeat(1, 3, 1, 1).contiguous()
        maps = self.last(self.norm(self.first(colours / 128 - 1)).relu())
        return maps.mean(dim=(2, 3)) if self.pools else maps


@pytest.fixture
def fit(drawn: ModuleType, tmp_path: Path) -> Any:
    """Train on drawn labels or masks."""

    def train(
        augmentation: Augmentation = DEFAULT, *, masks: bool = False, recipe: TrainingRecipe = RECIPE
    ) -> FitResult:
        cases: CaseTable = drawn.drawn_masks(30) if masks else drawn.drawn_labels()
        cache = open_decoded_cache(cases, SIZE if masks else SIZE + 4, tmp_path)
        data = CachedImages(
            cache=cache,
            labels=None if masks else cases.labels(),
            train=cases.indices("train"),
            validate=cases.indices("val"),
            size=SIZE,
            augmentation=augmentation,
            batch_size=8,
            seed=1,
        )
        metric = "dice" if masks else "auc"
        goal = build_goal(cases, metric, recipe, masks=cache.masks, validate=data.validate)
        return fit_network(Small(pools=not masks), data, recipe, goal, seed=1)

    return train


def numbers(found: FitResult) -> np.ndarray:
    return np.array([[p["train_loss"], p["val_loss"], p["val_metric"]] for p in found.curve])


def distance(one: FitResult, other: FitResult) -> float:
    """Return the largest difference of weights and statistics."""
    pairs = ((one.last_state[name], other.last_state[name]) for name in one.last_state)
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)


def test_the_plain_path_says_nothing_of_itself(fit: Any) -> None:
    assert "execution" not in fit().facts


@pytest.mark.parametrize("entry", ["steps_per_look=2", "steps_per_look=1000", "compile=eager"])
def test_looking_late_or_compiling_trains_the_same(
    entry: str, fit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fit()
    monkeypatch.setenv(VARIABLE, entry)
    found = fit()
    assert distance(found, expected) < 1e-6
    np.testing.assert_allclose(numbers(found), numbers(expected), atol=1e-6)
    name, value = entry.split("=")
    assert str(found.facts["execution"][name]) == value
    assert json.loads(json.dumps(found.facts)) == dict(found.facts)


@pytest.mark.parametrize("images", ["resident", "host"])
def test_views_without_resampling_train_to_the_same_bits(
    images: str, fit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fit(NONE)
    monkeypatch.setenv(VARIABLE, f"views=device,images={images}")
    found = fit(NONE)
    assert distance(found, expected) == 0
    assert found.curve == expected.curve
    facts = found.facts["execution"]
    assert (facts["views"], facts["images"], facts["device"]) == ("device", images, "cpu")
    assert (facts["resident_bytes"] > 0) == (images == "resident")
    assert facts["peak_device_bytes"] is None


@pytest.mark.parametrize("masks", [False, True])
def test_views_computed_as_on_a_device_train_nearly_the_same(
    masks: bool, fit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges = replace(STUDY_A_SEGMENTATION, rotation_degrees=20.0) if masks else DEFAULT
    expected = fit(ranges, masks=masks)
    monkeypatch.setenv(VARIABLE, "views=device,images=resident,steps_per_look=50")
    found = fit(ranges, masks=masks)
    assert found.facts["execution"]["views"] == "device"
    assert distance(found, expected) < 0.02
    np.testing.assert_allclose(numbers(found)[:, :2], numbers(expected)[:, :2], rtol=0.02)
    assert distance(fit(ranges, masks=masks), found) == 0


def test_a_network_that_cannot_be_compiled_ends_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import BackendCompilerFailed

    execution = Execution.plan(Small(pools=True), OneBatch(), RECIPE, "cpu")
    assert execution.backend is None
    monkeypatch.setenv(VARIABLE, "compile=eager")
    execution = Execution.plan(Small(pools=True), OneBatch(), RECIPE, "cpu")
    said = r"expected a network that 'eager' can compile, got .*compile=off"
    with pytest.raises(TrialError, match=said) as caught, execution.training_steps():
        raise BackendCompilerFailed(lambda: None, RuntimeError("no such kernel"), None)
    assert caught.value.reason == "cannot_compile"


class OneBatch:
    """What planning asks of data."""

    train_cases = 8
    batch_size = 8


def test_the_policy_can_set_the_memory_format(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert memory_format_for(Small(pools=True), 16, cpu) is torch.contiguous_format
    monkeypatch.setenv(VARIABLE, "layout=channels-last")
    assert memory_format_for(Small(pools=True), 16, cpu) is torch.channels_last
    monkeypatch.setenv(VARIABLE, "layout=contiguous")
    assert memory_format_for(Small(pools=True), 512, cpu) is torch.contiguous_format
