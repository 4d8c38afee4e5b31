"""How much memory a process has taken at most, and how much the machine gives."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
from pathlib import Path
from typing import Final

import psutil

_STATUS: Final = Path("/proc/self/status")
_RESET: Final = Path("/proc/self/clear_refs")
_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_KIB: Final = 1024


def resident_bytes() -> int:
    """Return the memory this process holds now, mapped files included."""
    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """Return the most memory this process has held since it started, or since :func:`forget_peak`."""
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KIB
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * _KIB


def forget_peak() -> None:
    """Let :func:`peak_bytes` begin anew; where the system cannot, it keeps counting from the start."""
    with contextlib.suppress(OSError):
        _RESET.write_text("5", encoding="ascii")


def give_memory_back() -> None:
    """Return to the system what the process has freed but keeps, where its C library can do that."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def machine_bytes() -> int:
    """Return the memory all processes here may take together: the machine's, or the container's limit."""
    return min([int(psutil.virtual_memory().total), *_container_limits()])


def _container_limits() -> list[int]:
    found = []
    for path in _LIMITS:
        with contextlib.suppress(OSError, ValueError):
            found.append(int(path.read_text(encoding="ascii")))
    return found
