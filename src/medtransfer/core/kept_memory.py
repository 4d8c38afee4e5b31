"""A block in which freed memory stays with the process, for work that needs the same large arrays again and again.

The GNU C library asks the system for each array above 32 MiB and gives it back at once, so that the system
clears its pages again in every step of a training. On a CPU that took a tenth of the time of small networks.

Memory that stays can lie in huge pages, of 2 MiB instead of 4 KiB, if the process asks for them before it touches
it. A network goes through hundreds of MiB in every step, and a processor remembers where a few thousand pages
lie: with small ones it looks up the next one all the time, which in a virtual machine costs most. But huge pages are
also what a virtual machine gives back to its host when they lie free for two seconds, and to get them again can cost
more than a few passes save: they are for work of many passes.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

HUGE_PAGES_FROM_PASSES = 64
"""Passes through its memory from which work should ask for huge pages.

Measured on two virtual machines: steps of training gain 1.07 to 1.25. 800 MB of new pages cost 0.3 s where they are
small; where they are huge, 0.04 s right after they were given back and 1.3 to 2.2 s a few seconds later, which is
what 20 to 40 steps gain.
"""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
"""Numbers of the settings in the C library's ``malloc.h``."""
_USUAL_MMAPS = 65536
_LARGEST_THRESHOLD = 32 << 20
"""Where the library's own adjustment of both thresholds ends, in bytes; the second is twice the first."""
_NEVER = -1
_MAPS = Path("/proc/self/maps")
_ACCOUNTS = Path("/proc/sys/vm/overcommit_memory")
_STRICT = "2"
"""What that file says if memory counts that a process has asked for and never touched."""

_LOCK = threading.Lock()
_open_blocks: list[Any] = []
"""One entry for every block this process is in."""


@contextmanager
def kept_memory(*, huge_pages: bool = True) -> Iterator[None]:
    """Keep freed memory inside the block and give it back to the system afterwards; numbers do not change.

    It does nothing where the C library is not GNU's. The process gives nothing back until the outermost
    block ends: it holds the most it needed at once, and more where the arrays of a block differ much in
    size. Settings are of the whole process, its other threads included.

    Where the system grants huge pages to those who ask, up to half of the machine's memory may be used in
    them. For that the process gets half of the machine's memory as addresses; it holds what it touches. It
    does not ask where addresses are limited or counted: under ``ulimit -v`` or ``-d``, or with
    ``vm.overcommit_memory=2``.

    Args:
        huge_pages: Whether to ask for huge pages, for work of :data:`HUGE_PAGES_FROM_PASSES` and more; what the
            outermost block says counts.

    Example:
        >>> with kept_memory():
        ...     len(bytes(100))
        100
    """
    library = _gnu_library()
    if library is None:
        yield
        return
    with _LOCK:
        _open_blocks.append(library)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, _NEVER)
        outermost = len(_open_blocks) == 1
    try:
        if outermost and huge_pages:
            _ask_for_huge_pages(library)
        yield
    finally:
        with _LOCK:
            _open_blocks.pop()
            if not _open_blocks:
                _as_usual(library)


def _ask_for_huge_pages(library: Any) -> None:
    """Have what the process takes from the system next, up to half of the machine's memory, in huge pages."""
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    start = library.malloc(size) if _addresses_are_free() else None
    if start is not None:
        advise_heap(mmap.MADV_HUGEPAGE)
        library.free(start)
        library.malloc_trim(size)  # small pages that lie free below would be handed out first


def advise_heap(advice: int) -> None:
    """Tell the system how this process will use the memory that its C library has in store.

    A system that does not know the advice goes on as before.

    Args:
        advice: Of ``madvise``, such as ``mmap.MADV_HUGEPAGE``.
    """
    library = _gnu_library()
    if library is None:
        return
    for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.endswith("[heap]"):
            start, end = (int(address, 16) for address in line.split(maxsplit=1)[0].split("-"))
            library.madvise(start, end - start, advice)


def _addresses_are_free() -> bool:
    """Return whether memory that is never touched costs nothing."""
    limits = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    if any(limit != resource.RLIM_INFINITY for limit in limits):
        return False
    try:
        return _ACCOUNTS.read_text(encoding="ascii").strip() != _STRICT
    except OSError:
        return False


def _as_usual(library: Any) -> None:
    library.mallopt(_M_MMAP_MAX, _USUAL_MMAPS)
    library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
    library.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_THRESHOLD)
    library.malloc_trim(0)


@cache
def _gnu_library() -> Any | None:
    """Return the C library this process uses, if it is GNU's."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    if not all(hasattr(library, name) for name in ("mallopt", "malloc_trim", "madvise")):
        return None
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    library.free.argtypes = (ctypes.c_void_p,)
    library.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return library
