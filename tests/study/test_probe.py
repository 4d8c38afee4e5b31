"""Probes run the real protocols on drawn cases: what they report is what really happened there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medtransfer.core import kept_memory
from medtransfer.core.task_kind import TaskKind
from medtransfer.models.catalogue import resolve_model
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.knn import Knn
from medtransfer.protocols.linear import Linear
from medtransfer.study import probe as module
from medtransfer.study.drawn_cases import CaseShape
from medtransfer.study.probe import EncoderTimes, Probe, ProbeRequest, run_probe
from medtransfer.study.probing import run_probes
from medtransfer.study.stopwatch import STEP, Stopwatch

LABELS = CaseShape(TaskKind.BINARY, ("no", "yes"))
SEVERAL = CaseShape(TaskKind.MULTI_CLASS, ("a", "b", "c"))
FINDINGS = CaseShape(TaskKind.MULTI_LABEL, ("a", "b", "c"), scored=("a",))
MASKS = CaseShape(TaskKind.SEGMENTATION, ("a", "b"))
FIELDS = CaseShape(TaskKind.SEGMENTATION, ("vessel",), has_fields_of_view=True)


def ask(
    shape: CaseShape, protocol: Any, *, batch: int | None = None, train: int = 40, **changes: Any
) -> ProbeRequest:
    metric = "auc" if shape.kind.is_classification else "dice"
    model = resolve_model(changes.pop("model", "resnet20.random"))
    values = {"metrics": (metric,), "selection_metric": metric, "side": 32, "weights_folder": None}
    return ProbeRequest(
        shape=shape,
        model=model,
        protocol=protocol,
        train_cases=train,
        batch_size=batch,
        **{**values, **changes},
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whole requests fit, however slow the machine is."""
    monkeypatch.setattr(module, "BUDGET_S", 1000.0)


@pytest.mark.parametrize("shape", [LABELS, SEVERAL, FINDINGS])
@pytest.mark.parametrize("protocol", [Linear(image_size=28), Knn(image_size=28)])
def test_heads_are_tried_on_the_embeddings_of_all_cases(shape: CaseShape, protocol: Any) -> None:
    found = run_probe(ask(shape, protocol))
    assert found.small is found.large
    run = found.large
    assert (run.batch_size, run.train_cases, run.cases, run.embedding_size) == (None, 40, 56, 64)
    assert [cases for cases, _ in run.results_s] == [20, 40]
    assert run.pass_s > 0
    assert all(seconds > 0 for _, seconds in run.results_s)
    assert (run.step_s, run.setup_s, run.validation_s) == (0.0, 0.0, 0.0)
    assert run.peak_bytes >= run.before_bytes > 0


@pytest.mark.parametrize(
    ("shape", "protocol", "has_pass"),
    [
        (LABELS, Finetune(image_size=28, epochs=30, patience=2), False),
        (SEVERAL, Finetune(image_size=28, preset="studyC-I10"), False),
        (LABELS, Finetune(image_size=28, learning_rates=(3e-4, 1e-3), select_on="metric"), False),
        (LABELS, Finetune(image_size=28, micro_batch=2, average_decay=0.9), False),
        (MASKS, Finetune(image_size=32, preset="studyB-seg", augmentation="none"), False),
        (MASKS, Linear(image_size=32), True),
        (FIELDS, Linear(image_size=32, epochs=7), True),
    ],
)
def test_training_is_tried_with_a_few_cases_per_step_and_with_the_recipes(
    shape: CaseShape, protocol: Any, has_pass: bool
) -> None:
    found = run_probe(ask(shape, protocol, batch=6))
    assert [run.batch_size for run in (found.small, found.large)] == [4, 6]
    assert [run.train_cases for run in (found.small, found.large)] == [16, 24]
    for run in (found.small, found.large):
        assert run.step_s > 0
        assert run.validation_s > 0
        assert run.setup_s >= 0
        assert [cases for cases, _ in run.results_s] == [run.train_cases]
        assert (run.pass_s > 0) is has_pass
    if has_pass:
        assert found.large.pass_bytes >= 0


def test_few_cases_per_step_need_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run_probe(ask(LABELS, Finetune(image_size=28), batch=3))
    assert found.small is found.large
    assert found.large.batch_size == 3
    monkeypatch.setattr(module, "BUDGET_S", 0.0)
    slow = run_probe(ask(LABELS, Finetune(image_size=28), batch=30))
    assert (slow.large.batch_size, slow.small is slow.large) == (4, True)


def test_memory_limits_the_larger_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_SHARE", 0.0)
    found = run_probe(ask(LABELS, Finetune(image_size=28), batch=30))
    assert found.large.batch_size == 4


def test_slow_networks_embed_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUDGET_S", 0.0)
    run = run_probe(ask(LABELS, Linear(image_size=28), train=5000)).large
    assert run.cases == module.EMBEDDING_BATCH
    monkeypatch.setattr(module, "BUDGET_S", 1000.0)
    run = run_probe(ask(LABELS, Linear(image_size=28), train=5000)).large
    assert run.train_cases == module.MOST_TRAIN


def test_a_pass_takes_at_least_what_the_encoder_takes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_encoder_times", lambda _: EncoderTimes(build_s=1000.0, image_s=0.25))
    run = run_probe(ask(LABELS, Linear(image_size=28))).large
    assert run.cases <= module.EMBEDDING_BATCH, "one report tells of the whole pass"
    assert run.pass_s == 0.25


def test_building_is_timed_once_all_libraries_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    from medtransfer.models import network

    clock, built, found = [0.0], [], []
    build, times = network.build_encoder, module._encoder_times

    def slow_at_first(*arguments: Any, **named: Any) -> Any:
        clock[0] += 1.0 if built else 100.0
        built.append(named["image_size"])
        return build(*arguments, **named)

    def noted(request: ProbeRequest) -> EncoderTimes:
        found.append(times(request))
        return found[-1]

    monkeypatch.setattr("medtransfer.study.stopwatch.time", SimpleNamespace(process_time=lambda: clock[0]))
    monkeypatch.setattr(network, "build_encoder", slow_at_first)
    monkeypatch.setattr(module, "_encoder_times", noted)
    run_probe(ask(LABELS, Linear(image_size=28)))
    assert [encoder.build_s for encoder in found] == [1.0]
    assert set(built) == {28}


@pytest.mark.parametrize(
    ("shape", "protocol", "batch", "work"),
    [
        (LABELS, Linear(image_size=28), None, {"embedding"}),
        (LABELS, Finetune(image_size=28), 6, {STEP}),
        (MASKS, Linear(image_size=32), 6, {"feature maps", STEP}),
    ],
)
def test_freed_memory_is_kept_where_a_trial_keeps_it(
    monkeypatch: pytest.MonkeyPatch, shape: CaseShape, protocol: Any, batch: int | None, work: set[str]
) -> None:
    seen: dict[str, set[bool]] = {}
    marked = Stopwatch.__call__

    def noted(self: Stopwatch, what: str, done: int, total: int) -> None:
        seen.setdefault(what, set()).add(bool(kept_memory._open_blocks))
        marked(self, what, done, total)

    library = SimpleNamespace(mallopt=lambda *_: 1, malloc_trim=lambda _: 1, malloc=lambda _: None)
    monkeypatch.setattr(kept_memory, "_gnu_library", lambda: library)
    monkeypatch.setattr(Stopwatch, "__call__", noted)
    run_probe(ask(shape, protocol, batch=batch))
    assert {what: seen[what] for what in work} == {what: {True} for what in work}
    assert seen["result"] == {False}, "what comes after is no part of the protocol's block"
    assert seen.get("pass", {True}) == {True}, "the encoder alone is timed as where embeddings are computed"


def test_the_batch_is_that_of_the_embeddings() -> None:
    from medtransfer.features import embedding

    assert module.EMBEDDING_BATCH == embedding.EMBEDDING_BATCH


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run_probe(ask(LABELS, Linear(image_size=28)))
    assert list(tmp_path.iterdir()) == []


# In a worker


def test_probes_run_in_a_worker_and_a_refusal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int]] = []
    found = run_probes(
        {
            "good": ask(LABELS, Knn(image_size=28), train=8),
            "bad": ask(LABELS, Knn(image_size=20), model="timm/test_vit.random", side=23),
        },
        lambda *step: told.append(step),
    )
    assert isinstance(found["good"], Probe)
    assert found["good"].large.pass_s > 0, "though this was the first probe of a fresh process"
    assert "test_vit" in str(found["bad"])
    assert told == [("probes", 1, 2), ("probes", 2, 2)]


def test_a_worker_that_dies_is_told() -> None:
    from medtransfer.execution.jobs import WorkerDied
    from medtransfer.study import probing

    assert probing._finding(WorkerDied("key", -9)) == {
        "key": "worker process: expected the job to end, got killed by SIGKILL. The machine may be out of memory."
    }
