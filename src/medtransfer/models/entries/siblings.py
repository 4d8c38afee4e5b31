"""Models of the same groups' neighbouring studies: vision transformers, SimMIM, Ark, DiRA."""

from __future__ import annotations

from medtransfer.models.entries.networks import (
    IMAGENET,
    PLUS_MINUS_ONE,
    TIMM,
    VIT_RELATIVE,
    VIT_SMALL_HEADS,
)
from medtransfer.models.entries.records import ASU, IN1K, NON_COMMERCIAL, hub_model, resnet50
from medtransfer.models.overlap import unlabelled
from medtransfer.models.source_model import Architecture, Pretraining, SourceModel, WeightsFile

_ZENODO = "https://zenodo.org/records/7101953/files/"
_SWIN_BASE = TIMM["swin_base_patch4_window7_224"]
_SIMMIM_MANUAL = "Get it from the drive folder linked at github.com/microsoft/SimMIM."
_ARK_MANUAL = "Request it with the form linked at github.com/jlianglab/Ark."
_DIRA_MANUAL = "Request it as described at github.com/fhaghighi/DiRA."

_AUGREG = "Steiner et al., How to Train Your ViT, 2021"
_SWIN = "Liu et al., Swin Transformer: Hierarchical Vision Transformer, 2021"
_SIMMIM = "Xie et al., SimMIM: A Simple Framework for Masked Image Modeling, 2021"
_MA = "Ma et al., Benchmarking and Boosting Transformers for Medical Image Classification, 2022"
_ARK = "Ma et al., Foundation Ark: Accruing and Reusing Knowledge, 2023"
_DIRA = "Haghighi et al., DiRA: Discriminative, Restorative, and Adversarial Learning, 2022"
_MOCOV3 = "Chen et al., An Empirical Study of Training Self-Supervised Vision Transformers, 2021"

ARK5 = ("chestxray14", "chexpert", "vindr-cxr", "rsna-pneumonia", "shenzhen-cxr")


def _plus_minus_one(
    name: str, objective: str, data: tuple[str, ...], year: int, citation: str
) -> SourceModel:
    pretraining = Pretraining(objective, data, year)
    return hub_model(name, pretraining, citation, contract=PLUS_MINUS_ONE, licence="Apache-2.0")


def _mocov3(size: str, architecture: Architecture, note: str = "") -> SourceModel:
    file = f"vit-{size[0]}-300ep"
    return SourceModel(
        name=f"vit_{size}_patch16_224.mocov3_in1k",
        architecture=architecture,
        weights=WeightsFile(
            url=f"https://dl.fbaipublicfiles.com/moco-v3/{file}/{file}.pth.tar",
            container="state_dict",
            prefix="module.base_encoder.",
        ),
        pretraining=Pretraining("mocov3", IN1K, 2021),
        input=IMAGENET,
        licence=NON_COMMERCIAL,
        citation=_MOCOV3,
        note=note,
    )


def _simmim(
    tag: str, weights: WeightsFile, data: tuple[str, ...], citation: str, licence: str
) -> SourceModel:
    return SourceModel(
        name=f"{_SWIN_BASE.name}.{tag}",
        architecture=_SWIN_BASE,
        weights=weights,
        pretraining=Pretraining("simmim", data, int(citation[-4:])),
        input=IMAGENET,
        licence=licence,
        citation=citation,
    )


def _simmim_weights(file: str | None = None, url: str | None = None) -> WeightsFile:
    return WeightsFile(
        file=file,
        url=url,
        container="model",
        prefix="encoder.",
        scheme="swin-official",
        drop=("mask_token",),
        adapt=("bias-tables",),
        manual="" if url else _SIMMIM_MANUAL,
    )


def _simmim_chest(start: str, data: str, collection: str) -> SourceModel:
    first = {"Scratch": ("simmim", ()), "ImageNet": ("simmim_in1k_then", IN1K)}
    tag, before = first[start]
    weights = _simmim_weights(url=f"{_ZENODO}simmim_swinb_{start}_{data}.pth")
    return _simmim(f"{tag}_{data.lower()}", weights, (*before, collection), _MA, ASU)


def _ark(sets: int, data: tuple[str, ...]) -> SourceModel:
    return SourceModel(
        name=f"{_SWIN_BASE.name}.ark{sets}",
        architecture=_SWIN_BASE,
        weights=WeightsFile(
            file=f"ark{sets}_teacher_ep200_swinb_projector1376_mlp.pth.tar",
            scheme="swin-official",
            drop=("projector", "omni_heads"),
            manual=_ARK_MANUAL,
        ),
        pretraining=Pretraining("supervised", ("imagenet-22k", *IN1K, *data), 2023),
        input=IMAGENET,
        licence=ASU,
        citation=_ARK,
        note="Every label of its data sets was used: their test images may be among those it was trained on.",
    )


def _dira(method: str) -> SourceModel:
    weights = WeightsFile(
        file=f"dira_{method}_resnet50.pth",
        container="state_dict",
        strip=("module.", "encoder_q.", "backbone.", "encoder."),
        ignore=(r"(encoder_k|decoder|generator|discriminator)\..+", r"queue.*"),
        drop=("projector", "predictor"),
        manual=_DIRA_MANUAL,
    )
    pretraining = Pretraining(f"dira-{method}", (unlabelled("chestxray14"),), 2022)
    return resnet50(f"dira_{method}_chestxray14", weights, pretraining, _DIRA, licence=ASU)


_TIMM_MODELS: tuple[SourceModel, ...] = (
    *(
        _plus_minus_one(f"vit_{size}_patch16_224.{tag}", "supervised", data, 2021, _AUGREG)
        for size in ("small", "base")
        for tag, data in (
            ("augreg_in21k", ("imagenet-21k",)),
            ("augreg_in21k_ft_in1k", ("imagenet-21k", *IN1K)),
        )
    ),
    _plus_minus_one(
        "vit_base_patch16_224.sam_in1k",
        "supervised",
        IN1K,
        2021,
        "Chen et al., When Vision Transformers Outperform ResNets without Pretraining, 2021",
    ),
    *(
        hub_model(
            f"vit_{size}_patch16_224.dino",
            Pretraining("dino", IN1K, 2021),
            "Caron et al., Emerging Properties in Self-Supervised Vision Transformers, 2021",
            licence="Apache-2.0",
        )
        for size in ("small", "base")
    ),
    _plus_minus_one(
        "beit_base_patch16_224.in22k_ft_in22k_in1k",
        "beit",
        ("imagenet-22k", *IN1K),
        2021,
        "Bao et al., BEiT: BERT Pre-Training of Image Transformers, 2021",
    ),
    hub_model(
        "vit_base_patch16_224.mae",
        Pretraining("mae", IN1K, 2021),
        "He et al., Masked Autoencoders Are Scalable Vision Learners, 2021",
        licence=NON_COMMERCIAL,
    ),
    *(
        hub_model(
            f"{_SWIN_BASE.name}.{tag}",
            Pretraining("supervised", data, 2021),
            _SWIN,
            licence="MIT",
        )
        for tag, data in (
            ("ms_in22k", ("imagenet-22k",)),
            ("ms_in22k_ft_in1k", ("imagenet-22k", *IN1K)),
        )
    ),
)

_TRANSFORMER_FILES: tuple[SourceModel, ...] = (
    _mocov3(
        "small",
        VIT_SMALL_HEADS,
        "It has twelve attention heads; a ViT-S of six takes its tensors too, wrongly.",
    ),
    _mocov3("base", TIMM["vit_base_patch16_224"]),
    SourceModel(
        name="swin_tiny_patch4_window7_224.moby_in1k",
        architecture=TIMM["swin_tiny_patch4_window7_224"],
        weights=WeightsFile(
            url="https://github.com/SwinTransformer/storage/releases/download/v1.0.3/"
            "moby_swin_t_300ep_pretrained.pth",
            container="model",
            prefix="encoder.",
            scheme="swin-official",
        ),
        pretraining=Pretraining("moby", IN1K, 2021),
        input=IMAGENET,
        licence="MIT",
        citation="Xie et al., Self-Supervised Learning with Swin Transformers, 2021",
    ),
    SourceModel(
        name="vit_base_patch16_224.simmim_in1k",
        architecture=VIT_RELATIVE,
        weights=WeightsFile(
            file="simmim_pretrain__vit_base__img224__800ep.pth",
            container="model",
            prefix="encoder.",
            scheme="beit",
            drop=("mask_token",),
            rename=(("norm.", "fc_norm."),),
            adapt=("bias-tables",),
            manual=_SIMMIM_MANUAL,
        ),
        pretraining=Pretraining("simmim", IN1K, 2021),
        input=IMAGENET,
        licence="MIT",
        citation=_SIMMIM,
        note="One table of relative positions for all blocks; patches are averaged, then normalised.",
    ),
    _simmim(
        "simmim_in1k",
        _simmim_weights(file="simmim_pretrain__swin_base__img192_window6__800ep.pth"),
        IN1K,
        _SIMMIM,
        "MIT",
    ),
)

MODELS: tuple[SourceModel, ...] = (
    *_TIMM_MODELS,
    *_TRANSFORMER_FILES,
    *(_simmim_chest(start, "ChestXray14", unlabelled("chestxray14")) for start in ("Scratch", "ImageNet")),
    *(_simmim_chest(start, "Xray926k", "xray-926k") for start in ("Scratch", "ImageNet")),
    _ark(5, ARK5),
    _ark(6, (*ARK5, "mimic-cxr")),
    *(_dira(method) for method in ("mocov2", "barlow", "simsiam")),
)
"""The siblings; DeiT, ConvNeXt and the other Swin transformers are with study B."""
