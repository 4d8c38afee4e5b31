"""Dice of empty masks, of several classes and regions, per case and pooled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.metrics.predictions import SegmentationPredictions

Build = Callable[..., Any]
DICE, POOLED = metrics.get("dice"), metrics.get("dice-pooled")
BOTH_EMPTY, TRUTH_EMPTY, NOTHING_FOUND = (0, 0, 0), (0, 7, 0), (0, 0, 7)


@pytest.mark.parametrize("metric", [DICE, POOLED], ids=["per case", "pooled"])
def test_empty_masks(masks: Build, metric: Any) -> None:
    assert metric.compute(masks(BOTH_EMPTY)).value == 1.0
    assert metric.compute(masks(TRUTH_EMPTY)).value == 0.0
    assert metric.compute(masks(NOTHING_FOUND)).value == 0.0


def test_an_empty_case_counts_as_one_per_case_and_nothing_when_pooled(masks: Build) -> None:
    found = masks((2, 1, 1), BOTH_EMPTY)
    value = DICE.compute(found)
    assert value.value == pytest.approx((2 / 3 + 1) / 2)
    assert value.note == "'organ': the true mask is empty in 1 of 2 cases"
    assert value.support == {"organ": 1}
    assert POOLED.compute(found).value == pytest.approx(2 / 3)


def test_full_masks_have_no_note(masks: Build) -> None:
    assert DICE.compute(masks((2, 1, 1), NOTHING_FOUND)).note is None


def test_large_cases_dominate_only_the_pooled_value(masks: Build) -> None:
    found = masks((900, 50, 50), (1, 9, 9))
    assert DICE.compute(found).value == pytest.approx((1800 / 1900 + 2 / 20) / 2)
    assert POOLED.compute(found).value == pytest.approx(1802 / 1920)


def test_classes_are_averaged_after_cases() -> None:
    counts = np.array([[[[1, 0, 0], [1, 1, 1]]], [[[1, 2, 0], [0, 0, 4]]]])
    found = SegmentationPredictions(("cup", "disc"), ("image",), ("a", "b"), ("a", "b"), counts)
    value = DICE.compute(found)
    assert value.per_class == pytest.approx({"cup": (1 + 0.5) / 2, "disc": (0.5 + 0) / 2})
    assert value.value == pytest.approx(0.5)


EVERY_REGION = ("dice", "dice-pooled", "dice-fov", "dice-pooled-fov")


def test_each_region_has_its_own_metric() -> None:
    counts = np.array([[[[1, 1, 1]], [[3, 0, 0]]]])
    found = SegmentationPredictions(("vessel",), ("image", "field-of-view"), ("a",), ("a",), counts)
    values = {name: metrics.get(name).compute(found).value for name in EVERY_REGION}
    assert values == {"dice": 0.5, "dice-pooled": 0.5, "dice-fov": 1.0, "dice-pooled-fov": 1.0}


def test_a_region_that_was_not_counted_is_refused(masks: Build) -> None:
    with pytest.raises(UsageError, match=r"region 'field-of-view', got only \['image'\]. Declare a field"):
        metrics.get("dice-fov").compute(masks((1, 1, 1)))


def test_negative_pixels_are_refused(masks: Build) -> None:
    found = masks((1, 1, 1))
    with pytest.raises(ShapeError, match="counts: expected pixel numbers of at least 0, got -1"):
        DICE.compute(replace(found, counts=-found.counts))


def test_draws_weigh_cases_or_their_pixels(masks: Build) -> None:
    found, weights = masks((90, 10, 10), (1, 10, 8)), np.array([[1, 1], [0, 2], [3, 0], [0, 0]])
    assert DICE.resampled(found, weights) == pytest.approx([0.5, 0.1, 0.9, np.nan], nan_ok=True)
    assert POOLED.resampled(found, weights) == pytest.approx([182 / 220, 0.1, 0.9, np.nan], nan_ok=True)


def test_counts_beyond_32_bits_are_exact(masks: Build) -> None:
    assert POOLED.compute(masks((2**31, 0, 2**32), (2**31, 0, 0))).value == pytest.approx(2 / 3, abs=1e-15)
