"""The bar of mixed precision: both number formats learn the same, and a machine without the units says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import mixed_precision
from benchmarks.contest import Contest, NotMeasured
from benchmarks.mixed_precision import FP32, MIXED, MixedWork


def test_an_epoch_in_either_format_learns_the_same() -> None:
    contest = mixed_precision.mixed_contest(MixedWork("resnet20.random", 32, 1.0), cases=8)
    results = {arm.label: arm.work() for arm in contest.arms}
    assert contest.verify(results).equal
    assert results[FP32] != results[MIXED]
    assert not contest.verify({FP32: results[FP32], MIXED: results[MIXED] * 1.05}).equal


@pytest.mark.parametrize("there", [True, False])
def test_a_cpu_without_the_units_is_not_measured(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixed_precision, "has_bf16_units", lambda: there)
    found = list(mixed_precision.contests(tmp_path, quick=True))
    assert [type(contest) for contest in found] == [Contest if there else NotMeasured] * 4
    assert [contest.name for contest in found][-1] == "U-Net on mobilenetv1@128"
