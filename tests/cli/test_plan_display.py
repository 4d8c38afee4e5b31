"""How a plan looks: it fits 80 columns, and says what it takes, what is unknown and what can be found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from medtransfer.cli import plan_display
from medtransfer.cli.plan_display import print_plan
from medtransfer.study.planner import Plan, PlanRow
from medtransfer.study.row_costs import RowCost

PLAN = Plan(
    (
        PlanRow("a", "m", "finetune", {1.0: 2}, 2, 0, RowCost(400.0, 900.0, 200.0, 3_000_000_000), "probe"),
        PlanRow("b", "m", "finetune", {1.0: 2}, 2, 1, RowCost(50.0, 50.0, 50.0, None), "measured"),
        PlanRow("b", "n", "finetune", {1.0: 2}, 2, 2, RowCost(0.0, 0.0, 0.0, 0), "done"),
    ),
    workers=4,
    machine_bytes=10_000_000_000,
)
LONGEST = PlanRow(
    *("pneumoniamnist", "mobilenetv1_100.sup_in1k", "finetune", {0.1: 5, 1.0: 5}, 10, 10),
    *(RowCost(7300.0, 7300.0, 7300.0, 24_600_000_000), "measured"),
)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Print a plan on a screen of some width."""

    def call(plan: Plan, width: int = 100) -> tuple[str, str]:
        monkeypatch.setattr(plan_display, "output_console", lambda: Console(width=width, markup=False))
        print_plan(plan)
        return capsys.readouterr()

    return call


def test_a_plan_in_full(shown) -> None:
    lines = [line.rstrip() for line in shown(PLAN)[0].splitlines()]
    assert [lines[0], *lines[2:]] == [
        "task and model      done  one core  at most        memory  basis",
        "a, finetune",
        "  labels 1 (x 2)",
        "  m               0 of 2     7 min   15 min       3.00 GB  probe",
        "",
        "b, finetune",
        "  labels 1 (x 2)",
        "  m               1 of 2      50 s     50 s  not measured  measured",
        "  n               2 of 2                                   done",
        "",
        "6 trials, 3 done, 3 to run: about 3 min with 4 worker(s), 8 min if no training stops early.",
        "A worker takes about 3.00 GB of memory, 4 about 12.0 GB; there are 10.0 GB.",
        "Memory was not measured for 1 of the trials to run; they may take more.",
        "Smallest difference between two models that is found with a chance of 80%, in standard deviations",
        "between runs: 5.7 with 2 runs of each.",
    ]


def test_memory_that_was_measured_of_no_row_is_said_once(shown) -> None:
    printed, _ = shown(replace(PLAN, rows=PLAN.rows[1:]))
    assert "A worker takes" not in printed
    assert "Memory was not measured for 1 of the trials to run.\n" in printed


def test_memory_of_like_trials_is_shown(shown) -> None:
    measured = replace(PLAN.rows[1], cost=RowCost(50.0, 50.0, 50.0, 2_000_000_000))
    printed, _ = shown(replace(PLAN, rows=(measured, PLAN.rows[2])))
    (row,) = [line for line in printed.splitlines() if "1 of 2" in line]
    assert row.split() == ["m", "1", "of", "2", "50", "s", "50", "s", "2.00", "GB", "measured"]
    assert "A worker takes about 2.00 GB of memory, 4 about 8.00 GB" in printed
    assert "not measured" not in printed


def test_more_memory_than_there_is_gets_a_warning(shown) -> None:
    assert shown(PLAN)[1] == (
        "Warning: workers: expected at most 10.0 GB of memory in all, got 4 workers of about 3.00 GB. "
        "Use --workers 3, or smaller batches or images.\n"
    )
    assert shown(replace(PLAN, workers=3))[1] == ""


def test_memory_for_one_process_is_not_saved_by_fewer(shown) -> None:
    for workers in (0, 1):
        assert shown(replace(PLAN, workers=workers, machine_bytes=2_000_000_000))[1] == (
            "Warning: workers: expected at most 2.00 GB of memory in all, got 1 worker of about 3.00 GB. "
            "Use smaller batches or images.\n"
        )


def test_settings_of_one_protocol_stand_apart_and_say_what_differs(shown) -> None:
    first = replace(PLAN.rows[0], protocol="linear", settings={"image_size": 128, "strengths": [1.0]})
    rows = (
        first,
        replace(first, model="n"),
        replace(first, settings={**first.settings, "normalization": "study"}, cost=None, fault="no memory."),
    )
    printed, warned = shown(Plan(rows, workers=1))
    assert [line.split("  0 of")[0].rstrip() for line in printed.splitlines()[2:11]] == [
        "a, linear",
        "  normalization as usual",
        "  labels 1 (x 2)",
        "  m",
        "  n",
        "",
        "a, linear",
        "  normalization study",
        "  labels 1 (x 2)",
    ]
    assert warned == (
        "Warning: a, m, linear (normalization study): expected a probe that ends, got: no memory.\n"
    )


def test_of_many_settings_that_differ_those_are_shown_that_tell_them_apart(shown) -> None:
    names = ("epochs", "patience", "learning_rate", "weight_decay", "batch_size")
    settings = [{"preset": preset, **dict.fromkeys(names, number)} for number, preset in enumerate("xy")]
    settings.append({**settings[1], "epochs": 7})
    rows = [replace(PLAN.rows[0], settings=values) for values in settings]
    printed = shown(Plan(tuple(rows), workers=1))[0]
    assert [line.strip() for line in printed.splitlines() if "preset" in line] == [
        "preset x; epochs 0",
        "preset y; epochs 1",
        "preset y; epochs 7",
    ]


def test_the_longest_rows_of_a_usual_study_are_not_folded_at_80_columns(shown) -> None:
    printed, _ = shown(Plan((replace(LONGEST, done=0),), workers=2, decoding_s=3.0), width=80)
    (row,) = [line for line in printed.splitlines() if "mobilenet" in line]
    assert " ".join(row.split()) == "mobilenetv1_100.sup_in1k 0 of 10 2 h 2 min 2 h 2 min 24.6 GB measured"
    assert "Decoding images first takes about 3 s of one core of it.\n" in printed


def test_the_words_for_no_memory_fit_80_columns_too(shown) -> None:
    cost = RowCost(7300.0, 7300.0, 7300.0, None)
    printed, _ = shown(Plan((replace(LONGEST, done=0, cost=cost),), workers=2), width=80)
    (row,) = [line for line in printed.splitlines() if "mobilenet" in line]
    assert row.endswith("2 h 2 min  2 h 2 min  not measured  measured")


def test_numbers_are_never_folded(shown) -> None:
    printed, _ = shown(Plan((replace(LONGEST, done=0),), workers=2), width=64)
    (row,) = [line for line in printed.splitlines() if "0 of 10" in line]
    assert "2 h 2 min" in row
    assert "24.6 GB" in row
    assert "measured" in row


def test_models_of_the_same_task_and_protocol_with_other_fractions_stand_apart(shown) -> None:
    rows = [
        replace(PLAN.rows[0], model=name, fractions={share: 2}) for name, share in (("m", 1.0), ("n", 0.5))
    ]
    printed, _ = shown(Plan(tuple(rows), workers=1))
    assert printed.count("a, finetune") == 2
    assert "labels 0.5 (x 2)" in printed


def test_differences_are_told_for_repeated_trials_that_are_to_run(shown) -> None:
    three = replace(LONGEST, done=0, fractions={0.1: 5, 1.0: 3})
    printed = " ".join(shown(Plan((three, replace(PLAN.rows[2], fractions={1.0: 4})), workers=1))[0].split())
    assert "between runs: 3.1 with 3, 2.0 with 5 runs of each." in printed  # 2.024440: Cohen's table
    once = replace(LONGEST, done=0, fractions={1.0: 1})
    assert "Smallest" not in shown(Plan((once,), workers=1))[0]


def test_many_label_fractions_are_cut(shown) -> None:
    fractions = {number / 10: 2 for number in range(1, 8)}
    printed = shown(Plan((replace(LONGEST, fractions=fractions),), workers=1))[0].splitlines()
    folded = [line.strip() for line in printed[3:] if "mobilenet" not in line]
    assert " ".join(folded).startswith("labels 0.1 (x 2), 0.2 (x 2), 0.3 (x 2), 0.4 (x 2), 0.5 (x 2), 2 more")
