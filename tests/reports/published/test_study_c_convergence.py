"""Time to convergence on constructed curves, and from logs that were written, imported and read back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from medtransfer.reports.published.convergence import time_to_convergence
from medtransfer.reports.published.material import Material, material_of, shipped_material
from medtransfer.reports.published.names import STUDY_C
from medtransfer.reports.published.read_import import read_import
from medtransfer.reports.published.records import MeasuredCurve
from medtransfer.reports.published.stored import store_batch
from medtransfer.reports.published.study_c_convergence import NO_CURVES, convergence, convergence_table
from medtransfer.reports.published.tidy import tables_of
from medtransfer.store.store import Store

FLAT = [0.8] * 10


def curve(values: Sequence[float | None], run: int = 0, start: str = "R") -> MeasuredCurve:
    return MeasuredCurve(STUDY_C, "E1", start, "R", run, "accuracy", tuple(range(len(values))), tuple(values))


def test_the_first_epoch_within_half_a_percent_counts() -> None:
    assert time_to_convergence([0.5, 0.79, 0.797, *FLAT]).epoch == 2  # 0.003 of 0.8 is within 0.5 %
    assert time_to_convergence([0.5, 0.79, 0.795, *FLAT]).epoch == 3  # 0.00625 is not
    assert time_to_convergence([0.8, 0.5, 0.5, *FLAT]).epoch == 0  # it may leave the band again
    assert time_to_convergence([0.803, 0.5, *FLAT]).epoch == 0  # from above as from below


def test_the_level_is_the_mean_of_the_last_ten_only() -> None:
    values = [0.1] * 20 + [0.7, 0.9] * 5
    found = time_to_convergence(values)
    assert found.level == pytest.approx(0.8)
    assert found.epoch is None
    assert found.censored
    assert (found.epochs, found.as_printed) == (30, 100)


@pytest.mark.parametrize("n", [10, 20, 50, 100])
@pytest.mark.parametrize(("before_end", "epoch"), [(6, 6), (5, 5), (4, None), (1, None)])
def test_position_n_minus_five_is_the_last_that_counts(n: int, before_end: int, epoch: int | None) -> None:
    """Of the last ten values one is their mean, 0.8, and the other nine are far from it."""
    last = [0.5] * 3 + [0.95] * 6
    last.insert(10 - before_end, 0.8)
    found = time_to_convergence([0.1] * (n - 10) + last)
    assert found.level == pytest.approx(0.8)
    assert found.epoch == (None if epoch is None else n - epoch)
    assert found.censored == (epoch is None)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([0.8] * 9, "fewer than 10 epochs"),
        ([0.8] * 15 + [None], "a missing value among the last 10"),
        ([0.8] * 15 + [float("nan")], "a missing value among the last 10"),
        ([0.0] * 20, "a level that is not positive"),
        ([-0.5] * 20, "a level that is not positive"),
        ([], "fewer than 10 epochs"),
    ],
)
def test_curves_without_a_level_are_undefined_not_censored(values: list[float | None], reason: str) -> None:
    found = time_to_convergence(values)
    assert (found.epoch, found.censored, found.reason) == (None, False, reason)


def test_a_missing_value_before_the_last_ten_never_counts() -> None:
    assert time_to_convergence([None, float("nan"), 0.8, *FLAT]).epoch == 2


def test_a_cell_with_a_censored_run_has_no_mean() -> None:
    late = [0.1] * 20 + [0.7, 0.9] * 5
    quick = [0.5, 0.6, *FLAT]
    table = convergence_table([curve(quick), curve(late, 1), curve(quick, 0, "I1k")], "E1")
    heads = [column.title for column in table.columns]
    row = dict(zip(heads, table.rows[0], strict=True))
    assert heads == ["Task and metric", "I1k", "R"]
    assert (row["I1k"].text, row["I1k"].value) == ("2.0", 2.0)
    assert row["R"].text == "1 run of 2 censored"
    assert row["R"].value is None
    assert row["R"].marks == "c"
    assert row["R"].details == ("runs: 2, > 25", "n = 12 and 30", "as printed 51.0")


def test_an_undefined_run_has_no_printed_average_either() -> None:
    cell = convergence_table([curve([0.5, *FLAT]), curve([0.8] * 3, 1)], "E1").rows[0][1]
    assert cell.text == "undefined"
    assert cell.details == ("runs: 1, undefined", "n = 3 and 11", "fewer than 10 epochs")


def test_without_curves_the_section_says_how_to_get_them() -> None:
    section = convergence(shipped_material())
    assert tables_of(section) == []
    assert section.parts[-1].text == NO_CURVES


def test_other_metrics_and_losses_are_no_rows() -> None:
    loss = MeasuredCurve(STUDY_C, "E1", "R", "R", 0, "avg_val_loss", tuple(range(12)), (1.0,) * 12)
    assert tables_of(convergence(Material((), (), (loss,))))[0].rows == ()


def write_run(folder: Path, name: str, values: Sequence[float]) -> None:
    run = folder / "finetuning" / "E1" / name
    run.mkdir(parents=True)
    rows = [f"{epoch},0.5,{value},0.1" for epoch, value in enumerate(values)]
    (run / "val.log").write_text("\n".join(["epoch,avg_epoch_train_loss,acc,avg_loss", *rows]) + "\n")
    (run / "test.log").write_text(f"acc,avg_loss\n{values[-1]},0.1\n")


def test_logs_that_were_imported_give_the_table(tmp_path: Path) -> None:
    late = [0.1] * 20 + [0.7, 0.9] * 5
    write_run(tmp_path / "logs", "PT_SimCLR_R_FT_R", [0.5, 0.6, 0.7, *FLAT])
    write_run(tmp_path / "logs", "PT_SimCLR_R_FT_R_f1", late)
    write_run(tmp_path / "logs", "PT_Scratch_FT_R", [0.5, *FLAT])
    _, batch = read_import(tmp_path / "logs")
    with Store.open(tmp_path / "store") as store:
        store_batch(store, batch, "logs")
        material = material_of(store)
    assert material.runs_from == "the logs that were imported into the store"
    assert len({(run.initialization, run.run) for run in material.runs}) == 3
    (table,) = tables_of(convergence(material))
    row = {column.title: cell for column, cell in zip(table.columns, table.rows[0], strict=True)}
    assert row["Task and metric"].text == "R, accuracy"
    assert (row["Scratch"].text, row["R"].text) == ("1.0", "1 run of 2 censored")


def test_a_store_without_logs_leaves_the_shipped_runs(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        assert material_of(store) == shipped_material()
