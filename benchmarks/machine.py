"""The clock of the bars, and how fast the machine is while they run."""

from __future__ import annotations

import mmap
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from medtransfer.core.kept_memory import advise_heap
from medtransfer.core.provenance import code_revision, hardware, package_versions

_SIDE = 600
_SAMPLED_S = 0.5
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def cpu_seconds() -> float:
    """Return CPU seconds of this process and of its children that have ended, kernel included."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds that work took, and what it returned."""
    start = cpu_seconds()
    result = work()
    return cpu_seconds() - start, result


def in_usual_memory(work: Callable[[], Any]) -> Any:
    """Do work in the pages that a process gets which never asked for others, and return its result.

    Ours asks for huge pages where it makes many passes, and what the process keeps of them afterwards would speed up
    its rival too.
    """
    if _HUGE_PAGES.is_file() and "[madvise]" in _HUGE_PAGES.read_text(encoding="ascii"):
        advise_heap(mmap.MADV_NOHUGEPAGE)
    return work()


def product_seconds() -> float:
    """Return the CPU seconds of a fixed matrix product, the fastest of half a second: the machine's speed now.

    Shared machines are slower by half for tenths of a second at a time. That averages out in an arm of minutes and
    must not pass for a machine that has changed its speed.
    """
    matrix = np.ones((_SIDE, _SIDE))
    found: list[float] = []
    while sum(found) < _SAMPLED_S:
        found.append(timed(lambda: matrix @ matrix)[0])
    return min(found)


def drift(samples: list[float]) -> float:
    """Return how much slower the slowest sample is than the fastest, as a share.

    Example:
        >>> drift([1.0, 1.2, 1.1])
        0.2
    """
    return round(max(samples) / min(samples) - 1, 6)


def machine_facts() -> dict[str, Any]:
    """Return processor, cores, load and versions, for the report."""
    return {
        **hardware(),
        "load_average_1min": round(os.getloadavg()[0], 2),
        "code": code_revision(),
        "versions": package_versions(),
    }
