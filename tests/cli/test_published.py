"""``medtransfer published`` as a user meets it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from medtransfer.reports.published.rereadings import REREADINGS


def test_list_names_everything(medtransfer) -> None:
    shown = medtransfer("published", "list")
    assert shown.code == 0
    assert [line.split()[0] for line in shown.out.splitlines()] == list(REREADINGS)
    found = medtransfer("published", "list", "--json").json()
    assert [entry["name"] for entry in found] == list(REREADINGS)
    assert [entry["name"] for entry in found if entry["needs_store"]] == ["study-c-convergence"]


def test_show_prints_tables_and_what_is_known_of_them(medtransfer) -> None:
    shown = medtransfer("published", "show", "study-c-derived")
    assert shown.code == 0
    assert "nobody measured" in " ".join(shown.out.split())
    assert "+0.44" in shown.out
    assert "0.541" in shown.out


def test_folded_lists_are_named_but_not_printed(medtransfer) -> None:
    shown = medtransfer("published", "show", "study-c-matrices").out
    assert "Every comparison in numbers: with --csv or --json" in shown
    assert "TOST" not in shown


def test_show_as_json_csv_markdown_and_latex(medtransfer) -> None:
    name = "study-a-domain-adaptation"
    found = medtransfer("published", "show", name, "--json").json()
    assert found["name"] == name
    assert len(found["tables"]) == 3
    rows = list(csv.DictReader(io.StringIO(medtransfer("published", "show", name, "--csv").out)))
    assert {row["table"] for row in rows} == {table["id"] for table in found["tables"]}
    assert "| Scratch | 80.31 ± 0.10 ‡ |" in medtransfer("published", "show", name, "--markdown").out
    assert medtransfer("published", "show", name, "--latex").out.count(r"\begin{table") >= 3


def test_two_forms_at_once_are_refused(medtransfer) -> None:
    ended = medtransfer("published", "show", "conflicts", "--json", "--csv")
    assert ended.code == 2
    assert "expected one of --json, --csv, --markdown, --latex" in ended.refusal()


def test_an_unknown_name_is_refused(medtransfer) -> None:
    ended = medtransfer("published", "show", "study-d")
    assert ended.code == 2
    assert "medtransfer published list" in ended.refusal()


def test_convergence_without_logs_says_what_to_do(medtransfer) -> None:
    ended = medtransfer("published", "show", "study-c-convergence")
    assert ended.code == 2
    assert "medtransfer import FOLDER --store STORE" in ended.refusal()


def test_convergence_from_imported_logs(medtransfer, tmp_path: Path) -> None:
    run = tmp_path / "logs" / "finetuning" / "E1" / "PT_Scratch_FT_R"
    run.mkdir(parents=True)
    values = [0.5, 0.7, *[0.8] * 12]
    rows = [f"{epoch},0.5,{value},0.1" for epoch, value in enumerate(values)]
    (run / "val.log").write_text(
        "\n".join(["epoch,avg_epoch_train_loss,accuracy,avg_val_loss", *rows]) + "\n"
    )
    (run / "test.log").write_text("accuracy,avg_val_loss\n0.8,0.1\n")
    store = tmp_path / "store"
    assert medtransfer("import", tmp_path / "logs", "--store", store).code == 0
    found = medtransfer("published", "show", "study-c-convergence", "--store", store, "--json").json()
    (table,) = found["sections"][0]["tables"]
    assert table["rows"][0][1]["text"] == "2.0"
    out = tmp_path / "out"
    ended = medtransfer("published", "report", "--out", out, "--store", store)
    assert ended.code == 0
    assert "epochs to convergence" in (out / "published.html").read_text()


def test_a_store_that_is_not_there_is_refused(medtransfer, tmp_path: Path) -> None:
    ended = medtransfer("published", "show", "conflicts", "--store", tmp_path / "nowhere")
    assert ended.code != 0
    assert "nowhere" in ended.refusal()
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_report_writes_the_page_and_says_where(medtransfer, tmp_path: Path, form: tuple[str, ...]) -> None:
    ended = medtransfer("published", "report", "--out", tmp_path / "out", *form)
    assert ended.code == 0
    page = tmp_path / "out" / "published.html"
    shown = ended.json()["files"]["html"] if form else ended.out.removeprefix("Page: ").strip()
    assert (Path(shown), page.is_file()) == (page, True)
