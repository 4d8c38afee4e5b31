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
_STATM: Final = Path("/proc/self/statm")
_SMAPS: Final = Path("/proc/self/smaps")
_RESET: Final = Path("/proc/self/clear_refs")
_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_KIB: Final = 1024


def resident_bytes() -> int:
    """Return the memory this process holds now, mapped files included."""
    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """Return the most memory this process has held since it started, or since :func:`forget_peak`."""
    noted = _noted_peak()
    if noted is not None:
        return noted
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * _KIB


def forget_peak() -> bool:
    """Let :func:`peak_bytes` begin anew, and return whether the system can; else it counts from the start on."""
    with contextlib.suppress(OSError):
        _RESET.write_text("5", encoding="ascii")
        return _noted_peak() is not None
    return False


def file_bytes() -> int:
    """Return the memory this process holds now that is pages of files or shared; 0 where nobody knows."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(_STATM.read_bytes().split()[2]) * resource.getpagesize()
    return 0


def mapped_bytes(folder: Path) -> int:
    """Return the memory this process holds now that is pages of files below a folder; 0 where nobody knows.

    It takes 10 ms and more, too long for every trial.
    """
    inside = f"{folder.resolve()}/".encode()
    found, counts = 0, False
    with contextlib.suppress(OSError), _SMAPS.open("rb") as lines:
        for line in lines:
            name, *rest = line.split(maxsplit=5)
            if not name.endswith(b":"):  # the head of a mapping: addresses, rights, and last its file
                counts = len(rest) == 5 and rest[4].startswith(inside)
            elif counts and name == b"Rss:":
                found += int(rest[0]) * _KIB
    return found


def give_memory_back() -> None:
    """Return to the system what the process has freed but keeps, where its C library can do that."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def machine_bytes() -> int:
    """Return the memory all processes here may take together: the machine's, or the container's limit."""
    return min([int(psutil.virtual_memory().total), *_container_limits()])


def _noted_peak() -> int | None:
    """Return what the system notes as the peak; None where it notes none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _STATUS.read_bytes().splitlines():
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * _KIB
    return None


def _container_limits() -> list[int]:
    found = []
    for path in _LIMITS:
        with contextlib.suppress(OSError, ValueError):
            found.append(int(path.read_text(encoding="ascii")))
    return found
