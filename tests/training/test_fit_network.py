"""The loop against a plain one, its two checkpoints, its end, and what stops it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from medtransfer.core.errors import TrialError
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.training import fit_network as module
from medtransfer.training.fit_network import FitResult, fit_network
from medtransfer.training.goal import Goal
from medtransfer.training.learning_rate import LearningRate
from medtransfer.training.losses import Loss, Term, build_loss
from medtransfer.training.optimiser_steps import parts_of
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.training_data import TensorBatch

RECIPE = TrainingRecipe(epochs=5, warmup_epochs=1, learning_rate=0.02, patience=10)
LOSS = build_loss(TaskKind.BINARY, RECIPE)


@dataclass(frozen=True)
class Points:
    """Two clouds of points, in a fixed order."""

    bad_row: int | None = None
    bad_validation: bool = False
    train_cases: int = 24
    batch_size: int = 6

    @property
    def points(self) -> Tensor:
        drawn = torch.randn(36, 4, generator=torch.Generator().manual_seed(1))
        drawn[::2] += 1.0
        if self.bad_row is not None:
            drawn[self.bad_row] = math.inf
        if self.bad_validation:
            drawn[-1] = math.nan
        return drawn

    def training(self, epoch: int) -> Iterator[TensorBatch]:
        for start in range(0, 24, 6):
            yield self._batch(np.arange(start, start + 6))

    def validation(self) -> Iterator[TensorBatch]:
        return self.evaluation(np.arange(24, 36))

    def evaluation(self, rows: np.ndarray) -> Iterator[TensorBatch]:
        yield self._batch(rows[:5])
        yield self._batch(rows[5:])

    def _batch(self, rows: np.ndarray) -> TensorBatch:
        return TensorBatch(self.points[rows], torch.from_numpy(rows % 2), rows)


@dataclass
class Correct:
    """Share of correct validation cases; or a scripted value per pass."""

    scripted: Iterator[float | None] | None = None
    right: float = 0.0
    rows: int = 0

    def add(self, logits: Tensor, rows: np.ndarray) -> None:
        self.right += float(((logits[:, 0] > 0).numpy() == rows % 2).sum())
        self.rows += len(rows)

    def value(self) -> float | None:
        return self.right / self.rows if self.scripted is None else next(self.scripted)


GOAL = Goal(LOSS, Correct)


def network(dropout: float = 0.0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 1)
        )


def fit(
    net: nn.Module, data: Any = None, recipe: TrainingRecipe = RECIPE, goal: Goal = GOAL, seed: int = 1
) -> FitResult:
    return fit_network(net, data or Points(), recipe, goal, seed=seed)


def equal_states(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("passes", "huge"), [(20, True), (21, False)])  # five epochs of four steps
def test_memory_is_kept_while_training_and_changes_no_number(
    passes: int, huge: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = fit(network(0.5))
    entered: list[bool | str] = []

    @contextmanager
    def noted(*, huge_pages: bool) -> Iterator[None]:
        entered.append(huge_pages)
        yield
        entered.append("out")

    monkeypatch.setattr(module, "kept_memory", noted)
    monkeypatch.setattr(module, "HUGE_PAGES_FROM_PASSES", passes)
    found = fit(network(0.5))
    assert entered == [huge, "out"]
    assert found.curve == kept.curve
    assert equal_states(found.last_state, kept.last_state)


def test_loop_is_the_plain_loop() -> None:
    found = fit(network())
    net, data = network(), Points()
    optimiser = torch.optim.AdamW(
        [
            {"params": [net[0].weight, net[4].weight], "weight_decay": RECIPE.weight_decay},
            {"params": [net[1].weight, net[1].bias, net[4].bias], "weight_decay": 0.0},
        ]
    )
    rate = LearningRate(RECIPE, 4)
    for epoch in range(5):
        net.train()
        losses = []
        for step, batch in enumerate(data.training(epoch)):
            for group in optimiser.param_groups:
                group["lr"] = rate.at(epoch, step)
            loss = functional.binary_cross_entropy_with_logits(net(batch.inputs)[:, 0], batch.targets.float())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        net.eval()
        with torch.no_grad():
            logits = net(data.points[24:])[:, 0]
        expected = functional.binary_cross_entropy_with_logits(logits, (torch.arange(24, 36) % 2).float())
        point = found.curve[epoch]
        assert point["epoch"] == epoch
        assert point["train_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
        assert point["val_loss"] == pytest.approx(expected.item(), rel=1e-5)
        correct = ((logits > 0).numpy() == np.arange(24, 36) % 2).mean()
        assert point["val_metric"] == pytest.approx(correct)
        assert point["learning_rate"] == rate.at(epoch, 3)
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(found.last_state[name], tensor, rtol=1e-5, atol=1e-6)
    assert found.facts == {"epochs": 5, "steps": 20, "cases_seen": 120, "stopped_early": False}


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_same_seed_same_bits_and_no_trace_in_the_global_state(dropout: float) -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first = fit(network(dropout))
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    second = fit(network(dropout))
    assert equal_states(first.last_state, second.last_state)
    assert first.curve == second.curve
    other = fit(network(dropout), seed=2)
    assert equal_states(first.last_state, other.last_state) == (dropout == 0)


def test_best_and_last_are_both_kept() -> None:
    values = [0.1, 0.8, 0.3, 0.8, 0.2]
    stops = []
    for count in (2, 5):
        script = iter(values)
        goal = Goal(LOSS, lambda script=script: Correct(script))
        stops.append(
            fit(network(), recipe=RECIPE.changed(select_on="metric", epochs=5, patience=count), goal=goal)
        )
    found = stops[1]
    assert found.best_epoch == 1
    assert not equal_states(found.best_state, found.last_state)
    assert [point["val_metric"] for point in found.curve] == values
    assert equal_states(found.best_state, stops[0].best_state)


def test_stops_when_more_than_patience_epochs_brought_nothing() -> None:
    script = iter([0.9, 0.8, 0.7, 0.95, 0.1, 0.1, 0.1, 0.99])
    goal = Goal(LOSS, lambda: Correct(script))
    found = fit(network(), recipe=RECIPE.changed(select_on="metric", epochs=20, patience=2), goal=goal)
    assert len(found.curve) == 7
    assert found.best_epoch == 3
    assert found.facts["stopped_early"] is True


def test_lower_is_better_for_the_loss_whatever_the_metric_says() -> None:
    found = fit(network(), goal=replace(GOAL, higher_is_better=False))
    losses = [point["val_loss"] for point in found.curve]
    assert found.best_epoch == int(np.argmin(losses))


def test_best_state_gives_the_best_validation_loss_again() -> None:
    net = network()
    found = fit(net, recipe=RECIPE.changed(epochs=12, learning_rate=0.3, patience=20))
    assert found.best_epoch < 11
    net.load_state_dict(found.best_state)
    net.eval()
    with torch.no_grad():
        loss = LOSS(net(Points().points[24:]), torch.arange(24, 36) % 2)
    assert loss.item() == pytest.approx(found.curve[found.best_epoch]["val_loss"], rel=1e-6)


def test_non_finite_loss_names_its_step() -> None:
    with pytest.raises(TrialError, match=r"finite loss, got (nan|inf) at step 2 \(epoch 0\)") as caught:
        fit(network(), Points(bad_row=13))
    assert caught.value.reason == "non_finite_loss"


class _BadGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * math.nan


def test_non_finite_gradient_names_its_step() -> None:
    calls = iter(range(100))

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        in_training = logits.requires_grad
        return LOSS(_BadGradient.apply(logits) if in_training and next(calls) == 5 else logits, targets)

    with pytest.raises(TrialError, match=r"finite gradient, got nan at step 5 \(epoch 1\)") as caught:
        fit(network(), goal=replace(GOAL, loss=Loss((Term(loss),))))
    assert caught.value.reason == "non_finite_loss"


def test_normalisation_over_a_single_value_says_what_helps() -> None:
    with pytest.raises(TrialError, match="Raise 'micro_batch' or 'batch_size' to 2 or more") as caught:
        fit(network(), recipe=RECIPE.model_copy(update={"micro_batch": 1}))
    assert caught.value.reason == "single_value"


def test_huge_but_finite_gradients_are_no_error() -> None:
    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return 1e25 * LOSS(logits, targets)

    assert len(fit(network(), goal=replace(GOAL, loss=Loss((Term(loss),)))).curve) == 5


def test_non_finite_validation_loss_ends_the_trial() -> None:
    with pytest.raises(TrialError, match="validation loss, got nan at the end of epoch 0") as caught:
        fit(network(), Points(bad_validation=True))
    assert caught.value.reason == "non_finite_loss"


def test_no_validation_cases_end_the_trial() -> None:
    class WithoutValidation(Points):
        def validation(self) -> Iterator[TensorBatch]:
            return iter(())

    with pytest.raises(TrialError) as caught:
        fit(network(), WithoutValidation())
    assert caught.value.reason == "no_validation_cases"


def test_a_failed_trial_leaves_the_next_one_s_numbers_alone() -> None:
    before = fit(network(0.5))
    with pytest.raises(TrialError):
        fit(network(0.5), Points(bad_row=13))
    assert equal_states(before.last_state, fit(network(0.5)).last_state)


def test_mixed_precision_trains_in_bfloat16_and_validates_in_float32() -> None:
    seen: list[tuple[bool, torch.dtype]] = []
    net = network()
    net[0].register_forward_hook(lambda module, inputs, output: seen.append((module.training, output.dtype)))
    fit(net, recipe=RECIPE.changed(precision="bf16-mixed", epochs=1))
    assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)}
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}


def test_progress_counts_epochs() -> None:
    told: list[tuple[str, int, int]] = []

    def note(what: str, done: int, total: int) -> None:
        told.append((what, done, total))

    fit_network(network(), Points(), RECIPE, GOAL, seed=seed_from("x"), progress=note)
    assert told == [("training epochs", epoch + 1, 5) for epoch in range(5)]


def test_a_batch_is_cut_into_parts_of_about_equal_size() -> None:
    rows = np.arange(9)
    batch = TensorBatch(torch.arange(9)[:, None], torch.arange(9), rows)
    parts = list(parts_of(batch, 4))
    assert [len(part.rows) for part in parts] == [3, 3, 3]
    assert torch.equal(torch.cat([part.inputs for part in parts]), batch.inputs)
    assert torch.equal(torch.cat([part.targets for part in parts]), batch.targets)
    assert [len(part.rows) for part in parts_of(batch, 2)] == [3, 2, 2, 2]
    assert [len(part.rows) for part in parts_of(batch, 1)] == [1] * 9
    three = TensorBatch(torch.arange(3)[:, None], torch.arange(3), np.arange(3))
    assert [len(part.rows) for part in parts_of(three, 2)] == [3]
    several = TensorBatch([torch.arange(9), torch.arange(18).view(9, 2)], torch.arange(9), rows)
    assert [tuple(len(maps) for maps in part.inputs) for part in parts_of(several, 8)] == [(5, 5), (4, 4)]
