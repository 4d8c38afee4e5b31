from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import IO

import pytest

from medtransfer.core.atomic import atomic_writer
from medtransfer.core.errors import UsageError
from medtransfer.reports.evidence import Evidence
from medtransfer.reports.write_report import ReportFiles, write_report, write_report_of
from medtransfer.store.store import Store


def _fill(store: Store, maker: object, order: int = 1) -> None:
    """Run a made study in a real store; order -1 runs it backwards."""
    store.submit(maker.study, [record.description for record in maker.records], source="name: first-light\n")
    for record in maker.records[::order]:
        claim = store.claim([record.description.fingerprint], f"owner-canary:{order}", 60.0)[0]
        if record.outcome is not None:
            store.finish(claim, record.outcome, maker.frames[record.description.fingerprint])
        else:
            store.fail(claim, record.reason, record.message, "/home/canary-person/trace.py")


def _all(files: ReportFiles) -> list[Path]:
    others = (files.markdown, files.csv, files.runs_csv, files.json)
    return [*files.pages, *files.assets, *others, *files.figures]


def _small_study(synthetic: ModuleType):
    maker, (task, *_) = synthetic.StudyMaker(), synthetic.TASKS
    for model in ("resnet20.random", "mobilenetv1_100.sup_in1k"):
        maker.add(task, model, "linear", varied=())
        for repetition in range(3):
            maker.add(task, model, "finetune", repetition=repetition)
    message = "cannot read '/home/canary-person/a b.png'"
    maker.add_failed(task, "resnet20.random", "finetune", "bad_image", message, repetition=3)
    return maker


def test_a_report_of_a_store_is_whole_and_repeats_byte_for_byte(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    contents = []
    for number, order in enumerate((1, -1)):
        with Store.open(tmp_path / f"store-{number}") as store:
            _fill(store, _small_study(synthetic), order)
            files = write_report(
                store, "first-light", tmp_path / f"report-{number}", command="medtransfer report /x/y"
            )
        paths = _all(files)
        assert files.html == files.pages[0] == files.folder / "index.html"
        assert sorted(path for path in files.folder.rglob("*") if path.is_file()) == sorted(paths)
        contents.append({path.relative_to(files.folder): path.read_bytes() for path in paths})
    assert contents[0] == contents[1]
    assert len(files.figures) == 2


def test_nothing_of_the_machine_is_in_any_file(
    tmp_path: Path, synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDTRANSFER_SECRET", "environment-canary")
    for maker in (_small_study(synthetic), synthetic.hostile_study()):
        command = f"medtransfer run s.yaml --out {tmp_path} --store postgresql://me:pass-canary@db/s"
        files = write_report_of(maker.evidence(), tmp_path / maker.study, command=command)
        for path in _all(files):
            content = path.read_bytes()
            assert b"canary" not in content, path.name
            assert str(tmp_path).encode() not in content, path.name
            assert str(Path.home()).encode() + b"/" not in content, path.name


def test_a_report_of_the_whole_store_holds_every_study_once(tmp_path: Path, synthetic: ModuleType) -> None:
    maker = _small_study(synthetic)
    with Store.open(tmp_path / "store") as store:
        _fill(store, maker)
        store.submit("again", [record.description for record in maker.records])
        files = write_report(store, None, tmp_path / "report")
    report = json.loads(files.json.read_text())
    assert report["study"] == "all studies"
    assert report["trials"]["total"] == len(maker.records)


def test_a_report_written_again_removes_its_leftovers_and_nothing_else(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    task, other = synthetic.TASKS[:2]
    wide, narrow = synthetic.StudyMaker(), synthetic.StudyMaker()
    for repetition in range(2):
        for made in (task, other):
            wide.add(made, "resnet20.random", "finetune", repetition=repetition)
        narrow.add(task, "resnet20.random", "finetune", repetition=repetition)
    first = write_report_of(wide.evidence(), tmp_path)
    mine = [tmp_path / "tasks" / "mine.html", tmp_path / "figures" / "mine.png", tmp_path / "notes.txt"]
    for path in mine:
        path.write_text("mine")
    second = write_report_of(narrow.evidence(), tmp_path)
    assert tmp_path / "tasks" / "dermamnist.html" in first.pages
    present = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert present == {*_all(second), *mine}
    assert len(first.figures) > len(second.figures)


def test_a_report_that_was_cut_short_leaves_nothing_a_later_one_does_not_know(
    tmp_path: Path, synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, other = synthetic.TASKS[:2]
    wide, narrow = synthetic.StudyMaker(), synthetic.StudyMaker()
    for repetition in range(2):
        for made in (task, other):
            wide.add(made, "resnet20.random", "finetune", repetition=repetition)
        narrow.add(task, "resnet20.random", "finetune", repetition=repetition)

    def full_disk(path: Path) -> AbstractContextManager[IO[bytes]]:
        if path.name == "study.html":
            raise OSError("no space left on device")
        return atomic_writer(path)

    with monkeypatch.context() as patched:
        patched.setattr("medtransfer.reports.write_report.atomic_writer", full_disk)
        with pytest.raises(OSError, match="no space"):
            write_report_of(wide.evidence(), tmp_path)
    assert (tmp_path / "tasks" / "dermamnist.html").is_file()
    files = write_report_of(narrow.evidence(), tmp_path)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(_all(files))


def test_the_site_of_somebody_else_is_not_overwritten(tmp_path: Path, synthetic: ModuleType) -> None:
    (tmp_path / "index.html").write_text("<h1>my site</h1>")
    with pytest.raises(UsageError, match="no page of a report"):
        write_report_of(_small_study(synthetic).evidence(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_refusals_say_what_to_do(tmp_path: Path, synthetic: ModuleType) -> None:
    with pytest.raises(UsageError, match="Run a study first"):
        write_report_of(Evidence("empty", [], lambda record: None), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="expected a folder"):
        write_report_of(_small_study(synthetic).evidence(), tmp_path / "file")
    with Store.open(tmp_path / "store") as store, pytest.raises(UsageError):
        write_report(store, "missing", tmp_path / "report")
