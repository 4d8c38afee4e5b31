"""Processes that decode images side by side and never outlive the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def parts_of(items: Sequence[T], volume_of: Callable[[T], str | None], least: int) -> list[list[T]]:
    """Return the items in parts of at least so many, none of which ends within a volume.

    A volume is unpacked as a whole, so its slices should be read by one process.

    Args:
        items: What is to be read, the slices of a volume one after another.
        volume_of: From an item to its volume; None for what is no slice.
        least: Items per part, except in the last one.
    """
    parts: list[list[T]] = []
    last: str | None = None
    for item in items:
        volume = volume_of(item)
        if not parts or (len(parts[-1]) >= least and (volume is None or volume != last)):
            parts.append([])
        parts[-1].append(item)
        last = volume
    return parts


def worker_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool of freshly started (not forked) processes that end when their parent does."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_follow_parent)


def _follow_parent() -> None:
    """End this process with its parent: a killed parent cannot stop its workers itself."""
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
