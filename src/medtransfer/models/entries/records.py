"""Records in short: what the many models of one publisher or one kind of file have in common."""

from __future__ import annotations

from medtransfer.models.entries.networks import IMAGENET, TIMM
from medtransfer.models.source_model import InputContract, Pretraining, SourceModel, WeightsFile

UPSTREAM = "upstream: read the publisher's terms before use"
ASU = "ASU project licence, non-commercial"
NON_COMMERCIAL = "CC BY-NC 4.0"

HUB = "https://huggingface.co/"
GATED = "The files are behind a request: accept the terms at {} with an account, then download {}."
"""What a person does where a publisher asks for it; the page, and the file."""

IN1K = ("imagenet-1k",)

RESNET_HEADS = ("projection_head", "projector", "prototypes", "jigsaw", "head_jig")
"""First components of what self-supervised ResNets carry beside the backbone; ``fc`` and ``head`` always go."""


def hub_model(
    name: str,
    pretraining: Pretraining,
    citation: str,
    *,
    contract: InputContract = IMAGENET,
    licence: str = UPSTREAM,
    studies: tuple[str, ...] = (),
) -> SourceModel:
    """Return a model whose weights timm downloads under the same name."""
    return SourceModel(
        name=name,
        architecture=TIMM[name.partition(".")[0]],
        weights=WeightsFile(hub=f"timm/{name}"),
        pretraining=pretraining,
        input=contract,
        licence=licence,
        citation=citation,
        studies=studies,
    )


def resnet50(
    tag: str,
    weights: WeightsFile,
    pretraining: Pretraining,
    citation: str,
    *,
    contract: InputContract = IMAGENET,
    licence: str = UPSTREAM,
    studies: tuple[str, ...] = (),
    note: str = "",
) -> SourceModel:
    """Return a ResNet-50 with weights in a file."""
    return SourceModel(
        name=f"resnet50.{tag}",
        architecture=TIMM["resnet50"],
        weights=weights,
        pretraining=pretraining,
        input=contract,
        licence=licence,
        citation=citation,
        studies=studies,
        note=note,
    )
