"""Who may run and finish a trial: claims under a lease, fenced by a number that grows with every claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from medtransfer.core.errors import LeaseLostError
from medtransfer.store.records import State
from medtransfer.store.schema import trials

_CHUNK = 500


@dataclass(frozen=True)
class Claim:
    """The right to run one trial, until the lease expires and another takes it."""

    fingerprint: str
    """Which trial."""
    epoch: int
    """Fencing number: a write with an old one is refused."""


class LeasesLostError(LeaseLostError):
    """Some claims have passed to others; the rest were extended.

    Args:
        message: What was lost, for people.
        claims: The lost ones.
    """

    def __init__(self, message: str, claims: tuple[Claim, ...] = ()) -> None:
        super().__init__(message)
        self.claims = claims

    def __reduce__(self) -> tuple[type[LeasesLostError], tuple[str, tuple[Claim, ...]]]:
        return type(self), (str(self), self.claims)


def expired(now: float) -> ColumnElement[bool]:
    """Return the condition for a running trial whose lease has run out."""
    return and_(trials.c.state == State.RUNNING, trials.c.lease_until < now)


def take(
    connection: Connection, fingerprints: Iterable[str], owner: str, now: float, lease_s: float
) -> list[Claim]:
    """Claim those trials that are pending or whose lease has expired, in the order given."""
    wanted = list(dict.fromkeys(fingerprints))
    free = or_(trials.c.state == State.PENDING, expired(now))
    claims: dict[str, Claim] = {}
    for chunk in chunks(sorted(wanted)):
        locked = _lock(connection, trials.c.fingerprint.in_(chunk), free)
        taken = (
            update(trials)
            .where(trials.c.fingerprint.in_(locked))
            .values(
                state=State.RUNNING,
                epoch=trials.c.epoch + 1,
                attempts=trials.c.attempts + 1,
                owner=owner,
                lease_until=now + lease_s,
            )
            .returning(trials.c.fingerprint, trials.c.epoch)
        )
        claims |= {row.fingerprint: Claim(row.fingerprint, row.epoch) for row in connection.execute(taken)}
    return [claims[fingerprint] for fingerprint in wanted if fingerprint in claims]


def extend(connection: Connection, claims: Sequence[Claim], until: float) -> list[Claim]:
    """Move the end of the leases that are still held, and return the claims that are not."""
    return _set_held(connection, claims, {"lease_until": until})


def give_back(connection: Connection, claims: Sequence[Claim]) -> list[Claim]:
    """Make claimed trials pending again, and return the claims that were lost before."""
    return _set_held(connection, claims, {"state": State.PENDING, "owner": None, "lease_until": None})


def expire(connection: Connection, owner: str) -> int:
    """Make the trials of an owner pending again and return how many there were."""
    held = _lock(connection, trials.c.state == State.RUNNING, trials.c.owner == owner)
    for chunk in chunks(held):
        values = {"state": State.PENDING, "owner": None, "lease_until": None}
        connection.execute(update(trials).where(trials.c.fingerprint.in_(chunk)).values(values))
    return len(held)


def requeue(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    """Make the final trials that meet all conditions pending again and return how many there were."""
    chosen = _lock(connection, *conditions, trials.c.state.in_([State.FAILED, State.DONE]))
    cleared = dict.fromkeys(
        (
            "reason",
            "message",
            "traceback",
            "finished_at",
            "outcome",
            "predictions_file",
            "predictions_sha256",
            "owner",
        )
    )
    for chunk in chunks(chosen):
        values = {"state": State.PENDING, "lease_until": None, **cleared}
        connection.execute(update(trials).where(trials.c.fingerprint.in_(chunk)).values(values))
    return len(chosen)


def require_held(connection: Connection, claim: Claim) -> None:
    """Check that a claim is still good.

    Raises:
        LeaseLostError: If the trial was finished, given back or claimed again since.
    """
    if connection.scalar(select(trials.c.epoch).where(_held(claim))) is None:
        raise _lost(claim)


def conclude(connection: Connection, claim: Claim, values: dict[str, Any]) -> None:
    """Write the end of a claimed trial.

    Raises:
        LeaseLostError: If the trial was finished, given back or claimed again since; nothing is written.
    """
    done = connection.execute(update(trials).where(_held(claim)).values({**values, "lease_until": None}))
    if done.rowcount != 1:
        raise _lost(claim)


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a sequence into parts that fit one statement."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(
        trials.c.fingerprint == claim.fingerprint,
        trials.c.epoch == claim.epoch,
        trials.c.state == State.RUNNING,
    )


def _lock(connection: Connection, *conditions: ColumnElement[bool]) -> list[str]:
    """Lock rows in one order for all, so that two runners never wait for each other in a circle."""
    rows = select(trials.c.fingerprint).where(*conditions).order_by(trials.c.fingerprint).with_for_update()
    return list(connection.scalars(rows))


def _set_held(connection: Connection, claims: Sequence[Claim], values: dict[str, Any]) -> list[Claim]:
    by_fingerprint = {claim.fingerprint: claim for claim in claims}
    held: set[Claim] = set()
    for chunk in chunks(sorted(by_fingerprint)):
        rows = (
            select(trials.c.fingerprint, trials.c.epoch)
            .where(trials.c.fingerprint.in_(chunk), trials.c.state == State.RUNNING)
            .order_by(trials.c.fingerprint)
            .with_for_update()
        )
        good = {Claim(row.fingerprint, row.epoch) for row in connection.execute(rows)} & set(claims)
        names = [claim.fingerprint for claim in good]
        connection.execute(update(trials).where(trials.c.fingerprint.in_(names)).values(values))
        held |= good
    return [claim for claim in claims if claim not in held]


def _lost(claim: Claim) -> LeaseLostError:
    return LeaseLostError(
        f"trial {claim.fingerprint[:12]}: expected the lease of claim {claim.epoch}, got one that passed on. "
        "Another runner has taken the trial; this result was not written."
    )
