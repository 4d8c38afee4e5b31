"""What a piece of work takes, whatever came before it, and without the large files that processes share."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from medtransfer.execution import memory, memory_watch
from medtransfer.execution.memory_watch import MemoryWatch

MIB = 1 << 20
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the peak can be forgotten on Linux only")


def most(watch: MemoryWatch) -> int:
    found = watch.most_bytes()
    assert found is not None
    return found


def take(mib: int) -> None:
    """Hold so much memory for a moment."""
    memory.give_memory_back()
    assert int(np.ones(mib * MIB, dtype=np.uint8).sum()) == mib * MIB


def mapped(folder: Path, mib: int) -> npt.NDArray[np.uint8]:
    """Return the bytes of a file of zeros, mapped and looked at."""
    folder.mkdir(exist_ok=True)
    with (folder / "images").open("wb") as stream:
        stream.truncate(mib * MIB)
    found: npt.NDArray[np.uint8] = np.memmap(folder / "images", dtype=np.uint8, mode="r")
    assert int(found.sum()) == 0
    return found


@linux_only
def test_each_piece_of_work_has_its_own_peak(tmp_path: Path) -> None:
    watch = MemoryWatch(tmp_path)
    peaks = []
    for mib in (300, 0, 100):
        watch.begin()
        take(mib)
        peaks.append(most(watch))
    assert peaks[0] - peaks[1] == pytest.approx(300 * MIB, rel=0.1)
    assert peaks[2] - peaks[1] == pytest.approx(100 * MIB, rel=0.1)


@linux_only
def test_what_earlier_work_left_behind_counts(tmp_path: Path) -> None:
    watch = MemoryWatch(tmp_path)
    watch.begin()
    before = most(watch)
    kept = np.ones(200 * MIB, dtype=np.uint8)
    watch.begin()
    assert most(watch) - before == pytest.approx(kept.nbytes, rel=0.1)


@linux_only
@pytest.mark.parametrize("closed_before_the_end", [False, True])
def test_large_files_that_are_shared_do_not_count(tmp_path: Path, closed_before_the_end: bool) -> None:
    watch = MemoryWatch(tmp_path / "cache")
    watch.begin()
    take(50)
    alone = most(watch)
    for _ in range(2):  # of a job too whose earlier trial has mapped them
        watch.begin()
        images = [mapped(tmp_path / "cache", 400)]
        take(50)
        watch("embedding", 1, 1)
        if closed_before_the_end:
            images.clear()
        assert memory.peak_bytes() > alone + 350 * MIB
        assert most(watch) == pytest.approx(alone, abs=20 * MIB)


@linux_only
def test_other_files_count_and_few_pages_are_not_worth_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []
    real = memory_watch.mapped_bytes
    monkeypatch.setattr(memory_watch, "mapped_bytes", lambda folder: looks.append(folder) or real(folder))
    watch = MemoryWatch(tmp_path / "cache")
    few = mapped(tmp_path / "cache", 16)
    watch.begin()
    before = most(watch)
    assert looks == []
    library = mapped(tmp_path / "libraries", 160)
    watch.begin()
    assert most(watch) - before == pytest.approx(library.nbytes, abs=20 * MIB)
    watch.begin()
    most(watch)
    assert looks == [tmp_path / "cache"], "what is known not to be shared is not looked at again"
    del few


def test_where_the_system_cannot_forget_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = MemoryWatch(tmp_path)
    assert watch.most_bytes() is None, "before it has begun"
    monkeypatch.setattr(memory, "_RESET", tmp_path / "absent" / "reset")
    watch.begin()
    assert watch.most_bytes() is None
