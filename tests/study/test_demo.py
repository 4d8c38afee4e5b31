"""The demo at a small scale: real pretraining, a real study, and nothing done twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import load_file

from medtransfer.models.check import check_model
from medtransfer.models.network import build_encoder, state_hash
from medtransfer.reports.write_report import write_report
from medtransfer.store.records import State
from medtransfer.study import demo
from medtransfer.study.demo import MEDICAL, PHOTOGRAPHIC, SCRATCH, DemoScale, prepare_demo
from medtransfer.study.session import RunRequest, StudySession
from medtransfer.study.study import Study

TINY = DemoScale(
    photographs=40,
    chests=40,
    image_size=32,
    pretraining_epochs=1,
    classification_epochs=1,
    segmentation_epochs=1,
    seeds=1,
)
Prepared = tuple[Path, Study, RunRequest]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("demo")
    return folder, *prepare_demo(folder, workers=0, scale=TINY)


@pytest.fixture(scope="module")
def finished(prepared: Prepared) -> StudySession:
    _, study, request = prepared
    session = StudySession.prepare(study, request)
    counts = session.run()
    assert (counts.failed, counts.pending, counts.running) == (0, 0, 0)
    return session


def test_it_compares_scratch_with_both_pretrainings_on_every_sort_of_task(prepared: Prepared) -> None:
    _, study, _ = prepared
    assert list(study.models) == [SCRATCH, PHOTOGRAPHIC, MEDICAL]
    assert list(study.tasks) == ["phantom-findings", "phantom-nodule", "phantom-lungs"]
    for task in study.tasks:
        used = {p.name for b in study.blocks for p in b.protocols if task in {t.name for t in b.tasks}}
        assert used == {"linear", "finetune"}


def test_pretraining_really_happens_and_goes_on_from_the_photographs(prepared: Prepared) -> None:
    _, study, request = prepared
    hashes = {
        name: state_hash(build_encoder(model, weights_folder=request.weights, seed=0, image_size=32))
        for name, model in study.models.items()
    }
    assert len(set(hashes.values())) == 3
    photographic, medical = (study.models[name] for name in (PHOTOGRAPHIC, MEDICAL))
    assert medical.pretraining.data == (*photographic.pretraining.data, "phantom-chest-pretraining")
    assert check_model(medical, request.weights).ok
    before, after = (
        load_file(prepared[0] / "weights" / str(model.weights.file))["conv1.0.weight"]
        for model in (photographic, medical)
        if model.weights
    )
    assert 0 < abs(before - after).max() < 0.1 * abs(before).max()


def test_what_was_pretrained_is_used_again(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, study, _ = prepared

    def refuse(*_: object) -> None:
        raise AssertionError("pretrained twice")

    monkeypatch.setattr(demo, "_pretrain", refuse)
    again, _ = prepare_demo(folder, workers=0, scale=TINY)
    assert again.source == study.source
    with pytest.raises(AssertionError, match="pretrained twice"):
        prepare_demo(folder, workers=0, scale=DemoScale(photographs=40, pretraining_epochs=2))


def test_a_second_run_computes_nothing(finished: StudySession, prepared: Prepared) -> None:
    before = {r.description.fingerprint: r.finished_at for r in finished.store.records("demo")}
    _, study, request = prepared
    StudySession.prepare(study, request).run()
    after = {r.description.fingerprint: r.finished_at for r in finished.store.records("demo")}
    assert before == after
    assert {record.state for record in finished.store.records("demo")} == {State.DONE}


def test_results_are_called_phantom_results(finished: StudySession, tmp_path: Path) -> None:
    files = write_report(finished.store, "demo", tmp_path, command="medtransfer demo")
    for path in (files.html, files.markdown):
        text = path.read_text(encoding="utf-8")
        assert "phantom-nodule (phantom)" in text
        assert "say nothing about patients" in text
