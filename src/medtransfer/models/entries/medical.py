"""Encoders trained on medical images that users ask for: RadImageNet, chest X-ray, images with text."""

from __future__ import annotations

from medtransfer.models.entries.networks import CLIP, HALVES, IMAGENET, MEDSIGLIP, RADDINO, TIMM
from medtransfer.models.entries.records import GATED, HUB, UPSTREAM
from medtransfer.models.overlap import unlabelled
from medtransfer.models.source_model import InputContract, Pretraining, SourceModel, WeightsFile

_XRV = "https://github.com/mlmed/torchxrayvision/releases/download/v1/"
_XRV_SUFFIX = "-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"
_XRV_INPUT = InputContract(channels=1, mean=(0.0,), std=(1.0,), value_range="hounsfield-like")
_RADIMAGENET_FORM = "Request the weights with the form at github.com/BMEII-AI/RadImageNet, PyTorch version."


def _radimagenet(architecture: str, file: str, scheme: str) -> SourceModel:
    return SourceModel(
        name=f"{architecture}.radimagenet",
        architecture=TIMM[architecture],
        weights=WeightsFile(
            file=file,
            containers=("state_dict", ""),
            strip=("module.", "backbone."),
            scheme=scheme,
            manual=_RADIMAGENET_FORM,
        ),
        pretraining=Pretraining("supervised", ("radimagenet",), 2022),
        input=IMAGENET,
        licence="non-commercial, on request",
        citation="Mei et al., RadImageNet: An Open Radiologic Deep Learning Research Dataset, 2022",
        note="Its normalisation is disputed: a public card says ImageNet's, others [-1, 1]; compare both. "
        "Copies that are whole pickled networks have to be converted first.",
    )


def _xrv(tag: str, file: str, data: tuple[str, ...]) -> SourceModel:
    return SourceModel(
        name=f"densenet121.xrv_{tag}",
        architecture=TIMM["densenet121"],
        weights=WeightsFile(
            url=f"{_XRV}{file}{_XRV_SUFFIX}",
            ignore=(r"op_threshs",),
            converter="pickled-module",
        ),
        pretraining=Pretraining("supervised", data, 2020),
        input=_XRV_INPUT,
        licence="Apache-2.0",
        citation="Cohen et al., On the Limits of Cross-Domain Generalization in Automated X-Ray Prediction, 2020",
        note="Trained on random splits that were not saved: test images may be among its training images.",
    )


def _raddino(tag: str, weights: WeightsFile, note: str = "") -> SourceModel:
    seen = ("mimic-cxr", "chexpert", "chestxray14", "padchest", "brax")
    return SourceModel(
        name=f"{RADDINO.name}.{tag}",
        architecture=RADDINO,
        weights=weights,
        pretraining=Pretraining("dinov2", ("lvd-142m", *map(unlabelled, seen)), 2024),
        input=InputContract(size=518, mean=(0.5307,) * 3, std=(0.2583,) * 3, interpolation="bicubic"),
        licence=UPSTREAM,
        citation="Perez-Garcia et al., Exploring Scalable Medical Image Encoders Beyond Text Supervision, 2024",
        note=f"The list of its data sets and its mean and standard deviation are not verified.{note}",
    )


_XRV_ALL = ("chestxray14", "padchest", "chexpert", "mimic-cxr", "openi", "rsna-pneumonia")

MODELS: tuple[SourceModel, ...] = (
    _radimagenet("resnet50", "ResNet50.pt", "resnet-sequential"),
    _radimagenet("densenet121", "DenseNet121.pt", "densenet-sequential"),
    _xrv("all", "nih-pc-chex-mimic_ch-google-openi-kaggle", _XRV_ALL),
    _xrv("nih", "nih", ("chestxray14",)),
    _xrv("chex", "chex", ("chexpert",)),
    _xrv("mimic", "mimic_ch", ("mimic-cxr",)),
    _xrv("pc", "pc", ("padchest",)),
    _xrv("rsna", "kaggle", ("rsna-pneumonia",)),
    _raddino(
        "raddino",
        WeightsFile(
            file="raddino_backbone_compatible.safetensors",
            url=f"{HUB}microsoft/rad-dino/resolve/main/backbone_compatible.safetensors",
            drop=("mask_token",),
            adapt=("positions",),
        ),
    ),
    _raddino(
        "raddino_transformers",
        WeightsFile(
            file="raddino_model.safetensors",
            url=f"{HUB}microsoft/rad-dino/resolve/main/model.safetensors",
            scheme="dinov2-transformers",
            adapt=("positions",),
        ),
        " The same weights as 'vit_base_patch14.raddino', in the file of the library transformers.",
    ),
    SourceModel(
        name="vit_base_patch16_224.biomedclip",
        architecture=TIMM["vit_base_patch16_224"],
        weights=WeightsFile(
            file="biomedclip_open_clip_pytorch_model.bin",
            url=f"{HUB}microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224/resolve/main/"
            "open_clip_pytorch_model.bin",
            prefix="visual.trunk.",
        ),
        pretraining=Pretraining("clip", ("pmc-15m",), 2023),
        input=CLIP,
        licence="MIT",
        citation="Zhang et al., BiomedCLIP: A Multimodal Biomedical Foundation Model, 2023",
    ),
    SourceModel(
        name="vit_base_patch32_clip_quickgelu_224.chexzero",
        architecture=TIMM["vit_base_patch32_clip_quickgelu_224"],
        weights=WeightsFile(
            file="chexzero_best_64_5e-05_original_22000_0.864.pt",
            prefix="visual.",
            scheme="clip-visual",
            adapt=("leading-axes", "positions"),
            manual="Get best_64_5e-05_original_22000_0.864.pt from the folder linked at "
            "github.com/rajpurkarlab/CheXzero.",
        ),
        pretraining=Pretraining("clip", ("wit-400m", "mimic-cxr"), 2022),
        input=InputContract(mean=(0.398,) * 3, std=(0.3272,) * 3, interpolation="bicubic"),
        licence=UPSTREAM,
        citation="Tiu et al., Expert-Level Detection of Pathologies from Unannotated Chest X-Ray Images, 2022",
        note="Its layout and normalisation are not verified.",
    ),
    SourceModel(
        name="vit_so400m_patch14_siglip_448.medsiglip",
        architecture=MEDSIGLIP,
        weights=WeightsFile(
            file="medsiglip_model.safetensors",
            url=f"{HUB}google/medsiglip-448/resolve/main/model.safetensors",
            prefix="vision_model.",
            scheme="clip-transformers",
            manual=GATED.format("huggingface.co/google/medsiglip-448", "model.safetensors"),
        ),
        pretraining=Pretraining("siglip", ("webli", "mimic-cxr", "medsiglip-mix"), 2025),
        input=HALVES,
        licence="Health AI Developer Foundations terms of use, on request",
        citation="Sellergren et al., MedGemma Technical Report, 2025",
        note="Written from its public description; its layout and its list of data sets are not verified.",
    ),
)
"""Medical encoders."""
