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
    assert memory.forget_peak() is True
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
    assert memory.forget_peak() is False
    assert memory.peak_bytes() >= memory.resident_bytes() // 2


def test_a_system_that_takes_the_reset_but_notes_no_peak_cannot_forget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "status").write_text("Name:\tpython\nVmRSS:\t 1000 kB\n")
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "_RESET", tmp_path / "reset")
    assert memory.forget_peak() is False
    assert (tmp_path / "reset").read_text() == "5"
    assert memory.peak_bytes() >= memory.resident_bytes() // 2


@pytest.mark.skipif(sys.platform != "linux", reason="the files of mappings are told on Linux only")
def test_pages_of_files_are_told_apart_by_their_folder(tmp_path: Path) -> None:
    folder, other = tmp_path / "a cache", tmp_path / "a cache, another"
    maps = []
    for place, mib in ((folder, 64), (other, 32)):
        place.mkdir()
        np.save(place / "x y.npy", np.ones(mib * MIB, dtype=np.uint8))
        before = memory.file_bytes()
        maps.append(np.load(place / "x y.npy", mmap_mode="r"))
        assert int(maps[-1].sum()) == mib * MIB
        assert memory.file_bytes() - before == pytest.approx(mib * MIB, abs=4 * MIB)
    found = [memory.mapped_bytes(place) for place in (folder, other, tmp_path, tmp_path / "absent")]
    assert found == pytest.approx([64 * MIB, 32 * MIB, 96 * MIB, 0], abs=MIB)
    maps.clear()
    assert memory.mapped_bytes(tmp_path) == 0


def test_where_the_system_tells_nothing_of_files_they_hold_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_STATM", tmp_path / "absent")
    monkeypatch.setattr(memory, "_SMAPS", tmp_path / "absent")
    assert (memory.file_bytes(), memory.mapped_bytes(tmp_path)) == (0, 0)


def test_a_container_has_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, unlimited = tmp_path / "limit", tmp_path / "unlimited"
    limit.write_text("123456\n")
    unlimited.write_text("max\n")
    total = psutil.virtual_memory().total
    monkeypatch.setattr(memory, "_LIMITS", (unlimited, tmp_path / "absent"))
    assert memory.machine_bytes() == total
    monkeypatch.setattr(memory, "_LIMITS", (unlimited, limit))
    assert memory.machine_bytes() == 123456
