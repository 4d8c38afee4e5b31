"""Arrays under a key: several at once, uses noted, the least recently used removed, nothing half-written used."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import numpy as np
import pytest

from medtransfer.core.errors import UsageError
from medtransfer.features.array_files import (
    LIMIT_VARIABLE,
    folder_limit_bytes,
    open_arrays,
    remove_least_recently_used,
)

KILOBYTE = 1000


def make(kilobytes: int = 10, value: float = 0.0) -> dict[str, np.ndarray]:
    return {"values": np.full(kilobytes * KILOBYTE // 8, value)}


def used_at(folder: Path, key: str, moment: float) -> None:
    os.utime(folder / f"{key}.json", (moment, moment))


def filled(folder: Path, keys: str) -> None:
    for moment, key in enumerate(keys):
        open_arrays(folder, key, make)
        used_at(folder, key, moment)


def test_arrays_of_one_key_are_made_and_verified_together(tmp_path: Path) -> None:
    made = {"energies": np.arange(3.0), "directions": np.eye(3, dtype=np.float32)}
    open_arrays(tmp_path, "k", lambda: made)
    found = open_arrays(tmp_path, "k", lambda: pytest.fail("made again"))
    assert {name: values.dtype for name, values in found.items()} == {"energies": "f8", "directions": "f4"}
    (tmp_path / "k.energies.npy").unlink()
    again = open_arrays(tmp_path, "k", lambda: made)
    np.testing.assert_array_equal(again["energies"], made["energies"])


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    filled(tmp_path, "abc")
    open_arrays(tmp_path, "a", make)
    assert remove_least_recently_used(tmp_path, 25 * KILOBYTE, keep="") == ["b"]
    assert {path.name for path in tmp_path.glob("*.npy")} == {"a.values.npy", "c.values.npy"}
    open_arrays(tmp_path, "b", lambda: make(value=1.0))


def test_a_new_entry_takes_the_folder_to_its_limit_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, "ab")
    monkeypatch.setenv(LIMIT_VARIABLE, "0.000005")
    found = open_arrays(tmp_path, "new", make)
    assert {path.stem for path in tmp_path.glob("*.json")} == {"new"}
    assert (found["values"] == 0).all()


def test_what_somebody_is_writing_stays(tmp_path: Path) -> None:
    filled(tmp_path, "ab")
    with filelock.FileLock(tmp_path / "a.lock", thread_local=False):
        removed: list[str] = []
        other = threading.Thread(
            target=lambda: removed.extend(remove_least_recently_used(tmp_path, 0, keep=""))
        )
        other.start()
        other.join()
    assert removed == ["b"]
    assert (tmp_path / "a.values.npy").exists()


def test_a_process_that_has_mapped_an_entry_keeps_its_numbers(tmp_path: Path) -> None:
    held = open_arrays(tmp_path, "a", lambda: make(value=7.0))["values"]
    assert remove_least_recently_used(tmp_path, 0, keep="") == ["a"]
    assert (held == 7).all()


def test_files_of_earlier_versions_are_made_again_and_removed_with_their_key(tmp_path: Path) -> None:
    (tmp_path / "k.npy").write_bytes(b"x" * 50)
    (tmp_path / "k.json").write_text('{"key": "k", "size": 50, "sha256": "0"}')
    assert (open_arrays(tmp_path, "k", make)["values"] == 0).all()
    remove_least_recently_used(tmp_path, 0, keep="")
    assert not list(tmp_path.glob("*.npy"))


@pytest.mark.parametrize("given", ["a lot", "0", "-3", "inf", "nan"])
def test_a_limit_that_is_no_number_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, given)
    with pytest.raises(UsageError, match=f"{LIMIT_VARIABLE}: expected a number of gigabytes above 0"):
        folder_limit_bytes()


def test_the_limit_is_in_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "1.5")
    assert folder_limit_bytes() == 1_500_000_000


PROCESS = """
import sys, time
from pathlib import Path
import numpy as np
from medtransfer.features.array_files import open_arrays

folder, name = Path(sys.argv[1]), sys.argv[2]
(folder / f"ready-{name}").touch()
while len(list(folder.glob("ready-*"))) < 2:
    time.sleep(0.001)

def make():
    with (folder / "made").open("a") as log:
        log.write(name)
    return {"values": np.arange(200_000.0)}

print(open_arrays(folder / "arrays", "k", make)["values"].sum())
"""


def test_processes_that_need_the_same_arrays_at_once_make_them_once(tmp_path: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", PROCESS, tmp_path, name], stdout=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    said = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert [float(line) for line in said] == [np.arange(200_000.0).sum()] * 2
    assert (tmp_path / "made").read_text() in {"a", "b"}
