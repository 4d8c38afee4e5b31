"""What becomes of labels that a report leaves uncertain."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd
import pytest

from medtransfer.core.errors import DataError
from medtransfer.tasks.uncertain_labels import (
    SOFT_RANGES,
    UncertainPolicy,
    read_uncertain_labels,
    settle_uncertain,
)

LABELS = np.array([[-1.0, 1.0, 0.0], [-1.0, -1.0, 1.0], [0.0, 0.0, 1.0]] * 200)
SOFT = np.arange(600) % 2 == 0
IMAGES = [f"image {number}" for number in range(600)]


def settled(policy: UncertainPolicy, seed: int = 7) -> np.ndarray:
    return settle_uncertain(LABELS, policy, SOFT, IMAGES, seed)


@pytest.mark.parametrize("policy", get_args(UncertainPolicy))
def test_certain_labels_stay_as_they_are(policy: UncertainPolicy) -> None:
    values = settled(policy)
    np.testing.assert_array_equal(values[LABELS >= 0], LABELS[LABELS >= 0])
    assert LABELS.min() == -1


@pytest.mark.parametrize(("policy", "value"), [("ones", 1.0), ("zeros", 0.0), ("ignore", np.nan)])
def test_fixed_policies_give_one_value_everywhere(policy: UncertainPolicy, value: float) -> None:
    np.testing.assert_array_equal(settled(policy)[LABELS == -1], value)


@pytest.mark.parametrize(
    ("policy", "low", "high", "fixed"), [("lsr-ones", 0.55, 0.85, 1.0), ("lsr-zeros", 0.0, 0.3, 0.0)]
)
def test_smoothing_draws_evenly_where_it_may_and_is_fixed_elsewhere(
    policy: UncertainPolicy, low: float, high: float, fixed: float
) -> None:
    assert SOFT_RANGES[policy] == (low, high)
    values = settled(policy)
    drawn = values[SOFT][LABELS[SOFT] == -1]
    assert len(drawn) == len(np.unique(drawn)) == 300
    assert low <= drawn.min() < low + 0.02
    assert high - 0.02 < drawn.max() < high
    assert drawn.mean() == pytest.approx((low + high) / 2, abs=0.02)
    np.testing.assert_array_equal(values[~SOFT][LABELS[~SOFT] == -1], fixed)


def test_a_draw_depends_on_seed_and_image_only() -> None:
    values = settled("lsr-ones")
    np.testing.assert_array_equal(settled("lsr-ones"), values)
    assert not np.array_equal(settled("lsr-ones", seed=8), values)
    order = np.random.default_rng(1).permutation(600)[:300]
    part = settle_uncertain(LABELS[order], "lsr-ones", SOFT[order], [IMAGES[row] for row in order], 7)
    np.testing.assert_array_equal(part, values[order])


def test_four_ways_of_writing_and_no_other() -> None:
    cells = pd.DataFrame(
        {"Edema": ["1.0", "0.0", "-1.0", ""], "Mass": ["1", "0", "-1", "0.0"]}, index=[2, 3, 4, 7]
    )
    read = read_uncertain_labels("task 't'", "x.csv", cells, ["Mass", "Edema"])
    assert read.to_numpy().tolist() == [[1, 1], [0, 0], [-1, -1], [0, 0]]
    assert read.columns.tolist() == ["Mass", "Edema"]
    cells.loc[7, "Edema"] = "0.5"
    with pytest.raises(DataError, match=r"x\.csv: column 'Edema'.*line 7: '0\.5'"):
        read_uncertain_labels("task 't'", "x.csv", cells, ["Mass", "Edema"])
