"""``status`` and ``report`` over a store that was filled without running anything."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest

from medtransfer.cli.report import report_folder
from medtransfer.store.records import Outcome, TrialDescription
from medtransfer.store.store import Store

FACTS = {
    "kind": "binary",
    "classes": ["benign", "malignant"],
    "metrics": ["auc"],
    "primary_metric": "auc",
    "split_counts": {"train": 4, "val": 2, "test": 4},
    "overlap": "clean",
}
DONE, FAILED, RUNNING, PENDING = (
    TrialDescription(f"{n}" * 64, "lesions", "resnet20.random", "finetune", {}, 1.0, n, ("training",), FACTS)
    for n in range(4)
)
METRICS = {"test": {"auc": {"value": 0.75, "note": None, "per_class": {}}}}
PREDICTIONS = pd.DataFrame(
    {
        "checkpoint": "best",
        "split": "test",
        "case_id": list("abcd"),
        "patient_id": list("abcd"),
        "label": [0, 0, 1, 1],
        "score:benign": [0.9, 0.2, 0.3, 0.1],
        "score:malignant": [0.1, 0.8, 0.7, 0.9],
    }
)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    return fill(tmp_path / "store")


def fill(place: Path) -> Path:
    """Return a store with one trial in each state."""
    with Store.open(place) as store:
        store.submit("first", [DONE, FAILED, RUNNING, PENDING])
        done, failed, _ = store.claim([DONE.fingerprint, FAILED.fingerprint, RUNNING.fingerprint], "me", 600)
        store.finish(done, Outcome(METRICS, 4), PREDICTIONS)
        store.fail(failed, "non_finite_loss", "the loss was nan in\nstep 3 \x1b[31m", "where")
    return place


def test_status_as_json(medtransfer, filled: Path) -> None:
    ended = medtransfer("status", filled, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json() == {
        "studies": ["first"],
        "done": 1,
        "running": 1,
        "pending": 1,
        "failed": 1,
        "in_no_study": 0,
        "failed_trials": [
            {
                "fingerprint": FAILED.fingerprint,
                "task": "lesions",
                "model": "resnet20.random",
                "protocol": "finetune",
                "label_fraction": 1.0,
                "repetition": 1,
                "reason": "non_finite_loss",
                "message": "the loss was nan in\nstep 3 \x1b[31m",
            }
        ],
    }


def test_status_for_people(medtransfer, filled: Path) -> None:
    ended = medtransfer("status", filled)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "done 1  running 1  pending 1  failed 1\n"
        "failed: lesions, resnet20.random, finetune, label fraction 1, repetition 1: "
        "non_finite_loss: the loss was nan in step 3 \\x1b[31m\n"
    )


def test_status_of_one_study(medtransfer, filled: Path) -> None:
    with Store.open(filled) as store:
        store.submit("second", [PENDING])
    assert medtransfer("status", filled, "--study", "second", "--json").json()["pending"] == 1
    assert medtransfer("status", filled, "--study", "second", "--json").json()["done"] == 0
    ended = medtransfer("status", filled, "--study", "secnd")
    assert ended.code == 2
    assert "Did you mean 'second'?" in ended.refusal()


def test_trials_that_left_their_study_are_counted_apart(medtransfer, filled: Path) -> None:
    with Store.open(filled) as store:
        store.submit("second", [DONE])
        store.submit("first", [PENDING])
    ended = medtransfer("status", filled)
    assert ended.out == "done 1  running 0  pending 1  failed 0\n2 trials belong to no study any more\n"
    found = medtransfer("status", filled, "--json").json()
    assert found == {
        "studies": ["first", "second"],
        "done": 1,
        "running": 0,
        "pending": 1,
        "failed": 0,
        "in_no_study": 2,
        "failed_trials": [],
    }
    assert medtransfer("status", filled, "--study", "first").out == "done 0  running 0  pending 1  failed 0\n"
    with Store.open(filled) as store:
        store.submit("first", [PENDING, FAILED])
    ended = medtransfer("status", filled)
    assert "failed 1\n1 trial belongs to no study any more\nfailed: lesions" in ended.out


def test_status_changes_nothing(medtransfer, filled: Path) -> None:
    with Store.open(filled) as store:
        before = store.records()
    medtransfer("status", filled)
    with Store.open(filled) as store:
        assert store.records() == before


@pytest.mark.parametrize("command", ["status", "report"])
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["plain", "json"])
def test_no_store_there(medtransfer, tmp_path: Path, command: str, form: tuple[str, ...]) -> None:
    ended = medtransfer(command, tmp_path / "nothing", *form)
    assert ended.code == 2
    assert "expected a store, got nothing there" in ended.refusal()
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("command", ["status", "report"])
def test_a_file_that_is_no_store(medtransfer, tmp_path: Path, command: str) -> None:
    (tmp_path / "other.db").write_text("no database at all, but long enough to be taken for one" * 100)
    ended = medtransfer(command, tmp_path / "other.db")
    assert ended.code == 1
    assert str(tmp_path / "other.db") in ended.refusal()


def test_report_as_json_names_files_that_are_there(medtransfer, filled: Path, tmp_path: Path) -> None:
    ended = medtransfer("report", filled, "--json", "--out", tmp_path / "out")
    assert (ended.code, ended.err) == (0, "")
    found = ended.json()
    assert found["study"] == "first"
    assert set(found) == {"study", "files"}
    assert set(found["files"]) == {"html", "markdown", "csv", "runs_csv", "json"}
    assert all(Path(path).is_file() for path in found["files"].values())
    assert Path(found["files"]["html"]) == tmp_path / "out" / "index.html"
    with Path(found["files"]["runs_csv"]).open(newline="") as stream:
        states = [row["state"] for row in csv.DictReader(stream)]
    assert sorted(states) == ["done", "failed", "pending", "running"]
    json.loads(Path(found["files"]["json"]).read_text())


def test_report_for_people_ends_with_its_page(medtransfer, filled: Path) -> None:
    ended = medtransfer("report", filled)
    assert (ended.code, ended.err) == (0, "")
    page = filled / "reports" / "first" / "index.html"
    assert ended.out.rstrip().endswith(f"Report: {page}")
    assert page.is_file()


def test_stores_in_files_of_one_folder_keep_their_reports_apart(medtransfer, tmp_path: Path) -> None:
    names = ("a.db", "b.sqlite", "medtransfer.db")
    ended = [medtransfer("report", fill(tmp_path / name), "--json") for name in names]
    pages = [Path(each.json()["files"]["html"]) for each in ended]
    folders = [tmp_path / folder / "first" for folder in ("a-reports", "b-reports", "reports")]
    assert pages == [folder / "index.html" for folder in folders]
    assert all(page.is_file() for page in pages)


def test_a_store_on_a_server_has_its_reports_beside_its_files(tmp_path: Path) -> None:
    store = SimpleNamespace(name="postgresql+psycopg://host/a.db", artifacts=tmp_path / "files")
    assert report_folder(cast("Store", store), "first") == tmp_path / "reports" / "first"


def test_report_writes_what_a_paper_needs(medtransfer, filled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "paper"
    ended = medtransfer("report", filled, "--json", "--out", tmp_path / "out", "--paper", folder)
    assert (ended.code, ended.err) == (0, "")
    found = ended.json()["paper"]
    assert set(found) == {"main", "methods", "methods_markdown", "references", "tables", "figures"}
    single = [found.pop(name) for name in ("main", "methods", "methods_markdown", "references")]
    assert single == [
        str(folder / name) for name in ("main.tex", "methods.tex", "methods.md", "references.bib")
    ]
    assert {str(folder / "tables" / f"tasks.{kind}") for kind in ("tex", "md", "csv")} <= set(found["tables"])
    assert all(Path(path).is_file() for path in (*single, *found["tables"], *found["figures"]))
    text = (folder / "methods.md").read_text()
    assert "1 of 4 trials finished. 1 trial failed" in text
    assert "--json --out …/out --paper …/paper" in text
    ended = medtransfer("report", filled, "--out", tmp_path / "out", "--paper", folder)
    assert ended.out.rstrip().endswith(f"Paper: {folder / 'main.tex'}")


def test_report_leaves_a_manuscript_alone(medtransfer, filled: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "main.tex").write_text("mine")
    ended = medtransfer("report", filled, "--out", tmp_path / "out", "--paper", tmp_path / "thesis", "--json")
    assert ended.code == 2
    assert "expected files as they were written, got other ones at ['main.tex']" in ended.refusal()
    assert (tmp_path / "thesis" / "main.tex").read_text() == "mine"


def test_report_with_pictures_refuses_data_it_cannot_name(medtransfer, filled: Path, tmp_path: Path) -> None:
    ended = medtransfer("report", filled, "--pictures", "--data", tmp_path / "nowhere")
    assert ended.code == 3
    assert str(tmp_path / "nowhere") in ended.refusal()
    ended = medtransfer("report", filled, "--pictures", "--data", tmp_path)
    assert ended.code == 2
    assert "expected its study file in the store, got none" in ended.refusal()


def test_report_with_pictures_shows_cases_of_the_study(
    medtransfer, write_study, lesions: Path, tmp_path: Path
) -> None:
    content = {
        "name": "shown",
        "tasks": [{"lesions": {"root": "lesions"}}],
        "models": ["resnet20.random"],
        "protocols": [{"linear": {"image_size": 32}}],
    }
    places = ("--data", lesions, "--store", tmp_path / "store", "--workers", 0)
    assert medtransfer("run", write_study(content), *places).code == 0
    pages = {}
    for name, options in {"plain": (), "shown": ("--pictures", "--data", lesions)}.items():
        ended = medtransfer("report", tmp_path / "store", "--out", tmp_path / name, *options)
        assert ended.code == 0, ended.err
        (page,) = (tmp_path / name / "tasks").glob("*.html")
        pages[name] = page.read_text().count("data:image/png")
    assert pages["plain"] == 0
    assert pages["shown"] > 3
    (lesions / "lesions" / "benign" / "b00_0.png").unlink()
    ended = medtransfer(
        "report", tmp_path / "store", "--out", tmp_path / "other", "--pictures", "--data", lesions
    )
    assert ended.code == 3
    assert "expected the data its trials were run on" in ended.refusal()


def test_report_of_several_studies_wants_a_name(medtransfer, filled: Path, tmp_path: Path) -> None:
    other = replace(DONE, fingerprint="e" * 64)
    with Store.open(filled) as store:
        store.submit("second", [other, DONE])
    ended = medtransfer("report", filled)
    assert ended.code == 2
    assert "got ['first', 'second']. Name one with --study." in ended.refusal()
    ended = medtransfer("report", filled, "--study", "second", "--json", "--out", tmp_path / "out")
    assert ended.json()["study"] == "second"


def test_report_of_an_empty_store(medtransfer, tmp_path: Path) -> None:
    Store.open(tmp_path / "store").close()
    ended = medtransfer("report", tmp_path / "store")
    assert ended.code == 2
    assert "expected one study, got []" in ended.refusal()


def test_report_over_damaged_predictions(medtransfer, filled: Path) -> None:
    with Store.open(filled) as store:
        once = replace(DONE, fingerprint="f" * 64, protocol="linear", varied=())
        store.submit("first", [once])
        (claim,) = store.claim([once.fingerprint], "me", 600)
        store.finish(claim, Outcome(METRICS, 4), PREDICTIONS)
    assert medtransfer("report", filled, "--json").code == 0
    shutil.rmtree(filled / "artifacts" / "predictions")
    ended = medtransfer("report", filled, "--json")
    assert ended.code == 1
    assert "expected the predictions as they were written, got no file" in ended.refusal()
    assert "run the study again with --retry-failed" in ended.refusal()
