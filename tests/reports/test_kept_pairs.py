"""Kept comparisons: equal to those they were made from, without an object per pair."""

from __future__ import annotations

import gc
import json
from dataclasses import asdict, replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from medtransfer.reports.kept_pairs import PairsKeeper
from medtransfer.reports.pairs import RowPairs, pairs_over_patients, pairs_over_runs
from medtransfer.reports.row_predictions import BinaryScores
from medtransfer.stats.comparison_record import Comparison


class _Task:
    """What comparisons ask a task for."""

    equivalence_margin = 0.02

    class primary:  # noqa: N801
        higher_is_better = True


def _over_runs(models: int = 6) -> RowPairs:
    draw = np.random.default_rng(3)
    scores: dict[str, Any] = {f"m{each}": list(draw.normal(0.7, 0.02, 4)) for each in range(models)}
    return pairs_over_runs(_Task(), scores | {"one run": [0.5], "none": [], "still": [0.6, 0.6]})  # type: ignore[arg-type]


def _over_patients() -> RowPairs:
    draw = np.random.default_rng(4)
    labels = np.repeat([0, 1], 20)
    scores = {name: draw.random(40) for name in "abc"}
    draws = {name: draw.normal(0.1, 0.2, 500) for name in "abc"}
    points = {"a": 0.1, "b": 0.1, "c": None}
    return pairs_over_patients(
        _Task(),  # type: ignore[arg-type]
        points,
        draws,
        patients=40,
        binary=BinaryScores(labels, scores),
    )


def _told(pairs: RowPairs) -> Any:
    """Return all of it, in which 0.0 and -0.0 differ."""
    pairwise = pairs.pairwise
    plain = {
        "comparisons": [(*pair, asdict(found)) for pair, found in pairwise.comparisons.items()],
        "outperforms": [(*pair, found) for pair, found in pairwise.outperforms.items()],
        "equivalences": [(*pair, asdict(found)) for pair, found in pairs.equivalences.items()],
        "adjusted": [(*pair, found) for pair, found in pairs.adjusted.items()],
        "delong": [(*pair, asdict(found)) for pair, found in (pairs.delong or {}).items()],
        "rank sets": dict(pairs.rank_sets),
    }
    return json.dumps(plain)


@pytest.mark.parametrize("make", [_over_runs, _over_patients])
def test_kept_comparisons_say_what_they_were_made_from(make: Any) -> None:
    pairs = make()
    kept = PairsKeeper().keep(pairs)
    assert kept is not None
    assert _told(kept) == _told(pairs)
    assert len(kept.pairwise.comparisons) == len(pairs.pairwise.comparisons) > 1
    assert ("m0", "nobody") not in kept.pairwise.comparisons
    assert kept.pairwise.comparisons.get(("m0", "nobody")) is None
    with pytest.raises(KeyError):
        kept.adjusted["m0", "nobody"]


def test_both_zeros_and_nulls_of_a_column_stay_what_they_are() -> None:
    pairs = _over_runs(3)
    adjusted: dict[Any, Any] = {("a", "b"): 0.0, ("a", "c"): -0.0, ("b", "c"): None, ("b", "d"): 1}
    kept = PairsKeeper().keep(replace(pairs, adjusted=adjusted))
    assert kept is not None
    assert [repr(value) for value in kept.adjusted.values()] == ["0.0", "-0.0", "None", "1"]


def test_a_reading_holds_no_object_per_pair(synthetic: ModuleType, wide: ModuleType) -> None:
    from medtransfer.reports.study_reading import read_study

    gc.collect()
    before = sum(type(each) is Comparison for each in gc.get_objects())
    reading = read_study(wide.wide_study(synthetic, tasks=3).evidence())
    gc.collect()
    held = sum(type(each) is Comparison for each in gc.get_objects()) - before
    rows = [row for panel in reading.panels for row in panel.rows if row.pairs is not None]
    against_the_best = sum(len(row.cells) for row in rows)
    assert sum(len(row.pairs.pairwise.comparisons) for row in rows) > against_the_best
    assert held <= against_the_best  # those of the tie groups


def test_nothing_is_kept_of_no_comparison() -> None:
    assert PairsKeeper().keep(None) is None
