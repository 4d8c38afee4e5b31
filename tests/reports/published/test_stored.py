"""What was imported into a store comes back as it was read, and contradictions are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from medtransfer.core.errors import UsageError
from medtransfer.reports.published.import_batch import ImportBatch
from medtransfer.reports.published.read_import import read_import
from medtransfer.reports.published.results_file import RESULT_COLUMNS, read_results_file
from medtransfer.reports.published.runs_file import RUN_COLUMNS, read_runs_file
from medtransfer.reports.published.stored import (
    store_batch,
    stored_curves,
    stored_pretrainings,
    stored_results,
    stored_runs,
)
from medtransfer.store.imported_rows import ImportCounts
from medtransfer.store.store import Store

ROWS = (
    "somebody2030,table_1,DXC14,AUC%,ImageNet,ResNet-50,81.70,0.15,5,true,a note",
    "somebody2030,table_1,DXC14@1%,AUC%,ImageNet,ResNet-50,0.1,,,false,",
    "somebody2030,table_1,DXC5,AUC% difference,a minus b,a vs b,-0.3,,,true,",
)


def batch(*rows: str, name: str = "file.csv") -> ImportBatch:
    return read_results_file("\n".join([",".join(RESULT_COLUMNS), *rows]), name)


def runs(*rows: str) -> ImportBatch:
    return read_runs_file("\n".join([",".join(RUN_COLUMNS), *rows]), "runs.csv")


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "store") as opened:
        yield opened


def test_results_come_back_as_they_were_read_in_their_order(store: Store) -> None:
    read = batch(*ROWS)
    assert store_batch(store, read, "file.csv") == ImportCounts(new=3, unchanged=0, revised=0)
    assert stored_results(store) == read.results
    assert store.imported("published-result")[0].origin == "file.csv, line 2"


def test_importing_twice_changes_nothing(store: Store) -> None:
    store_batch(store, batch(*ROWS), "file.csv")
    before = store.imported("published-result")
    assert store_batch(store, batch(*reversed(ROWS)), "renamed.csv") == ImportCounts(0, 3, 0)
    assert store.imported("published-result") == before


def test_another_number_under_a_key_is_refused_and_nothing_of_the_file_is_kept(store: Store) -> None:
    store_batch(store, batch(ROWS[0]), "file.csv")
    changed = ROWS[0].replace("81.70", "81.80")
    with pytest.raises(
        UsageError, match=r"mean 81\.7 became 81\.8.*imported before from file\.csv, line 2"
    ) as caught:
        store_batch(store, batch(ROWS[1], changed), "file.csv")
    assert "file.csv, line 3" in str(caught.value)
    assert "--revise" in str(caught.value)
    assert len(stored_results(store)) == 1


def test_a_revision_is_kept_beside_the_first_and_read_instead_of_it(store: Store) -> None:
    store_batch(store, batch(*ROWS), "file.csv")
    changed = ROWS[0].replace("81.70", "81.80")
    assert store_batch(
        store, batch(changed, ROWS[1], name="new.csv"), "new.csv", revise=True
    ) == ImportCounts(0, 1, 1)
    found = {result.task: result.mean for result in stored_results(store)}
    assert found == {"DXC14": 81.8, "DXC14@1%": 0.1, "DXC5": -0.3}
    (row,) = [row for row in store.imported("published-result") if row.key["task"] == "DXC14"]
    assert (row.revision, row.origin) == (2, "new.csv, line 2")
    with pytest.raises(UsageError):  # the first content is no longer the one that is stored
        store_batch(store, batch(ROWS[0]), "file.csv")


def test_runs_come_back_with_their_flags_and_later_facts_are_added(store: Store) -> None:
    plain = runs("E2,R,CX8M,0,auc_avg_overall,0.75", "E1,R,R,0,accuracy,0.9", "E1,R,R,0,avg_val_loss,0.3")
    aliased = runs("E1,R,R,0,acc,0.9", "E1,R,R,0,avg_val_loss,0.3")
    store_batch(store, plain, "runs.csv")
    assert {run.logged_as for run in stored_runs(store)} == {""}
    assert store_batch(store, aliased, "runs.csv") == ImportCounts(0, 1, 0)
    found = {(run.task, run.metric): run for run in stored_runs(store)}
    assert found["R", "accuracy"].logged_as == "acc"
    assert found["CX8M", "auc_avg_overall"].flags == {"doubtful"}
    assert "another branch" in found["CX8M", "auc_avg_overall"].note
    assert store_batch(store, plain, "runs.csv") == ImportCounts(0, 2, 0)
    assert {run.logged_as for run in stored_runs(store)} == {"", "acc"}


def test_a_run_that_lost_a_metric_contradicts(store: Store) -> None:
    store_batch(store, runs("E1,R,R,0,accuracy,0.9", "E1,R,R,0,avg_val_loss,0.3"), "runs.csv")
    with pytest.raises(UsageError, match=r"avg_val_loss 0\.3 became null"):
        store_batch(store, runs("E1,R,R,0,accuracy,0.9"), "runs.csv")


def test_curves_and_pretraining_logs_come_back_whole(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "logs"
    run = root / "finetuning/E1/PT_SimCLR_R_FT_R_f1"
    pretraining = root / "pretraining/ct"
    run.mkdir(parents=True)
    pretraining.mkdir(parents=True)
    (run / "val.log").write_text("epoch,acc,odd\n0,0.25,nan\n1,0.5,1e300\n")
    (run / "train.log").write_text("epoch,step,loss\n1,1,2.0\n1,2,1.0\n")
    (pretraining / "train.log").write_text("epoch,step,loss,datetime\n3,0,nan,a\n2,0,6.5,b\n")
    _, read = read_import(root)
    assert store_batch(store, read, "logs") == ImportCounts(3, 0, 0)
    by_metric = lambda curve: curve.metric  # noqa: E731
    assert sorted(stored_curves(store), key=by_metric) == sorted(read.curves, key=by_metric)
    assert stored_pretrainings(store) == read.pretrainings
    assert store_batch(store, read, "logs") == ImportCounts(0, 3, 0)


def test_trials_and_reports_of_the_store_do_not_see_imported_numbers(store: Store) -> None:
    store_batch(store, batch(*ROWS), "file.csv")
    assert store.records() == []
    assert store.counts().total == 0
    assert store.verify() == []


def test_a_changed_row_of_the_database_is_found(store: Store) -> None:
    store_batch(store, batch(*ROWS), "file.csv")
    with store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE imported SET content = replace(content, '81.7', '91.7')")
    (problem,) = store.verify()
    assert (problem.what, "DXC14" in problem.where) == ("damaged-import", True)


PROGRAM = """
import sys
from pathlib import Path
from medtransfer.reports.published.read_import import read_import
from medtransfer.reports.published.stored import store_batch
from medtransfer.store.store import Store
_, batch = read_import(Path(sys.argv[1]))
with Store.open(sys.argv[2]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    counts = store_batch(store, batch, "file.csv")
print(counts.new, counts.unchanged, counts.revised)
"""


def test_two_processes_import_at_once_and_each_row_is_there_once(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    rows = [ROWS[0].replace("table_1", f"table_{number}") for number in range(500)]
    file.write_text("\n".join([",".join(RESULT_COLUMNS), *rows]))
    arguments = [sys.executable, "-c", PROGRAM, str(file), str(tmp_path / "store")]
    both = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=60)[0] for process in both)
    assert said == ["0 500 0\n", "500 0 0\n"]
    with Store.open(tmp_path / "store") as store:
        assert len(stored_results(store)) == 500
