"""``compare`` over stores that were filled without running anything."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from medtransfer.store.store import Store

A, B = "squeezenet1_1.sup_in1k", "mobilenetv1_100.sup_in1k"


def load() -> ModuleType:
    name = "synthetic_study"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "reports" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def fill(folder: Path, skills: tuple[float, float] = (1.2, 0.2), **facts: Any) -> Path:
    """Write a store of two models on a task with 200 patients, fine-tuned four times."""
    synthetic = load()
    maker = synthetic.StudyMaker("made")
    task = synthetic.MadeTask("nodules", synthetic.TaskKind.BINARY, ("no", "yes"), ("auc",), facts, 200, 1)
    for model, skill in zip((A, B), skills, strict=True):
        for repetition in range(4):
            maker.add(task, model, "finetune", repetition=repetition, skill=skill)
    with Store.open(folder) as store:
        store.submit("made", [record.description for record in maker.records])
        claims = store.claim([record.description.fingerprint for record in maker.records], "me", 600)
        by_name = {record.description.fingerprint: record for record in maker.records}
        for claim in claims:
            found = by_name[claim.fingerprint]
            store.finish(claim, found.outcome, maker.frames[claim.fingerprint])
    return folder


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    return fill(tmp_path / "store")


def test_table_then_sentence_then_notes(medtransfer, filled: Path) -> None:
    ended = medtransfer("compare", filled, A, B)
    assert ended.code == 0
    table, sentence, notes = (
        ended.out.index(text) for text in ("95 % interval", "1 nodules, finetune", "All tests are two-sided")
    )
    assert table < sentence < notes
    assert f"A: {A}. B: {B}" in ended.out
    assert "A is better than B over training runs, test patients and both together" in ended.out


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_a_terminal(
    medtransfer, filled: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    out = re.sub(r"\x1b\[[0-9;]*m", "", medtransfer("compare", filled, A, B).out)
    assert max(len(line) for line in out.splitlines()) <= columns
    assert re.search(r"patients\s[+−]0\.\d{3}\sto\s[+−]0\.\d{3}\s\sp\s<?0\.\d{3}", out)


def test_one_json_document_with_everything(medtransfer, filled: Path) -> None:
    ended = medtransfer("compare", filled, A, B, "--json", "--study", "made")
    assert ended.code == 0
    found = ended.json()
    (row,) = found["rows"]
    assert row["verdict"]["outcome"] == "a-better"
    assert row["tests"]["training runs"]["comparison"]["n_a"] == 4
    assert (found["a"]["label"], found["a"]["study"]) == (A, "made")
    assert f"{A} is better than {B}" in row["sentence"]


def test_against_another_store(medtransfer, filled: Path, tmp_path: Path) -> None:
    later = fill(tmp_path / "later", skills=(0.1, 0.2))
    found = medtransfer("compare", filled, A, "--against", later, "--json").json()
    assert found["rows"][0]["verdict"]["outcome"] == "a-better"
    assert (found["a"]["place"], found["b"]["place"]) == (str(filled), str(later))
    both = medtransfer("compare", filled, A, B, "--against", later, "--json").json()
    assert both["b"]["label"] == B


def test_other_data_in_the_other_store_is_refused(medtransfer, filled: Path, tmp_path: Path) -> None:
    later = fill(tmp_path / "later", data_hash="e" * 64)
    ended = medtransfer("compare", filled, A, "--against", later)
    assert ended.code == 3
    assert "task 'nodules': expected the same data in both stores" in ended.err


def test_what_cannot_be_compared_is_shown_and_ends_with_one(medtransfer, filled: Path) -> None:
    with Store.open(filled) as store:
        (done, *_) = store.records()
        waiting = replace(done.description, fingerprint="f" * 64, model="resnet20.random")
        store.submit("made", [waiting])
    ended = medtransfer("compare", filled, A, "resnet20.random")
    assert ended.code == 1
    assert "Not compared" in ended.out
    assert "1 not finished" in ended.out
    assert medtransfer("compare", filled, A, "resnet20.random", "--json").json()["rows"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((A,), "expected a second source model"),
        ((A, "mobilenetv1_100.sup_in1"), f"Did you mean '{B}'"),
        ((A, A), "expected two source models"),
        ((A, B, "--task", "nodule"), "Did you mean 'nodules'"),
        ((A, B, "--study", "mad"), "Did you mean 'made'"),
        ((A, B, "--label-fraction", "0.5"), "label fraction: expected one of 1, got 0.5"),
    ],
)
def test_wrong_use_ends_with_two(medtransfer, filled: Path, arguments: tuple[str, ...], message: str) -> None:
    ended = medtransfer("compare", filled, *arguments)
    assert ended.code == 2
    assert message in ended.refusal()


def test_no_store_there(medtransfer, filled: Path, tmp_path: Path) -> None:
    for arguments in ((tmp_path / "nothing", A, B), (filled, A, "--against", tmp_path / "nothing")):
        ended = medtransfer("compare", *arguments)
        assert ended.code == 2
        assert "expected a store, got nothing there" in ended.refusal()
    assert not (tmp_path / "nothing").exists()


def test_a_share_of_labels_is_a_share(medtransfer, filled: Path) -> None:
    ended = medtransfer("compare", filled, A, B, "--label-fraction", "10")
    assert ended.code == 2
    assert "--label-fraction" in ended.err


def test_comparing_changes_nothing(medtransfer, filled: Path) -> None:
    with Store.open(filled) as store:
        before = store.records()
    medtransfer("compare", filled, A, B)
    with Store.open(filled) as store:
        assert store.records() == before


def test_a_registered_model_without_results_is_told_from_an_unknown_name(medtransfer, filled: Path) -> None:
    ended = medtransfer("compare", filled, A, "resnet20.random")
    assert ended.code == 2
    assert "not registered" not in ended.err
    message = ended.refusal()
    assert message.startswith(
        "source model 'resnet20.random': expected results of it in the store, got none; it has "
    )
    assert f"'{A}'" in message
    assert f"'{B}'" in message


@pytest.mark.parametrize(
    ("option", "name", "known"),
    [("task", "breastmnist", "'nodules'"), ("protocol", "knn", "'finetune'"), ("metric", "dice", "'auc'")],
)
def test_what_the_store_has_is_named(medtransfer, filled: Path, option: str, name: str, known: str) -> None:
    ended = medtransfer("compare", filled, A, B, f"--{option}", name)
    assert ended.code == 2
    assert (
        f"{option} '{name}': expected results of it in the store, got none; it has results of {known}"
        in ended.refusal()
    )
