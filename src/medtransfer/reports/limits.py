"""The limits of the evidence in one paragraph, generated from the facts of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from medtransfer.reports.label_orders import divided_patients
from medtransfer.reports.phrases import count, listed, percent
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.tables.provenance import trial_counts
from medtransfer.reports.tables.tasks import count_test_evaluations
from medtransfer.stats.patients import FEW_PATIENTS

_MOST_NAMED = 6


def limits_of_evidence(reading: StudyReading) -> str:
    """Return what this study cannot say, as one paragraph.

    Every sentence follows from a fact of the records; facts that hold for no cell have no sentence.
    """
    sentences = (
        *_size(reading),
        *_variation(reading),
        *_patients(reading),
        *_splits(reading),
        *_overlap(reading),
        *_missing(reading),
        *_phantoms(reading),
        *_looks(reading),
    )
    return " ".join(sentences)


def _size(reading: StudyReading) -> Iterator[str]:
    numbers = sorted({len(cell.finished) for _, _, cell in reading.cells() if not cell.deterministic})
    cells = sum(1 for _ in reading.cells())
    yield (
        f"This report rests on {count(trial_counts(reading)['done'], 'finished trial')} in "
        f"{count(cells, 'cell')}: {count(len(reading.tasks), 'task')}, "
        f"{count(len(reading.models), 'source model')}."
    )
    if numbers:
        runs = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
        more = " A cell with one run has no interval." if 1 in numbers else ""
        yield f"Cells that depend on a seed have {runs} finished run{'s' * (numbers != [1])}.{more}"
    fixed = sum(cell.deterministic for _, _, cell in reading.cells())
    if fixed:
        yield (
            f"{count(fixed, 'cell')} {'is' if fixed == 1 else 'are'} deterministic and computed once: their "
            "intervals are over test patients only."
        )


def _variation(reading: StudyReading) -> Iterator[str]:
    varied = dict.fromkeys(name for _, _, cell in reading.cells() for name in cell.varied)
    if varied:
        yield f"Between runs varied: {listed(list(varied))}."
    fixed = [name for name in ("label subset", "training") if name not in varied]
    still = listed([*fixed, "the split", "the test cases", "the pretraining of every source model"])
    yield (
        f"Not varied: {still}. Every source model is one pretraining run, so how much another pretraining "
        "would give is in no interval."
    )
    if any(not cell.deterministic for _, _, cell in reading.cells()):
        yield (
            "All runs of a task are scored on one test set: intervals over runs say nothing about other "
            "patients."
        )


def _patients(reading: StudyReading) -> Iterator[str]:
    counts = {task.label: task.facts.get("split_counts", {}).get("test") for task in reading.tasks.values()}
    known = {label: int(cases) for label, cases in counts.items() if cases is not None}
    if known:
        low, high = min(known.values()), max(known.values())
        shown = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        yield f"The test sets have {shown} cases."
    few = [
        f"{reading.tasks[key].label} ({patients})"
        for key, patients in _test_patients(reading).items()
        if patients < FEW_PATIENTS
    ]
    if few:
        yield (
            f"Fewer than {FEW_PATIENTS} test patients, so that intervals over patients tend to be too narrow: "
            f"{listed(few, _MOST_NAMED)}."
        )
    unknown = [t.label for t in reading.tasks.values() if not t.facts.get("patients_known", True)]
    if unknown:
        yield f"Patients are not known, and every case counts as its own: {listed(unknown, _MOST_NAMED)}."


def _test_patients(reading: StudyReading) -> dict[str, int]:
    """Return numbers of test patients by task key, where predictions were read."""
    return {
        row.row.task: row.predictions.patients
        for panel in reading.panels
        for row in panel.rows
        if row.predictions.patients
    }


def _splits(reading: StudyReading) -> Iterator[str]:
    ours = [t.label for t in reading.tasks.values() if t.facts.get("split_source") == "ours"]
    user = [t.label for t in reading.tasks.values() if t.facts.get("split_source") == "user"]
    if ours:
        yield f"Drawn by medtransfer, so not the split of published results: {listed(ours, _MOST_NAMED)}."
    if user:
        yield f"Split given by the user: {listed(user, _MOST_NAMED)}."
    divided = divided_patients(reading.records)
    if divided:
        yield (
            "Shares of the labels in the order shuffle99 keep no patient whole"
            f"{f' (up to {max(divided):,} divided)' if max(divided) else ''}, so that they show more patients than "
            "shares of whole patients."
        )
    accepted = [task.label for task in reading.tasks.values() if task.facts.get("accepted")]
    if accepted:
        yield f"Problems with the data that were accepted by name: {listed(accepted, _MOST_NAMED)}."


def _overlap(reading: StudyReading) -> Iterator[str]:
    pairs = {
        (row.row.task, key): cell.overlap for _, row, cell in reading.cells() for key in [cell.place.model]
    }
    found = Counter(pairs.values())
    if found["same"]:
        yield (
            f"{count(found['same'], 'pair')} of model and task cannot show transfer, as the model was "
            "pretrained on the images."
        )
    if found["source"]:
        verb = "shares" if found["source"] == 1 else "share"
        yield f"{count(found['source'], 'pair')} {verb} images under other names."
    if found["unknown"]:
        share = percent(round(found["unknown"] / len(pairs), 2))
        yield (
            f"For {count(found['unknown'], 'pair')} ({share}) nobody knows whether pretraining has seen the "
            "images."
        )


def _missing(reading: StudyReading) -> Iterator[str]:
    counts = trial_counts(reading)
    if counts["failed"]:
        yield (
            f"{count(counts['failed'], 'trial')} failed; if they failed because of what they would have "
            "shown, the means of their cells are biased."
        )
    waiting = counts["pending"] + counts["running"]
    if waiting:
        yield f"{count(waiting, 'trial')} had not finished."
    unread = sum(
        len(runs) for p in reading.panels for row in p.rows for runs in row.predictions.unread.values()
    )
    if unread:
        yield f"Predictions of {count(unread, 'run')} are missing or damaged; their metrics count all the same."


def _phantoms(reading: StudyReading) -> Iterator[str]:
    phantoms = [task.label for task in reading.tasks.values() if task.phantom]
    if phantoms:
        yield (f"Generated images, which say nothing about patients: {listed(phantoms, _MOST_NAMED)}.")


def _looks(reading: StudyReading) -> Iterator[str]:
    looks = [count_test_evaluations(reading, task) for task in reading.tasks.values()]
    if sum(looks):
        yield (
            f"Test cases were looked at {sum(looks):,} times in this report, up to {max(looks):,} times for one "
            "task: models and checkpoints are selected on validation, yet the best of many test scores tends "
            "to be too high."
        )
