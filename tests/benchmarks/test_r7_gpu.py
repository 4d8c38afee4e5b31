"""The GPU bar without a GPU: it says so, and its arms do the work they count."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks import command_line, r7_gpu
from benchmarks.r7_gpu import GpuWork, operations_per_case, share_contest, training_contest
from benchmarks.side_by_side import measure

CPU = torch.device("cpu")
SMALL = GpuWork("resnet20.random", 32, 4, 8, epochs=1)


def test_without_a_gpu_every_goal_is_shown_and_nothing_is_missed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command_line.main(["r7"]) == 0
    rows = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()[2:5]]
    assert [(row[2], row[5], row[6]) for row in rows] == [
        ("resnet18@128 training, bf16", "≥ 0.95", "no CUDA device: not measured"),
        ("resnet50@224 training, bf16", "≥ 0.95", "no CUDA device: not measured"),
        ("resnet50@224 training, share of the bf16 peak", "≥ 0.25", "no CUDA device: not measured"),
    ]


def test_contests_bear_the_names_they_are_announced_by() -> None:
    assert training_contest(SMALL, CPU).name == r7_gpu.rate_name(SMALL)
    assert share_contest(SMALL, CPU, products=1, side=16).name == r7_gpu.share_name(SMALL)


def test_both_sides_train_on_the_same_number_of_cases() -> None:
    contest = training_contest(SMALL, CPU)
    results = {arm.label: arm.work() for arm in contest.arms}
    assert results == {r7_gpu.IN_MEMORY: 8, r7_gpu.OURS: 8}
    assert contest.verify(results).equal
    assert not contest.verify(results | {r7_gpu.OURS: 7}).equal


def test_the_share_counts_operations_and_seconds_of_the_device() -> None:
    contest = share_contest(SMALL, CPU, products=3, side=16)
    operations = operations_per_case(SMALL, CPU)
    assert contest.numerator.units == 3 * 2 * 16**3
    assert contest.denominator.units == 8 * operations
    seconds = {contest.numerator.work: 2.0, contest.denominator.work: 5.0}
    scripted = measure(
        "R7", replace(contest, clock=lambda work: (seconds[work], work())), 1, speed=lambda: 1.0
    )
    expected = (2.0 / contest.numerator.units) / (5.0 / contest.denominator.units)
    assert scripted.ratio.median == pytest.approx(expected)


def test_operations_of_resnet_are_three_times_those_of_its_forward_pass() -> None:
    # ResNet-20 at 32 pixels is known for 41 million multiplications with additions, for three channels.
    assert operations_per_case(SMALL, CPU) == pytest.approx(2 * 41e6 * 3, rel=0.05)


def test_datasheets_are_found_by_name() -> None:
    names = ("NVIDIA H100 PCIe", "NVIDIA H100 80GB HBM3", "NVIDIA H200", "A100-SXM4-40GB", "T4")
    assert [r7_gpu._datasheet(name) for name in names] == [756, 989, 989, 312, None]
