"""A block in which freed memory stays with the process, for work that needs the same large arrays again and again.

The GNU C library asks the system for each array above 32 MiB and gives it back at once, so that the system
clears its pages again in every step of a training. On a CPU that took a tenth of the time of small networks.
"""

from __future__ import annotations

import ctypes
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
"""Numbers of the settings in the C library's ``malloc.h``."""
_USUAL_MMAPS = 65536
_LARGEST_THRESHOLD = 32 << 20
"""Where the library's own adjustment of both thresholds ends, in bytes; the second is twice the first."""
_NEVER = (1 << 31) - 1

_LOCK = threading.Lock()
_open_blocks: list[Any] = []
"""One entry for every block this process is in."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory inside the block and give it back to the system afterwards; numbers do not change.

    It does nothing where the C library is not GNU's. The process gives nothing back until the outermost
    block ends: it holds the most it needed at once, and more where the arrays of a block differ much in
    size. Settings are of the whole process, its other threads included.

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
    try:
        yield
    finally:
        with _LOCK:
            _open_blocks.pop()
            if not _open_blocks:
                _as_usual(library)


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
    known = hasattr(library, "mallopt") and hasattr(library, "malloc_trim")
    return library if known else None
