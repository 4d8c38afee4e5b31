"""Memory of this process and of the machine."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from medtransfer.execution import memory

MIB = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="the peak can be forgotten on Linux only")
def test_the_peak_shows_what_is_gone_until_it_is_forgotten() -> None:
    memory.give_memory_back()
    memory.forget_peak()
    before = memory.peak_bytes()
    block = np.ones(200 * MIB, dtype=np.uint8)
    assert memory.resident_bytes() >= block.nbytes
    del block
    high = memory.peak_bytes()
    assert high - before > 150 * MIB
    memory.give_memory_back()
    memory.forget_peak()
    assert memory.peak_bytes() < high - 150 * MIB


def test_without_the_systems_own_files_the_peak_is_that_since_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "absent")
    monkeypatch.setattr(memory, "_RESET", tmp_path / "absent" / "too")
    memory.forget_peak()
    assert memory.peak_bytes() >= memory.resident_bytes() // 2


def test_a_container_has_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, unlimited = tmp_path / "limit", tmp_path / "unlimited"
    limit.write_text("123456\n")
    unlimited.write_text("max\n")
    total = psutil.virtual_memory().total
    monkeypatch.setattr(memory, "_LIMITS", (unlimited, tmp_path / "absent"))
    assert memory.machine_bytes() == total
    monkeypatch.setattr(memory, "_LIMITS", (unlimited, limit))
    assert memory.machine_bytes() == 123456
