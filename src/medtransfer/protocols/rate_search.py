"""A small search of the learning rate, equal for every source model, decided on validation alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from medtransfer.training.fit_network import FitResult
from medtransfer.training.recipe import TrainingRecipe

FIXED_RECIPE_CHECKPOINT = "fixed-recipe"
"""Name under which the result with the recipe's own rate stands beside that of the search."""


@dataclass(frozen=True)
class RateSearch:
    """Trainings of one trial that differ in the learning rate only, and the one validation prefers."""

    rates: tuple[float, ...]
    """In the order they were tried."""
    fits: tuple[FitResult, ...]
    """One per rate."""
    values: tuple[float, ...]
    """What was compared, at each training's best epoch."""
    chosen: int
    """Number of the best; the first of equal ones."""
    fixed: int
    """Number of the recipe's own rate."""

    def choices(self) -> dict[str, Any]:
        """Return what was chosen and from what, for the record; JSON values."""
        tried = [
            {"learning_rate": rate, "val": value, "best_epoch": fit.best_epoch, "steps": fit.facts["steps"]}
            for rate, value, fit in zip(self.rates, self.values, self.fits, strict=True)
        ]
        return {"learning_rate": self.rates[self.chosen], "learning_rates": tried}


def search_rates(
    rates: Sequence[float],
    recipe: TrainingRecipe,
    train: Callable[[TrainingRecipe], FitResult],
    *,
    higher_is_better: bool,
) -> RateSearch:
    """Train once per rate and choose by the selected value on validation.

    Args:
        rates: To try; the recipe's own is among them.
        recipe: Everything but the rate.
        train: Trains from the same start with a recipe.
        higher_is_better: Direction of the metric; a loss is always better when lower.
    """
    fits = tuple(train(recipe.changed(learning_rate=rate)) for rate in rates)
    name = "val_loss" if recipe.select_on == "loss" else "val_metric"
    sign = 1.0 if recipe.select_on == "metric" and higher_is_better else -1.0
    values = tuple(float(fit.curve[fit.best_epoch][name] or 0.0) for fit in fits)
    chosen = max(range(len(fits)), key=lambda number: (sign * values[number], -number))
    return RateSearch(tuple(rates), fits, values, chosen, list(rates).index(recipe.learning_rate))
