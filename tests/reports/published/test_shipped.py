"""Every published number that is shipped, against the tables it was taken from."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path

import pytest

from medtransfer.reports.published.doubts import CONFLICTS, conflict_members
from medtransfer.reports.published.names import RERUN, STUDY_A, STUDY_B, STUDY_C
from medtransfer.reports.published.records import PrintedTest, PublishedResult
from medtransfer.reports.published.results_file import result_key
from medtransfer.reports.published.runs_file import run_key
from medtransfer.reports.published.shipped import measured_runs, published_results
from medtransfer.reports.published.source_records import SOURCE_RECORDS

DEFAULT = Path(__file__).resolve().parents[4] / "shared" / "reference" / "published"


@pytest.fixture(scope="module")
def reference() -> Path:
    folder = Path(os.environ.get("MEDTRANSFER_PUBLISHED_REFERENCE", DEFAULT))
    if not folder.is_dir():
        if os.environ.get("MEDTRANSFER_REQUIRE_REAL") == "1":
            pytest.fail(f"published tables: expected a folder at {folder}, got none.")
        pytest.skip(f"the folder of published tables, {folder}, is absent")
    return folder


def one(table: str, task: str, initialization: str, source: str = STUDY_A) -> PublishedResult:
    (found,) = [
        result
        for result in published_results()
        if (result.source, result.table, result.task, result.initialization)
        == (source, table, task, initialization)
    ]
    return found


def test_every_number_of_the_tables_is_shipped_and_no_other(reference: Path) -> None:
    expected = Counter()
    for file in sorted(reference.glob("*.csv")):
        if file.name == "jonske_runs.csv":
            continue
        with file.open(encoding="utf-8", newline="") as opened:
            for row in csv.DictReader(opened):
                names = tuple(
                    row[name]
                    for name in ("source", "table", "task", "metric", "initialization", "architecture")
                )
                std = float(row["std"]) if row["std"] else None
                n = int(row["n"]) if row["n"] else None
                expected[(*names, float(row["mean"]), std, n, row["exact"] == "true")] += 1
    shipped = Counter((*result_key(r), r.mean, r.std, r.n, r.exact) for r in published_results())
    assert sum(expected.values()) == 673
    assert shipped == expected


def test_every_value_of_study_cs_runs_is_shipped_and_no_other(reference: Path) -> None:
    with (reference / "jonske_runs.csv").open(encoding="utf-8", newline="") as opened:
        expected = Counter(
            (
                *(row[name] for name in ("experiment", "pretraining", "task")),
                int(row["run"]),
                row["metric"],
                float(row["value"]),
            )
            for row in csv.DictReader(opened)
        )
    shipped = Counter((*run_key(run), run.metric, run.value) for run in measured_runs())
    assert sum(expected.values()) == 3594
    assert shipped == expected


def test_printed_significance_and_reading_accuracy_survive_as_numbers(reference: Path) -> None:
    """Count the words of the original notes, so that no label is lost on the way."""
    notes = Counter()
    for file in reference.glob("paper*.csv"):
        with file.open(encoding="utf-8", newline="") as opened:
            for row in csv.DictReader(opened):
                notes["numbers"] += row["note"].count("printed p ")
                notes["bounds"] += row["note"].count("p<0.")
                notes["ns"] += row["note"].count("n.s.")
                notes["bold"] += "bold in the table" in row["note"]
                notes["shaded"] += "shaded in the table" in row["note"]
    tests = [test for result in published_results() for test in result.printed_tests]
    assert notes == {
        "numbers": sum(test.p_value is not None for test in tests),
        "bounds": sum(test.p.startswith("< ") for test in tests),
        "ns": sum(test.p == "n.s." for test in tests),
        "bold": sum(result.mark == "bold" for result in published_results()),
        "shaded": sum(result.mark == "shaded" for result in published_results()),
    }


def test_the_numbers_that_everyone_quotes() -> None:
    imagenet = one("table_domain_adaptive", "DXC14", "ImageNet")
    assert (imagenet.mean, imagenet.std, imagenet.n, imagenet.exact) == (81.70, 0.15, None, True)
    best = one("table_domain_adaptive", "LXS", "ImageNet->CheXpert")
    assert (best.mean, best.std, best.mark) == (98.31, 0.05, "bold")
    assert one("table_domain_adaptive", "LXS", "CheXpert").mark == "shaded"
    rerun = one("rerun_chestxray14", "DXC14", "GMML NIH 1000e", RERUN)
    assert (rerun.mean, rerun.std, rerun.n, rerun.flags) == (79.69, 0.41, 6, {"rerun"})


def test_printed_tests_are_read_from_every_form() -> None:
    assert one("fig_inat", "TXC", "iNat2021").printed_tests[0].against == "ImageNet"
    assert one("fig_inat", "PXS", "iNat2021").printed_tests == (PrintedTest("ImageNet", "0.19"),)
    bound = one("fig_ssl", "LXS", "SeLa-v2").printed_tests
    assert all(test.against == "baseline" for test in bound)
    two = [r for r in published_results() if len(r.printed_tests) == 2]
    assert {r.architecture for r in two} == {"ConvNeXt-B"}
    assert PrintedTest("ImageNet", "1e-05").p_value == 1e-05
    assert PrintedTest("baseline", "< 0.05").p_value is None
    assert PrintedTest("baseline", "n.s.").p_value is None


def test_flags_and_units_say_what_a_number_is() -> None:
    flags = Counter(flag for result in published_results() for flag in result.flags)
    assert flags == {"digitised": 410, "difference": 18, "rerun": 6, "doubtful": 37}
    for result in published_results():
        assert (result.unit == "points") == ("difference" in result.flags)
        assert (result.reading_error is not None) <= ("digitised" in result.flags)
        assert result.unit == "points" or 0 < result.mean < 100
        assert result.source in SOURCE_RECORDS
    assert (
        one(
            "fig_label_budget_swin_minus_convnext",
            "10% ChestX-ray14",
            "Scratch: Swin minus ConvNeXt",
            STUDY_B,
        ).mean
        == -10.3
    )


def test_label_fractions_come_out_of_the_printed_task() -> None:
    fractions = {r.task: r.label_fraction for r in published_results()}
    assert fractions["DXC14@1%"] == 0.01
    assert fractions["25% ChestX-ray14"] == 0.25
    assert fractions["LXS@50%"] == 0.5
    assert fractions["DXC14"] == fractions["10% ChestX-ray14"] * 10 == 1.0


def test_every_conflict_has_its_numbers_and_they_differ() -> None:
    members: dict[str, list[PublishedResult]] = {}
    for result in published_results():
        for key in result.conflicts:
            members.setdefault(key, []).append(result)
    assert set(members) == set(CONFLICTS)
    assert sum(map(len, members.values())) == sum(map(len, conflict_members().values()))
    for key, results in members.items():
        if (
            key != "dxc5-scratch-spread"
        ):  # a printed number and a drawn bar: the table's number stands for both
            assert len({(r.mean, r.std) for r in results}) > 1, key
        assert all(CONFLICTS[key].about in r.note for r in results)
        if CONFLICTS[key].doubtful:
            assert all("doubtful" in r.flags for r in results)


def test_the_known_conflict_of_87_10_and_87_17_shows_both_numbers() -> None:
    found = [r for r in published_results() if "dxc5-imagenet" in r.conflicts]
    assert sorted({(r.source == STUDY_A, r.mean, r.std) for r in found}, key=str) == [
        (False, 87.17, 0.22),
        (True, 87.1, 0.36),
        (True, 87.17, None),
    ]


def test_runs_that_are_known_to_be_wrong_are_flagged_and_only_those() -> None:
    doubtful = {(r.experiment, r.task) for r in measured_runs() if "doubtful" in r.flags}
    assert doubtful == {
        ("E2", "CX8M"),
        ("E2", "CX8S"),
        ("E2", "RXS"),
        ("E2", "LiTSS"),
        ("E3", "BraTS_noise25e2"),
        ("E3", "BraTS_noise25e3"),
    }
    copies = {
        (run.initialization, run.task): run.note
        for run in measured_runs()
        if run.experiment == "E3" and "doubtful" in run.flags
    }
    assert set(copies) == {("Scratch", "BraTS_noise25e2"), ("Scratch", "BraTS_noise25e3")}
    assert "E3 Scratch on BraTS_noise25e3, run 0" in copies["Scratch", "BraTS_noise25e2"]
    eleven = {run_key(run) for run in measured_runs() if "seed 11" in run.note}
    assert eleven == {("E1", "RF", "LiTS", 1)}


def test_the_collapsed_run_is_there_as_it_was_logged() -> None:
    (collapsed,) = [
        run
        for run in measured_runs()
        if run_key(run) == ("E2", "I1k", "LiTSS", 0) and run.metric == "dice_avg_class_2"
    ]
    assert collapsed.value == 0.002498455642782419
    assert "collapsed" in collapsed.note


def test_all_cells_outside_noise_hold_four_runs() -> None:
    cells: dict[tuple[str, str, str, str], set[int]] = {}
    for run in measured_runs():
        cells.setdefault((run.experiment, run.initialization, run.task, run.metric), set()).add(run.run)
    assert {frozenset(runs) for key, runs in cells.items() if key[0] != "E3"} == {frozenset(range(4))}
    assert {frozenset(runs) for key, runs in cells.items() if key[0] == "E3"} == {frozenset({0})}
    assert len({run_key(run) for run in measured_runs()}) == 585
    assert {run.source for run in measured_runs()} == {STUDY_C}
