"""How a job is carried out, in whatever process: find the function, call it, report what comes of it."""

from __future__ import annotations

import importlib
import inspect
import pickle
import traceback
from collections.abc import Callable, Generator
from multiprocessing.reduction import ForkingPickler
from typing import Any

from medtransfer.core.errors import UsageError
from medtransfer.execution.jobs import JobFailed, JobFinished, JobYielded

UNSENDABLE = (
    pickle.PicklingError,
    TypeError,
    AttributeError,
    ValueError,
    RecursionError,
    ImportError,
    EOFError,
)
"""What pickling a value that cannot be sent between processes may raise."""


def find_function(name: str) -> Callable[..., Any]:
    """Return the function called ``package.module:name``.

    Raises:
        UsageError: If the name has another form or names nothing that can be called.
        ImportError: If the module cannot be imported.
    """
    module, separator, attribute = name.partition(":")
    if not (module and separator and attribute):
        raise UsageError(f"function: expected 'package.module:name', got {name!r}.")
    function = getattr(importlib.import_module(module), attribute, None)
    if not callable(function):
        raise UsageError(f"function {name!r}: expected something that can be called, got {function!r}.")
    return function  # type: ignore[no-any-return]


def perform(
    key: str, function: str, payload: Callable[[], Any]
) -> Generator[JobYielded | JobFinished | JobFailed, None, None]:
    """Carry out one job and yield its events after the start.

    Whatever the job raises becomes its last event.

    Args:
        key: Name of the job.
        function: ``package.module:name``.
        payload: Returns the argument.
    """
    try:
        argument = payload()  # first: it is the next message of the pipe, whether the function exists or not
        result = find_function(function)(argument)
        for value in result if inspect.isgenerator(result) else (result,):
            yield JobYielded(key, value)
    except Exception as error:  # noqa: BLE001 - a job may raise anything, and the others go on
        yield failure(key, error)
    else:
        yield JobFinished(key)


def failure(key: str, error: Exception) -> JobFailed:
    """Return the event for an exception, without the frames that would keep the job's arrays alive."""
    text = "".join(traceback.format_exception(error))
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return JobFailed(key, type(error).__name__, str(error), text, error if _can_be_sent(error) else None)


def _can_be_sent(error: Exception) -> bool:
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except UNSENDABLE:
        return False
    return True
