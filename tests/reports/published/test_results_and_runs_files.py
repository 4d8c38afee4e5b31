"""Files of results and of runs, as they should be and as they should not."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtransfer.core.errors import DataError, UsageError
from medtransfer.reports.published.import_batch import ImportBatch, ImportFaultsError
from medtransfer.reports.published.read_import import read_import
from medtransfer.reports.published.results_file import RESULT_COLUMNS, read_results_file
from medtransfer.reports.published.runs_file import RUN_COLUMNS, read_runs_file

HEADER = ",".join(RESULT_COLUMNS)
ROW = "somebody2030,table_1,DXC14@25%,AUC%,ImageNet,ResNet-50,81.70,0.15,5,true,as printed"
RUNS_HEADER = ",".join(RUN_COLUMNS)
RUN = "E1,R,LiTS,0,dice_avg_class_1,0.94"


def results(*rows: str, header: str = HEADER) -> ImportBatch:
    return read_results_file("\n".join([header, *rows, ""]), "file.csv")


def runs(*rows: str, header: str = RUNS_HEADER) -> ImportBatch:
    return read_runs_file("\n".join([header, *rows, ""]), "runs.csv")


def test_a_row_becomes_a_result_with_our_names() -> None:
    (result,) = results(ROW).results
    assert (result.mean, result.std, result.n, result.unit, result.flags) == (81.7, 0.15, 5, "percent", set())
    assert (result.target_task, result.metric_name, result.label_fraction) == ("chestxray14", "auc", 0.25)
    assert result.source_model is None  # nobody knows which ImageNet weights somebody2030 used
    assert result.note == "as printed"


def test_the_order_of_columns_does_not_matter_and_quotes_hold_commas() -> None:
    names = list(reversed(RESULT_COLUMNS))
    cells = dict(zip(RESULT_COLUMNS, ROW.split(","), strict=True)) | {"note": '"a, ""b""\n c"'}
    (result,) = results(",".join(cells[name] for name in names), header=",".join(names)).results
    assert (result.mean, result.note) == (81.7, 'a, "b" c')


def test_empty_spread_and_number_of_runs_are_null_not_zero() -> None:
    (result,) = results(ROW.replace("0.15,5,true", ",,false")).results
    assert (result.std, result.n, result.flags) == (None, None, {"digitised"})


def test_a_difference_is_in_points_and_may_be_negative() -> None:
    (result,) = results(ROW.replace("AUC%", "AUC% difference").replace("81.70", "-10.3")).results
    assert (result.mean, result.unit, result.metric_name, result.flags) == (
        -10.3,
        "points",
        None,
        {"difference"},
    )


def test_a_known_conflict_is_flagged_on_import_as_in_the_package() -> None:
    row = "taher2021_arxiv2108.05930,table_domain_adaptive,DXC5,AUC%,ImageNet,ResNet-50,87.10,0.36,,true,"
    (result,) = results(row).results
    assert result.flags == {"doubtful"}
    assert "87.17" in result.note


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("81.70", "nan", "line 2, mean: expected a finite number, got 'nan'"),
        ("81.70", "81,7", "line 2: expected 11 cells, got 12"),
        ("81.70", '"81,7"', "line 2, mean: expected a finite number, got '81,7'"),
        ("81.70", "1e999", "mean: expected a finite number"),
        ("81.70", "8_1", "mean: expected a finite number"),
        ("81.70", "٨١", "mean: expected a finite number"),
        ("81.70", "", "mean: expected a finite number, got ''"),
        ("81.70", "101", "mean: expected a number from 0 to 100, got '101'"),
        ("81.70", "-1", "mean: expected a number from 0 to 100, got '-1'"),
        ("0.15", "-0.15", "std: expected a number from 0 to 100"),
        (",5,", ",0,", "n: expected a whole number of at least 1, got '0'"),
        (",5,", ",5.0,", "n: expected a whole number of at least 1, got '5.0'"),
        (",5,", ",99999999999999999999,", "n: expected a whole number"),
        ("true", "yes", "exact: expected one of 'true', 'false', got 'yes'"),
        ("somebody2030", " ", "source: expected a name of printable characters, got ' '"),
        ("ImageNet", "Image\x1bNet", "initialization: expected a name of printable characters"),
        ("AUC%", "AUC", "metric: expected a metric in percent such as 'AUC%'"),
        (
            "DXC14@25%",
            "DXC14@0%",
            "line 2, task: expected a share of the training labels above 0 and at most",
        ),
        ("DXC14@25%", "DXC14@101%", "line 2, task: expected a share of the training labels above 0 and at"),
        ("DXC14@25%", "0% X", "at most 100 %, got '0% X'. Correct the file"),
        ("DXC14@25%", "0.0% X", "at most 100 %, got '0.0% X'"),
        ("DXC14@25%", "200% X", "at most 100 %, got '200% X'"),
        ("DXC14@25%", f"{'9' * 5000}% X", "task: expected a share of the training labels"),
        ("as printed", '"as printed', "expected a comma-separated row"),
    ],
)
def test_a_wrong_cell_is_named_by_file_line_and_column(old: str, new: str, told: str) -> None:
    with pytest.raises(ImportFaultsError) as caught:
        results(ROW.replace(old, new))
    assert caught.value.exit_code == 3
    assert told in str(caught.value)
    assert "file.csv" in str(caught.value)
    assert "nothing was imported" in str(caught.value)


def test_every_wrong_row_is_told_at_once_and_a_long_list_is_cut() -> None:
    with pytest.raises(ImportFaultsError) as caught:
        results(*(ROW.replace("81.70", "x").replace("table_1", f"table_{n}") for n in range(25)))
    assert len(caught.value.problems) == 25
    assert str(caught.value).count("\n") == 21
    assert str(caught.value).endswith("and 5 more")


def test_a_key_that_comes_twice_is_refused_even_with_equal_numbers() -> None:
    with pytest.raises(
        ImportFaultsError, match=r"file\.csv, line 3: expected each key once, got that of file\.csv, line 2"
    ):
        results(ROW, ROW)


def test_line_numbers_count_lines_inside_quotes() -> None:
    first = ROW.replace("as printed", '"one\ntwo\nthree"')
    with pytest.raises(ImportFaultsError, match=r"file\.csv, line 5, mean"):
        results(first, ROW.replace("81.70", "x").replace("table_1", "table_2"))


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (HEADER.replace(",std", ""), "a header without 'std'"),
        (HEADER + ",extra", "a header with unknown 'extra'"),
        (HEADER.replace("std", "mean"), "without 'std' and with repeated 'mean'"),
        ("", "a header without"),
    ],
)
def test_a_wrong_header_is_refused(header: str, told: str) -> None:
    with pytest.raises(ImportFaultsError, match="line 1: expected the columns source,table") as caught:
        results(ROW, header=header)
    assert told in str(caught.value)


def test_runs_are_read_with_aliases_and_what_the_log_called_them() -> None:
    batch = runs(RUN, "E1,R,R,2,acc,0.9", "E1,R,R,2,avg_loss,3.5")
    assert [(r.metric, r.logged_as, r.value) for r in batch.runs] == [
        ("dice_avg_class_1", "", 0.94),
        ("accuracy", "acc", 0.9),
        ("avg_val_loss", "avg_loss", 3.5),
    ]
    assert batch.read == {"results": 0, "runs": 2, "run_metrics": 3, "curves": 0, "pretrainings": 0}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("0.94", "1.5", "value: expected a share from 0 to 1, got '1.5'"),
        ("0.94", "NaN", "value: expected a finite number, got 'NaN'"),
        ("E1", "E5", "experiment: expected one of 'E1', 'E2'"),
        (",R,", ",Imagenet,", "pretraining: expected one of 'Scratch'"),
        (",0,", ",-1,", "run: expected a whole number of at least 0"),
    ],
)
def test_a_wrong_run_is_named(old: str, new: str, told: str) -> None:
    with pytest.raises(ImportFaultsError) as caught:
        runs(RUN.replace(old, new))
    assert told in str(caught.value)


def test_a_metric_under_both_of_its_names_is_a_repeated_key() -> None:
    with pytest.raises(ImportFaultsError, match=r"each metric of a run once, got that of runs\.csv, line 2"):
        runs("E1,R,R,2,acc,0.9", "E1,R,R,2,accuracy,0.9")


def test_runs_with_the_same_values_under_two_names_are_flagged() -> None:
    rows = [
        f"E3,{start},R_noise{n},0,{metric},0.5"
        for start in ("R", "I1k")
        for n in (2, 3)
        for metric in ("accuracy", "avg_val_loss")
    ]
    rows[0] = rows[0].replace("0.5", "0.4")
    doubtful = {(r.initialization, r.task) for r in runs(*rows).runs if "doubtful" in r.flags}
    assert doubtful == {("R", "R_noise3"), ("I1k", "R_noise2"), ("I1k", "R_noise3")}
    assert not any(r.flags for r in runs("E3,R,R_noise2,0,accuracy,0.5", "E3,R,R_noise3,0,accuracy,0.5").runs)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_byte_order_mark_and_other_line_ends_change_nothing(tmp_path: Path, mark: str, ending: str) -> None:
    file = tmp_path / "a file.csv"
    file.write_bytes(f"{mark}{HEADER}{ending}{ROW}{ending}".encode())
    layout, batch = read_import(file)
    assert layout == "results"
    assert batch.results == results(ROW).results


def test_a_path_that_cannot_be_imported_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="got nothing there"):
        read_import(tmp_path / "absent.csv")
    with pytest.raises(UsageError, match="expected a folder with 'finetuning' or 'pretraining'"):
        read_import(tmp_path)
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"other\.csv: expected the header source,table.*got 'a,b'"):
        read_import(other)
    other.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="expected UTF-8, got byte 0xff at offset 0"):
        read_import(other)
    other.write_text(f"{HEADER}\nx\x00")
    with pytest.raises(DataError, match="NUL"):
        read_import(other)
    other.write_text('"' + 200_000 * "x")
    with pytest.raises(DataError, match=r"other\.csv, line 1: expected a header .* every quote is closed\.$"):
        read_import(other)
    other.write_text(f"{200_000 * 'x'},b\n1,2\n")
    with pytest.raises(DataError, match=r"other\.csv, line 1: expected a header .* field larger than"):
        read_import(other)
    other.write_text(f"{HEADER}\n")
    with pytest.raises(DataError, match="expected at least one result, got none"):
        read_import(other)
    other.write_text(RUNS_HEADER.replace(",value", "") + "\n")
    with pytest.raises(ImportFaultsError, match="without 'value'"):
        read_import(other)
