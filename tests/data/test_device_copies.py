"""Copies to and from a device, as far as they can be seen without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from medtransfer.data.device_copies import BATCHES_BEHIND, DeviceCopies, read_later

CPU = torch.device("cpu")
ELSEWHERE = torch.device("xpu")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64, np.bool_])
def test_values_arrive_in_their_own_type(dtype: type) -> None:
    values = np.arange(12).reshape(3, 4).astype(dtype)
    for given in (values, values[:, ::-1], torch.from_numpy(values)):
        found = DeviceCopies(CPU).put(given)
        np.testing.assert_array_equal(found.numpy(), np.asarray(given))
        assert found.numpy().dtype == dtype


def test_the_memory_format_survives() -> None:
    values = torch.zeros(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    assert DeviceCopies(CPU).put(values).is_contiguous(memory_format=torch.channels_last)


def test_rows_are_gathered_from_a_file_that_may_only_be_read(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", values)
    source, rows = np.load(tmp_path / "images.npy", mmap_mode="r"), np.array([7, 2, 2, 0])
    found = DeviceCopies(CPU).take(source, rows)
    np.testing.assert_array_equal(found.numpy(), values[rows])
    found += 1
    np.testing.assert_array_equal(source, values)


def noted(seen: list[int], count: int = 6) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    for number in range(count):
        seen.append(number)
        yield number, (torch.full((2,), number), torch.tensor(-number))


def test_results_come_in_order_and_late_from_a_device() -> None:
    seen: list[int] = []
    for number, (found, negative) in read_later(noted(seen), ELSEWHERE):
        assert len(seen) == min(number + BATCHES_BEHIND + 1, 6)
        assert found.tolist() == [number, number]
        assert int(negative) == -number
    assert seen == list(range(6))


def test_results_come_at_once_on_the_cpu() -> None:
    seen: list[int] = []
    for number, _ in read_later(noted(seen), CPU):
        assert seen[-1] == number


def test_nothing_is_nothing_anywhere() -> None:
    for place in (CPU, ELSEWHERE):
        assert list(read_later(noted([], 0), place)) == []
