"""A study on other devices: refused before it starts where there is none, else told to every worker and record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import medtransfer as mt
from medtransfer.core.errors import UsageError
from medtransfer.store.records import Record
from medtransfer.store.store import Store
from medtransfer.training.device_policy import VARIABLE

TASK = {"lesions": {"root": "lesions"}}
FINETUNE = {"finetune": {"image_size": 32, "epochs": 2, "batch_size": 8}}


@pytest.fixture
def run(lesions: Path, tmp_path: Path) -> Any:
    """Run a study of own data and return its records."""

    def call(name: str, protocol: dict[str, Any], **options: Any) -> list[Record]:
        study = mt.Study(name, tasks=[TASK], models=["resnet20.random"], protocols=[protocol], seeds=1)
        place = tmp_path / name
        mt.run(study, store=place, data=lesions, cache=tmp_path / "cache", **({"workers": 0} | options))
        with Store.open(place, create=False) as store:
            return store.records()

    return call


@pytest.mark.parametrize("device", ["cuda:97", "cuda:0,cuda:97", "cuda:x", "nonsense", "cpu,cpu"])
def test_a_device_that_is_not_here_stops_the_study_before_its_first_trial(
    run: Any, tmp_path: Path, device: str
) -> None:
    with pytest.raises(UsageError, match=r"^device '.*': expected (one this machine has|one name such as)"):
        run("refused", FINETUNE, device=device)
    with Store.open(tmp_path / "refused", create=False) as store:
        assert store.counts().total == 0


def test_a_policy_nobody_understands_stops_it_as_well(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "views=sideways")
    with pytest.raises(UsageError, match=VARIABLE):
        run("refused", FINETUNE)
    with Store.open(tmp_path / "refused", create=False) as store:
        assert store.counts().total == 0


def test_a_finished_study_needs_no_device(run: Any) -> None:
    done = run("done", FINETUNE)
    assert run("done", FINETUNE, device="cuda:97") == done


def test_views_computed_on_the_device_give_a_record_close_to_the_usual_one(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (usual,) = run("usual", FINETUNE)
    monkeypatch.setenv(VARIABLE, "views=device,images=resident")
    (other,) = run("other", FINETUNE)
    assert usual.outcome is not None
    assert other.outcome is not None
    assert other.description.fingerprint == usual.description.fingerprint
    assert "execution" not in usual.outcome.details
    assert other.outcome.details["execution"]["images"] == "resident"
    for here, there in zip(usual.outcome.curve, other.outcome.curve, strict=True):
        assert here["train_loss"] == pytest.approx(there["train_loss"], rel=0.02)


def test_workers_take_one_device_of_a_list_and_records_name_it(run: Any) -> None:
    (record,) = run("listed", FINETUNE, device="cpu", workers=1)
    assert record.outcome is not None
    assert record.outcome.provenance["device"] == "cpu"
