"""Whole studies on a GPU: every protocol, several workers on one device, and what records say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import medtransfer as mt
from medtransfer.store.records import State
from medtransfer.store.store import Store

PROTOCOLS: list[dict[str, Any]] = [
    {"linear": {"image_size": 32}},
    {"knn": {"image_size": 32}},
    {"finetune": {"image_size": 32, "epochs": 2, "batch_size": 8}},
]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_protocol_ends_close_to_the_cpu(lesions: Path, tmp_path: Path, workers: int) -> None:
    found = {}
    for device in ("cpu", "cuda"):
        study = mt.Study(
            "devices",
            tasks=[{"lesions": {"root": "lesions"}}],
            models=["resnet20.random"],
            protocols=PROTOCOLS,
            seeds=1,
        )
        counts = mt.run(
            study,
            store=tmp_path / device,
            data=lesions,
            cache=tmp_path / f"cache-{device}",
            device=device,
            workers=workers,
        ).counts
        assert counts.done == len(PROTOCOLS)
        with Store.open(tmp_path / device, create=False) as store:
            found[device] = {record.description.protocol: record for record in store.records()}
    for protocol, record in found["cuda"].items():
        usual = found["cpu"][protocol].outcome
        assert record.state is State.DONE
        assert record.outcome is not None
        assert usual is not None
        assert record.outcome.provenance["device"] == "cuda"
        tolerance = 0.25 if protocol == "finetune" else 0.02
        assert record.outcome.metrics["test"]["auc"]["value"] == pytest.approx(
            usual.metrics["test"]["auc"]["value"], abs=tolerance
        )
