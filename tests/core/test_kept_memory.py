"""Kept memory: large blocks are handed out again without the system's help, and returned at the end.

What the C library has in store depends on all a process did before, so every scenario has a process of its own.
"""

from __future__ import annotations

import ctypes
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from medtransfer.core import kept_memory as module
from medtransfer.core.kept_memory import kept_memory

LARGE = 64 << 20
PAGES = LARGE // resource.getpagesize()
ROUNDS = 4

gnu = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not GNU's")


def page_faults(work: Callable[[], None]) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(ROUNDS):
        work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])


def use_a_large_block() -> None:
    library = ctypes.CDLL(None)
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    library.free.argtypes = (ctypes.c_void_p,)
    block = library.malloc(LARGE)
    ctypes.memset(block, 1, LARGE)
    library.free(block)


def pages_are_asked_for_once_inside_and_every_time_outside() -> None:
    with kept_memory():
        use_a_large_block()
        assert page_faults(use_a_large_block) < PAGES // 4
    assert page_faults(use_a_large_block) > ROUNDS * PAGES // 2


def an_error_ends_the_block_too() -> None:
    with suppress(ZeroDivisionError), kept_memory():
        raise ZeroDivisionError
    assert page_faults(use_a_large_block) > ROUNDS * PAGES // 2


def a_block_inside_another_ends_nothing() -> None:
    with kept_memory():
        with kept_memory():
            use_a_large_block()
        assert page_faults(use_a_large_block) < PAGES // 4
    assert page_faults(use_a_large_block) > ROUNDS * PAGES // 2


def what_was_kept_goes_back_to_the_system() -> None:
    with kept_memory():
        before = resident()
        use_a_large_block()
        assert resident() - before > PAGES // 2
    assert resident() - before < PAGES // 4


@gnu
@pytest.mark.parametrize(
    "scenario",
    [
        pages_are_asked_for_once_inside_and_every_time_outside,
        an_error_ends_the_block_too,
        a_block_inside_another_ends_nothing,
        what_was_kept_goes_back_to_the_system,
    ],
)
def test_in_a_process_of_its_own(scenario: Callable[[], None]) -> None:
    ended = subprocess.run(
        [sys.executable, __file__, scenario.__name__], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    module._gnu_library.cache_clear()
    monkeypatch.setattr(module.platform, "libc_ver", lambda: ("musl", "1.2"))
    monkeypatch.setattr(module.ctypes, "CDLL", lambda _: pytest.fail("asked for the library"))
    try:
        with kept_memory():
            pass
    finally:
        module._gnu_library.cache_clear()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
