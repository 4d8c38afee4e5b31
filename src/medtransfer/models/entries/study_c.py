"""The ResNet-50 of study C (RadNet), pretrained with SimCLR on photographs and on CT."""

from __future__ import annotations

from medtransfer.models.entries.records import IN1K, NON_COMMERCIAL, resnet50
from medtransfer.models.source_model import InputContract, Pretraining, SourceModel, WeightsFile

_STRETCHED = InputContract(size=256, mean=(0.0,) * 3, std=(1.0,) * 3, value_range="minmax")
_MANUAL = (
    "Get encoder_pretrained.tar from cloud.uk-essen.de/d/86d2be31e9b84d21bd5c (availability not verified) "
    "and keep it in a folder of the model's name."
)


def _radnet(tag: str, data: tuple[str, ...], note: str = "") -> SourceModel:
    return resnet50(
        tag,
        WeightsFile(file=f"{tag}/encoder_pretrained.tar", strip=("encoder.",), manual=_MANUAL),
        Pretraining("simclr", data, 2024),
        "Jonske et al., Why does my medical AI look at pictures of birds, 2024",
        contract=_STRETCHED,
        licence=NON_COMMERCIAL,
        studies=("C",),
        note=note,
    )


MODELS: tuple[SourceModel, ...] = (
    _radnet("simclr_in1k_jonske", IN1K),
    _radnet("simclr_radnet1m", ("radnet-1m",)),
    _radnet("simclr_radnet12m", ("radnet-12m",)),
    _radnet("simclr_in1k_then_radnet1m", (*IN1K, "radnet-1m"), "One after the other, 50 epochs each."),
    _radnet("simclr_in1k_radnet1m_mixed", (*IN1K, "radnet-1m"), "The union of both, 50 epochs."),
)
"""The five models with weights; the study's bound-adjusted RadNet is a calculation, not weights."""
