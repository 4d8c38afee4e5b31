"""Kept memory: large blocks are handed out again without the system's help, and returned at the end.

What the C library has in store depends on all a process did before, so every scenario has a process of its own.
"""

from __future__ import annotations

import ctypes
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from medtransfer.core import kept_memory as module
from medtransfer.core.kept_memory import kept_memory

LARGE = 64 << 20
PAGES = LARGE // resource.getpagesize()
ROUNDS = 4
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

gnu = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not GNU's")


def page_faults(work: Callable[[], None]) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(ROUNDS):
        work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])


def addresses() -> int:
    return psutil.Process().memory_info().vms


def huge() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("AnonHugePages:"))


def machine() -> int:
    return psutil.virtual_memory().total


def library_calls() -> Any:
    library = ctypes.CDLL(None)
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    library.free.argtypes = (ctypes.c_void_p,)
    return library


def use_a_large_block() -> None:
    library = library_calls()
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


def an_error_while_huge_pages_are_asked_for_ends_it_too() -> None:
    module._ask_for_huge_pages = lambda _: 1 // 0
    with suppress(ZeroDivisionError), kept_memory():
        raise AssertionError("the block was entered")
    assert not module._open_blocks
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


def large_blocks_lie_in_huge_pages() -> None:
    with kept_memory():
        use_a_large_block()
        assert huge() > LARGE // 2


def beyond_two_gigabytes_too() -> None:
    # Whatever the C library counts in a signed number of 32 bits, it must not give this back meanwhile.
    with kept_memory():
        block = library_calls().malloc(3 << 30)
        library_calls().free(block)
        use_a_large_block()
        assert huge() > LARGE // 2
        assert page_faults(use_a_large_block) < PAGES // 4


def not_for_few_passes() -> None:
    before = huge(), addresses()
    with kept_memory(huge_pages=False):
        assert addresses() - before[1] < machine() // 100
        use_a_large_block()
        assert page_faults(use_a_large_block) < PAGES // 4
        assert huge() - before[0] < LARGE // 2


def the_outermost_block_decides() -> None:
    with kept_memory(huge_pages=False):
        nothing_is_asked_for()


def what_lay_free_before_too() -> None:
    library = library_calls()
    library.mallopt(module._M_MMAP_MAX, 0)
    block, _above = library.malloc(2 * LARGE), library.malloc(LARGE)
    ctypes.memset(block, 1, 2 * LARGE)
    library.free(block)
    with kept_memory():
        again = library.malloc(LARGE)
        assert block <= again < block + LARGE
        ctypes.memset(again, 1, LARGE)
        assert huge() > LARGE // 2


def a_second_block_asks_once() -> None:
    with kept_memory():
        library_calls().malloc(LARGE)  # so that what is left of the first would not do for a second
        before = addresses()
        with kept_memory():
            assert addresses() == before


def addresses_go_back_to_the_system() -> None:
    before = addresses()
    with kept_memory():
        assert addresses() - before > machine() // 4
        use_a_large_block()
    assert addresses() - before < machine() // 100


def limited_addresses_are_not_asked_for() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (addresses() + machine(), resource.RLIM_INFINITY))
    nothing_is_asked_for()


def limited_data_are_not_asked_for() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (addresses() + machine(), resource.RLIM_INFINITY))
    nothing_is_asked_for()


def counted_addresses_are_not_asked_for() -> None:
    with tempfile.TemporaryDirectory() as folder:
        module._ACCOUNTS = Path(folder) / "overcommit_memory"
        nothing_is_asked_for()
        module._ACCOUNTS.write_text("2\n", encoding="ascii")
        nothing_is_asked_for()


def nothing_is_asked_for() -> None:
    before = addresses()
    with kept_memory():
        assert addresses() - before < machine() // 100
        use_a_large_block()
        assert page_faults(use_a_large_block) < PAGES // 4


@gnu
@pytest.mark.skipif(
    not HUGE_PAGES.is_file() or "[never]" in HUGE_PAGES.read_text(encoding="ascii"),
    reason="the system has no huge pages for those who ask",
)
@pytest.mark.parametrize(
    "scenario", [large_blocks_lie_in_huge_pages, what_lay_free_before_too, beyond_two_gigabytes_too]
)
def test_huge_pages(scenario: Callable[[], None]) -> None:
    run_in_a_process_of_its_own(scenario)


@gnu
@pytest.mark.parametrize(
    "scenario",
    [
        pages_are_asked_for_once_inside_and_every_time_outside,
        an_error_ends_the_block_too,
        an_error_while_huge_pages_are_asked_for_ends_it_too,
        a_block_inside_another_ends_nothing,
        what_was_kept_goes_back_to_the_system,
        a_second_block_asks_once,
        addresses_go_back_to_the_system,
        limited_addresses_are_not_asked_for,
        limited_data_are_not_asked_for,
        counted_addresses_are_not_asked_for,
        not_for_few_passes,
        the_outermost_block_decides,
    ],
)
def test_in_a_process_of_its_own(scenario: Callable[[], None]) -> None:
    run_in_a_process_of_its_own(scenario)


def run_in_a_process_of_its_own(scenario: Callable[[], None]) -> None:
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
