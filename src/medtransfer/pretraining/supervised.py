"""Supervised pretraining: train a classifier on labelled images and keep its encoder as a source model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import UsageError
from medtransfer.core.fingerprints import hash_file
from medtransfer.core.progress import Progress, no_progress
from medtransfer.core.seeds import seed_from
from medtransfer.data.augmentation import DEFAULT, Augmentation
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import cache_side, open_decoded_cache
from medtransfer.models.backbones import build_backbone
from medtransfer.models.heads import Classifier
from medtransfer.models.network import Encoder, build_encoder
from medtransfer.models.source_model import DeclaredGap, Pretraining, SourceModel, WeightsFile
from medtransfer.training.fit_network import FitResult, fit_network
from medtransfer.training.losses import output_count
from medtransfer.training.memory_layout import lay_out
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.training_data import CachedImages
from medtransfer.training.validation_metrics import build_goal

SELECTION_METRIC = "auc"

_BACKBONE = "encoder.backbone."


@dataclass(frozen=True)
class PretrainedFile:
    """A weights file that was just made, and the source model that starts from it."""

    path: Path
    """Safetensors with the encoder's tensors under the network's own names."""
    sha256: str
    """Digest of the file."""
    model: SourceModel
    """Starts from this file; its pretraining lists the data of the model it was continued from, too."""
    best_epoch: int
    """Epoch whose weights were kept, from 0."""
    train_loss: float | None
    """Mean training loss of that epoch."""
    val_loss: float | None
    """Validation loss after it."""
    val_metric: float | None
    """Validation AUC after it; None where it is undefined."""
    train_cases: int
    """Number of training cases."""
    curve: tuple[Mapping[str, float | None], ...]
    """One mapping per epoch: epoch, train_loss, val_loss, val_metric, learning_rate."""


def pretrain_supervised(  # noqa: PLR0913 (a source model depends on all of it)
    cases: CaseTable,
    model: SourceModel,
    *,
    recipe: TrainingRecipe,
    image_size: int,
    cache_folder: Path,
    seed: int,
    out: Path,
    pretraining_data: str,
    weights_folder: Path | None = None,
    augmentation: Augmentation = DEFAULT,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> PretrainedFile:
    """Train a classifier, keep the encoder of the best epoch and write its weights.

    Pretraining is continued by starting from a source model that has weights.

    Args:
        cases: A classification table with a training and a validation split.
        model: Where to start from.
        recipe: How to train; it also says what the best epoch is.
        image_size: Side of the images in pixels.
        cache_folder: Root of the decoded images.
        seed: Seed of random weights, head, order and views, in [0, 2**63).
        out: Weights file to write; one that exists is replaced when the new one is whole.
        pretraining_data: Identifier of the images, for the overlap with target tasks.
        weights_folder: Where the weights of ``model`` lie.
        augmentation: Ranges of the random training views.
        device: Where to train.
        progress: Told about the epochs.

    Raises:
        UsageError: If the table has masks instead of labels.
        WeightsError: If the weights of ``model`` are missing or do not fit.
        TrialError: If a loss or a gradient is not finite; nothing is written then.
    """
    if not cases.kind.is_classification:
        raise UsageError(f"pretraining: expected a classification task, got {cases.kind.value}.")
    network = Classifier(
        build_encoder(
            model, weights_folder=weights_folder, seed=seed_from("encoder", seed), image_size=image_size
        ),
        output_count(cases.kind, len(cases.classes)),
        seed=seed_from("head", seed),
    )
    layout = lay_out(network, image_size, torch.device(device), recipe.precision)
    data = CachedImages(
        cache=open_decoded_cache(cases, cache_side(cases.kind, image_size), cache_folder, progress=progress),
        labels=cases.labels(),
        train=cases.indices("train"),
        validate=cases.indices("val"),
        size=image_size,
        augmentation=augmentation,
        batch_size=recipe.batch_size_for(len(cases.indices("train"))),
        seed=seed_from("views", seed),
        memory_format=layout,
    )
    goal = build_goal(cases, SELECTION_METRIC, recipe, masks=None, validate=data.validate)
    fitted = fit_network(network, data, recipe, goal, seed=seed, device=device, progress=progress)
    write_encoder(fitted.best_state, out)
    source = _pretrained_model(model, network.encoder, fitted, out, image_size, pretraining_data)
    return _pretrained_file(source, fitted, out, data.train_cases)


def write_encoder(state: Mapping[str, Tensor], out: Path) -> None:
    """Write the encoder's part of a classifier's state as safetensors, whole or not at all.

    Args:
        state: State of a :class:`~medtransfer.models.heads.Classifier`.
        out: File to write; tensors bear the names the bare network gives them.
    """
    from safetensors.torch import save

    write_atomically(out, save(backbone_state(state)))


def backbone_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the network inside the encoder, under its own names, on the CPU."""
    return {
        name.removeprefix(_BACKBONE): tensor.detach().cpu().contiguous()
        for name, tensor in state.items()
        if name.startswith(_BACKBONE)
    }


def _pretrained_model(
    start: SourceModel, encoder: Encoder, fitted: FitResult, out: Path, image_size: int, data_id: str
) -> SourceModel:
    data = tuple(dict.fromkeys([*start.pretraining.data, data_id]))
    contract = replace(encoder.input, size=image_size)
    gaps = _gaps_after_trunk(start, encoder, backbone_state(fitted.best_state))
    weights = WeightsFile(file=str(out.absolute()), sha256=hash_file(out), gaps=gaps)
    return replace(
        start,
        name=f"{start.architecture.name}.sup_{'_'.join(data)}",
        weights=weights,
        pretraining=Pretraining(objective="supervised", data=data),
        input=contract,
        input_from_library=False,
    )


def _gaps_after_trunk(start: SourceModel, encoder: Encoder, kept: Iterable[str]) -> tuple[DeclaredGap, ...]:
    """Return what the whole network has and the file lacks, because it lies after the trunk."""
    if start.architecture.trunk is None:
        return ()
    names = set(kept)
    whole: nn.Module = build_backbone(start.architecture, encoder.input, seed=0)
    prefixes = dict.fromkeys(_unkept_prefix(name, names) for name in whole.state_dict() if name not in names)
    return tuple(DeclaredGap(prefix, "after the last module that is used") for prefix in prefixes)


def _unkept_prefix(name: str, kept: set[str]) -> str:
    """Return the outermost module around a tensor that holds nothing that was kept."""
    parts = name.split(".")
    for depth in range(1, len(parts)):
        prefix = ".".join(parts[:depth]) + "."
        if not any(other.startswith(prefix) for other in kept):
            return prefix
    return name


def _pretrained_file(model: SourceModel, fitted: FitResult, out: Path, train_cases: int) -> PretrainedFile:
    best = fitted.curve[fitted.best_epoch]
    return PretrainedFile(
        path=out,
        sha256=hash_file(out),
        model=model,
        best_epoch=fitted.best_epoch,
        train_loss=best["train_loss"],
        val_loss=best["val_loss"],
        val_metric=best["val_metric"],
        train_cases=train_cases,
        curve=fitted.curve,
    )
