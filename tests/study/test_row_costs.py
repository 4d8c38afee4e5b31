"""The arithmetic from a probe to a row, on numbers that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medtransfer.study.probe import Probe, ProbeRun
from medtransfer.study.row_costs import (
    BYTES_PER_FEATURE,
    MOST_MAP_BYTES,
    RowWork,
    cost_of,
    expected_epochs,
    recipe_of,
)
from medtransfer.training.recipe import Schedule, TrainingRecipe

MIB = 1 << 20
SMALL = ProbeRun(
    batch_size=4,
    train_cases=16,
    cases=32,
    pass_s=0.5,
    pass_bytes=0.0,
    setup_s=0.25,
    step_s=1.0,
    validation_s=0.125,
    results_s=((16, 1.6),),
    embedding_size=0,
    before_bytes=1000 * MIB,
    peak_bytes=1100 * MIB,
)
LARGE = replace(
    SMALL, batch_size=8, train_cases=32, cases=48, step_s=1.5, peak_bytes=1140 * MIB, results_s=((32, 1.6),)
)
RECIPE = TrainingRecipe(epochs=10, patience=15, batch_size=8, least_steps=1)
WORK = RowWork(train_cases=(80,), val_cases=10, test_cases=20, cases=110, recipe=RECIPE)
BOTH = Probe(SMALL, LARGE)


def test_maps_lie_in_a_file_from_the_size_on_at_which_protocols_put_them_there() -> None:
    from medtransfer.protocols import feature_maps

    assert MOST_MAP_BYTES == feature_maps.MOST_MEMORY_BYTES


def test_a_training_is_its_epochs_and_the_scoring_of_two_checkpoints() -> None:
    epoch = 10 * 1.5 + 10 * 0.125
    scoring = 2 * 30 * 1.6 / 16
    cost = cost_of(BOTH, WORK)
    encoder = 110 * 0.5
    assert cost.cpu_s == cost.most_s == pytest.approx(encoder + 0.25 + 10 * epoch + scoring)
    assert cost.longest_s == cost.cpu_s


@pytest.mark.parametrize(("batch", "step"), [(2, 0.5), (4, 1.0), (6, 1.25), (8, 1.5), (32, 6.0)])
def test_steps_of_other_batches_are_on_the_line_or_in_proportion(batch: int, step: float) -> None:
    recipe = RECIPE.changed(batch_size=batch, epochs=1, warmup_epochs=0)
    probe = Probe(*(replace(run, pass_s=0.0, validation_s=0.0, setup_s=0.0) for run in (SMALL, LARGE)))
    cost = cost_of(probe, replace(WORK, recipe=recipe, train_cases=(batch * 5,), test_cases=0, val_cases=0))
    assert cost.cpu_s == pytest.approx(5 * step)


def test_a_training_that_may_stop_early_is_expected_to_and_bounded() -> None:
    recipe = RECIPE.changed(epochs=40, patience=15)
    cost = cost_of(Probe(SMALL, SMALL), replace(WORK, recipe=recipe))
    fixed = 110 * 0.5 + 0.25 + 2 * 30 * 1.6 / 16
    epochs = 17 + 7 / 8 * (40 - 17)
    assert (cost.cpu_s - fixed) / (cost.most_s - fixed) == pytest.approx(epochs / 40)


@pytest.mark.parametrize(
    ("schedule", "epochs", "patience", "expected"),
    [
        ("cosine", 1, 1, 1),
        ("cosine", 16, 15, 16),
        ("cosine", 18, 15, 17 + 7 / 8),
        ("cosine", 212, 10, 12 + 175),
        ("plateau", 1, 1, 1),
        ("plateau", 18, 15, 17 + 2 / 3),
        ("exponential", 30, 10, 24),
        ("constant", 1000, 10, 28),
    ],
)
def test_expected_epochs(schedule: Schedule, epochs: int, patience: int, expected: float) -> None:
    recipe = TrainingRecipe(epochs=epochs, patience=patience, schedule=schedule, warmup_epochs=0)
    assert expected_epochs(recipe) == pytest.approx(expected)


def test_a_search_of_rates_trains_for_each_and_scores_the_fixed_recipe_too() -> None:
    one, three = (cost_of(BOTH, replace(WORK, trainings=number)) for number in (1, 3))
    epoch = 10 * 1.5 + 10 * 0.125
    assert three.cpu_s - one.cpu_s == pytest.approx(2 * 10 * epoch + 30 * 1.6 / 16)


def test_heads_are_measured_or_in_proportion_and_features_are_paid_once() -> None:
    run = replace(
        SMALL, batch_size=None, train_cases=400, cases=432, results_s=((200, 0.2), (400, 0.6)), step_s=0.0
    )
    work = RowWork((100, 300, 800), val_cases=5, test_cases=5, cases=900, recipe=None, is_one_job=True)
    heads = 0.1 + 0.4 + 1.2
    assert cost_of(Probe(run, run), work).cpu_s == pytest.approx(900 * 0.5 + heads)
    shared = cost_of(Probe(run, run), replace(work, has_features=True))
    assert shared.cpu_s == shared.longest_s == pytest.approx(heads)
    apart = cost_of(Probe(run, run), replace(work, has_features=True, is_one_job=False))
    assert apart.longest_s == pytest.approx(1.2)


def test_memory_grows_with_the_batch() -> None:
    assert cost_of(BOTH, WORK).memory_bytes == 1140 * MIB
    larger = cost_of(BOTH, replace(WORK, recipe=RECIPE.changed(batch_size=32)))
    assert larger.memory_bytes == 1140 * MIB + 24 * 10 * MIB
    alone = cost_of(Probe(SMALL, SMALL), replace(WORK, recipe=RECIPE.changed(batch_size=32)))
    assert alone.memory_bytes == 1100 * MIB + 28 * 25 * MIB
    parts = cost_of(BOTH, replace(WORK, recipe=RECIPE.changed(batch_size=32, micro_batch=8)))
    assert parts.memory_bytes == 1140 * MIB


def test_memory_grows_with_feature_maps_until_they_go_to_a_file() -> None:
    probe = Probe(*(replace(run, pass_bytes=1.0 * MIB) for run in (SMALL, LARGE)))
    assert cost_of(probe, WORK).memory_bytes == (1140 + 110 - 48) * MIB
    many = cost_of(probe, replace(WORK, cases=10_000))
    assert many.memory_bytes == 1140 * MIB + MOST_MAP_BYTES - 48 * MIB


def test_memory_grows_with_the_features_of_training_cases() -> None:
    run = replace(SMALL, batch_size=None, embedding_size=100)
    work = replace(WORK, recipe=None, train_cases=(10, 1016))
    assert cost_of(Probe(run, run), work).memory_bytes == 1100 * MIB + 1000 * 100 * BYTES_PER_FEATURE


def test_a_recipe_is_read_from_resolved_settings() -> None:
    assert recipe_of({"strengths": [1.0]}) is None
    settings = {**TrainingRecipe(epochs=3, pixel_weights=(1.0, 2.0)).as_settings(), "image_size": 64}
    assert recipe_of(settings) == TrainingRecipe(epochs=3, pixel_weights=(1.0, 2.0))
