"""Which device a worker takes: all of them evenly, and one again as soon as its worker has gone."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from medtransfer.core.errors import UsageError
from medtransfer.training import device_choice
from medtransfer.training.device_choice import claim_device, parse_devices, require_device

HOLD = """
import sys
from medtransfer.training import device_choice
device_choice.require_device = lambda name: None
print(device_choice.claim_device(sys.argv[1], 0), flush=True)
sys.stdin.read()
"""


class Holder:
    """A process that holds a device until it is told to end."""

    def __init__(self, text: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.device = self.process.stdout.readline().strip()

    def end(self, *, kill: bool = False) -> None:
        if kill:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    held: dict = {}
    monkeypatch.setattr(device_choice, "_HELD", held)
    yield
    for _, lock in held.values():
        if lock is not None:
            lock.release()


@pytest.mark.parametrize(
    "text", ["", "cuda:0,", "cuda:0,cuda:0", "cpu,cuda:0", "cuda,cuda:1", "cuda:x,cuda:1"]
)
def test_lists_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected one name such as 'cpu' or 'cuda'"):
        parse_devices(text)


@pytest.mark.parametrize("name", ["cuda:9999", "nonsense"])
def test_a_device_this_machine_lacks_is_refused(name: str) -> None:
    with pytest.raises(
        UsageError, match=f"device '{name}': expected one this machine has, such as 'cpu', got: "
    ):
        require_device(name)


def test_one_device_is_taken_by_everybody(forgotten: None) -> None:
    assert claim_device("cpu", 4) == "cpu"


def test_workers_spread_and_a_dead_one_s_place_is_taken_again(runtime_folder: Path) -> None:
    devices = "cuda:0,cuda:1"
    holders = [Holder(devices) for _ in range(3)]
    try:
        assert [holder.device for holder in holders] == ["cuda:0", "cuda:1", "cuda:0"]
        holders[1].end(kill=True)
        holders.append(Holder(devices))
        assert holders[-1].device == "cuda:1"
        holders.append(Holder(devices))
        assert Counter(holder.device for holder in holders[2:]) == {"cuda:0": 1, "cuda:1": 2}
    finally:
        for holder in holders:
            if holder.process.poll() is None:
                holder.end()


def test_a_process_keeps_its_device_and_gets_its_part_of_the_memory(
    runtime_folder: Path, forgotten: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[tuple[str, int]] = []
    monkeypatch.setattr(device_choice, "require_device", lambda name: None)
    monkeypatch.setattr(device_choice, "_limit_memory", lambda name, workers: limits.append((name, workers)))
    assert [claim_device("cuda:0,cuda:1", 5) for _ in range(3)] == ["cuda:0"] * 3
    assert limits == [("cuda:0", 3)]


def test_memory_is_limited_only_where_it_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    from medtransfer.training import device_memory

    limits: list[float] = []
    monkeypatch.setattr(device_memory, "limit_use", lambda place, share: limits.append(share))
    for name, workers in (("cpu", 8), ("cuda:0", 0), ("cuda:0", 1), ("cuda", 4)):
        device_choice._limit_memory(name, workers)
    assert limits == [device_choice.SHARED_PART / 4]
