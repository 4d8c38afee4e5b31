"""The errors a user can cause, each with the exit code the command line ends with."""

from __future__ import annotations

from typing import ClassVar


class MedtransferError(Exception):
    """Root of all errors this package raises on purpose.

    The message follows one form: *Subject: expected X, got Y. Next step.*
    """

    exit_code: ClassVar[int] = 1
    """Exit code of the command line when this error ends a command."""


class UsageError(MedtransferError, ValueError):
    """A command, study file or argument that cannot be carried out as written."""

    exit_code: ClassVar[int] = 2


class NotRegisteredError(UsageError, LookupError):
    """A name that no registry knows."""


class DataError(MedtransferError, ValueError):
    """Images, masks, labels or splits that are not what the task declares."""

    exit_code: ClassVar[int] = 3


class BadImageError(DataError):
    """One file that cannot be decoded or must not be decoded."""


class WeightsError(MedtransferError, ValueError):
    """Weights that are missing, unsafe, damaged or made for another network."""

    exit_code: ClassVar[int] = 3


class UnsafeCheckpointError(WeightsError):
    """A checkpoint that could run code when it is read."""


class ShapeError(MedtransferError, ValueError):
    """Arrays whose shapes or value ranges break the contract of a function."""


class StoreError(MedtransferError, RuntimeError):
    """A store that cannot be opened, read or written."""

    exit_code: ClassVar[int] = 1


class LeaseLostError(StoreError):
    """A write by a worker whose lease on a trial has passed to another."""


class TrialError(MedtransferError, RuntimeError):
    """The end of one trial as failed, with a short reason code for the record.

    Args:
        reason: Machine-readable code in snake case, such as ``non_finite_loss``.
        message: What happened, for people.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[TrialError], tuple[str, str]]:
        return type(self), (self.reason, str(self))
