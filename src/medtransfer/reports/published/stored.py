"""Between the records of published work and the plain rows of a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from medtransfer.reports.published.doubts import flag_runs
from medtransfer.reports.published.import_batch import ImportBatch
from medtransfer.reports.published.log_folder import TRAINING_LOSS, TRAINING_STEPS
from medtransfer.reports.published.records import (
    MeasuredCurve,
    MeasuredRun,
    PretrainingLog,
    PublishedResult,
)
from medtransfer.reports.published.results_file import RESULT_COLUMNS, imported_result, result_key
from medtransfer.reports.published.runs_file import run_key
from medtransfer.store.imported_rows import ImportCounts, ImportedRow

if TYPE_CHECKING:
    from medtransfer.store.store import Store

RESULT: Final = "published-result"
RUN: Final = "measured-run"
CURVES: Final = "measured-curves"
PRETRAINING: Final = "pretraining-log"
_RUN_FIELDS: Final = ("source", "experiment", "initialization", "task", "run")


def store_batch(store: Store, batch: ImportBatch, name: str, *, revise: bool = False) -> ImportCounts:
    """Write everything of an import into a store, all or nothing.

    Args:
        store: Where to.
        batch: What was read.
        name: What it was read from, for messages.
        revise: Whether numbers under a stored key may change; see :meth:`.Store.add_imported`.

    Raises:
        UsageError: If a number contradicts the one that is stored, and ``revise`` is false.
    """
    rows = [*_result_rows(batch), *_run_rows(batch), *_curve_rows(batch), *_pretraining_rows(batch)]
    named = [ImportedRow(row.kind, row.key, row.content, row.facts, row.origin or name) for row in rows]
    return store.add_imported(named, revise=revise)


def stored_results(store: Store) -> tuple[PublishedResult, ...]:
    """Return the published results that were imported into a store, in the order of their import."""
    found = []
    for row in store.imported(RESULT):
        content = dict(row.content)
        names = {column: str(row.key[column]) for column in RESULT_COLUMNS[:6]}
        found.append(
            imported_result(
                names,
                content["mean"],
                content["std"],
                content["n"],
                exact=content["exact"],
                note=content["note"],
            )
        )
    return tuple(found)


def stored_runs(store: Store) -> tuple[MeasuredRun, ...]:
    """Return the test metrics of runs that were imported into a store, flagged as the shipped ones are."""
    return flag_runs(
        [
            MeasuredRun(
                **{name: row.key[name] for name in _RUN_FIELDS},
                metric=metric,
                value=value,
                logged_as=row.facts.get("logged_as", {}).get(metric, ""),
            )
            for row in store.imported(RUN)
            for metric, value in row.content["metrics"].items()
        ]
    )


def stored_curves(store: Store) -> tuple[MeasuredCurve, ...]:
    """Return the metrics over epochs that were imported into a store, validation and training."""
    return tuple(
        MeasuredCurve(
            **{name: row.key[name] for name in _RUN_FIELDS},
            metric=metric,
            epochs=tuple(row.content["epochs"]),
            values=tuple(values),
            logged_as=row.facts.get("logged_as", {}).get(metric, ""),
        )
        for row in store.imported(CURVES)
        for metric, values in row.content["metrics"].items()
    )


def stored_pretrainings(store: Store) -> tuple[PretrainingLog, ...]:
    """Return the pretraining logs that were imported into a store."""
    return tuple(_pretraining(row) for row in store.imported(PRETRAINING))


def _result_rows(batch: ImportBatch) -> Iterator[ImportedRow]:
    for result in batch.results:
        key = result_key(result)
        content = {
            "mean": result.mean,
            "std": result.std,
            "n": result.n,
            "exact": result.exact,
            "note": batch.notes[key],
        }
        names = dict(zip(RESULT_COLUMNS[:6], key, strict=True))
        yield ImportedRow(RESULT, names, content, {}, batch.origins.get(key, ""))


def _run_rows(batch: ImportBatch) -> Iterator[ImportedRow]:
    for key, runs in _grouped(batch.runs, run_key):
        metrics = {run.metric: run.value for run in runs}
        names = {"source": runs[0].source, **dict(zip(_RUN_FIELDS[1:], key, strict=True))}
        facts = _logged_as(runs)
        yield ImportedRow(RUN, names, {"metrics": metrics}, facts, batch.origins.get(key, ""))


def _curve_rows(batch: ImportBatch) -> Iterator[ImportedRow]:
    for (log, *key), curves in _grouped(batch.curves, _curve_key):
        names = {"source": curves[0].source, **dict(zip(_RUN_FIELDS[1:], key, strict=True)), "log": log}
        content = {
            "epochs": list(curves[0].epochs),
            "metrics": {curve.metric: list(curve.values) for curve in curves},
        }
        origin = batch.origins.get((log, *key), "")
        yield ImportedRow(CURVES, names, content, _logged_as(curves), origin)


def _pretraining_rows(batch: ImportBatch) -> Iterator[ImportedRow]:
    for log in batch.pretrainings:
        content = {
            "epochs": list(log.epochs),
            "steps": list(log.steps),
            "losses": list(log.losses),
            "columns": {name: list(cells) for name, cells in log.columns.items()},
        }
        names = {"source": log.source, "name": log.name}
        origin = batch.origins.get(("pretraining", log.name), "")
        yield ImportedRow(PRETRAINING, names, content, {"restarts": list(log.restarts)}, origin)


def _pretraining(row: ImportedRow) -> PretrainingLog:
    content = row.content
    return PretrainingLog(
        source=row.key["source"],
        name=row.key["name"],
        epochs=tuple(content["epochs"]),
        steps=tuple(content["steps"]),
        losses=tuple(content["losses"]),
        restarts=tuple(row.facts["restarts"]),
        columns={name: tuple(cells) for name, cells in content["columns"].items()},
    )


def _curve_key(curve: MeasuredCurve) -> tuple[str, str, str, str, int]:
    log = "training" if curve.metric in {TRAINING_LOSS, TRAINING_STEPS} else "validation"
    return log, curve.experiment, curve.initialization, curve.task, curve.run


def _grouped(records: Iterable[Any], key: Any) -> Iterator[tuple[Any, Sequence[Any]]]:
    """Yield records with one key together, in the order in which keys come first."""
    groups: dict[Any, list[Any]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    yield from groups.items()


def _logged_as(records: Sequence[MeasuredRun | MeasuredCurve]) -> Mapping[str, Any]:
    names = {record.metric: record.logged_as for record in records if record.logged_as}
    return {"logged_as": names} if names else {}
