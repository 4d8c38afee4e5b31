"""The examples of CONTRIBUTING.md do what the page says, all of them together in one study."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

import medtransfer as mt
from medtransfer.core.fingerprints import hash_file
from medtransfer.data.case_table import SPLITS, CaseTable
from medtransfer.data.data_check import CheckOptions, check_data
from medtransfer.execution.jobs import Job, JobFailed, JobFinished, JobStarted, JobYielded
from medtransfer.metrics import declared_metrics
from medtransfer.models import catalogue
from medtransfer.models.check import check_model
from medtransfer.models.entries import small
from medtransfer.models.network import Encoder
from medtransfer.protocols import registry as protocol_registry
from medtransfer.reports.task_pages import task_pages
from medtransfer.tasks import registry as task_registry
from medtransfer.tasks.opening import open_target_task
from medtransfer.tasks.samples import write_sample

PAGE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
REGISTRIES = [
    declared_metrics.metrics,
    catalogue.catalogue,
    protocol_registry.protocols,
    task_registry.target_tasks,
]


def example(place: str) -> str:
    """Return the block whose first line is a comment with this place."""
    blocks = re.findall(r"^```python\n# (.+?)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return dict(blocks)[place]


@pytest.fixture
def open_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in REGISTRIES:
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Return what an example's file would be as a module."""

    def write(place: str) -> ModuleType:
        name = place.removeprefix("src/").removesuffix(".py").replace("/", ".")
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(example(f"{place}"), place, "exec"), vars(module))
        return module

    return write


@pytest.fixture
def moles(tmp_path: Path) -> Path:
    """Draw 40 cases of 20 patients in the layout of the example; malignant ones are brighter."""
    folder, values = tmp_path / "data" / "moles", np.random.default_rng(5)
    (folder / "images").mkdir(parents=True)
    lines = ["file,patient,split,diagnosis"]
    for number in range(40):
        patient, split = number // 2, "train" if number < 24 else "val" if number < 32 else "test"
        diagnosis = ("benign", "malignant")[patient % 2]
        pixels = values.normal(90 + 60 * (patient % 2), 40, (36, 36)).clip(0, 255).astype("uint8")
        cv2.imwrite(str(folder / "images" / f"{number:02}.png"), pixels)
        lines.append(f"{number:02}.png,p{patient},{split},{diagnosis}")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return folder.parent


def add_model(folder: Path) -> str:
    """Add the example's model, its checkpoint written as the example says it lies in the file."""
    shown = example("in MODELS of src/medtransfer/models/entries/small.py").rstrip().removesuffix(",")
    model = eval(shown, dict(vars(small)))
    network = mt.load_model("resnet20.random", seed=8).backbone.train()
    network(torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(2)))  # no fresh statistics
    state = {f"encoder.{name}": value for name, value in network.state_dict().items()}
    path = folder / model.weights.file
    torch.save({"state_dict": state}, path)
    model = replace(model, weights=replace(model.weights, sha256=hash_file(path)))
    catalogue.catalogue.add(model.name, model)
    return model.name


def test_the_examples_of_model_task_protocol_and_metric_make_a_study(
    no_variables: None,
    open_registries: None,
    written: Callable[[str], ModuleType],
    moles: Path,
    tmp_path: Path,
) -> None:
    model = add_model(tmp_path)
    checked = check_model(model, tmp_path)
    assert checked.ok, checked.problems

    score = written("src/medtransfer/metrics/brier.py").score_brier
    exec(
        example("at the end of src/medtransfer/metrics/declared_metrics.py"),
        {**vars(declared_metrics), "score_brier": score},
    )
    written("src/medtransfer/tasks/samples_of_moles.py")
    task = written("src/medtransfer/tasks/moles.py").moles
    task_registry.target_tasks.add("moles", replace(task, metrics=(*task.metrics, "brier")))
    centroid = written("src/medtransfer/protocols/centroid.py").Centroid
    written("src/medtransfer/protocols/fit_centroid.py")
    protocol_registry.protocols.add("centroid", centroid)

    study = mt.Study(
        "examples", tasks=["moles"], models=[model], protocols=["centroid"], label_fractions=[0.5, 1], seeds=2
    )
    places = {"data": moles, "weights": tmp_path, "cache": tmp_path / "cache"}
    ended = mt.run(study, store=tmp_path / "store", **places)
    assert (ended.counts.done, ended.counts.failed) == (3, 0)

    with mt.Store.open(ended.store) as store:
        whole = next(r for r in store.records("examples") if r.description.label_fraction == 1)
        frame = store.predictions(whole)
    test = frame[frame["split"] == "test"]
    expected = 2 * brier_score_loss(test["label"], test["score:malignant"])
    assert whole.outcome.metrics["test"]["brier"]["value"] == pytest.approx(expected)

    loaded = mt.load_task("moles", data=moles, cache=tmp_path / "cache")
    predicted = test.set_index("case_id")["score:malignant"] > 0.5
    expected_class = nearest_mean(loaded.cases, mt.load_model(model, weights=tmp_path))
    assert predicted.astype(int).to_dict() == expected_class


def test_the_task_example_has_a_sample_and_a_page(
    open_registries: None,
    written: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    written("src/medtransfer/tasks/samples_of_moles.py")
    task = written("src/medtransfer/tasks/moles.py").moles
    monkeypatch.setattr(task_registry.target_tasks, "_entries", {"moles": task})
    marked, cases = open_target_task(task, write_sample(task, tmp_path))
    assert (marked.phantom, marked.expected, len(cases)) == (True, None, 24)
    check = check_data(cases, None, CheckOptions())
    assert (check.problems, check.pairs) == ((), ())
    assert [split.name for split in check.splits] == list(SPLITS)
    assert {count for split in check.splits for count in split.classes.values()} == {2, 8}
    page = task_pages()["moles.md"]
    assert task.page.traps[0] in page
    assert "| 24 | 8 | 8 |" in page


def nearest_mean(cases: CaseTable, encoder: Encoder) -> dict[str, int]:
    """Return the class of every test case by scikit-learn, from images that are read and cut here."""
    size = encoder.input.size
    side, start = round(size * 8 / 7), (round(size * 8 / 7) - size) // 2
    images = [
        cv2.imread(str(cases.source.root / name), cv2.IMREAD_GRAYSCALE) for name in cases.frame["image"]
    ]
    views = np.stack([cv2.resize(image, (side, side)) for image in images])
    views = views[:, None, start : start + size, start : start + size]
    with torch.inference_mode():
        units = normalize(encoder(torch.from_numpy(views)).numpy())
    train, test, labels = cases.indices("train"), cases.indices("test"), cases.labels()
    means = normalize(np.stack([units[train][labels[train] == number].mean(axis=0) for number in (0, 1)]))
    found = KNeighborsClassifier(1).fit(means, [0, 1]).predict(units[test])
    return dict(zip(cases.frame["case_id"].iloc[test], found.tolist(), strict=True))


def test_the_backend_example_gives_the_events_of_every_job(written: Callable[[str], ModuleType]) -> None:
    run = written("src/medtransfer/execution/in_threads.py").run_in_threads
    jobs = [Job(str(number), "math:sqrt", number) for number in (1, 4, 9, -1, 16)]
    events = list(run(jobs, 2, lambda job: None if job.key == "4" else job))
    by_key = {job.key: [event for event in events if event.key == job.key] for job in jobs}
    assert by_key["4"] == []
    assert by_key["9"] == [JobStarted("9"), JobYielded("9", 3.0), JobFinished("9")]
    assert [type(event) for event in by_key["-1"]] == [JobStarted, JobFailed]
    assert [by_key[key][-1] for key in ("1", "9", "16")] == [JobFinished(key) for key in ("1", "9", "16")]
    running = 0
    for event in events:
        running += isinstance(event, JobStarted) - isinstance(event, JobFinished | JobFailed)
        assert 0 <= running <= 2
