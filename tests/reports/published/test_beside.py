"""Published levels beside own results: which rows match, what is compared, what is only shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from scipy import stats

from medtransfer.core.errors import UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.reports.published.beside import published_table
from medtransfer.reports.published.comparable_levels import comparable_levels, study_c_levels
from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.published.shipped import measured_runs, published_results
from medtransfer.reports.study_reading import StudyReading, read_study
from medtransfer.reports.tables.table import Table, TableCell
from medtransfer.store.records import Outcome

SCORES = (0.81, 0.83, 0.80, 0.84, 0.82)
"""Five runs: mean 0.82, sample standard deviation 0.0158."""


def study(
    synthetic: ModuleType,
    task: str,
    metrics: Mapping[str, tuple[float, ...]],
    *,
    model: str = "resnet50.tv_in1k",
    protocol: str = "finetune",
    fraction: float = 1.0,
    facts: Mapping[str, Any] | None = None,
) -> StudyReading:
    """Return the reading of a study with one cell whose runs have the given values."""
    maker = synthetic.StudyMaker("own")
    kind = TaskKind.MULTI_LABEL if "auc-scored" in metrics else TaskKind.BINARY
    made = synthetic.MadeTask(task, kind, ("no", "yes"), tuple(metrics), cases=8)
    runs = len(next(iter(metrics.values())))
    for repetition in range(runs):
        values = {
            name: {"value": found[repetition], "note": None, "per_class": {}}
            for name, found in metrics.items()
        }
        record = maker.add(
            made,
            model,
            protocol,
            fraction=fraction,
            repetition=repetition,
            settings={"epochs": 3},
            facts=facts,
        )
        assert isinstance(record.outcome, Outcome)
        maker.records[-1] = replace(record, outcome=replace(record.outcome, metrics={"test": values}))
    return read_study(maker.evidence())


def table_of(reading: StudyReading, imported: tuple[PublishedResult, ...] = ()) -> Table | None:
    return published_table(reading, next(iter(reading.tasks)), imported)


def matched(table: Table) -> list[tuple[TableCell, ...]]:
    return [row for row in table.rows if row[4].text != "not run"]


def only(table: Table, source: str, place: str, model: str) -> tuple[TableCell, ...]:
    (row,) = [
        row
        for row in table.rows
        if row[1].text == source and row[1].details == (place,) and row[0].text == model
    ]
    return row


def test_a_level_stands_beside_the_own_result_of_the_same_model(synthetic: ModuleType) -> None:
    table = table_of(study(synthetic, "chestxray14", {"auc": SCORES}))
    assert table is not None
    row = only(table, "Study A, 2021", "table_domain_adaptive", "ImageNet, ResNet-50")
    assert (row[3].text, row[3].details) == ("81.70 ± 0.15", ("AUC, %", "n unknown"))
    assert (row[4].text, row[4].details[0]) == ("0.820 ± 0.016", "n = 5")
    assert row[5].text == "+0.30"
    assert row[5].details == ("published: n unknown, ddof 0", "yours: n = 5, ddof 1")
    assert row[5].value == pytest.approx(0.30)
    assert row[3].value == pytest.approx(0.817)
    assert all(row[0].details == ("resnet50.tv_in1k",) for row in matched(table))


def test_nothing_is_tested_where_the_number_of_runs_is_unknown(synthetic: ModuleType) -> None:
    table = table_of(study(synthetic, "chestxray14", {"auc": SCORES}))
    assert table is not None
    tested = [row for row in table.rows if any("across studies" in line for line in row[5].details)]
    assert {row[1].text for row in tested} == {"Independent rerun"}


def test_a_known_number_of_runs_is_tested_across_studies(synthetic: ModuleType) -> None:
    """The rerun prints 80.63 ± 0.08 over three runs with the population formula."""
    table = table_of(study(synthetic, "chestxray14", {"auc": SCORES}))
    assert table is not None
    row = only(table, "Independent rerun", "rerun_chestxray14", "ImageNet, ResNet-50")
    spread = math.sqrt(sum((value - 0.82) ** 2 for value in SCORES) / 4)
    sample = 0.0008 * math.sqrt(3 / 2)
    expected = stats.ttest_ind_from_stats(0.82, spread, 5, 0.8063, sample, 3, equal_var=False)
    assert row[5].details == (
        "published: n = 3, ddof 0",
        "yours: n = 5, ddof 1",
        f"across studies: p = {expected.pvalue:.3f}",
    )
    assert any("across studies" in note and "stands alone" in note for note in table.notes)


def test_one_own_run_is_shown_without_spread_or_test(synthetic: ModuleType) -> None:
    table = table_of(study(synthetic, "chestxray14", {"auc": (0.8,)}))
    assert table is not None
    row = only(table, "Independent rerun", "rerun_chestxray14", "ImageNet, ResNet-50")
    assert (row[4].text, row[4].details[0]) == ("0.800", "n = 1")
    assert row[5].details == ("published: n = 3, ddof 0", "yours: n = 1, no spread")
    assert row[5].text == "−0.63"


@pytest.mark.parametrize(
    "change",
    [{"model": "resnet50.mocov3_unknown"}, {"protocol": "linear"}, {"fraction": 0.1}],
    ids=["another model", "another protocol", "another label fraction"],
)
def test_what_is_not_the_same_is_listed_but_not_compared(
    synthetic: ModuleType, change: dict[str, Any]
) -> None:
    table = table_of(study(synthetic, "shenzhen-tb", {"auc": SCORES}, **change))
    assert table is not None
    assert matched(table) == []
    assert {row[5].text for row in table.rows} == {"–"}


def test_label_fractions_match_their_own(synthetic: ModuleType) -> None:
    model = "resnet50.dira_mocov2_chestxray14"
    table = table_of(study(synthetic, "chestxray14", {"auc": SCORES}, model=model, fraction=0.25))
    assert table is not None
    (row,) = matched(table)
    assert (row[1].text, row[2].text, row[3].text) == ("DiRA, 2022", "25\xa0%", "77.55")
    assert row[5].details[0] == "published: n unknown, no spread"
    assert row is table.rows[0]


def test_chexpert_is_compared_on_the_five_scored_classes(synthetic: ModuleType) -> None:
    values = {"auc-scored": SCORES, "auc": tuple(value - 0.1 for value in SCORES)}
    table = table_of(study(synthetic, "chexpert", values))
    assert table is not None
    assert {row[4].text for row in matched(table)} == {"0.820 ± 0.016"}
    marked = {row[3].text for row in matched(table) if "!" in row[3].marks}
    assert marked == {"87.10 ± 0.36", "87.17 ± 0.22", "87.17"}
    assert any(
        note.startswith("Known conflict, not resolved: CheXpert from ImageNet") for note in table.notes
    )


def test_a_model_that_has_seen_the_images_is_not_called_not_run(synthetic: ModuleType) -> None:
    facts = {"overlap": "same", "overlap_reason": "pretrained on it"}
    reading = study(synthetic, "shenzhen-tb", {"auc": SCORES}, facts=facts)
    table = table_of(reading)
    assert table is not None
    cells = {row[4].text for row in table.rows if row[0].details == ("resnet50.tv_in1k",)}
    assert cells == {"–"}


def test_tasks_and_metrics_without_published_levels_have_no_table(synthetic: ModuleType) -> None:
    assert table_of(study(synthetic, "breastmnist", {"auc": SCORES})) is None
    assert table_of(study(synthetic, "shenzhen-tb", {"accuracy": SCORES})) is None
    with pytest.raises(UsageError, match="expected a task of study 'own', got 'nonsense'"):
        published_table(study(synthetic, "breastmnist", {"auc": SCORES}), "nonsense")


def test_the_caution_is_always_there(reading: StudyReading) -> None:
    tables = [published_table(reading, key) for key in reading.tasks]
    (drive,) = [table for table in tables if table is not None]
    assert drive.id == "published-drive-vessel"
    assert drive.notes[0].startswith("Published numbers come from other splits, other recipes")
    assert any("pooled over all test pixels" in note for note in drive.notes)
    assert {len(row) for row in drive.rows} == {len(drive.columns)}


def test_levels_of_unknown_averaging_are_counted_not_compared(synthetic: ModuleType) -> None:
    reading = study(synthetic, "jsrt-heart", {"auc": SCORES})
    assert table_of(reading) is None
    task = next(iter(reading.tasks.values()))
    facts = {
        **task.facts,
        "metrics": ["dice-pooled"],
        "primary_metric": "dice-pooled",
        "kind": "segmentation",
    }
    pooled = replace(reading, tasks={task.key: replace(task, facts=facts)})
    table = table_of(pooled)
    assert table is not None
    assert not any(row[1].text == "Ark, 2023" for row in table.rows)
    assert any(
        note.startswith("6 further published levels on this task are left out") for note in table.notes
    )


def test_study_cs_cells_are_levels_with_known_runs(synthetic: ModuleType) -> None:
    levels = {level.initialization: level for level in study_c_levels(measured_runs())}
    assert set(levels) == {"Scratch", "I1k", "R", "RF"}
    values = [
        run.value
        for run in measured_runs()
        if (run.experiment, run.task, run.initialization, run.metric) == ("E1", "CX8", "R", "auc_avg_overall")
    ]
    level = levels["R"]
    assert level.n == len(values) == 4
    assert level.mean == pytest.approx(sum(values) / 4)
    assert level.std == pytest.approx(stats.tstd(values))
    own = study(synthetic, "chestxray14-15", {"auc": SCORES}, model="resnet50.simclr_radnet1m")
    table = table_of(own)
    assert table is not None
    (row,) = matched(table)
    expected = stats.ttest_ind(SCORES, values, equal_var=False).pvalue
    shown = "< 0.001" if expected < 0.001 else f"= {expected:.3f}"
    assert row[5].details == (
        "published: n = 4, ddof 1",
        "yours: n = 5, ddof 1",
        f"across studies: p {shown}",
    )


def test_imported_numbers_join_once_and_contradictions_are_flagged(synthetic: ModuleType) -> None:
    shipped = published_results()[0]
    other = replace(shipped, mean=shipped.mean + 1)
    new = replace(shipped, source="somebody2030", n=None)
    found = comparable_levels((replace(shipped, note="another note"), other, new))
    added = found[len(comparable_levels()) :]
    assert [(level.source, level.mean) for level in added] == [
        (shipped.source, shipped.mean + 1),
        ("somebody2030", shipped.mean),
    ]
    assert "doubtful" in added[0].flags
    assert "The number shipped under the same key is 80.31 ± 0.10." in added[0].note
    reading = study(synthetic, "chestxray14", {"auc": SCORES}, model="resnet50.random")
    table = table_of(reading, (other, new))
    assert table is not None
    assert only(table, "somebody2030", "table_domain_adaptive", "Scratch, ResNet-50")[5].details[0] == (
        "published: n unknown, ddof unknown"
    )
