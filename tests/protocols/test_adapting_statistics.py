"""Fine-tuning of a head on a frozen encoder whose batch normalisation adapts, as study C evaluated it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from medtransfer.core.errors import UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.network import Encoder
from medtransfer.protocols import fit_finetune
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from tests.training.drawn_cases import drawn_labels, drawn_masks

QUICK: dict[str, Any] = {"image_size": 32, "epochs": 2, "batch_size": 6, "train_last": 0}
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
State = dict[str, Tensor]


def fit(cases: CaseTable, folder: Path, model: str = "resnet20.random", **changes: Any) -> Transfer:
    metric = "auc" if cases.kind.is_classification else "dice"
    bench = Bench("drawn", cases, resolve_model(model), None, folder, metric)
    (transfer,) = Finetune(**(QUICK | changes)).fit(
        bench, [TransferRequest(1.0, 0, cases.indices("train"), 1)]
    )
    return transfer


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Encoder, State]]:
    """Every encoder that is built, with its state at that moment."""
    found: list[tuple[Encoder, State]] = []
    original = fit_finetune.build_encoder

    def watched(*args: Any, **options: Any) -> Encoder:
        encoder = original(*args, **options)
        found.append((encoder, {name: tensor.clone() for name, tensor in encoder.state_dict().items()}))
        return encoder

    monkeypatch.setattr(fit_finetune, "build_encoder", watched)
    return found


@pytest.mark.parametrize("kind", ["masks", "labels"])
@pytest.mark.parametrize("adapt", [False, True])
def test_weights_stay_byte_equal_while_statistics_move_if_asked_to(
    encoders: list[tuple[Encoder, State]], tmp_path: Path, kind: str, adapt: bool
) -> None:
    cases = drawn_masks() if kind == "masks" else drawn_labels()
    changes: dict[str, Any] = {"decoder_channels": (8, 8)} if kind == "masks" else {}
    if adapt:
        changes["batch_normalization"] = "adapt"
    transfer = fit(cases, tmp_path, **changes)
    ((encoder, before),) = encoders
    moved = {name for name, tensor in encoder.state_dict().items() if not torch.equal(tensor, before[name])}
    statistics = {name for name in before if name.endswith(STATISTICS)}
    assert len(statistics) == 3 * 19
    assert moved == (statistics if adapt else set())
    assert transfer.details.get("adapted_batch_normalizations") == (19 if adapt else None)
    own = sum(parameter.numel() for parameter in encoder.parameters())
    assert transfer.details["parameters"] - transfer.details["trained_parameters"] == own
    json.dumps(transfer.details)


def test_a_search_of_the_rate_starts_every_training_from_the_same_statistics(tmp_path: Path) -> None:
    cases = drawn_labels()
    adapt: dict[str, Any] = {"batch_normalization": "adapt", "learning_rate": 1e-3}
    alone = fit(cases, tmp_path, **adapt)
    searched = fit(cases, tmp_path, learning_rates=(1e-4, 1e-3), **adapt)
    fixed, expected = searched.predictions["fixed-recipe"]["test"], alone.predictions["best"]["test"]
    assert fixed.scores.tobytes() == expected.scores.tobytes()


def test_a_network_without_batch_normalisation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected frozen batch normalisation"):
        fit(drawn_labels(), tmp_path, "timm/test_vit.random", batch_normalization="adapt")


def test_it_needs_frozen_layers_and_is_told_in_the_settings() -> None:
    with pytest.raises(ValidationError, match="batch_normalization: expected 'train_last' beside it"):
        Finetune(batch_normalization="adapt")
    for kind, preset in ((TaskKind.SEGMENTATION, "studyC-LiTS"), (TaskKind.MULTI_CLASS, "studyC-RS")):
        plain = Finetune(preset=preset, train_last=0)
        adapting = Finetune(preset=preset, train_last=0, batch_normalization="adapt")
        assert adapting.settings(kind) == plain.settings(kind) | {"batch_normalization": "adapt"}
