"""Encoders of general use that the studies did not have: DINOv2 and v3, EVA-02, CLIP, SigLIP."""

from __future__ import annotations

from medtransfer.models.entries.networks import CLIP, PLUS_MINUS_ONE
from medtransfer.models.entries.records import hub_model
from medtransfer.models.source_model import InputContract, Pretraining, SourceModel

_DINOV2 = "Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, 2023"
_DINOV3 = "Simeoni et al., DINOv3, 2025"
_CLIP = "Radford et al., Learning Transferable Visual Models from Natural Language Supervision, 2021"
_EVA = "Fang et al., EVA-02: A Visual Representation for Neon Genesis, 2023"
_SIGLIP = "Zhai et al., Sigmoid Loss for Language Image Pre-Training, 2023"
_SIGLIP2 = "Tschannen et al., SigLIP 2: Multilingual Vision-Language Encoders, 2025"


def _of_timm(
    name: str, objective: str, collection: str, citation: str, contract: InputContract, licence: str
) -> SourceModel:
    pretraining = Pretraining(objective, (collection,), int(citation[-4:]))
    return hub_model(name, pretraining, citation, contract=contract, licence=licence)


MODELS: tuple[SourceModel, ...] = (
    *(
        _of_timm(
            f"vit_{size}_patch14_dinov2.lvd142m",
            "dinov2",
            "lvd-142m",
            _DINOV2,
            InputContract(size=518, interpolation="bicubic"),
            "Apache-2.0",
        )
        for size in ("small", "base", "large")
    ),
    *(
        _of_timm(
            f"vit_{size}_patch16_dinov3.lvd1689m",
            "dinov3",
            "lvd-1689m",
            _DINOV3,
            InputContract(size=256, interpolation="bicubic"),
            "DINOv3 licence: read it before use",
        )
        for size in ("small", "base")
    ),
    _of_timm("eva02_base_patch14_224.mim_in22k", "eva02", "imagenet-22k", _EVA, CLIP, "MIT"),
    _of_timm("eva02_base_patch16_clip_224.merged2b", "clip", "merged-2b", _EVA, CLIP, "MIT"),
    _of_timm("vit_base_patch16_clip_224.openai", "clip", "wit-400m", _CLIP, CLIP, "Apache-2.0"),
    _of_timm("vit_large_patch14_clip_224.openai", "clip", "wit-400m", _CLIP, CLIP, "Apache-2.0"),
    _of_timm("vit_base_patch16_siglip_224.webli", "siglip", "webli", _SIGLIP, PLUS_MINUS_ONE, "Apache-2.0"),
    _of_timm(
        "vit_base_patch16_siglip_224.v2_webli", "siglip2", "webli", _SIGLIP2, PLUS_MINUS_ONE, "Apache-2.0"
    ),
)
"""General encoders; any other of timm or torchvision has a name without being listed."""
