"""Printed names of tasks, metrics and models, and ours where they really mean the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

STUDY_A: Final = "taher2021_arxiv2108.05930"
STUDY_B: Final = "taher2025_media.103487"
DIRA: Final = "haghighi2022_DiRA"
TRANSFORMERS: Final = "ma2022_BenchmarkTransformers"
ARK: Final = "ma2023_Ark"
RERUN: Final = "krones_fork_of_BenchmarkTransferLearning"
STUDY_C: Final = "jonske2025_arxiv2306.17555"

DICE_NOTE: Final = (
    "Studies A and B and DiRA do not say whether Dice is pooled over all test pixels or a mean over images; "
    "their program prints the pooled one under that name, so that one is compared here."
)
"""Why ``Dice%`` of three sources stands beside our pooled Dice."""

_FRACTION: Final = re.compile(
    r"(?:(?P<before>\d+(?:\.\d+)?)% )?(?P<task>.*?)(?:@(?P<after>\d+(?:\.\d+)?)%)?", re.ASCII
)
_TASKS: Final[Mapping[str, str]] = {
    "DXC14": "chestxray14",
    "ChestX-ray14": "chestxray14",
    "DXC5": "chexpert",
    "CheXpert": "chexpert",
    "TXC": "shenzhen-tb",
    "Shenzhen": "shenzhen-tb",
    "ECC": "rsna-pe",
    "RSNA PE": "rsna-pe",
    "PXS": "siim-pneumothorax",
    "LXS": "montgomery-lung",
    "Montgomery lung": "montgomery-lung",
    "VFS": "drive-vessel",
    "CXS": "jsrt-clavicle",
    "JSRT clavicle": "jsrt-clavicle",
    "HXS": "jsrt-heart",
    "JSRT heart": "jsrt-heart",
    "JSRT lung": "jsrt-lung",
    "BXS": "busi-lesion",
    "VinDr-CXR": "vindr-cxr",
    "RSNA Pneumonia": "rsna-pneumonia",
    "MIMIC-II": "mimic-cxr",
}
_POOLED_DICE: Final = frozenset({STUDY_A, STUDY_B, DIRA})

_NETWORKS: Final[Mapping[str, str]] = {
    "ResNet-50": "resnet50",
    "ResNet-50 / U-Net": "resnet50",
    "ResNet-101": "resnet101",
    "ResNet-152": "resnet152",
    "ConvNeXt-T": "convnext_tiny",
    "ConvNeXt-S": "convnext_small",
    "ConvNeXt-B": "convnext_base",
    "Swin-T": "swin_tiny_patch4_window7_224",
    "Swin-S": "swin_small_patch4_window7_224",
    "Swin-B": "swin_base_patch4_window7_224",
    "Swin-B (UperNet for segmentation)": "swin_base_patch4_window7_224",
    "DeiT-T": "deit_tiny_patch16_224",
    "DeiT-S": "deit_small_patch16_224",
    "DeiT-B": "deit_base_patch16_224",
    "ViT-B": "vit_base_patch16_224",
}
_SUPERVISED: Final[Mapping[str, str]] = {
    "resnet50": "tv_in1k",
    "resnet101": "tv_in1k",
    "resnet152": "tv_in1k",
    **dict.fromkeys(("convnext_tiny", "convnext_small", "convnext_base"), "fb_in1k"),
    **{f"swin_{size}_patch4_window7_224": "ms_in1k" for size in ("tiny", "small", "base")},
    **{f"deit_{size}_patch16_224": "fb_in1k" for size in ("tiny", "small", "base")},
}
_IMAGENET: Final = frozenset(
    {"ImageNet", "ImageNet (supervised)", "ImageNet-1K supervised", "ImageNet-1K (supervised)"}
)
_IN_STUDIES: Final[Mapping[str, str]] = {
    "InsDis": "insdis_in1k",
    "MoCo-v1": "mocov1_in1k",
    "MoCo-v2": "mocov2_in1k",
    "PIRL": "pirl_in1k",
    "InfoMin": "infomin_in1k",
    "SimCLR-v1": "simclrv1_in1k",
    "SimCLR-v2": "simclrv2_in1k",
    "PCL-v1": "pclv1_in1k",
    "PCL-v2": "pclv2_in1k",
    "BYOL": "byol_in1k",
    "SwAV": "swav_in1k",
    "DeepCluster-v2": "deepclusterv2_in1k",
    "SeLa-v2": "selav2_in1k",
    "Barlow Twins": "barlowtwins_in1k",
    "iNat2021": "sup_inat2021",
    "iNat2021 (supervised)": "sup_inat2021",
    "ChestX-ray14": "sup_chestxray14",
    "CheXpert": "sup_chexpert",
    "ImageNet->ChestX-ray14": "in1k_ft_chestxray14",
    "ImageNet->CheXpert": "in1k_ft_chexpert",
    "ImageNet->MIMIC": "in1k_ft_mimic",
}
"""Without the eight methods whose files study B does not list, and the three it did not release."""
_IN_DIRA: Final[Mapping[str, str]] = {
    "ChestX-ray14 supervised": "sup_chestxray14",
    "DiRA MoCo-v2 (ChestX-ray14)": "dira_mocov2_chestxray14",
    "DiRA MoCo-v2": "dira_mocov2_chestxray14",
    "DiRA Barlow Twins (ChestX-ray14)": "dira_barlow_chestxray14",
    "DiRA Barlow Twins": "dira_barlow_chestxray14",
    "DiRA SimSiam (ChestX-ray14)": "dira_simsiam_chestxray14",
    "DiRA SimSiam": "dira_simsiam_chestxray14",
}
"""MoCo-v2, Barlow Twins and SimSiam alone are trained on chest X-rays there; these weights are not out."""
_SIMMIM: Final[Mapping[str, str]] = {
    "ImageNet SimMIM": "simmim_in1k",
    "ChestX-ray14 SimMIM": "simmim_chestxray14",
    "X-rays(926K) SimMIM": "simmim_xray926k",
    "ImageNet->ChestX-ray14 SimMIM": "simmim_in1k_then_chestxray14",
    "ImageNet->X-rays(926K) SimMIM": "simmim_in1k_then_xray926k",
    "IN->CXR(926K) SimMIM": "simmim_in1k_then_xray926k",
    "Ark-5 IN->CXR(335K)": "ark5",
    "Ark-6 IN->CXR(704K)": "ark6",
}
_TAGS: Final[Mapping[str, Mapping[str, str]]] = {
    STUDY_A: _IN_STUDIES,
    STUDY_B: _IN_STUDIES,
    DIRA: _IN_DIRA,
    TRANSFORMERS: _SIMMIM,
    ARK: _SIMMIM,
    RERUN: {},
}
_ONE_SUPERVISED: Final = frozenset({STUDY_A, STUDY_B, DIRA, RERUN})
"""Sources whose supervised ImageNet weights are known; the siblings' may be those of ImageNet-22K."""

_STUDY_C_MODELS: Final[Mapping[str, str]] = {
    "Scratch": "resnet50.random",
    "I1k": "resnet50.simclr_in1k_jonske",
    "R": "resnet50.simclr_radnet1m",
    "RF": "resnet50.simclr_radnet12m",
    "IxRS": "resnet50.simclr_in1k_then_radnet1m",
    "IxRM": "resnet50.simclr_in1k_radnet1m_mixed",
}


class PrintedTask(NamedTuple):
    """A task as printed, taken apart."""

    name: str
    """Without the label fraction."""
    label_fraction: float
    """Share of the training labels as printed; one that is not in (0, 1] is a misprint."""


def printed_task(text: str) -> PrintedTask:
    """Take the label fraction out of the name of a task.

    Example:
        >>> printed_task("10% ChestX-ray14"), printed_task("DXC14@25%").label_fraction
        (PrintedTask(name='ChestX-ray14', label_fraction=0.1), 0.25)
    """
    found = _FRACTION.fullmatch(text)
    if found is None:  # a name of several lines
        return PrintedTask(text, 1.0)
    percent = found["before"] or found["after"] or "100"
    return PrintedTask(found["task"], float(percent) / 100)


def our_task(text: str) -> str | None:
    """Return our task on the same images with the same labels."""
    return _TASKS.get(printed_task(text).name)


def our_metric(source: str, task: str, metric: str) -> str | None:
    """Return our metric that means the same on a task, or None; differences of two models have none."""
    target = our_task(task)
    if target is None:
        return None
    if metric == "AUC%":
        return "auc-scored" if target == "chexpert" else "auc"
    if metric == "ACC%":
        return "accuracy"
    return "dice-pooled" if metric == "Dice%" and source in _POOLED_DICE else None


def our_model(source: str, initialization: str, architecture: str) -> str | None:
    """Return our source model with the same weights, or None where that is not certain."""
    network = _NETWORKS.get(architecture)
    if network is None or source not in _TAGS:
        return None
    if initialization in {"Scratch", "Random"}:
        return f"{network}.random"
    if initialization in _IMAGENET:
        tag = _SUPERVISED.get(network) if source in _ONE_SUPERVISED else None
    else:
        tag = _TAGS[source].get(initialization)
    return f"{network}.{tag}" if tag else None


def our_model_in_study_c(initialization: str) -> str | None:
    """Return our source model of study C's code for an initialization."""
    return _STUDY_C_MODELS.get(initialization)
