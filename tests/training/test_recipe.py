"""Recipes: the published settings exactly, and no value out of range."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from medtransfer.core.errors import UsageError
from medtransfer.training.recipe import TrainingRecipe, recipes


def test_study_a_classification_has_the_published_settings() -> None:
    recipe = recipes.get("studyA-cls")
    assert (recipe.optimiser, recipe.learning_rate, recipe.weight_decay) == ("adam", 2e-4, 0.0)
    assert (recipe.schedule, recipe.plateau_factor) == ("plateau", 0.5)
    assert (recipe.plateau_patience, recipe.plateau_threshold) == (5, 1e-4)
    assert (recipe.epochs, recipe.patience, recipe.warmup_epochs) == (1000, 10, 0)
    assert (recipe.select_on, recipe.precision) == ("loss", "fp32")
    assert [recipe.batch_size_for(cases) for cases in (10_000, 33, 20)] == [32, 32, 20]


def test_study_a_segmentation_has_the_published_settings() -> None:
    recipe = recipes.get("studyA-seg")
    assert (recipe.optimiser, recipe.learning_rate, recipe.weight_decay) == ("adam", 1e-3, 0.0)
    assert (recipe.schedule, recipe.cosine_step, recipe.warmup_epochs) == ("cosine", "epoch", 0)
    assert (recipe.epochs, recipe.patience, recipe.batch_size) == (200, 20, 32)
    assert (recipe.mask_loss, recipe.batch_dice) == ("dice", True)
    assert (recipe.select_on, recipe.precision, recipe.least_steps) == ("loss", "fp32", 1)


def test_the_other_schedule_of_study_b_has_the_published_settings() -> None:
    recipe, usual = recipes.get("studyB-cls-cosine"), recipes.get("studyA-cls")
    assert (recipe.schedule, recipe.warmup_epochs, recipe.least_rate) == ("cosine", 20, 1e-5)
    changed = {"schedule", "warmup_epochs", "least_rate"}
    assert recipe.model_dump(exclude=changed) == usual.model_dump(exclude=changed)


def test_a_least_rate_of_zero_is_no_setting() -> None:
    assert "least_rate" not in TrainingRecipe().as_settings()
    assert TrainingRecipe(least_rate=1e-5).as_settings()["least_rate"] == 1e-5


def test_default_selects_on_the_loss_and_cuts_small_sets_into_smaller_batches() -> None:
    recipe = recipes.get("default")
    assert recipe == TrainingRecipe()
    assert recipe.select_on == "loss"
    assert (recipe.mask_loss, recipe.batch_dice, recipe.cosine_step) == ("bce+dice", False, "iteration")
    assert [recipe.batch_size_for(cases) for cases in (1000, 128, 40, 16, 3)] == [32, 32, 10, 4, 4]


@pytest.mark.parametrize(
    "fields",
    [
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"epochs": 0},
        {"epochs": 2.0},
        {"epochs": 2, "warmup_epochs": 3},
        {"optimiser": "lion"},
        {"plateau_factor": 1.0},
        {"learning_rate": 1e-5, "least_rate": 1e-4},
        {"least_rate": -1e-6},
        {"pixel_weights": (1.0, -2.0)},
        {"pixel_weights": (0.0, 0.0)},
        {"lr": 1e-3},
    ],
)
def test_what_is_no_recipe_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainingRecipe(**fields)
    with pytest.raises(UsageError, match=next(reversed(fields))):
        recipes.get("default").changed(**fields)


def test_changed_keeps_the_rest() -> None:
    changed = recipes.get("studyA-cls").changed(epochs=3)
    assert changed.epochs == 3
    assert changed.model_dump(exclude={"epochs"}) == recipes.get("studyA-cls").model_dump(exclude={"epochs"})
