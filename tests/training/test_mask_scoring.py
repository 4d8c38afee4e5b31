"""Pixel counts in the masks' own resolution, against scikit-learn and by hand."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.metrics import multilabel_confusion_matrix

from medtransfer.core.errors import DataError
from medtransfer.training.mask_scoring import count_pixels, label_map, read_truth, score_masks


def test_counts_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth, predicted = random.integers(0, 4, (2, 13, 17), dtype=np.uint8)
    view = random.random((13, 17)) < 0.6
    found = count_pixels(predicted, truth, view, [[1], [2], [3]])
    for region, inside in enumerate((np.ones_like(view), view)):
        matrices = multilabel_confusion_matrix(truth[inside], predicted[inside], labels=[1, 2, 3])
        expected = [(m[1, 1], m[0, 1], m[1, 0]) for m in matrices]
        np.testing.assert_array_equal(found[region], expected)
    np.testing.assert_array_equal(count_pixels(predicted, truth, None, [[1], [2], [3]]), found[:1])


def test_threshold_and_arg_max() -> None:
    assert label_map(torch.tensor([[[0.5, 0.51]]])).tolist() == [[0, 1]]
    shares = torch.tensor([[0.4, 0.1], [0.35, 0.3], [0.25, 0.6]]).view(3, 1, 2)
    assert label_map(shares).tolist() == [[0, 2]]


def test_a_coarse_prediction_is_scored_at_the_size_of_the_mask(drawn: ModuleType) -> None:
    cases = drawn.drawn_masks(5)
    cases.source.arrays["m0"] = np.kron(np.eye(2), np.ones((40, 60))).astype(np.uint8)
    left_half = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    found = score_masks(cases, np.array([0]), iter([(0, left_half)]))
    assert found.regions == ("image",)
    assert found.counts.tolist() == [[[[2400, 2400, 2400]]]]
    assert (found.case_ids, found.patient_ids) == (("c0",), ("p0",))


def test_probabilities_are_enlarged_before_the_threshold(drawn: ModuleType) -> None:
    cases = drawn.drawn_masks(5)
    cases.source.arrays["m0"] = np.ones((1, 8), dtype=np.uint8)
    found = score_masks(cases, np.array([0]), iter([(0, torch.tensor([[[0.9, 0.4]]]))]))
    interpolated = np.interp((np.arange(8) + 0.5) / 4 - 0.5, [0, 1], [0.9, 0.4])
    assert found.counts[0, 0, 0, 0] == (interpolated > 0.5).sum() == 5


def test_field_of_view_is_a_region_of_its_own(drawn: ModuleType) -> None:
    cases = drawn.drawn_masks(4, view=True)
    everything = torch.ones(1, 44, 60)
    found = score_masks(cases, np.array([2, 3]), iter([(2, everything), (3, everything)]))
    assert found.regions == ("image", "field-of-view")
    for n, row in enumerate((2, 3)):
        mask, view = cases.source.arrays[f"m{row}"] > 0, cases.source.arrays[f"v{row}"] > 0
        assert found.counts[n, 0, 0].tolist() == [mask.sum(), (~mask).sum(), 0]
        assert found.counts[n, 1, 0].tolist() == [(mask & view).sum(), (~mask & view).sum(), 0]


def test_one_case_is_read_at_a_time(drawn: ModuleType) -> None:
    cases = drawn.drawn_masks(3)
    read_before: list[int] = []

    def shares() -> object:
        for row in range(3):
            read_before.append(len(cases.source.read))
            yield row, torch.zeros(1, 4, 4)

    score_masks(cases, np.arange(3), shares())
    assert read_before == [0, 1, 2]


def test_a_mask_of_several_files_is_their_union(drawn: ModuleType) -> None:
    cases = drawn.drawn_masks(2)
    cases.frame.at[0, "mask"] = ("m0", "m1")
    expected = np.maximum(cases.source.arrays["m0"], cases.source.arrays["m1"])
    np.testing.assert_array_equal(read_truth(cases, 0), expected)


def test_masks_that_do_not_fit_are_refused(drawn: ModuleType) -> None:
    cases = drawn.drawn_masks(3, view=True)
    cases.source.arrays["v0"] = np.ones((3, 3), dtype=np.uint8)
    cases.source.arrays["m1"] = np.full((44, 60), 2, dtype=np.uint8)
    cases.frame.at[2, "field_of_view"] = None
    everything = torch.ones(1, 44, 60)
    for row, message in (
        (0, "'c0': expected a field of view of the mask's size"),
        (1, "values up to 1"),
        (2, "'c2'"),
    ):
        with pytest.raises(DataError, match=message):
            score_masks(cases, np.array([row]), iter([(row, everything)]))
    cases.frame.at[0, "mask"] = ("m0", "v0")
    with pytest.raises(DataError, match="parts of the mask of one size"):
        read_truth(cases, 0)


def test_unions_of_classes_are_counted_as_one_structure() -> None:
    draw = np.random.default_rng(6)
    predicted, truth = draw.integers(0, 4, (2, 9, 11)).astype(np.uint8)
    unions = [[3], [1, 3], [1, 2, 3]]
    expected = [
        [
            np.sum(np.isin(predicted, ids) & np.isin(truth, ids)),
            np.sum(np.isin(predicted, ids) & ~np.isin(truth, ids)),
            np.sum(~np.isin(predicted, ids) & np.isin(truth, ids)),
        ]
        for ids in unions
    ]
    np.testing.assert_array_equal(count_pixels(predicted, truth, None, unions), [expected])
