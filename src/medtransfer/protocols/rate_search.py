"""A small search of the learning rate, equal for every source model, decided on validation alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook

from medtransfer.core.errors import TrialError
from medtransfer.training.fit_network import FitResult
from medtransfer.training.recipe import TrainingRecipe

FIXED_RECIPE_CHECKPOINT = "fixed-recipe"
"""Name under which the result with the recipe's own rate stands beside that of the search."""
DIVERGED = "non_finite_loss"
"""Reason of a training whose loss or gradients ran away."""


@dataclass(frozen=True)
class RateSearch:
    """Trainings of one trial that differ in the learning rate only, and the one validation prefers."""

    rates: tuple[float, ...]
    """In the order they were tried."""
    fits: tuple[FitResult, ...]
    """One per rate; only the chosen one and that of the recipe's own rate have weights."""
    values: tuple[float | None, ...]
    """What was compared, at each training's best epoch; None for those that diverged."""
    faults: tuple[str | None, ...]
    """How each training diverged; None for those that did not."""
    chosen: int
    """Number of the best; the first of equal ones."""
    own: int
    """Number of the recipe's own rate."""

    def choices(self) -> dict[str, Any]:
        """Return what was chosen and from what, for the record; JSON values."""
        found = {
            "learning_rate": self.rates[self.chosen],
            "learning_rates": [self._tried(number) for number in range(len(self.rates))],
        }
        return found if self.faults[self.own] is None else found | {"fixed_recipe": "diverged"}

    def _tried(self, number: int) -> dict[str, Any]:
        fit, fault = self.fits[number], self.faults[number]
        tried = {
            "learning_rate": self.rates[number],
            "val": self.values[number],
            "best_epoch": fit.best_epoch if fault is None else None,
            "steps": fit.facts["steps"],
        }
        return tried if fault is None else tried | {"diverged": fault}


def search_rates(
    rates: Sequence[float],
    recipe: TrainingRecipe,
    train: Callable[[TrainingRecipe], FitResult],
    *,
    higher_is_better: bool,
) -> RateSearch:
    """Train once per rate and choose by the selected value on validation; a rate that diverges is never chosen.

    Args:
        rates: To try; the recipe's own is among them.
        recipe: Everything but the rate.
        train: Trains from the same start with a recipe.
        higher_is_better: Direction of the metric; a loss is always better when lower.

    Raises:
        TrialError: ``non_finite_loss`` if every rate diverges; whatever else ends a training.
    """
    name = "val_loss" if recipe.select_on == "loss" else "val_metric"
    sign = 1.0 if recipe.select_on == "metric" and higher_is_better else -1.0
    own = list(rates).index(recipe.learning_rate)
    trained: list[_Training] = []
    values: list[float | None] = []
    chosen: int | None = None
    for rate in rates:
        # Never by a name of its own, which would hold its weights through the next training.
        trained.append(_train_or_diverge(recipe.changed(learning_rate=rate), train))
        values.append(_value(*trained[-1], name))
        chosen = _best(values, sign)
        trained = [one if n in (chosen, own) else _without_weights(*one) for n, one in enumerate(trained)]
    if chosen is None:
        raise TrialError(
            DIVERGED,
            f"learning_rates: expected a rate at which training stays finite, got none among {list(rates)}. "
            f"With the first, {trained[0][1]}",
        )
    fits, faults = zip(*trained, strict=True)
    return RateSearch(tuple(rates), fits, tuple(values), faults, chosen, own)


_Training = tuple[FitResult, str | None]
"""One per rate, and how it diverged; None if it did not."""


def _train_or_diverge(recipe: TrainingRecipe, train: Callable[[TrainingRecipe], FitResult]) -> _Training:
    """Return a training; one that diverged has no weights and knows its steps."""
    with _counted_steps() as steps:
        try:
            return train(recipe), None
        except TrialError as error:
            if error.reason != DIVERGED:
                raise
            fault = str(error)
    return FitResult({}, {}, -1, (), {"steps": len(steps)}), fault


def _best(values: Sequence[float | None], sign: float) -> int | None:
    """Return the number of the best value, the first of equal ones; None where there is none."""
    known = [(sign * value, -number) for number, value in enumerate(values) if value is not None]
    return -max(known)[1] if known else None


@contextmanager
def _counted_steps() -> Iterator[list[None]]:
    """Give a list that grows by one with every step of any optimiser of torch inside the block."""
    steps: list[None] = []
    hook = register_optimizer_step_post_hook(lambda *_: steps.append(None))
    try:
        yield steps
    finally:
        hook.remove()


def _value(fit: FitResult, fault: str | None, name: str) -> float | None:
    return None if fault is not None else float(fit.curve[fit.best_epoch][name] or 0.0)


def _without_weights(fit: FitResult, fault: str | None) -> _Training:
    return replace(fit, best_state={}, last_state={}), fault
