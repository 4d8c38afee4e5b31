"""Whether this machine is to be left alone with the files it has: no connection is made then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from medtransfer.core.errors import UsageError

OFFLINE_VARIABLE = "MEDTRANSFER_OFFLINE"
HUB_VARIABLE = "HF_HUB_OFFLINE"
"""What the model hub's own library reads; either variable stops all connections of ours."""

_YES = {"1", "true", "yes", "on"}


def is_offline() -> bool:
    """Return whether the environment asks for no connections."""
    return any(os.environ.get(name, "").strip().lower() in _YES for name in (OFFLINE_VARIABLE, HUB_VARIABLE))


def require_connection(subject: str, next_step: str) -> None:
    """Raise if no connection may be made.

    Raises:
        UsageError: Naming the variable that asks for it, and the next step.
    """
    if is_offline():
        name = OFFLINE_VARIABLE if os.environ.get(OFFLINE_VARIABLE) else HUB_VARIABLE
        raise UsageError(
            f"{subject}: expected a connection to be allowed, got {name}={os.environ[name]!r}. {next_step}"
        )


@contextmanager
def hub_as_declared() -> Iterator[None]:
    """Make the model hub's library keep to its cache while we are offline, whenever it was imported."""
    if not is_offline():
        yield
        return
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
