"""The store: trials and studies in a database, predictions as files beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, select

from medtransfer.core.errors import StoreError, TrialError, UsageError
from medtransfer.core.problems import Problem
from medtransfer.core.registry import nearest_names
from medtransfer.store import leases, readings, submissions
from medtransfer.store.database import Database
from medtransfer.store.imported_rows import (
    ImportCounts,
    ImportedRow,
    check_imported,
    read_imported,
    write_imported,
)
from medtransfer.store.leases import Claim, LeasesLostError
from medtransfer.store.location import resolve_location
from medtransfer.store.prediction_files import PredictionFolder, encode_predictions
from medtransfer.store.records import Counts, Outcome, Record, State, TrialDescription
from medtransfer.store.rows import outcome_json, storable, to_json
from medtransfer.store.schema import studies, study_trials, trials
from medtransfer.store.trial_costs import MeasuredCost, cost_key, read_costs, write_cost
from medtransfer.store.verification import check_database, check_predictions

if TYPE_CHECKING:
    from types import TracebackType

    import pandas as pd


class Store:
    """Everything that is known about trials; safe for several processes and, on a server, machines.

    Open one with :meth:`open`; use it as a context manager or call :meth:`close`.

    Args:
        database: Where rows are; its schema is checked by :meth:`open`.
        predictions: Where files are.
    """

    def __init__(self, database: Database, predictions: PredictionFolder) -> None:
        self._database = database
        self._predictions = predictions

    @classmethod
    def open(cls, location: str | Path, *, artifacts: Path | None = None, create: bool = True) -> Store:
        """Open a store, and make one where there is none.

        Args:
            location: Folder, database file or address; see :func:`.resolve_location`.
            artifacts: Folder for prediction files, where it is not beside the database.
            create: Whether to make a store that does not exist.

        Raises:
            UsageError: If the place cannot be a store, or there is none and ``create`` is false.
            StoreError: If the database cannot be opened, is newer, or is another program's.
        """
        place = resolve_location(location, artifacts)
        database = Database(place)
        try:
            database.prepare(create=create)
        except (StoreError, UsageError):
            database.close()
            raise
        return cls(database, PredictionFolder(place.artifacts))

    @property
    def name(self) -> str:
        """Path or address of the database, without a password."""
        return self._database.location.name

    @property
    def artifacts(self) -> Path:
        """Folder of the prediction files."""
        return self._predictions.root

    def close(self) -> None:
        """Close the connection of this process."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Studies

    def submit(
        self,
        study: str,
        descriptions: Sequence[TrialDescription],
        *,
        source: str = "",
        plan: Mapping[str, Any] | None = None,
    ) -> None:
        """Declare the trials of a study; doing it again changes no result.

        Of a trial that runs or is done, only what says what its result means is corrected, such as the overlap
        of its model's pretraining data with its task.

        Args:
            study: Name of the study; its list of trials is replaced.
            descriptions: Trials in the study's order, each fingerprint once.
            source: The study file as it was read.
            plan: What else to keep with the study; JSON values.

        Raises:
            UsageError: If a fingerprint occurs twice or a description holds a number that is not finite.
        """
        rows = submissions.trial_rows(study, descriptions)
        row = {"name": study, "source": to_json(source), "plan": to_json(dict(plan or {}))}
        with self._database.writing() as connection:
            submissions.write_study(connection, {**row, "created": self._database.now(connection)}, rows)

    def studies(self) -> list[str]:
        """Return the names of all studies, oldest first."""
        with self._database.reading() as connection:
            return readings.read_studies(connection)

    def study_source(self, study: str) -> str:
        """Return the study file as it was submitted last."""
        with self._database.reading() as connection:
            self._require_study(connection, study)
            return str(
                json.loads(connection.scalars(select(studies.c.source).where(studies.c.name == study)).one())
            )

    def study_plan(self, study: str) -> dict[str, Any]:
        """Return the plan that was submitted with a study."""
        with self._database.reading() as connection:
            self._require_study(connection, study)
            return dict(
                json.loads(connection.scalars(select(studies.c.plan).where(studies.c.name == study)).one())
            )

    # Running

    def claim(self, fingerprints: Iterable[str], owner: str, lease_s: float) -> list[Claim]:
        """Take those trials that are pending or whose lease has expired; no two runners get the same.

        Args:
            fingerprints: Trials wanted.
            owner: Who takes them; see :func:`~medtransfer.store.owners.this_owner`.
            lease_s: Seconds until others may take them, by the database's clock; above 0.

        Returns:
            The claims that were granted, in the order wanted.
        """
        _require_positive(lease_s)
        with self._database.writing() as connection:
            return leases.take(connection, fingerprints, owner, self._database.now(connection), lease_s)

    def heartbeat(self, claims: Sequence[Claim], lease_s: float) -> None:
        """Extend leases by ``lease_s`` seconds from now.

        Raises:
            LeasesLostError: If some have passed to others (``claims`` names them); the rest are extended.
        """
        _require_positive(lease_s)
        with self._database.writing() as connection:
            lost = leases.extend(connection, claims, self._database.now(connection) + lease_s)
        if lost:
            raise LeasesLostError(
                f"store {self.name}: expected {len(claims)} leases, got {len(claims) - len(lost)}; "
                f"{len(lost)} have passed to another runner. Their results will not be written.",
                tuple(lost),
            )

    def finish(
        self, claim: Claim, outcome: Outcome, predictions: pd.DataFrame, *, peak_bytes: int | None = None
    ) -> None:
        """Store the result of a claimed trial: first the file, then row and state in one transaction.

        Args:
            claim: The claim under which it ran.
            outcome: What the record keeps.
            predictions: Predictions per case.
            peak_bytes: Most memory the worker held meanwhile, above 0; kept beside the record for plans. None
                where it was not measured.

        Raises:
            LeaseLostError: If the trial has passed to another runner; its row stays as it is.
            StoreError: If the disk is full or the database cannot be written; the trial stays claimed.
            TrialError: If the outcome holds a number that is not finite.
        """
        try:
            text = outcome_json(outcome)
        except ValueError as error:
            raise TrialError("non_finite_outcome", f"outcome {error}") from error
        file = encode_predictions(predictions)
        with self._database.reading() as connection:
            leases.require_held(connection, claim)
        self._predictions.write(file)
        values = {"outcome": text, "predictions_file": file.name, "predictions_sha256": file.sha256}
        with self._database.writing() as connection:
            self._conclude(connection, claim, State.DONE, values)
            write_cost(connection, claim.fingerprint, outcome.cpu_s, peak_bytes)

    def fail(self, claim: Claim, reason: str, message: str, traceback: str = "") -> None:
        """Store that a claimed trial has ended without a result.

        Args:
            claim: The claim under which it ran.
            reason: Code in snake case, such as ``worker_died``.
            message: What happened, for people.
            traceback: Where, for developers.

        Raises:
            LeaseLostError: If the trial has passed to another runner.
        """
        texts = {"message": to_json(message), "traceback": to_json(traceback)}
        with self._database.writing() as connection:
            self._conclude(connection, claim, State.FAILED, {"reason": storable(reason), **texts})

    def release(self, claims: Sequence[Claim]) -> None:
        """Make claimed trials pending again; claims that were lost before are left alone."""
        with self._database.writing() as connection:
            leases.give_back(connection, claims)

    def owners(self) -> list[str]:
        """Return who holds leases, expired ones included."""
        with self._database.reading() as connection:
            return readings.read_owners(connection)

    def expire_owner(self, owner: str) -> int:
        """Make the trials of a process known to be dead pending, and return how many there were."""
        with self._database.writing() as connection:
            return leases.expire(connection, owner)

    def retry_failed(self, study: str, reasons: Iterable[str] | None = None) -> int:
        """Make failed trials of a study pending, and return how many there were.

        Args:
            study: Name of the study.
            reasons: Only failures with these codes; None for all.
        """
        conditions = [
            trials.c.state == State.FAILED,
            trials.c.fingerprint.in_(select(study_trials.c.fingerprint).where(study_trials.c.study == study)),
        ]
        if reasons is not None:
            conditions.append(trials.c.reason.in_([storable(reason) for reason in reasons]))
        with self._database.writing() as connection:
            self._require_study(connection, study)
            return leases.requeue(connection, *conditions)

    # What other people published

    def add_imported(self, rows: Sequence[ImportedRow], *, revise: bool = False) -> ImportCounts:
        """Keep what somebody else published, all rows or none; adding it again changes nothing.

        Args:
            rows: Each key once within its kind.
            revise: Whether a row may have another content than the one stored under its key; both are
                kept then, and readings return the new one.

        Returns:
            How many rows were new, there before, and revised.

        Raises:
            UsageError: If a key occurs twice, a value has no JSON form, or a content contradicts the one
                stored and ``revise`` is false.
        """
        with self._database.writing() as connection:
            return write_imported(connection, rows, self._database.now(connection), revise=revise)

    def imported(self, kind: str) -> tuple[ImportedRow, ...]:
        """Return the rows of a kind in the order of their import, each in its latest revision."""
        with self._database.reading() as connection:
            return read_imported(connection, kind)

    # Reading

    def counts(self, study: str | None = None) -> Counts:
        """Return the numbers of trials by state, of a study or of the whole store."""
        with self._database.reading() as connection:
            self._require_study(connection, study)
            return readings.count_states(connection, study, self._database.now(connection))

    def counts_by_membership(self) -> tuple[Counts, Counts]:
        """Return the numbers of the trials that are in a study by state, and of those that are in none any more.

        A trial leaves a study when the study is declared with another list; its record stays.
        """
        with self._database.reading() as connection:
            return readings.count_by_membership(connection, self._database.now(connection))

    def states(self, fingerprints: Iterable[str]) -> dict[str, State]:
        """Return the states of those trials that the store knows."""
        with self._database.reading() as connection:
            return readings.read_states(connection, fingerprints, self._database.now(connection))

    def records(
        self,
        study: str | None = None,
        states: Iterable[State] | None = None,
        *,
        only_members: bool = False,
        keep: Callable[[Record], Record] | None = None,
    ) -> list[Record]:
        """Return the records of one moment, in the study's order.

        Args:
            study: Name of a study; None for all trials, by task, model, protocol, fraction, repetition.
            states: Only trials in these states; one whose lease has expired is pending.
            only_members: Of all trials, only those that are in a study.
            keep: What to keep of each record, called as it is read, so that the whole of all records is
                never in memory; None keeps them as they are.
        """
        with self._database.reading() as connection:
            self._require_study(connection, study)
            now = self._database.now(connection)
            found = readings.read_records(connection, study, states, now, only_members=only_members)
            return list(found if keep is None else map(keep, found))

    def costs(self, descriptions: Iterable[TrialDescription]) -> dict[tuple[str, float], MeasuredCost]:
        """Return what finished trials like these cost, whatever study they are of.

        Args:
            descriptions: Trials alike in task, model, protocol and settings share a :func:`.cost_key`.

        Returns:
            By cost key and label fraction, where the store holds such a trial.
        """
        keys = {cost_key(description) for description in descriptions}
        with self._database.reading() as connection:
            return read_costs(connection, keys)

    def predictions(self, record: Record) -> pd.DataFrame:
        """Return the predictions of a finished trial, checked against their digest.

        Raises:
            UsageError: If the trial has none.
            StoreError: If the file is missing or changed.
        """
        if record.predictions_file is None or record.predictions_sha256 is None:
            raise UsageError(f"predictions: expected a finished trial, got one that is {record.state}.")
        return self._predictions.read(record.predictions_file, record.predictions_sha256)

    def verify(self) -> list[Problem]:
        """Return all that is missing or damaged; reads every file."""
        with self._database.reading() as connection:
            found = [problem for _, problem in check_predictions(connection, self._predictions)]
            return [*check_database(connection), *found, *check_imported(connection)]

    def damaged(self, fingerprints: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return the finished trials whose predictions are missing or damaged; reads every file.

        Args:
            fingerprints: Only these trials; None for all.

        Raises:
            StoreError: If there are such trials because the whole folder of predictions is missing.
        """
        with self._database.reading() as connection:
            found = check_predictions(connection, self._predictions, fingerprints)
            names = tuple(fingerprint for fingerprint, _ in found)
        if names:
            self._predictions.require()
        return names

    def retry_damaged(self, fingerprints: Iterable[str] | None = None) -> int:
        """Make finished trials whose predictions are missing or damaged pending, and return how many.

        Args:
            fingerprints: Only these trials; None for all.

        Raises:
            StoreError: If the whole folder of predictions is missing; nothing is given back.
        """
        suspects = self.damaged(fingerprints)  # other runners need not wait while all files are read
        with self._database.writing() as connection:
            found = check_predictions(connection, self._predictions, suspects)
            broken = [fingerprint for fingerprint, _ in found]
            return sum(
                leases.requeue(connection, trials.c.fingerprint.in_(part)) for part in leases.chunks(broken)
            )

    def _conclude(self, connection: Connection, claim: Claim, state: State, values: dict[str, Any]) -> None:
        finished = {"state": state, "finished_at": self._database.now(connection)}
        leases.conclude(connection, claim, {**finished, **values})

    def _require_study(self, connection: Connection, study: str | None) -> None:
        if (
            study is None
            or connection.scalar(select(studies.c.name).where(studies.c.name == study)) is not None
        ):
            return
        known = readings.read_studies(connection)
        near = nearest_names(study, known)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"study {study!r}: expected one of the {len(known)} in {self.name}, got none of them.{hint}"
        )


def _require_positive(lease_s: float) -> None:
    if not lease_s > 0:
        raise UsageError(f"lease: expected more than 0 seconds, got {lease_s!r}.")
