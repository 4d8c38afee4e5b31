"""Encoders of microscopy slides: large vision transformers behind a request to their publishers."""

from __future__ import annotations

from medtransfer.models.entries.networks import IMAGENET, UNI, UNI2, VIRCHOW, VIRCHOW2
from medtransfer.models.entries.records import GATED, HUB, NON_COMMERCIAL
from medtransfer.models.source_model import (
    Architecture,
    InputContract,
    Pretraining,
    SourceModel,
    WeightsFile,
)

_FILE = "pytorch_model.bin"
_NO_DERIVATIVES = f"{NON_COMMERCIAL} (no derivatives), on request"
_BICUBIC = InputContract(interpolation="bicubic")
_UNTRIED = "Written from its public description; its layout is not verified."


def _encoder(
    tag: str,
    architecture: Architecture,
    repository: str,
    data: str,
    citation: str,
    *,
    contract: InputContract = IMAGENET,
    licence: str = _NO_DERIVATIVES,
    note: str = "",
) -> SourceModel:
    """Return an encoder of a hub repository whose file has the names of timm."""
    return SourceModel(
        name=f"{architecture.name}.{tag}",
        architecture=architecture,
        weights=WeightsFile(
            file=f"{tag}_{_FILE}",
            url=f"{HUB}{repository}/resolve/main/{_FILE}",
            manual=GATED.format(f"huggingface.co/{repository}", _FILE),
        ),
        pretraining=Pretraining("dinov2", (data,), 2024),
        input=contract,
        licence=licence,
        citation=citation,
        note=note,
    )


_CHEN = "Chen et al., Towards a General-Purpose Foundation Model for Computational Pathology, 2024"
_BOTH = "The embedding is the class token and the mean of the patches."

MODELS: tuple[SourceModel, ...] = (
    _encoder("uni", UNI, "MahmoodLab/UNI", "mass-100k", _CHEN),
    _encoder("uni2", UNI2, "MahmoodLab/UNI2-h", "mass-350k", _CHEN, note=_UNTRIED),
    _encoder(
        "virchow",
        VIRCHOW,
        "paige-ai/Virchow",
        "msk-1488k",
        "Vorontsov et al., A Foundation Model for Clinical-Grade Computational Pathology, 2024",
        contract=_BICUBIC,
        licence="Apache-2.0 with further terms, on request",
        note=f"{_BOTH} {_UNTRIED}",
    ),
    _encoder(
        "virchow2",
        VIRCHOW2,
        "paige-ai/Virchow2",
        "msk-3134k",
        "Zimmermann et al., Virchow2: Scaling Self-Supervised Mixed Magnification Models in Pathology, 2024",
        contract=_BICUBIC,
        note=f"{_BOTH} {_UNTRIED}",
    ),
)
"""The encoders; their embeddings are those their publishers recommend."""
