"""Two models compared: the numbers against scipy and statsmodels, planted effects, null studies, odd stores."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from medtransfer.core.errors import DataError, NotRegisteredError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.metrics.metric import ClassScores
from medtransfer.reports.comparison import ComparedRow, ModelComparison, Selection, compare_models
from medtransfer.reports.comparison.comparison_json import comparison_object
from medtransfer.stats.comparison_record import Comparison

A, B = "squeezenet1_1.sup_in1k", "mobilenetv1_100.sup_in1k"
Make = Callable[..., Any]


def source(row: ComparedRow, name: str) -> Comparison:
    found = next(test.comparison for test in row.tests if test.source == name)
    assert found is not None
    return found


def row_of(comparison: ModelComparison, task: str, protocol: str, fraction: float = 1.0) -> ComparedRow:
    (found,) = [
        row
        for row in comparison.rows
        if row.place.task.startswith(task)
        and (row.place.protocol, row.place.label_fraction) == (protocol, fraction)
    ]
    return found


@pytest.fixture(scope="module")
def comparison(synthetic: ModuleType) -> ModelComparison:
    """Two models of a study with every kind of cell."""
    return compare_models(synthetic.full_study().evidence(), None, A, B)


# The numbers


def test_runs_are_tested_by_welch(comparison: ModelComparison) -> None:
    row = row_of(comparison, "breastmnist", "finetune")
    a, b = ([value for _, value in side.runs] for side in (row.a, row.b))
    known = stats.ttest_ind(a, b, equal_var=False)
    low, high = known.confidence_interval(0.95)
    found = source(row, "training runs")
    assert (len(a), len(b)) == (5, 5)
    assert found.p == pytest.approx(known.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert found.difference == pytest.approx(np.mean(a) - np.mean(b), rel=1e-12)
    assert found.relative_percent == pytest.approx((np.mean(a) / np.mean(b) - 1) * 100, rel=1e-9)
    assert found.sidedness == "two-sided"
    beaten = np.mean([(x > y) + 0.5 * (x == y) for x in a for y in b])
    assert row.outperforms == pytest.approx(beaten)


def test_each_source_is_corrected_over_the_rows_it_was_tested_in(comparison: ModelComparison) -> None:
    for name in ("training runs", "test patients", "runs and patients"):
        found = [
            test.comparison
            for row in comparison.rows
            for test in row.tests
            if test.source == name and test.comparison is not None and test.comparison.p is not None
        ]
        adjusted = multipletests([c.p for c in found], method="holm")[1]
        assert [c.adjusted_p for c in found] == pytest.approx(list(adjusted), rel=1e-9)
        assert {c.family_size for c in found} == {len(found)} == {comparison.families[name]}


def test_equivalence_is_corrected_too(comparison: ModelComparison) -> None:
    tests = [test for row in comparison.rows for test in row.tests if test.source == "test patients"]
    adjusted = multipletests([test.equivalence.p for test in tests], method="holm")[1]
    assert [test.adjusted_equivalence_p for test in tests] == pytest.approx(list(adjusted), rel=1e-9)


def weighted_auc(table: pd.DataFrame, weights: np.ndarray) -> float:
    """Share of pairs of a positive and a negative case in the right order, each pair counted by its weights."""
    positive = (table["label"] == 1).to_numpy()
    scores = table["score:normal"].to_numpy()
    order = np.sign(scores[positive][:, None] - scores[~positive]) / 2 + 0.5
    pairs = np.outer(weights[positive], weights[~positive])
    return float((order * pairs).sum() / pairs.sum())


def test_patients_are_drawn_for_the_mean_of_the_runs(
    synthetic: ModuleType, comparison: ModelComparison
) -> None:
    """An independent bootstrap of patients, with another generator, and the AUC by its definition."""
    maker = synthetic.full_study()
    row = row_of(comparison, "breastmnist", "finetune")
    tables = {}
    for model in (A, B):
        tables[model] = [
            frame[(frame["split"] == "test") & (frame["checkpoint"] == "best")]
            for record in maker.records
            if (record.description.task, record.description.model) == ("breastmnist", model)
            and (record.description.protocol, record.description.label_fraction) == ("finetune", 1.0)
            and record.outcome is not None
            for frame in [maker.frames[record.description.fingerprint]]
        ]
    draw = np.random.default_rng(0)
    patients = tables[A][0]["patient_id"].to_numpy()
    names = np.unique(patients)
    differences = []
    for _ in range(2000):
        chosen = draw.choice(names, len(names))
        weights = np.array([(chosen == patient).sum() for patient in patients])
        means = [np.mean([weighted_auc(table, weights) for table in tables[model]]) for model in (A, B)]
        differences.append(means[0] - means[1])
    found = source(row, "test patients")
    low, high = np.quantile(differences, [0.025, 0.975])
    width = high - low
    assert found.low == pytest.approx(low, abs=0.06 * width)
    assert found.high == pytest.approx(high, abs=0.06 * width)
    assert found.n_a == 30


def test_both_sources_together_are_wider_than_each(comparison: ModelComparison) -> None:
    for row in comparison.rows:
        if len(row.tests) == 3 and row.verdict.untested == ():
            both, patients = source(row, "runs and patients"), source(row, "test patients")
            assert both.high - both.low > 0.95 * (patients.high - patients.low)
            errors = [row.a.std / math.sqrt(len(row.a.runs)), row.b.std / math.sqrt(len(row.b.runs))]
            expected = math.hypot(*errors, (patients.high - patients.low) / 3.92)
            # runs that rank cases differently add to each source, so that the sum is a lower bound
            assert 0.9 * expected < (both.high - both.low) / 3.92 < 1.6 * expected


def test_deterministic_rows_have_patients_only(comparison: ModelComparison) -> None:
    row = row_of(comparison, "breastmnist", "linear")
    assert [test.source for test in row.tests] == ["test patients"]
    assert (row.outperforms, row.exact, row.settling.hurdle) == (None, None, "deterministic")


def test_turning_the_models_turns_every_sign_and_no_p(
    synthetic: ModuleType, comparison: ModelComparison
) -> None:
    turned = compare_models(synthetic.full_study().evidence(), None, B, A)
    for row in comparison.rows:
        back = row_of(turned, row.place.task, row.place.protocol, row.place.label_fraction)
        for name in ("training runs", "test patients"):
            if any(test.source == name for test in row.tests):
                one, other = source(row, name), source(back, name)
                assert one.difference == pytest.approx(-other.difference, abs=1e-12)
                assert (one.p is None) == (other.p is None)
                assert one.p is None or one.p == pytest.approx(other.p, rel=1e-9)


def test_the_exact_floor_is_said_aloud(comparison: ModelComparison) -> None:
    row = row_of(comparison, "breastmnist", "finetune")
    assert row.exact.floor == pytest.approx(2 / math.comb(10, 5))
    assert row.exact.adjusted_floor == pytest.approx(
        min(1, row.exact.floor * max(comparison.families.values()))
    )
    a, b = ([value for _, value in side.runs] for side in (row.a, row.b))
    assert row.exact.p == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)
    said = [remark for remark in row.remarks if "cannot be significant at this n by ranks" in remark]
    assert bool(said) == (row.exact.adjusted_floor >= 0.05)


def test_settling_counts_runs_for_the_margin_at_the_corrected_rate(comparison: ModelComparison) -> None:
    family = max(comparison.families.values())
    for row in comparison.rows:
        assert row.settling.margin == row.margin == 0.01
        assert row.settling.alpha == pytest.approx(0.05 / family)
        assert source(row, "test patients").alpha == pytest.approx(0.05 / family)


# What is compared, and what is not


def test_what_is_missing_is_listed_with_its_reason(synthetic: ModuleType) -> None:
    maker = synthetic.full_study()
    found = compare_models(maker.evidence(), None, "resnet50.mocov2_ham10000", "resnet20.random")
    reasons = {
        (row.place.task, row.place.protocol, row.place.label_fraction): (row.reason_a, row.reason_b)
        for row in found.missing
    }
    assert reasons["dermamnist", "linear", 1.0] == ("not applicable: pretrained on ham10000", None)
    assert reasons["drive-vessel", "finetune", 0.1] == (None, "5 failed (out_of_memory)")
    assert not any(key[0] == "breastmnist" for key in reasons)
    other = compare_models(maker.evidence(), None, A, B, Selection(task="drive-vessel"))
    assert {row.reason_a for row in other.missing} == {"no such trial"}
    assert other.rows == ()


def test_failed_and_waiting_trials_change_n_and_are_named(
    synthetic: ModuleType, binary_task: Make, two_models: Make
) -> None:
    maker = two_models(runs=4)
    maker.add_failed(binary_task(), A, "finetune", "bad", "it broke", repetition=4, skill=0.8)
    maker.add_pending(binary_task(), B, "finetune", repetition=4, skill=0.8)
    (row,) = compare_models(maker.evidence(), None, A, B).rows
    assert (len(row.a.runs), row.a.failed, row.b.waiting) == (4, 1, 1)
    assert "A: 1 of 5 trials failed, not in n" in row.remarks
    assert "B: 1 of 5 trials not finished, not in n" in row.remarks


def test_rows_may_be_selected(synthetic: ModuleType) -> None:
    evidence = synthetic.full_study().evidence()
    found = compare_models(evidence, None, A, B, Selection("phantom-chest", "finetune", 0.1, "auc"))
    assert [row.place.task for row in found.rows] == ["phantom-chest (phantom)"]
    assert found.families["training runs"] == 1


@pytest.mark.parametrize(
    ("selection", "kind", "message"),
    [
        (Selection(task="breastmist"), NotRegisteredError, "Did you mean 'breastmnist'"),
        (Selection(protocol="lineer"), NotRegisteredError, "Did you mean 'linear'"),
        (Selection(metric="aucc"), NotRegisteredError, "Did you mean 'auc'"),
        (Selection(label_fraction=0.2), UsageError, "expected one of 0.1 and 1, got 0.2"),
    ],
)
def test_unknown_rows_are_refused_with_the_nearest_name(
    synthetic: ModuleType, selection: Selection, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        compare_models(synthetic.full_study().evidence(), None, A, B, selection)


def test_nothing_that_fits_is_refused(two_models: Make, binary_task: Make, synthetic: ModuleType) -> None:
    maker = two_models()
    maker.add(binary_task("other"), A, "linear", varied=())
    with pytest.raises(UsageError, match="got none"):
        compare_models(maker.evidence(), None, A, B, Selection(task="nodules", protocol="linear"))


def test_a_metric_that_only_some_tasks_have(synthetic: ModuleType) -> None:
    found = compare_models(synthetic.full_study().evidence(), None, A, B, Selection(metric="accuracy"))
    assert {row.place.task for row in found.rows} == {"breastmnist"}
    assert {row.metric for row in found.rows} == {"accuracy"}
    assert "metric 'accuracy' is not computed for this task" in {row.reason_a for row in found.missing}


# Names


def test_a_model_is_found_by_name_or_by_label(
    two_models: Make, binary_task: Make, synthetic: ModuleType
) -> None:
    maker = two_models()
    for repetition in range(3):
        maker.add(
            binary_task(), A, "finetune", repetition=repetition, facts={"weights_hash": "f" * 64}, skill=0.8
        )
    with pytest.raises(UsageError, match="expected one set of weights, got 2 under this name") as refused:
        compare_models(maker.evidence(), None, A, B)
    assert f"{A} [ffffffffffff]" in str(refused.value)
    found = compare_models(maker.evidence(), None, f"{A} [ffffffffffff]", B)
    assert found.a.weights_hash == "f" * 64
    assert len(found.rows) == 1


def test_unknown_and_equal_models_are_refused(two_models: Make) -> None:
    evidence = two_models().evidence()
    with pytest.raises(NotRegisteredError, match=f"Did you mean '{A}'"):
        compare_models(evidence, None, "squeezenet1_1.sup_in1", B)
    with pytest.raises(UsageError, match=r"expected two source models, got .* twice"):
        compare_models(evidence, None, A, A)


# Verdicts


def test_a_planted_difference_is_found(two_models: Make, binary_task: Make) -> None:
    maker = two_models([binary_task(cases=300)], skills=(1.2, 0.3), runs=5)
    (row,) = compare_models(maker.evidence(), None, A, B).rows
    assert row.verdict.outcome == "a-better"
    assert row.sentence.startswith(f"{A} is better than {B} over training runs, test patients and both")
    (back,) = compare_models(maker.evidence(), None, B, A).rows
    assert back.verdict.outcome == "b-better"


def test_models_that_are_the_same_are_not_called_better(two_models: Make, binary_task: Make) -> None:
    """Twenty tasks on which both models draw from one distribution."""
    tasks = [binary_task(f"task-{number}", cases=40) for number in range(20)]
    found = compare_models(two_models(tasks, runs=3).evidence(), None, A, B)
    assert [row.verdict.outcome for row in found.rows] == ["undecided"] * 20
    raw = [source(row, "training runs").p < 0.05 for row in found.rows]
    assert sum(raw) <= 4


def test_equivalence_needs_a_margin_that_the_intervals_fit_into(two_models: Make, binary_task: Make) -> None:
    wide = two_models([binary_task(cases=300, equivalence_margin=0.4)], runs=5)
    (row,) = compare_models(wide.evidence(), None, A, B).rows
    assert (row.verdict.outcome, row.margin) == ("equivalent", 0.4)
    assert "are equivalent within ±0.4" in row.sentence
    narrow = two_models([binary_task(cases=300)], runs=5)
    (row,) = compare_models(narrow.evidence(), None, A, B).rows
    assert (row.verdict.outcome, row.margin) == ("undecided", 0.01)
    assert "equal" not in row.sentence


def test_the_margin_of_a_task_is_for_its_primary_metric(two_models: Make, binary_task: Make) -> None:
    maker = two_models([binary_task(equivalence_margin=0.4)])
    (row,) = compare_models(maker.evidence(), None, A, B, Selection(metric="accuracy")).rows
    assert row.margin == metrics.get("accuracy").equivalence_margin == 0.01


def test_one_run_leaves_the_question_open(two_models: Make, binary_task: Make) -> None:
    maker = two_models([binary_task(cases=300)], skills=(1.5, 0.1), runs=1)
    (row,) = compare_models(maker.evidence(), None, A, B).rows
    assert (row.verdict.outcome, row.outperforms, row.settling.hurdle) == (
        "undecided",
        None,
        row.settling.hurdle,
    )
    assert dict(row.verdict.untested) == {"training runs": "few-runs", "runs and patients": "few-runs"}
    assert row.verdict.separated == ("test patients",)
    assert "fewer than two runs of a model" in row.sentence


def test_runs_that_repeat_one_seed_leave_the_question_open(two_models: Make) -> None:
    maker = two_models(skills=(1.2, 0.3))
    first = {
        record.description.model: record for record in maker.records if record.description.repetition == 0
    }
    for record in maker.records:
        source_record = first[record.description.model]
        maker.frames[record.description.fingerprint] = maker.frames[source_record.description.fingerprint]
    maker.records = [
        replace(record, outcome=first[record.description.model].outcome) for record in maker.records
    ]
    (row,) = compare_models(maker.evidence(), None, A, B).rows
    assert dict(row.verdict.untested) == {"training runs": "no-variation"}
    assert row.verdict.outcome == "undecided"
    assert row.outperforms is None


def test_a_metric_where_lower_is_better(
    monkeypatch: pytest.MonkeyPatch, synthetic: ModuleType, two_models: Make
) -> None:
    accuracy = metrics.get("accuracy")

    def error_rate(predictions: Any, weights: Any) -> ClassScores:
        found = accuracy.score(predictions, weights)
        return ClassScores(1 - found.values, found.names, found.support, found.notes)  # noqa: PD011

    wrong = replace(accuracy, name="error-rate", higher_is_better=False, score=error_rate)
    monkeypatch.setitem(metrics._entries, "error-rate", wrong)
    task = synthetic.MadeTask(
        "nodules", TaskKind.BINARY, ("benign", "malignant"), ("error-rate",), {}, 300, 1
    )
    (row,) = compare_models(two_models([task], skills=(1.2, 0.2), runs=5).evidence(), None, A, B).rows
    assert row.better == "lower"
    assert row.a.mean < row.b.mean
    assert (row.verdict.outcome, row.outperforms) == ("a-better", 1.0)


def test_a_metric_that_is_undefined_is_missing(two_models: Make) -> None:
    maker = two_models()
    unknown = {"value": None, "note": "undefined", "per_class": {}}
    maker.records = [
        replace(
            record,
            outcome=replace(record.outcome, metrics={**record.outcome.metrics, "test": {"auc": unknown}}),
        )
        if record.description.model == A
        else record
        for record in maker.records
    ]
    found = compare_models(maker.evidence(), None, A, B)
    assert found.rows == ()
    assert [(row.reason_a, row.reason_b) for row in found.missing] == [("metric undefined in 3 runs", None)]


def test_runs_of_other_cases_are_refused(two_models: Make) -> None:
    maker = two_models()
    last = maker.records[-1].description.fingerprint
    frame = maker.frames[last]
    maker.frames[last] = frame[frame["case_id"] != "test-003"]
    with pytest.raises(DataError, match="expected the same test cases"):
        compare_models(maker.evidence(), None, A, B)


def test_stored_values_that_the_metric_no_longer_gives_are_named(two_models: Make) -> None:
    maker = two_models()
    record = maker.records[0]
    metrics_of = {
        key: {name: dict(value) for name, value in found.items()}
        for key, found in record.outcome.metrics.items()
    }
    metrics_of["test"]["auc"]["value"] -= 0.01
    maker.records[0] = replace(record, outcome=replace(record.outcome, metrics=metrics_of))
    (row,) = compare_models(maker.evidence(), None, A, B).rows
    assert next(remark for remark in row.remarks if "scored today give other" in remark).startswith("A: ")


def test_volumes_of_masks_are_compared(
    synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch, two_models: Make
) -> None:
    """Dice per volume, where a patient's slices make up a volume."""
    usual = synthetic.predictions

    def with_volumes(task: Any, split: str, level: float, rng: Any) -> Any:
        found = usual(task, split, level, rng)
        return replace(found, volume_ids=found.patient_ids)

    monkeypatch.setattr(synthetic, "predictions", with_volumes)
    task = synthetic.MadeTask("liver", TaskKind.SEGMENTATION, ("liver",), ("dice-volume", "dice"), {}, 60, 3)
    (row,) = compare_models(two_models([task], skills=(0.9, 0.1), runs=4).evidence(), None, A, B).rows
    assert (row.metric, row.patients) == ("dice-volume", 20)
    assert row.verdict.outcome == "a-better"
    assert "20 test patients: intervals over so few tend to be too narrow" in row.remarks


def test_what_a_reader_must_know_of_a_row(two_models: Make, binary_task: Make) -> None:
    task = binary_task(patients_known=False, caution="Faces may be seen.", overlap="unknown")
    (row,) = compare_models(two_models([task], runs=2).evidence(), None, A, B).rows
    assert "Faces may be seen" in row.remarks
    assert "A: nobody knows whether pretraining has seen images of the task" in row.remarks
    assert (
        "patients are not known: every case counts as its own, and intervals may be too narrow" in row.remarks
    )


# Two stores


def across(first: Any, second: Any, *names: str, **more: Any) -> ModelComparison:
    return compare_models(first.evidence(), second.evidence(), *names, places=("old", "new"), **more)


def test_one_model_in_two_stores(two_models: Make, binary_task: Make) -> None:
    task = binary_task(cases=300)
    before, after = (
        two_models([task], skills=(0.3, 0.8), runs=5),
        two_models([task], skills=(1.2, 0.8), runs=5),
    )
    found = across(before, after, A)
    assert (found.a.name, found.b.name) == (f"{A} (old)", f"{A} (new)")
    (row,) = found.rows
    assert row.verdict.outcome == "b-better"
    assert not row.identical
    (row,) = across(before, after, A, B).rows
    assert row.b.mean > row.a.mean


def test_results_that_did_not_change_are_called_so(two_models: Make) -> None:
    (row,) = across(two_models(), two_models(), A).rows
    assert row.identical
    assert row.sentence.startswith("Every run has the same value in both. ")
    assert "more of" not in row.sentence
    assert row.verdict.outcome != "a-better"


def test_other_data_under_one_name_is_refused(two_models: Make, binary_task: Make) -> None:
    other = binary_task(data_hash="e" * 64)
    both = [binary_task("fine"), other]
    with pytest.raises(DataError, match="expected the same data in both stores, got data hash") as refused:
        across(two_models([binary_task("fine"), binary_task()]), two_models(both), A)
    assert "nodules" in str(refused.value)
    assert "--task" in str(refused.value)
    found = across(
        two_models([binary_task("fine"), binary_task()]),
        two_models(both),
        A,
        selection=Selection(task="fine"),
    )
    assert [row.place.task for row in found.rows] == ["fine"]


def test_tasks_are_paired_by_their_data(two_models: Make, binary_task: Make) -> None:
    facts = {"data_hash": "d" * 64}
    found = across(
        two_models([binary_task("old-name", **facts)]), two_models([binary_task("new-name", **facts)]), A
    )
    assert [row.place.task for row in found.rows] == ["old-name"]


def test_a_task_of_one_store_is_missing_in_the_other(two_models: Make, binary_task: Make) -> None:
    tasks = [binary_task("one"), binary_task("two")]
    found = across(two_models(tasks), two_models([*tasks[:1], binary_task("three")]), A)
    assert [(row.place.task, row.reason_a, row.reason_b) for row in found.missing] == [
        ("two", None, "no such trial"),
        ("three", "no such trial", None),
    ]


def test_other_settings_are_paired_and_named(two_models: Make) -> None:
    before = two_models(settings={"image_size": 64, "epochs": 5})
    after = two_models(settings={"image_size": 96, "epochs": 5, "precision": "bf16"})
    (row,) = across(before, after, A).rows
    assert "the settings differ: image size 64 (A), 96 (B) and precision none (A), bf16 (B)" in row.remarks


def test_several_settings_are_not_guessed(two_models: Make) -> None:
    before = two_models(settings={"image_size": 64})
    after = two_models(settings={"image_size": 96})
    more = two_models(settings={"image_size": 128})
    after.records += more.records
    after.frames.update(more.frames)
    found = across(before, after, A)
    assert found.rows == ()
    assert len(found.missing) == 3


def test_other_code_and_weights_are_warned_of(two_models: Make) -> None:
    after = two_models(facts={"weights_hash": "c" * 64, "protocol_revision": 2})
    after.records = [
        replace(
            record,
            outcome=replace(
                record.outcome,
                provenance={
                    **record.outcome.provenance,
                    "code": "fedcba",
                    "hardware": {"processor": "Other CPU", "cores": 4, "system": "Linux x86_64"},
                },
            ),
        )
        for record in after.records
    ]
    found = across(two_models(facts={"protocol_revision": 1}), after, A)
    text = " ".join(found.warnings)
    assert "A and B differ in code: 0123456789ab (A), fedcba (B)" in text
    assert "differ in processor: Example CPU (A), Other CPU (B)" in text
    assert "differ in the protocol revision of finetune: 1 (A), 2 (B)" in text
    assert "other weights" in text
    assert "cccccccccccc (B)" in text
    assert "cores" not in text
    assert across(two_models(), two_models(), A).warnings == ()


# As JSON


def test_every_field_is_in_the_json_document(comparison: ModelComparison) -> None:
    text = json.dumps(comparison_object(comparison), allow_nan=False)
    document = json.loads(text)
    assert set(document) >= {field.name for field in fields(ModelComparison)} | {"format"}
    for row, found in zip(comparison.rows, document["rows"], strict=True):
        assert set(found) == {field.name for field in fields(ComparedRow)}
        for test in row.tests:
            expected = None if test.comparison is None else json.loads(json.dumps(asdict(test.comparison)))
            assert found["tests"][test.source]["comparison"] == expected
    assert {row["verdict"]["outcome"] for row in document["rows"]} <= {
        "a-better",
        "b-better",
        "equivalent",
        "undecided",
    }
