"""Content hashes: right after every change, computed once without one, shared between processes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.core.fingerprints import hash_file
from medtransfer.data import content_hashes, file_memory
from medtransfer.data.content_hashes import content_hash_of_file

NEVER = "0" * 64


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as unchanged for long enough to be remembered."""
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 10**10)
    path = tmp_path / "a.bin"
    path.write_bytes(b"first")
    return path


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop what this process remembers, as a new process would."""
    monkeypatch.setattr(content_hashes._digests, "_known", {})


def no_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_hashes, "hash_file", lambda path: NEVER)


def test_an_unchanged_file_is_hashed_once_ever(settled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = hash_file(settled)
    assert content_hash_of_file(settled) == expected
    no_hashing(monkeypatch)
    assert content_hash_of_file(settled) == expected
    forget(monkeypatch)
    assert content_hash_of_file(settled) == expected


@pytest.mark.parametrize("change", ["bytes", "same-size", "same-times", "replaced"])
def test_a_changed_file_is_hashed_again(settled: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    first, status = content_hash_of_file(settled), settled.stat()
    time.sleep(0.02)
    if change == "replaced":
        other = settled.with_name("b.bin")
        other.write_bytes(b"other")
        other.replace(settled)
    else:
        settled.write_bytes(b"longer" if change == "bytes" else b"other")
    if change != "bytes":
        os.utime(settled, ns=(status.st_atime_ns, status.st_mtime_ns))
    forget(monkeypatch)
    assert content_hash_of_file(settled) == hash_file(settled) != first


def test_a_file_changed_just_now_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for content in (b"one", b"two", b"six"):
        path.write_bytes(content)
        assert content_hash_of_file(path) == hash_file(path)
    assert content_hashes._digests._folder(path.parent.resolve()) == {}


def test_inodes_of_64_bits_fit(settled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_memory, "_stamp", lambda path: (5, 1, 2, 2**64 - 3))
    expected = content_hash_of_file(settled)
    no_hashing(monkeypatch)
    forget(monkeypatch)
    assert content_hash_of_file(settled) == expected


def test_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadImageError):
            content_hash_of_file(path)


def test_a_file_that_changes_while_it_is_read_is_refused(
    settled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hash_and_change(path: Path) -> str:
        path.write_bytes(b"changed while read")
        return NEVER

    monkeypatch.setattr(content_hashes, "hash_file", hash_and_change)
    with pytest.raises(BadImageError, match="changed while"):
        content_hash_of_file(settled)


def test_a_broken_database_says_what_to_delete(own_cache: Path, settled: Path) -> None:
    place = own_cache / "file-memory" / "facts.sqlite"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"no database" * 100)
    with pytest.raises(DataError, match=r"facts\.sqlite.*Delete that file"):
        content_hash_of_file(settled)


def test_processes_share_one_database(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.bin" for number in range(60)]
    for number, path in enumerate(files):
        path.write_bytes(bytes([number]))
        os.utime(path, (1, 1))
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from medtransfer.data import content_hashes, file_memory\n"
        "file_memory._SETTLED_NS = -10**18\n"
        "for name in sys.argv[1:]:\n"
        "    content_hashes.content_hash_of_file(Path(name))\n"
    )
    command = [sys.executable, "-c", script, *map(str, files)]
    workers = [subprocess.Popen(command) for _ in range(2)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0]
    known = content_hashes._digests._folder(tmp_path.resolve())
    assert {name: digest for name, (_, digest) in known.items()} == {
        path.name: hash_file(path) for path in files
    }


def facts_in(cache: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(cache / "file-memory" / "facts.sqlite")) as connection:
        return connection.execute("SELECT name, value FROM facts ORDER BY name").fetchall()


@pytest.fixture
def two_settled(settled: Path) -> list[Path]:
    other = settled.with_name("b.bin")
    other.write_bytes(b"second")
    return [settled, other]


def test_facts_of_a_block_are_written_together(
    own_cache: Path, two_settled: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    write = file_memory._write
    monkeypatch.setattr(file_memory, "_write", lambda rows: (writes.append(len(rows)), write(rows)))
    with file_memory.written_together():
        digests = [content_hash_of_file(path) for path in two_settled]
        assert writes == []
    assert writes == [2]
    assert facts_in(own_cache) == [("a.bin", digests[0]), ("b.bin", digests[1])]
    two_settled[0].write_bytes(b"changed")
    content_hash_of_file(two_settled[0])
    assert writes == [2, 1], "outside of the block a fact is written at once"


def test_facts_found_before_a_fault_are_kept(own_cache: Path, two_settled: list[Path]) -> None:
    paths = [two_settled[0], two_settled[0].with_name("none")]
    with pytest.raises(BadImageError), file_memory.written_together():
        list(map(content_hash_of_file, paths))
    assert [name for name, _ in facts_in(own_cache)] == ["a.bin"]


@pytest.mark.parametrize("bound", ["_MOST_WAITING", "_LONGEST_WAIT_S"])
def test_few_facts_wait_and_not_for_long(
    own_cache: Path, two_settled: list[Path], monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(file_memory, bound, 0)
    with file_memory.written_together():
        content_hash_of_file(two_settled[0])
        assert [name for name, _ in facts_in(own_cache)] == ["a.bin"]
