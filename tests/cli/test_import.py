"""``medtransfer import``: what it says, what it refuses, what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtransfer.reports.published.results_file import RESULT_COLUMNS
from medtransfer.reports.published.stored import stored_results, stored_runs
from medtransfer.store.store import Store

HEADER = ",".join(RESULT_COLUMNS)
ROW = "somebody2030,table_1,DXC14,AUC%,ImageNet,ResNet-50,81.70,0.15,5,true,"
FIGURE = "somebody2030,figure_1,DXC14,AUC%,ImageNet,ResNet-50,81.5,,,false,read off"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "table of results.csv"
    file.write_text(f"{HEADER}\n{ROW}\n{FIGURE}\n")
    return file


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for group, name in (("E4", "PT_R_FT_CX8_lineval"), ("E8", "PT_R_FT_CX8_lineval"), ("E2", "PT_R_FT_CX8S")):
        folder = tmp_path / "logs" / "finetuning" / group / name
        folder.mkdir(parents=True)
        (folder / "test.log").write_text(f"accuracy,avg_val_loss\n0.{len(name)},0.5\n")
    return tmp_path / "logs"


def test_counts_for_people(medtransfer, table: Path, tmp_path: Path) -> None:
    ended = medtransfer("import", table, "--store", tmp_path / "store")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "Read: 2 results",
        f"Store {tmp_path / 'store' / 'medtransfer.db'}: 2 new, 0 already there, 0 revised",
        "Flagged: 1 digitised",
    ]


def test_counts_as_json_and_again(medtransfer, logs: Path, tmp_path: Path) -> None:
    for new, there in ((2, 0), (0, 2)):
        ended = medtransfer("import", logs, "--store", tmp_path / "store", "--json")
        assert (ended.code, ended.err) == (0, "")
        document = ended.json()
        assert (document["layout"], document["new"], document["already_there"]) == ("logs", new, there)
        assert document["read"]["run_metrics"] == 4
        assert document["flagged"] == {"doubtful": 2}
        assert document["ignored"] == [
            {
                "where": "finetuning/E8/PT_R_FT_CX8_lineval",
                "reason": "its test log is a byte copy of that in E4",
            }
        ]
    with Store.open(tmp_path / "store", create=False) as store:
        assert {run.experiment for run in stored_runs(store)} == {"E2", "E4"}


def test_a_wrong_file_is_refused_and_no_store_is_made(medtransfer, table: Path, tmp_path: Path) -> None:
    table.write_text(f"{HEADER}\n{ROW}\n{FIGURE.replace('81.5', 'high')}\n")
    ended = medtransfer("import", table, "--store", tmp_path / "store")
    assert ended.code == 3
    assert ended.refusal() == (
        "import of table of results.csv: expected files without faults, got 1; nothing was imported.\n"
        "  - wrong-value: table of results.csv, line 3, mean: expected a finite number, got 'high'. "
        "Correct the file and import it again."
    )
    assert not (tmp_path / "store").exists()


def test_other_numbers_are_refused_unless_they_are_revisions(
    medtransfer, table: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    assert medtransfer("import", table, "--store", store).code == 0
    table.write_text(f"{HEADER}\n{ROW.replace('81.70', '81.80')}\n")
    refused = medtransfer("import", table, "--store", store)
    assert refused.code == 2
    assert "mean 81.7 became 81.8" in refused.refusal()
    revised = medtransfer("import", table, "--store", store, "--revise", "--json")
    assert (revised.code, revised.json()["revised"], revised.json()["new"]) == (0, 1, 0)
    with Store.open(store, create=False) as opened:
        assert sorted(result.mean for result in stored_results(opened)) == [81.5, 81.8]


def test_the_store_may_come_from_the_environment(
    medtransfer, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDTRANSFER_STORE", str(tmp_path / "elsewhere.db"))
    assert medtransfer("import", table).code == 0
    assert (tmp_path / "elsewhere.db").exists()


def test_nothing_there_is_wrong_use(medtransfer, tmp_path: Path) -> None:
    ended = medtransfer("import", tmp_path / "absent.csv")
    assert (ended.code, "got nothing there" in ended.refusal()) == (2, True)


def test_a_long_list_of_what_was_ignored_is_cut(medtransfer, logs: Path, tmp_path: Path) -> None:
    for number in range(12):
        (logs / "finetuning" / f"X{number:02}").mkdir()
    ended = medtransfer("import", logs, "--store", tmp_path / "store")
    ignored = [line for line in ended.out.splitlines() if line.startswith("Ignored: ")]
    assert (len(ignored), ignored[-1]) == (11, "Ignored: and 3 more")
