"""The Python interface says what the command line says, and importing it costs nothing."""

from __future__ import annotations

import inspect
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import medtransfer as mt
from medtransfer.cli import options
from medtransfer.core.errors import DataError, NotRegisteredError, UsageError, WeightsError
from medtransfer.store.records import State
from medtransfer.study import interface
from medtransfer.study.study import Study as DeclaredStudy
from medtransfer.study.study_file import StudyFile

LESIONS = {"lesions": {"root": "lesions", "patient_pattern": "^([bm]\\d+)_"}}
PARTS: dict[str, Any] = {
    "tasks": [LESIONS],
    "models": ["resnet20.random"],
    "protocols": [{"linear": {"image_size": 32}}, "knn"],
    "label_fractions": [0.5, 1.0],
    "seeds": 2,
}


@pytest.fixture
def places(no_variables: None, lesions: Path, tmp_path: Path) -> dict[str, Path]:
    return {"data": lesions, "store": tmp_path / "store", "cache": tmp_path / "cache"}


def test_importing_the_package_imports_nothing_heavy_but_shows_every_name() -> None:
    program = (
        "import sys\nbefore = set(sys.modules)\nimport medtransfer\n"
        "assert set(medtransfer.__all__) <= set(dir(medtransfer))\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(shown.stdout.split()) & {"torch", "numpy", "pandas", "pydantic", "click"} == set()


@pytest.mark.parametrize("name", mt.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(mt, name) is not None


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'rnu'"):
        _ = mt.rnu


def test_the_default_store_is_that_of_the_command_line() -> None:
    assert interface.DEFAULT_STORE == options.DEFAULT_STORE


def test_a_study_said_in_python_is_the_study_of_the_file(write_study: Callable[..., Path]) -> None:
    said = mt.Study("both", **PARTS)
    written = DeclaredStudy.read(write_study({"name": "both", **PARTS}))
    assert (said.name, said.blocks, said.accept) == (written.name, written.blocks, written.accept)
    assert DeclaredStudy.read(write_study(said.source)).blocks == written.blocks


def test_a_study_takes_every_key_of_a_study_file() -> None:
    keys = set(inspect.signature(mt.Study.__init__).parameters) - {"self"}
    assert keys == set(StudyFile.model_fields)
    (block,) = mt.Study("both", **PARTS, label_order="shuffle99").blocks
    assert block.label_order == "shuffle99"


def test_a_study_takes_paths_and_tuples(tmp_path: Path) -> None:
    said = mt.Study(
        "loose",
        tasks=({"lesions": {"root": tmp_path}},),
        models=("resnet20.random",),
        protocols=[{"knn": {"ks": (1, 3)}}],
        accept={"lesions": ("duplicate-image",)},
        blocks=[{"seeds": 3}],
    )
    assert said.tasks["lesions"].own_data == {"root": str(tmp_path)}
    assert [block.seeds for block in said.blocks] == [3]
    assert said.accept == {"lesions": ("duplicate-image",)}


def test_all_faults_of_a_study_come_in_one_message() -> None:
    with pytest.raises(UsageError) as refused:
        mt.Study("wrong", tasks=["brestmnist"], models=["resnet20.random"], protocols=["linaer"])
    assert "2 faults" in str(refused.value)
    assert "'breastmnist'" in str(refused.value)
    assert "'linear'" in str(refused.value)


def test_a_value_no_study_file_can_hold_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^models: expected text, numbers, lists and mappings, got Linear"):
        mt.Study("odd", tasks=["breastmnist"], models=[torch.nn.Linear(1, 1)], protocols=["knn"])


def test_a_run_gives_a_table_and_the_second_runs_nothing(places: dict[str, Path]) -> None:
    told: list[tuple[str, int, int]] = []
    first = mt.run({"name": "lesions", **PARTS}, **places, progress=lambda *step: told.append(step))
    assert (first.counts.done, first.counts.total) == (6, 6)
    assert told[-1] == ("trials", 6, 6)

    table = first.table()
    assert len(table) == 6
    assert set(table["state"]) == {"done"}
    half = table[(table["protocol"] == "linear") & (table["label_fraction"] == 0.5)]
    assert sorted(half["repetition"]) == [0, 1]
    assert table["test.best.auc"].between(0, 1).all()
    stored = {
        (r.description.protocol, r.description.label_fraction, r.description.repetition): r.outcome
        for r in first.records()
    }
    for row in table.to_dict("records"):
        outcome = stored[row["protocol"], row["label_fraction"], row["repetition"]]
        assert row["test.best.auc"] == outcome.metrics["test"]["auc"]["value"]
        assert row["val.best.accuracy"] == outcome.metrics["val"]["accuracy"]["value"]

    finished = {record.finished_at for record in first.records()}
    again = mt.run(mt.Study("lesions", **PARTS), **places)
    assert {record.finished_at for record in again.records()} == finished


def test_a_run_reads_the_variables_of_the_command_line(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, write_study: Callable[..., Path]
) -> None:
    monkeypatch.setenv("MEDTRANSFER_DATA", str(places["data"]))
    monkeypatch.setenv("MEDTRANSFER_STORE", str(places["store"]))
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(places["cache"]))
    ended = mt.run(write_study({"name": "short", **PARTS, "protocols": ["knn"], "label_fractions": [1.0]}))
    assert ended.store == str(places["store"])
    assert ended.counts.done == 1
    with mt.Store.open(places["store"], create=False) as store:
        assert store.studies() == ["short"]
        files = mt.write_report(store, "short", places["store"] / "report")
    assert "lesions" in files.html.read_text()


def test_failed_trials_are_rows_with_their_reason(places: dict[str, Path]) -> None:
    few = {**PARTS, "protocols": [{"knn": {"ks": [500]}}], "label_fractions": [1.0]}
    ended = mt.run({"name": "few", **few}, **places)
    assert (ended.counts.failed, ended.counts.done) == (1, 0)
    (record,) = ended.records()
    (row,) = ended.table().to_dict("records")
    assert record.state is State.FAILED
    assert (row["state"], row["reason"]) == ("failed", record.reason)


def test_a_task_is_loaded_as_a_study_loads_it(places: dict[str, Path]) -> None:
    loaded = mt.load_task(LESIONS, data=places["data"], cache=places["cache"])
    assert loaded.task.name == "lesions"
    assert loaded.cases.classes == ("benign", "malignant")
    assert len(loaded.cases) == 40
    assert loaded.cases.frame.groupby("patient_id")["split"].nunique().max() == 1


def test_problems_of_a_task_stop_it_until_they_are_accepted(places: dict[str, Path]) -> None:
    folder = places["data"] / "lesions"
    for split, number in (("train", 12), ("val", 4), ("test", 4)):
        for name in ("benign", "malignant"):
            to = folder / "split" / split / name
            to.mkdir(parents=True)
            for path in sorted((folder / name).iterdir())[:number]:
                path.rename(to / path.name)
    source = next((folder / "split" / "train" / "benign").iterdir())
    (folder / "split" / "test" / "benign" / "copy.png").write_bytes(source.read_bytes())
    declared = {"copied": {"root": "lesions/split"}}
    with pytest.raises(DataError, match="duplicate-image: train and test splits"):
        mt.load_task(declared, data=places["data"], cache=places["cache"])
    loaded = mt.load_task(declared, data=places["data"], cache=places["cache"], accept=["duplicate-image"])
    assert [problem.what for problem in loaded.accepted] == ["duplicate-image"]


def test_wrong_names_are_refused_with_the_near_ones(places: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(NotRegisteredError, match="Did you mean 'breastmnist'"):
        mt.load_task("brestmnist")
    with pytest.raises(UsageError, match="Did you mean 'duplicate-image'"):
        mt.load_task(LESIONS, data=places["data"], accept=["duplicate-imge"])
    with pytest.raises(NotRegisteredError, match=r"Did you mean 'resnet20\.random'"):
        mt.load_model("resnet20.randm")
    with pytest.raises(DataError, match="data folder: expected a folder"):
        mt.load_task(LESIONS, data=tmp_path / "nowhere")
    with pytest.raises(WeightsError, match="weights folder: expected a folder"):
        mt.load_model("resnet20.sup_cifar10", weights=tmp_path / "nowhere")


def test_a_model_takes_images_as_they_are_stored() -> None:
    encoder = mt.load_model("resnet20.random", seed=3)
    grey = torch.randint(
        0, 256, (2, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    with torch.inference_mode():
        features = encoder(grey)
        assert features.shape == (2, encoder.embedding_size)
        assert torch.equal(features, mt.load_model("resnet20.random", seed=3)(grey))
        assert not torch.equal(features, mt.load_model("resnet20.random", seed=4)(grey))


def test_trials_learn_from_the_shuffled_list_and_records_say_so(places: dict[str, Path]) -> None:
    ended = mt.run(mt.Study("shuffled", **PARTS, label_order="shuffle99"), **places)
    unknown = {**PARTS, "tasks": [{"lesions": {"root": "lesions"}}], "label_fractions": [0.5]}
    without = mt.run(mt.Study("unknown", **unknown, label_order="shuffle99"), **places)
    (details,) = {str(r.outcome.details.get("divided_patients", "")) for r in without.records() if r.outcome}
    assert details == "None"
    cases = mt.load_task(LESIONS, data=places["data"], cache=places["cache"]).cases
    train = cases.indices("train")
    order = list(range(len(train)))
    random.Random(99).shuffle(order)
    used = cases.frame["patient_id"].to_numpy()[train[order[: len(train) // 2]]]
    unused = cases.frame["patient_id"].to_numpy()[train[order[len(train) // 2 :]]]
    parts = [record for record in ended.records() if record.description.label_fraction == 0.5]
    whole = [record for record in ended.records() if record.description.label_fraction == 1]
    assert len(parts) == len(whole) == 2
    for record in parts:
        assert record.outcome is not None
        assert record.outcome.train_cases == len(train) // 2
        assert record.outcome.details["label_order"] == "shuffle99"
        assert record.outcome.details["divided_patients"] == len(set(used) & set(unused)) > 0
    for record in whole:
        assert record.outcome is not None
        assert not {"label_order", "divided_patients"} & set(record.outcome.details)
