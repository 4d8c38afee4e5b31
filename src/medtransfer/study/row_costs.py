"""From a probe of a few drawn cases to what the trials of one task, model and protocol will cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from medtransfer.study.probe import Probe, ProbeRun
from medtransfer.training.recipe import TrainingRecipe

LATEST_STOP: Final = 3
"""Training that may stop early is expected to do so before so many times the earliest epoch it can, unless its
rate falls to 0 at the last one."""
STOP_PLACE: Final = 2 / 3
"""Where between the earliest and the latest epoch it is expected to."""
COSINE_STOP_PLACE: Final = 7 / 8
"""The same under the cosine schedule. The 104 trainings of the first-light study, of 40 epochs with a patience of
15, ended after 37.5 epochs on average, 0.89 of the way."""
MOST_MAP_BYTES: Final = 512 << 20
"""Feature maps beyond this lie in a file; see :mod:`medtransfer.protocols.feature_maps`."""
BYTES_PER_FEATURE: Final = 32
"""Memory that solving heads takes per feature of a training case: a few copies in double precision."""
SCORED_CHECKPOINTS: Final = 2
"""Best and last weights are both scored."""


@dataclass(frozen=True)
class RowWork:
    """What is to be done for one task, model and protocol."""

    train_cases: tuple[int, ...]
    """Training cases of each trial; those with the same subset count once where work is shared."""
    val_cases: int
    """Validation cases."""
    test_cases: int
    """Test cases."""
    cases: int
    """All cases."""
    recipe: TrainingRecipe | None
    """How a network is trained; None for a protocol that trains none."""
    trainings: int = 1
    """Trainings of each trial, such as one per learning rate that is searched."""
    has_features: bool = False
    """Whether an earlier row computes the same embeddings."""
    is_one_job: bool = False
    """Whether all trials run one after another in one worker."""


@dataclass(frozen=True)
class RowCost:
    """What they will cost."""

    cpu_s: float
    """Expected seconds of one core."""
    most_s: float
    """The same if no training stops early."""
    longest_s: float
    """Expected seconds of the longest job, which no other worker can share."""
    memory_bytes: int | None
    """Most memory of a worker; decoded images, which workers share, are not counted. None where like trials were
    done and their memory was not measured."""


def recipe_of(settings: Mapping[str, Any]) -> TrainingRecipe | None:
    """Return the recipe that resolved settings hold; None where nothing is trained by steps."""
    if "epochs" not in settings:
        return None
    return TrainingRecipe(
        **{name: settings[name] for name in TrainingRecipe.model_fields if name in settings}
    )


def expected_epochs(recipe: TrainingRecipe) -> float:
    """Return after how many epochs a training probably ends.

    It can stop ``patience + 2`` epochs after its start at the earliest. How much later is not known before.
    Under the cosine schedule the falling rate keeps improving the network: seven eighths of the way to the last
    epoch. Otherwise two thirds of the way to the last epoch, or to three times the earliest stop where that is
    less.

    Example:
        >>> [expected_epochs(TrainingRecipe(epochs=n, patience=10)) for n in (8, 28, 92)]
        [8.0, 26.0, 82.0]
        >>> [expected_epochs(TrainingRecipe(epochs=n, patience=10, schedule="constant")) for n in (30, 1000)]
        [24.0, 28.0]
    """
    earliest = min(recipe.patience + 2, recipe.epochs)
    if recipe.schedule == "cosine":
        return earliest + COSINE_STOP_PLACE * (recipe.epochs - earliest)
    latest = min(LATEST_STOP * earliest, recipe.epochs)
    return earliest + STOP_PLACE * (latest - earliest)


def cost_of(probe: Probe, work: RowWork) -> RowCost:
    """Return what the trials of a row will cost."""
    encoder_s = 0.0 if work.has_features else probe.large.pass_s * work.cases
    expected = [_trial_seconds(probe, work, cases, at_most=False) for cases in work.train_cases]
    most = [_trial_seconds(probe, work, cases, at_most=True) for cases in work.train_cases]
    whole = encoder_s + sum(expected)
    return RowCost(
        cpu_s=whole,
        most_s=encoder_s + sum(most),
        longest_s=whole if work.is_one_job else encoder_s + max(expected, default=0.0),
        memory_bytes=_memory(probe, work),
    )


def _trial_seconds(probe: Probe, work: RowWork, cases: int, *, at_most: bool) -> float:
    recipe, run = work.recipe, probe.large
    if recipe is None:
        return _head_seconds(run.results_s, cases)
    epochs = recipe.epochs if at_most else expected_epochs(recipe)
    batch = recipe.batch_size_for(cases)
    epoch_s = cases / batch * _step_seconds(probe, batch) + work.val_cases * run.validation_s
    held = run.cases - run.train_cases
    scoring_s = run.results_s[-1][1] / held * (work.val_cases + work.test_cases)
    checkpoints = SCORED_CHECKPOINTS + (work.trainings > 1)
    return run.setup_s + work.trainings * epochs * epoch_s + checkpoints * scoring_s


def _head_seconds(results: Sequence[tuple[int, float]], cases: int) -> float:
    """Return the seconds for one training subset, between those measured or in proportion to the nearer one."""
    (few, few_s), (many, many_s) = results[0], results[-1]
    if few < cases < many:
        return few_s + (cases - few) / (many - few) * (many_s - few_s)
    nearer, nearer_s = (few, few_s) if cases <= few else (many, many_s)
    return nearer_s * cases / nearer


def _step_seconds(probe: Probe, batch: int) -> float:
    """Return the seconds of a step, between the two that were measured or in proportion to the nearer one."""
    small, large = probe.small, probe.large
    few, many = _batch(small), _batch(large)
    if few < batch < many:
        share = (batch - few) / (many - few)
        return small.step_s + share * (large.step_s - small.step_s)
    nearer = small if batch <= few else large
    return nearer.step_s * batch / _batch(nearer)


def _memory(probe: Probe, work: RowWork) -> int:
    run = probe.large
    most = max(work.train_cases, default=0)
    if work.recipe is None:
        heads = (most - run.train_cases) * run.embedding_size * BYTES_PER_FEATURE
        return int(run.peak_bytes + max(heads, 0))
    batch = work.recipe.batch_size_for(most)
    if work.recipe.micro_batch is not None:
        batch = min(batch, work.recipe.micro_batch)
    maps = min(work.cases * run.pass_bytes, MOST_MAP_BYTES) - run.cases * run.pass_bytes
    return int(run.peak_bytes + (batch - _batch(run)) * _bytes_per_case(probe) + max(maps, 0.0))


def _bytes_per_case(probe: Probe) -> float:
    """Return the memory that one more case per step takes."""
    small, large = probe.small, probe.large
    more = _batch(large) - _batch(small)
    if more == 0:
        return max(large.peak_bytes - large.before_bytes, 0) / _batch(large)
    grown = large.peak_bytes - small.peak_bytes - (large.cases - small.cases) * large.pass_bytes
    return max(grown, 0.0) / more


def _batch(run: ProbeRun) -> int:
    return run.batch_size or 1
