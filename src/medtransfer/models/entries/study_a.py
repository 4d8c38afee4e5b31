"""The 21 pretrained ResNet-50 of study A (2021)."""

from __future__ import annotations

from medtransfer.models.entries.networks import UNIT
from medtransfer.models.entries.records import ASU, IN1K, NON_COMMERCIAL, RESNET_HEADS, hub_model, resnet50
from medtransfer.models.source_model import Pretraining, SourceModel, WeightsFile

_FACEBOOK = "https://dl.fbaipublicfiles.com/"
_ZENODO = "https://zenodo.org/records/5205234/files/"
_PYCONTRAST = "Get it from the model zoo of PyContrast (github.com/HobbitLong/PyContrast), a Dropbox folder."
_NEWT = "Get it from the Cornell Box folder linked at github.com/visipedia/newt."
_BOTH = ("A", "B")
_SWAV = "Caron et al., Unsupervised Learning of Visual Features by Contrasting Cluster Assignments, 2020"
_PCL = "Li et al., Prototypical Contrastive Learning of Unsupervised Representations, 2020"
_HORN = "Van Horn et al., Benchmarking Representation Learning for Natural World Image Collections, 2021"
_HOSSEINZADEH = "Hosseinzadeh Taher et al., A Systematic Benchmarking Analysis of Transfer Learning, 2021"

_SUPERVISED = hub_model(
    "resnet50.tv_in1k",
    Pretraining("supervised", IN1K, 2015),
    "He et al., Deep Residual Learning for Image Recognition, weights of torchvision (V1), 2015",
    licence="BSD-3-Clause",
    studies=_BOTH,
)


def _pycontrast(method: str, year: int, citation: str) -> SourceModel:
    weights = WeightsFile(
        file=f"{method}.pth",
        container="model",
        prefix="module.encoder.",
        drop=RESNET_HEADS,
        manual=_PYCONTRAST,
    )
    return resnet50(f"{method}_in1k", weights, Pretraining(method, IN1K, year), citation, studies=_BOTH)


def _moco(version: int, year: int, epochs: int, citation: str) -> SourceModel:
    file = f"moco_v{version}_{epochs}ep"
    weights = WeightsFile(
        url=f"{_FACEBOOK}moco/moco_checkpoints/{file}/{file}_pretrain.pth.tar",
        container="state_dict",
        prefix="module.encoder_q.",
    )
    pretraining = Pretraining(f"mocov{version}", IN1K, year)
    tag = f"mocov{version}_in1k"
    return resnet50(tag, weights, pretraining, citation, licence=NON_COMMERCIAL, studies=_BOTH)


def _pcl(version: int) -> SourceModel:
    place = "https://storage.googleapis.com/sfr-pcl-data-research/PCL_checkpoint/"
    weights = WeightsFile(
        url=f"{place}PCL_v{version}_epoch200.pth.tar", container="state_dict", prefix="module.encoder_q."
    )
    pretraining = Pretraining(f"pclv{version}", IN1K, 2020)
    return resnet50(f"pclv{version}_in1k", weights, pretraining, _PCL, studies=_BOTH)


def _swav(method: str, epochs: int) -> SourceModel:
    weights = WeightsFile(
        url=f"{_FACEBOOK}deepcluster/{method}_{epochs}ep_pretrain.pth.tar",
        prefix="module.",
        drop=RESNET_HEADS,
    )
    pretraining = Pretraining(method, IN1K, 2020)
    return resnet50(f"{method}_in1k", weights, pretraining, _SWAV, licence=NON_COMMERCIAL, studies=_BOTH)


def _simclr(version: int, folder: str, citation: str) -> SourceModel:
    weights = WeightsFile(
        file=f"simclrv{version}_r50_1x.safetensors",
        converter="simclr-tf",
        manual=f"Download the TensorFlow checkpoint {folder}, index and data files, and convert it.",
    )
    note = "TensorFlow pads strided convolutions otherwise than torch: numbers differ from the original's."
    return resnet50(
        f"simclrv{version}_in1k",
        weights,
        Pretraining(f"simclrv{version}", IN1K, 2020),
        citation,
        contract=UNIT,
        licence="Apache-2.0",
        studies=_BOTH,
        note=note,
    )


def _inat(data: str, mini: str) -> SourceModel:
    weights = WeightsFile(
        file=f"inat2021{mini}_supervised_large.pth.tar",
        containers=("state_dict", ""),
        strip=("module.",),
        manual=_NEWT,
    )
    studies = _BOTH if not mini else ("A",)
    return resnet50(
        f"sup_inat2021{mini}",
        weights,
        Pretraining("supervised", (data,), 2021),
        _HORN,
        studies=studies,
        note="Its layout is not verified: names with and without 'module.' are read.",
    )


def _chest(tag: str, file: str, data: tuple[str, ...], prefix: str = "") -> SourceModel:
    weights = WeightsFile(url=f"{_ZENODO}{file}.pth.tar", container="state_dict", prefix=prefix)
    studies = _BOTH if tag.startswith("in1k") else ("A",)
    pretraining = Pretraining("supervised", data, 2021)
    return resnet50(tag, weights, pretraining, _HOSSEINZADEH, licence=ASU, studies=studies)


MODELS: tuple[SourceModel, ...] = (
    _SUPERVISED,
    _pycontrast("insdis", 2018, "Wu et al., Unsupervised Feature Learning via Instance Discrimination, 2018"),
    _moco(1, 2019, 200, "He et al., Momentum Contrast for Unsupervised Visual Representation Learning, 2019"),
    _moco(2, 2020, 800, "Chen et al., Improved Baselines with Momentum Contrastive Learning, 2020"),
    _pycontrast(
        "pirl", 2019, "Misra et al., Self-Supervised Learning of Pretext-Invariant Representations, 2019"
    ),
    _pycontrast("infomin", 2020, "Tian et al., What Makes for Good Views for Contrastive Learning, 2020"),
    _simclr(
        1,
        "ResNet50_1x of the bucket simclr-gcs",
        "Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, 2020",
    ),
    _simclr(
        2,
        "simclrv2/pretrained/r50_1x_sk0 of the bucket simclr-checkpoints",
        "Chen et al., Big Self-Supervised Models are Strong Semi-Supervised Learners, 2020",
    ),
    _pcl(1),
    _pcl(2),
    resnet50(
        "byol_in1k",
        WeightsFile(
            url="https://storage.googleapis.com/deepmind-byol/checkpoints/pretrain_res50x1.pkl",
            converter="byol",
        ),
        Pretraining("byol", IN1K, 2020),
        "Grill et al., Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning, 2020",
        licence="Apache-2.0",
        studies=_BOTH,
    ),
    _swav("swav", 800),
    _swav("deepclusterv2", 800),
    _swav("selav2", 400),
    resnet50(
        "barlowtwins_in1k",
        WeightsFile(
            file="barlowtwins_resnet50.pth",
            url=f"{_FACEBOOK}barlowtwins/ep1000_bs2048_lrw0.2_lrb0.0048_lambd0.0051/resnet50.pth",
        ),
        Pretraining("barlowtwins", IN1K, 2021),
        "Zbontar et al., Barlow Twins: Self-Supervised Learning via Redundancy Reduction, 2021",
        licence="MIT",
        studies=_BOTH,
    ),
    _inat("inat2021", ""),
    _inat("inat2021-mini", "mini"),
    _chest("sup_chestxray14", "chestxray14", ("chestxray14",)),
    _chest("sup_chexpert", "chexpert", ("chexpert",), "module."),
    _chest("in1k_ft_chestxray14", "ImageNet_chestxray14", (*IN1K, "chestxray14")),
    _chest("in1k_ft_chexpert", "ImageNet_chexpert", (*IN1K, "chexpert"), "module."),
)
"""The 21 models; the 22nd, ``resnet50.random``, comes with the architecture."""
