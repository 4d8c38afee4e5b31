"""What processor this machine has, as its system names it."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

_LINUX = Path("/proc/cpuinfo")


def processor_name() -> str:
    """Return the model of the processor, or its architecture where the system does not say."""
    return _linux_entry("model name") or platform.processor() or platform.machine()


@cache
def processor_vendor() -> str:
    """Return the vendor as the processor names it, such as ``AuthenticAMD``; empty where the system does not say."""
    described = platform.processor()  # on Windows it ends in the vendor
    after_comma = described.rpartition(",")[2].strip() if "," in described else ""
    return _linux_entry("vendor_id") or after_comma


def _linux_entry(name: str) -> str:
    try:
        lines = _LINUX.read_text().splitlines()
    except OSError:
        return ""
    entries = (line.partition(":") for line in lines)
    return next((value.strip() for found, _, value in entries if found.strip() == name), "")
