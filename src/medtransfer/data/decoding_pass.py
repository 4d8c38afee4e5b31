"""One look at every case of a table, decoded in this process or in several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Final, TypeVar

import cv2

from medtransfer.core.errors import DataError
from medtransfer.data.decoding import CasePixels, DecodedCase, decode_case
from medtransfer.data.image_source import ImageSource
from medtransfer.data.locators import volume_of
from medtransfer.data.worker_pool import parts_of, worker_pool

T = TypeVar("T")

Look = Callable[[CasePixels, DecodedCase], T]
"""From the locators and the pixels of a case to what is found in them; picklable."""
RowLook = Callable[[int, CasePixels, DecodedCase], T]
"""The same, told the row of the case."""

FEWEST_FOR_WORKERS: Final = 256
"""Cases from which starting worker processes pays."""

_CASES_PER_JOB: Final = 32


def look_at_cases(
    source: ImageSource, cases: Sequence[CasePixels], look: RowLook[T], *, workers: int
) -> Iterator[list[tuple[int, T]]]:
    """Yield row and finding of all cases in parts, each part as soon as it is there, in any order.

    Every file is read once, and each process holds one case at a time.

    Args:
        source: What reads the locators.
        cases: The cases, in row order.
        look: Called once for every case.
        workers: Most processes; few cases are always decoded in this one.

    Raises:
        DataError: If a worker process dies.
    """
    jobs = parts_of(list(enumerate(cases)), lambda item: volume_of(item[1].image), _CASES_PER_JOB)
    if workers <= 1 or len(cases) < FEWEST_FOR_WORKERS:
        yield from (_look_at_part(source, look, job) for job in jobs)
        return
    pool = worker_pool(min(workers, len(jobs)))
    try:
        work = partial(_look_at_part_in_worker, source, look)
        for future in as_completed([pool.submit(work, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool as error:
        raise DataError(
            "decoding: expected all worker processes to finish, got one that died. "
            "Check the memory, or use 1 worker."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _look_at_part(
    source: ImageSource, look: RowLook[T], part: Sequence[tuple[int, CasePixels]]
) -> list[tuple[int, T]]:
    return [(row, look(row, case, decode_case(source, case))) for row, case in part]


def _look_at_part_in_worker(
    source: ImageSource, look: RowLook[T], part: Sequence[tuple[int, CasePixels]]
) -> list[tuple[int, T]]:
    cv2.setNumThreads(1)  # one worker per core; threads on top would only wait for each other
    return _look_at_part(source, look, part)
