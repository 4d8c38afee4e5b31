"""The bar of mixed precision: both number formats learn the same, and a machine without bf16 says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import mixed_precision
from benchmarks.contest import Contest, Goal, NotMeasured
from benchmarks.mixed_precision import FP32, MIXED, MixedWork


def test_an_epoch_in_either_format_learns_the_same() -> None:
    contest = mixed_precision.mixed_contest(MixedWork("resnet20.random", 32, 1.0, 1.0), Goal(1.0), cases=8)
    results = {arm.label: arm.work() for arm in contest.arms}
    assert contest.verify(results).equal
    assert results[FP32] != results[MIXED]
    assert not contest.verify({FP32: results[FP32], MIXED: results[MIXED] * 1.05}).equal


@pytest.mark.parametrize(
    ("capabilities", "can"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, "matrix"),
        ({"amx_bf16": False, "avx512_bf16": True}, "vector"),
        ({"avx512_f": True}, None),
    ],
)
def test_goals_follow_what_the_cpu_multiplies_bf16_with(
    capabilities: dict[str, bool], can: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert mixed_precision.bf16_instructions() == can
    found = list(mixed_precision.contests(tmp_path, quick=True))
    assert [type(contest) for contest in found] == [Contest if can else NotMeasured] * 4
    assert found[-1].name == "U-Net on mobilenetv1@128"
    assert found[-1].goal.value == (1.5 if can == "matrix" else 1.2)
