"""The embedded default: pretrain a small network on phantoms, then ask what that is worth on phantom tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from medtransfer.core.atomic import write_atomically
from medtransfer.core.fingerprints import fingerprint, hash_file
from medtransfer.core.progress import Progress, no_progress
from medtransfer.data.case_table import CaseTable
from medtransfer.models.catalogue import declared_model, resolve_model
from medtransfer.models.source_model import SourceModel
from medtransfer.study.session import RunRequest
from medtransfer.study.study import Study
from medtransfer.study.worker_setup import use_one_thread
from medtransfer.tasks.phantom_tasks import (
    CHEST_PRETRAINING_SET,
    PHOTOGRAPHIC_SET,
    chest_pretraining_cases,
    photographic_cases,
)

ARCHITECTURE: Final = "test_resnet"
"""The smallest residual network timm has: quick on two cores, with a feature pyramid for segmentation."""
SCRATCH: Final = f"{ARCHITECTURE}.random"
PHOTOGRAPHIC: Final = f"{ARCHITECTURE}.photographic"
MEDICAL: Final = f"{ARCHITECTURE}.photographic_medical"

_PRETRAINING_SEED: Final = 0
_REVISION: Final = 1
"""Raised whenever the same scale would give other pretrained weights."""


@dataclass(frozen=True)
class DemoScale:
    """How much the demo computes; the defaults take a few minutes on two cores."""

    photographs: int = 1500
    """Pictures of the photographic source domain."""
    chests: int = 2000
    """Pictures of the medical source domain."""
    image_size: int = 64
    """Side of all images in pixels."""
    pretraining_epochs: int = 10
    """Passes over each source domain."""
    classification_epochs: int = 15
    """Most epochs of fine-tuning on the classification tasks."""
    segmentation_epochs: int = 8
    """Most epochs on the segmentation task, fine-tuned or frozen."""
    seeds: int = 3
    """Runs per cell that a seed can change."""


@dataclass(frozen=True)
class Stage:
    """One pretraining: a source domain, and the source model it starts from."""

    name: str
    """Source model that comes out."""
    start: SourceModel
    """Source model that goes in."""
    cases: CaseTable
    """Labelled images of the source domain."""
    data: tuple[str, ...]
    """Image collections seen by then, the last one here."""
    learning_rate: float
    """Highest learning rate."""


def prepare_demo(
    folder: Path, *, workers: int = 1, scale: DemoScale | None = None, progress: Progress = no_progress
) -> tuple[Study, RunRequest]:
    """Pretrain the source models, unless that was done before, and return the study of them.

    Args:
        folder: Where weights, decoded images, records and reports lie; made when it is not there.
        workers: Worker processes of the study; pretraining runs in this process on one thread.
        scale: How much to compute; the default takes a few minutes.
        progress: Told about the pretraining.

    Raises:
        OSError: If the folder cannot be written.
        TrialError: If pretraining ends without finite weights.
    """
    use_one_thread()
    scale, weights, cache = scale or DemoScale(), folder / "weights", folder / "cache"
    models = [SCRATCH, *pretrained_models(weights, cache, scale, progress)]
    request = RunRequest(store=str(folder / "store"), weights=weights, cache=cache, workers=workers)
    return Study.parse(demo_study(models, scale), folder), request


def pretrained_models(
    weights: Path, cache: Path, scale: DemoScale, progress: Progress = no_progress
) -> list[dict[str, dict[str, Any]]]:
    """Return the two pretrained source models as a study file declares them, pretrained where needed.

    Args:
        weights: Folder of the weights files; a file's name holds the digest of all that determines it.
        cache: Folder of the decoded images.
        scale: How much to compute.
        progress: Told about the epochs.
    """
    photographs = Stage(
        name=PHOTOGRAPHIC,
        start=resolve_model(SCRATCH),
        cases=photographic_cases(scale.photographs),
        data=(PHOTOGRAPHIC_SET,),
        learning_rate=3e-3,
    )
    first = _pretrained(photographs, weights, cache, scale, progress)
    chests = Stage(
        name=MEDICAL,
        start=declared_model({"name": PHOTOGRAPHIC, **first}),
        cases=chest_pretraining_cases(scale.chests),
        data=(PHOTOGRAPHIC_SET, CHEST_PRETRAINING_SET),
        learning_rate=2e-3,
    )
    return [{PHOTOGRAPHIC: first}, {MEDICAL: _pretrained(chests, weights, cache, scale, progress)}]


def demo_study(models: list[Any], scale: DemoScale) -> dict[str, Any]:
    """Return the study as the mapping of a study file."""
    size = {"image_size": scale.image_size}
    rate = {"learning_rate": 2e-3}
    labels = ["phantom-findings", "phantom-nodule"]
    masks = {"epochs": scale.segmentation_epochs}
    narrow = {"decoder_channels": [64, 48, 32, 16, 16]}
    return {
        "name": "demo",
        "models": models,
        "seeds": scale.seeds,
        "blocks": [
            {"tasks": labels, "protocols": [{"linear": size}], "label_fractions": [0.25, 1.0]},
            {
                "tasks": labels,
                "protocols": [{"finetune": {**size, **rate, "epochs": scale.classification_epochs}}],
            },
            {
                "tasks": ["phantom-lungs"],
                "protocols": [
                    {"linear": {**size, **masks}},
                    {"finetune": {**size, **rate, **masks, **narrow}},
                ],
            },
        ],
    }


def _pretrained(
    stage: Stage, weights: Path, cache: Path, scale: DemoScale, progress: Progress
) -> dict[str, Any]:
    """Return a stage's source model as a declaration, after pretraining it if its file is not there."""
    from medtransfer.models.hub_weights import contract_of

    contract = contract_of(stage.start)
    path = weights / f"{stage.name}-{_digest(stage, weights, scale)[:12]}.safetensors"
    proof = path.with_suffix(".sha256")
    if not (path.exists() and proof.exists() and proof.read_text() == hash_file(path)):
        _pretrain(stage, path, cache, scale, progress)
        write_atomically(proof, hash_file(path))
    return {
        "file": path.name,
        "architecture": ARCHITECTURE,
        "sha256": hash_file(path),
        "pretraining": {"objective": "supervised", "data": list(stage.data)},
        "size": scale.image_size,
        "mean": list(contract.mean),
        "std": list(contract.std),
        "licence": "generated by medtransfer, Apache-2.0",
        "citation": "medtransfer phantoms",
    }


def _pretrain(stage: Stage, path: Path, cache: Path, scale: DemoScale, progress: Progress) -> None:
    from medtransfer.pretraining.supervised import pretrain_supervised

    path.parent.mkdir(parents=True, exist_ok=True)

    def told(what: str, done: int, total: int) -> None:
        progress(f"pretraining {stage.data[-1]}: {what}", done, total)

    pretrain_supervised(
        stage.cases,
        stage.start,
        recipe=_recipe(stage, scale),
        image_size=scale.image_size,
        cache_folder=cache,
        seed=_PRETRAINING_SEED,
        out=path,
        pretraining_data=stage.data[-1],
        weights_folder=path.parent,
        progress=told,
    )


def _recipe(stage: Stage, scale: DemoScale) -> Any:
    from medtransfer.training.recipe import TrainingRecipe

    epochs = scale.pretraining_epochs
    return TrainingRecipe(
        epochs=epochs, patience=epochs, learning_rate=stage.learning_rate, warmup_epochs=min(1, epochs)
    )


def _digest(stage: Stage, weights: Path, scale: DemoScale) -> str:
    """Return the digest of all that determines a stage's weights."""
    start = stage.start.weights
    facts: Mapping[str, Any] = {
        "revision": _REVISION,
        "architecture": ARCHITECTURE,
        "start": "random" if start is None else hash_file(weights / str(start.file)),
        "data": stage.cases.content_hash(),
        "recipe": _recipe(stage, scale).as_settings(),
        "image_size": scale.image_size,
        "seed": _PRETRAINING_SEED,
    }
    return fingerprint(dict(facts))
