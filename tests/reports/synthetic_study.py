"""A made-up study that has every kind of cell a report must show, with predictions that fit its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from medtransfer.core.fingerprints import hash_json
from medtransfer.core.seeds import generator
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import compute_metrics
from medtransfer.metrics.predictions import ClassificationPredictions, Predictions, SegmentationPredictions
from medtransfer.reports.evidence import Evidence
from medtransfer.store.records import Outcome, Record, State, TrialDescription

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u2028{{7*7}}|`$x$`"
FORMULA = "=HYPERLINK(1)"
CANARY_HOME = "/home/canary-person/secret data"
MODELS = {
    "resnet20.random": ("none", (), 0.35),
    "mobilenetv1_100.sup_in1k": ("supervised", ("imagenet-1k",), 0.8),
    "squeezenet1_1.sup_in1k": ("supervised", ("imagenet-1k",), 0.78),
    "resnet50.sup_radimagenet": ("supervised", ("radimagenet",), 1.0),
    "resnet50.mocov2_ham10000": ("self-supervised", ("ham10000",), 0.9),
}
OVERLAPS = {
    ("resnet50.mocov2_ham10000", "dermamnist"): ("same", "pretrained on ham10000"),
    ("resnet50.sup_radimagenet", "breastmnist"): ("unknown", "the sources of RadImageNet are not published"),
    ("resnet50.sup_radimagenet", "phantom-chest"): ("source", "phantom-chest shares images with radimagenet"),
}


@dataclass(frozen=True)
class MadeTask:
    """A task of the study."""

    name: str
    kind: TaskKind
    classes: tuple[str, ...]
    metrics: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    cases: int = 60
    images_per_patient: int = 2


TASKS = (
    MadeTask("breastmnist", TaskKind.BINARY, ("malignant", "normal"), ("auc", "accuracy")),
    MadeTask(
        "dermamnist",
        TaskKind.MULTI_CLASS,
        ("naevus", "melanoma", "other"),
        ("auc", "balanced-accuracy"),
        {"patients_known": False},
    ),
    MadeTask(
        "phantom-chest",
        TaskKind.MULTI_LABEL,
        ("opacity", "effusion"),
        ("auc",),
        {"phantom": True, "split_source": "ours"},
    ),
    MadeTask(
        "drive-vessel",
        TaskKind.SEGMENTATION,
        ("vessel",),
        ("dice", "dice-pooled"),
        {
            "split_source": "ours",
            "caution": "Sixteen training images; differences below 0.01 Dice are within annotator "
            "disagreement.",
            "accepted": [
                {
                    "what": "unexpected-count",
                    "where": f"{CANARY_HOME}/DRIVE/training",
                    "expected": "20 images",
                    "found": "19",
                    "next_step": "",
                }
            ],
        },
        cases=16,
        images_per_patient=1,
    ),
)


class StudyMaker:
    """Collects records and their predictions."""

    def __init__(self, study: str = "first-light") -> None:
        self.study = study
        self.records: list[Record] = []
        self.frames: dict[str, pd.DataFrame] = {}

    def add(
        self,
        task: MadeTask,
        model: str,
        protocol: str,
        *,
        fraction: float = 1.0,
        repetition: int = 0,
        varied: Sequence[str] = ("training",),
        settings: Mapping[str, Any] | None = None,
        skill: float | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Record:
        """Add a finished trial."""
        place = (task, model, protocol, fraction, repetition)
        description = describe(place, varied, settings or {}, facts or {})
        rng = generator("made", description.fingerprint)
        level = (MODELS[model][2] if model in MODELS else 0.7) if skill is None else skill
        level = level * (0.55 + 0.45 * fraction**0.4) + 0.08 * float(rng.standard_normal()) * bool(varied)
        checkpoints = ("best", "last") if protocol == "finetune" else ("best",)
        made = {
            (checkpoint, split): predictions(task, split, level - 0.05 * (checkpoint == "last"), rng)
            for checkpoint in checkpoints
            for split in ("val", "test")
        }
        metrics = {
            split if checkpoint == "best" else f"{split}/{checkpoint}": {
                name: value.as_json() for name, value in compute_metrics(task.metrics, found).items()
            }
            for (checkpoint, split), found in made.items()
        }
        outcome = Outcome(
            metrics=metrics,
            train_cases=int(100 * fraction),
            choices={"epoch": 7} if protocol == "finetune" else {"strength": 0.1},
            curve=curve(rng, level) if protocol == "finetune" else (),
            duration_s=float(rng.random()),
            provenance={
                "versions": {"python": "3.11.13", "torch": "2.11.0"},
                "hardware": {"processor": "Example CPU", "cores": 2, "system": "Linux x86_64"},
                "code": "0123456789ab",
                "command": f"medtransfer run {CANARY_HOME}/study.yaml --store postgresql://me:pass-canary@db/s",
                "device": "cpu",
            },
        )
        frame = pd.concat(
            [
                p.to_frame().assign(checkpoint=checkpoint, split=split)
                for (checkpoint, split), p in made.items()
            ],
            ignore_index=True,
        )
        self.frames[description.fingerprint] = frame
        record = Record(
            description,
            State.DONE,
            outcome,
            attempts=1,
            owner="host-canary:1",
            finished_at="2026-05-04T10:00:00Z",
        )
        self.records.append(record)
        return record

    def add_failed(
        self, task: MadeTask, model: str, protocol: str, reason: str, message: str, **more: Any
    ) -> None:
        """Add a failed trial."""
        record = self.add(task, model, protocol, **more)
        self.records[-1] = replace(
            record,
            state=State.FAILED,
            outcome=None,
            reason=reason,
            message=message,
            traceback=f"{CANARY_HOME}/x.py",
        )

    def add_pending(self, task: MadeTask, model: str, protocol: str, **more: Any) -> None:
        """Add a trial that waits."""
        record = self.add(task, model, protocol, **more)
        self.records[-1] = replace(record, state=State.PENDING, outcome=None, finished_at=None)

    def evidence(self) -> Evidence:
        """Return what a report is made from."""
        return Evidence(
            study=self.study,
            records=list(self.records),
            predictions=lambda record: self.frames[record.description.fingerprint],
            source="name: first-light\ntasks: [breastmnist]\n",
        )


def describe(
    place: tuple[MadeTask, str, str, float, int],
    varied: Sequence[str],
    settings: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> TrialDescription:
    """Return the description of a trial, with the facts the study layer gives."""
    task, model, protocol, fraction, repetition = place
    objective, data, _ = MODELS.get(model, ("supervised", ("imagenet-1k",), 0.0))
    status, reason = OVERLAPS.get((model, task.name), ("clean", "no shared images"))
    parts = [task.name, model, protocol, fraction, repetition, dict(settings), dict(facts)]
    return TrialDescription(
        fingerprint=hash_json(parts),
        task=task.name,
        model=model,
        protocol=protocol,
        settings=settings,
        label_fraction=fraction,
        repetition=repetition,
        varied=tuple(varied),
        facts={
            "title": f"Title of {task.name}",
            "kind": task.kind.value,
            "classes": list(task.classes),
            "metrics": list(task.metrics),
            "primary_metric": task.metrics[0],
            "split_source": "official",
            "split_counts": {"train": 100, "val": 20, "test": task.cases},
            "patients": 90,
            "patients_known": True,
            "accepted": [],
            "data_hash": hash_json([task.name, "data"]),
            "caution": "",
            "phantom": False,
            "licence": "CC BY 4.0",
            "citation": "Author et al., 2021",
            "overlap": status,
            "overlap_reason": reason,
            "weights_hash": "random" if objective == "none" else hash_json(model),
            "pretraining": {"objective": objective, "data": list(data), "year": 2017},
            "architecture": model.split(".", maxsplit=1)[0],
        }
        | dict(task.facts)
        | dict(facts),
    )


def predictions(task: MadeTask, split: str, level: float, rng: np.random.Generator) -> Predictions:
    """Return predictions whose quality grows with the level; the cases depend on task and split only."""
    ids = tuple(f"{split}-{number:03d}" for number in range(task.cases))
    patients = tuple(f"p{number // task.images_per_patient}" for number in range(task.cases))
    cases = generator("cases", task.name, split)
    if task.kind is TaskKind.SEGMENTATION:
        truth = cases.integers(800, 1200, size=task.cases)
        share = np.clip(0.5 + 0.35 * level + 0.05 * rng.standard_normal(task.cases), 0.05, 0.99)
        hit = (truth * share).astype(np.int64)
        counts = np.stack([hit, (truth * (1 - share) / 2).astype(np.int64), truth - hit], axis=1)
        return SegmentationPredictions(task.classes, ("image",), ids, patients, counts[:, None, None, :])
    classes = len(task.classes)
    if task.kind is TaskKind.MULTI_LABEL:
        labels = (cases.random((task.cases, classes)) < 0.4).astype(np.int64)
        raw = labels * level * 1.4 + rng.standard_normal(labels.shape)
        scores = 1 / (1 + np.exp(-raw))
    else:
        labels = cases.integers(0, classes, size=task.cases)
        raw = np.eye(classes)[labels] * level * 1.8 + rng.standard_normal((task.cases, classes))
        scores = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    return ClassificationPredictions(task.kind, task.classes, ids, patients, labels, scores)


def curve(rng: np.random.Generator, level: float, epochs: int = 12) -> list[dict[str, float | None]]:
    """Return losses that fall and a metric that rises."""
    return [
        {
            "epoch": float(epoch),
            "train_loss": float(0.7 * np.exp(-epoch / 5) + 0.02 * rng.random()),
            "val_loss": float(0.7 * np.exp(-epoch / 6) + 0.1 + 0.04 * rng.random()),
            "val_metric": float(
                min(0.99, 0.5 + 0.4 * level * (1 - np.exp(-epoch / 3)) + 0.02 * rng.random())
            ),
            "learning_rate": 1e-3,
        }
        for epoch in range(1, epochs + 1)
    ]


def full_study() -> StudyMaker:
    """Return a study with every kind of cell."""
    maker = StudyMaker()
    for task in TASKS:
        for model in MODELS:
            if (model, task.name) == ("squeezenet1_1.sup_in1k", "drive-vessel"):
                continue
            _add_linear(maker, task, model)
            _add_finetune(maker, task, model)
    breast = TASKS[0]
    maker.add_failed(
        breast,
        "squeezenet1_1.sup_in1k",
        "finetune",
        "worker_died",
        "the worker ended with signal 9",
        settings=finetune_settings(breast),
        repetition=5,
    )
    return maker


def hostile_study() -> StudyMaker:
    """Return a small study in which every name attacks, and every text holds a place on a machine."""
    maker = StudyMaker(study="plain-name")
    task = MadeTask(
        HOSTILE,
        TaskKind.BINARY,
        (HOSTILE, "b"),
        ("auc",),
        dict.fromkeys(("title", "caution", "licence", "citation", "split_source"), HOSTILE),
    )
    for model in (
        HOSTILE,
        FORMULA,
        f"file:{CANARY_HOME.replace(' ', '-')}/w.pth?arch=x",
        "\x1b[31mred\r\nnext",
    ):
        for repetition in range(3):
            maker.add(
                task,
                model,
                "finetune",
                repetition=repetition,
                settings={"folder": CANARY_HOME, "name": HOSTILE},
                facts={"overlap": "unknown", "overlap_reason": HOSTILE, "architecture": HOSTILE},
            )
    maker.add_failed(
        task,
        HOSTILE,
        "finetune",
        "bad",
        f"cannot read '{CANARY_HOME}/a.png' {HOSTILE}",
        repetition=3,
        settings={"folder": CANARY_HOME, "name": HOSTILE},
        facts={"overlap": "unknown", "overlap_reason": HOSTILE, "architecture": HOSTILE},
    )
    return maker


def finetune_settings(task: MadeTask) -> dict[str, Any]:
    """Return settings that differ by kind of task, as a protocol resolves them."""
    loss = "dice" if task.kind is TaskKind.SEGMENTATION else "cross-entropy"
    return {"epochs": 12, "image_size": 96, "learning_rate": 0.0005, "loss": loss, "optimiser": "adamw"}


def _add_linear(maker: StudyMaker, task: MadeTask, model: str) -> None:
    maker.add(task, model, "linear", varied=(), settings={"strengths": [0.01, 0.1, 1.0]})
    for repetition in range(4):
        maker.add(
            task,
            model,
            "linear",
            fraction=0.1,
            repetition=repetition,
            varied=("label subset",),
            settings={"strengths": [0.01, 0.1, 1.0]},
        )


def _add_finetune(maker: StudyMaker, task: MadeTask, model: str) -> None:
    settings = finetune_settings(task)
    repetitions = 1 if (model, task.name) == ("resnet20.random", "dermamnist") else 5
    for fraction in (0.1, 1.0):
        for repetition in range(repetitions):
            more = {"fraction": fraction, "repetition": repetition, "settings": settings}
            place = (model, task.name, fraction, repetition)
            if place == ("mobilenetv1_100.sup_in1k", "phantom-chest", 1.0, 2):
                message = f"loss is NaN at step 40 of {CANARY_HOME}/runs/x"
                maker.add_failed(task, model, "finetune", "non_finite_loss", message, **more)
            elif place[:3] == ("resnet20.random", "drive-vessel", 0.1):
                maker.add_failed(task, model, "finetune", "out_of_memory", "not enough memory", **more)
            elif place[:3] == ("resnet50.mocov2_ham10000", "drive-vessel", 0.1) and repetition > 2:
                maker.add_pending(task, model, "finetune", **more)
            else:
                skill = -0.6 if place == ("resnet50.sup_radimagenet", "breastmnist", 1.0, 3) else None
                maker.add(task, model, "finetune", skill=skill, **more)
