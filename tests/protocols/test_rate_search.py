"""A search of the learning rate: what it chooses, keeps and records, and rates at which training diverges."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medtransfer.core.errors import TrialError
from medtransfer.protocols import fit_finetune
from medtransfer.protocols.rate_search import RateSearch, search_rates
from medtransfer.protocols.transfer_protocol import Transfer
from medtransfer.training.fit_network import FitResult
from medtransfer.training.recipe import TrainingRecipe
from tests.protocols.test_protocol_depth import fit, scores
from tests.training.drawn_cases import drawn_labels

OWN = 3e-4
RECIPE = TrainingRecipe(learning_rate=OWN)
TOO_HIGH = 1e18
SGD: dict[str, Any] = {"optimiser": "sgd", "warmup_epochs": 0}


def trained(losses: Mapping[float, float | None]) -> Callable[[TrainingRecipe], FitResult]:
    """Return a training whose validation loss is known per rate; None for one that diverges in its third step."""

    def train(recipe: TrainingRecipe) -> FitResult:
        loss = losses[recipe.learning_rate]
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        for _ in range(2 if loss is None else 5):
            optimiser.step()
        if loss is None:
            raise TrialError("non_finite_loss", "training: expected a finite loss, got nan at step 2.")
        state = {"weight": torch.full((1,), recipe.learning_rate)}
        curve = ({"val_loss": loss, "val_metric": -loss},)
        return FitResult(state, dict(state), 0, curve, {"steps": 5})

    return train


def search(losses: Mapping[float, float | None], **changes: Any) -> RateSearch:
    return search_rates(tuple(losses), RECIPE.changed(**changes), trained(losses), higher_is_better=True)


@pytest.mark.parametrize("select_on", ["loss", "metric"])
def test_the_first_of_equal_rates_is_chosen(select_on: str) -> None:
    found = search({1e-4: 0.5, OWN: 0.3, 1e-3: 0.3, 3e-3: 0.4}, select_on=select_on)
    assert (found.chosen, found.own) == (1, 1)
    assert "fixed_recipe" not in found.choices()
    assert not any("diverged" in tried for tried in found.choices()["learning_rates"])


def test_a_rate_that_diverges_is_recorded_and_never_chosen() -> None:
    found = search({1e-3: None, OWN: 0.3, 1e-4: 0.2})
    choices = found.choices()
    assert choices["learning_rate"] == 1e-4
    first, *others = choices["learning_rates"]
    assert (first["learning_rate"], first["val"], first["best_epoch"], first["steps"]) == (
        1e-3,
        None,
        None,
        2,
    )
    assert "expected a finite loss, got nan" in first["diverged"]
    assert [(tried["val"], tried["steps"]) for tried in others] == [(0.3, 5), (0.2, 5)]
    assert json.loads(json.dumps(choices)) == choices
    assert [sorted(fit.best_state) for fit in found.fits] == [[], ["weight"], ["weight"]]


def test_the_recipe_s_own_rate_may_diverge() -> None:
    found = search({OWN: None, 1e-4: 0.2, 1e-5: 0.4})
    assert (found.chosen, found.own) == (1, 0)
    assert found.choices()["fixed_recipe"] == "diverged"


def test_all_rates_diverging_is_an_error() -> None:
    with pytest.raises(TrialError, match=r"got none among \[0.0003, 0.001\]. .* got nan at step 2") as caught:
        search({OWN: None, 1e-3: None})
    assert caught.value.reason == "non_finite_loss"


def test_what_is_no_divergence_ends_the_search() -> None:
    def train(recipe: TrainingRecipe) -> FitResult:
        raise TrialError("undefined_metric", f"none at {recipe.learning_rate}")

    with pytest.raises(TrialError, match="none at"):
        search_rates((OWN, 1e-3), RECIPE, train, higher_is_better=True)


def test_only_the_best_and_the_recipe_s_own_weights_are_held() -> None:
    losses: dict[float, float | None] = {1e-2: 0.9, OWN: 0.8, 1e-3: 0.5, 3e-3: 0.7, 1e-4: 0.6, 1e-5: 0.4}
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def train(recipe: TrainingRecipe) -> FitResult:
        nonlocal most
        most = max(most, sum(kept() is not None for kept in alive))
        fitted = trained(losses)(recipe)
        alive.append(weakref.ref(fitted.best_state["weight"]))
        return fitted

    found = search_rates(tuple(losses), RECIPE, train, higher_is_better=True)
    assert most == 2
    assert [float(fit.best_state["weight"]) for fit in found.fits if fit.best_state] == [
        pytest.approx(OWN),
        pytest.approx(1e-5),
    ]
    assert [fit.facts["steps"] for fit in found.fits] == [5] * 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def tried(transfer: Transfer) -> dict[float, dict[str, Any]]:
    return {entry["learning_rate"]: entry for entry in transfer.choices["learning_rates"]}


def test_one_diverging_rate_leaves_the_others_as_they_are(folder: Path) -> None:
    cases = drawn_labels()
    found = fit(cases, folder, learning_rates=(TOO_HIGH, 3e-3, 1e-3), **SGD)
    plain = fit(cases, folder, learning_rates=(3e-3, 1e-3), **SGD)
    assert np.array_equal(scores(found), scores(plain))
    assert np.array_equal(scores(found, "fixed-recipe"), scores(plain, "fixed-recipe"))
    assert tried(found)[TOO_HIGH]["val"] is None
    assert {rate: tried(found)[rate] for rate in (3e-3, 1e-3)} == tried(plain)
    assert found.details["trainings"] == 3
    steps = plain.details["steps_of_all_trainings"] + tried(found)[TOO_HIGH]["steps"]
    assert found.details["steps_of_all_trainings"] == steps


def test_without_the_recipe_s_own_result_there_is_no_fixed_recipe(folder: Path) -> None:
    cases = drawn_labels()
    found = fit(cases, folder, learning_rate=TOO_HIGH, learning_rates=(3e-3, TOO_HIGH), **SGD)
    assert set(found.predictions) == {"best", "last"}
    assert found.choices["fixed_recipe"] == "diverged"
    assert found.choices["learning_rate"] == 3e-3
    assert np.array_equal(scores(found), scores(fit(cases, folder, learning_rate=3e-3, **SGD)))


def test_a_trial_fails_when_every_rate_diverges(folder: Path) -> None:
    with pytest.raises(TrialError, match="expected a rate at which training stays finite"):
        fit(drawn_labels(), folder, learning_rate=TOO_HIGH, learning_rates=(1e17, TOO_HIGH), **SGD)


def test_a_search_scores_the_weights_it_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more rates than are kept, each result is still that of a trial of its own."""
    held: list[bool] = []
    original = fit_finetune.search_rates

    def watched(*args: Any, **options: Any) -> RateSearch:
        found = original(*args, **options)
        held.extend(bool(fitted.last_state) for fitted in found.fits)
        return found

    monkeypatch.setattr(fit_finetune, "search_rates", watched)
    cases = drawn_labels()
    rates = (3e-2, 3e-3, 1e-5, 1e-2)
    found = fit(cases, folder, learning_rates=rates)
    chosen = found.choices["learning_rate"]
    assert held == [rate in (3e-3, chosen) for rate in rates]
    assert np.array_equal(scores(found, "fixed-recipe"), scores(fit(cases, folder)))
    alone = fit(cases, folder, learning_rate=chosen)
    assert np.array_equal(scores(found), scores(alone))
    assert np.array_equal(scores(found, "last"), scores(alone, "last"))
