"""What study B (2025) adds: architectures, label granularities, eight self-supervised, domain-adapted."""

from __future__ import annotations

from medtransfer.models.entries.networks import IMAGENET, TIMM
from medtransfer.models.entries.records import ASU, IN1K, RESNET_HEADS, hub_model, resnet50
from medtransfer.models.source_model import Pretraining, SourceModel, WeightsFile

_B = ("B",)
_UNVERIFIED = "The study did not list this file; its layout is not verified."
_SUBSTITUTE = "Substitute: the study did not release its file; that this one is equivalent is not verified."
_ZENODO = "https://zenodo.org/records/17627332/files/"
_FACEBOOK = "https://dl.fbaipublicfiles.com/"
_SWIN = "https://github.com/SwinTransformer/storage/releases/download/v1.0.0/"

_RESNET = "He et al., Deep Residual Learning for Image Recognition, weights of torchvision (V1), 2015"
_FAMILIES = {
    "convnext": ("Liu et al., A ConvNet for the 2020s, 2022", 2022, "Apache-2.0"),
    "swin": ("Liu et al., Swin Transformer: Hierarchical Vision Transformer, 2021", 2021, "MIT"),
    "deit": ("Touvron et al., Training Data-Efficient Image Transformers, 2020", 2020, "Apache-2.0"),
}
_SIZES = ("tiny", "small", "base")
_DEIT_DIGESTS = {"tiny": "a1311bcf", "small": "cd65a155", "base": "b5f2ef4d"}
_ORIGINAL = "The publisher's own file of the weights that timm has under the name without '_original'."


def _of_timm(name: str) -> SourceModel:
    citation, year, licence = _FAMILIES[name.partition("_")[0]]
    return hub_model(name, Pretraining("supervised", IN1K, year), citation, licence=licence, studies=_B)


def _original(name: str, url: str, scheme: str) -> SourceModel:
    citation, year, licence = _FAMILIES[name.partition("_")[0]]
    return SourceModel(
        name=f"{name}_original",
        architecture=TIMM[name.partition(".")[0]],
        weights=WeightsFile(url=url, container="model", scheme=scheme),
        pretraining=Pretraining("supervised", IN1K, year),
        input=IMAGENET,
        licence=licence,
        citation=citation,
        studies=_B,
        note=_ORIGINAL,
    )


def _self_supervised(method: str, year: int, citation: str, weights: WeightsFile) -> SourceModel:
    pretraining = Pretraining(method, IN1K, year)
    return resnet50(f"{method}_in1k", weights, pretraining, citation, studies=_B, note=_UNVERIFIED)


def _adapted(architecture: str, file: str) -> SourceModel:
    weights = WeightsFile(
        url=f"{_ZENODO}domain_adapted_{file}_imagenet_mimic_checkpoint.pth.tar",
        containers=("state_dict", "model"),
        strip=("module.", "backbone.", "encoder."),
        scheme="swin-official" if architecture.startswith("swin") else "same",
    )
    return SourceModel(
        name=f"{architecture}.in1k_ft_mimic",
        architecture=TIMM[architecture],
        weights=weights,
        pretraining=Pretraining("supervised", (*IN1K, "mimic-cxr"), 2025),
        input=IMAGENET,
        licence=ASU,
        citation="Domain-adapted models of study B, Zenodo 17627332, 2025",
        studies=_B,
    )


def _manual(method: str, where: str) -> str:
    return f"Get the ResNet-50 of {method} from {where}; no address is recorded."


_ARCHITECTURES: tuple[SourceModel, ...] = (
    *(
        hub_model(
            f"{name}.tv_in1k",
            Pretraining("supervised", IN1K, 2015),
            _RESNET,
            licence="BSD-3-Clause",
            studies=_B,
        )
        for name in ("resnet101", "resnet152")
    ),
    *(_of_timm(f"convnext_{size}.fb_in1k") for size in _SIZES),
    *(_of_timm(f"swin_{size}_patch4_window7_224.ms_in1k") for size in _SIZES),
    *(_of_timm(f"deit_{size}_patch16_224.fb_in1k") for size in _SIZES),
    *(
        _original(
            f"convnext_{size}.fb_in1k", f"{_FACEBOOK}convnext/convnext_{size}_1k_224_ema.pth", "convnext-fb"
        )
        for size in _SIZES
    ),
    *(
        _original(f"{name}.ms_in1k", f"{_SWIN}{name}.pth", "swin-official")
        for name in (f"swin_{size}_patch4_window7_224" for size in _SIZES)
    ),
    *(
        _original(f"{name}.fb_in1k", f"{_FACEBOOK}deit/{name}-{digest}.pth", "same")
        for name, digest in ((f"deit_{size}_patch16_224", digest) for size, digest in _DEIT_DIGESTS.items())
    ),
)

_GRANULARITIES: tuple[SourceModel, ...] = (
    resnet50(
        "sup_in22k",
        WeightsFile(
            url="https://miil-public-eu.oss-eu-central-1.aliyuncs.com/model-zoo/ImageNet_21K_P/models/"
            "resnet50_miil_21k.pth",
            container="state_dict",
        ),
        Pretraining("supervised", ("imagenet-21k",), 2021),
        "Ridnik et al., ImageNet-21K Pretraining for the Masses, 2021",
        studies=_B,
        note=_SUBSTITUTE,
    ),
    resnet50(
        "sup_coco",
        WeightsFile(
            url="https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
            prefix="backbone.body.",
        ),
        Pretraining("supervised", (*IN1K, "coco"), 2017),
        "Lin et al., Microsoft COCO: Common Objects in Context, detector of torchvision, 2017",
        licence="BSD-3-Clause",
        studies=_B,
        note=_SUBSTITUTE,
    ),
    resnet50(
        "sup_places365",
        WeightsFile(
            url="http://places2.csail.mit.edu/models_places365/resnet50_places365.pth.tar",
            container="state_dict",
            prefix="module.",
        ),
        Pretraining("supervised", ("places365",), 2017),
        "Zhou et al., Places: A 10 Million Image Database for Scene Recognition, 2017",
        studies=_B,
        note=_SUBSTITUTE,
    ),
)

_SELF_SUPERVISED: tuple[SourceModel, ...] = (
    _self_supervised(
        "clsa",
        2021,
        "Wang and Qi, Contrastive Learning with Stronger Augmentations, 2021",
        WeightsFile(
            file="clsa_resnet50.pth.tar",
            container="state_dict",
            prefix="module.encoder_q.",
            manual=_manual("CLSA", "github.com/maple-research-lab/CLSA"),
        ),
    ),
    _self_supervised(
        "pixpro",
        2021,
        "Xie et al., Propagate Yourself: Exploring Pixel-Level Consistency, 2021",
        WeightsFile(
            file="pixpro_resnet50.pth",
            container="model",
            prefix="module.encoder.",
            manual=_manual("PixPro", "github.com/zdaxie/PixPro"),
        ),
    ),
    _self_supervised(
        "densecl",
        2021,
        "Wang et al., Dense Contrastive Learning for Self-Supervised Visual Pre-Training, 2021",
        WeightsFile(
            file="densecl_resnet50.pth",
            container="state_dict",
            strip=("backbone.",),
            manual=_manual("DenseCL", "github.com/WXinlong/DenseCL"),
        ),
    ),
    _self_supervised(
        "detco",
        2021,
        "Xie et al., DetCo: Unsupervised Contrastive Learning for Object Detection, 2021",
        WeightsFile(
            file="detco_resnet50.pth",
            container="state_dict",
            prefix="module.encoder_q.",
            manual=_manual("DetCo", "github.com/xieenze/DetCo"),
        ),
    ),
    _self_supervised(
        "vicregl",
        2022,
        "Bardes et al., VICRegL: Self-Supervised Learning of Local Visual Features, 2022",
        WeightsFile(file="vicregl_resnet50.pth", url=f"{_FACEBOOK}vicregl/resnet50_alpha0.9.pth"),
    ),
    _self_supervised(
        "dino",
        2021,
        "Caron et al., Emerging Properties in Self-Supervised Vision Transformers, 2021",
        WeightsFile(url=f"{_FACEBOOK}dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth"),
    ),
    _self_supervised(
        "simsiam",
        2021,
        "Chen and He, Exploring Simple Siamese Representation Learning, 2021",
        WeightsFile(
            file="simsiam_resnet50.pth.tar",
            url=f"{_FACEBOOK}simsiam/models/100ep-256bs/pretrain/checkpoint_0099.pth.tar",
            container="state_dict",
            prefix="module.encoder.",
            drop=RESNET_HEADS,
        ),
    ),
    _self_supervised(
        "obow",
        2021,
        "Gidaris et al., OBoW: Online Bag-of-Visual-Words Generation for Self-Supervised Learning, 2021",
        WeightsFile(
            file="obow_resnet50.pth.tar",
            containers=("network", ""),
            manual=_manual("OBoW", "github.com/valeoai/obow"),
        ),
    ),
)

MODELS: tuple[SourceModel, ...] = (
    *_ARCHITECTURES,
    *_GRANULARITIES,
    *_SELF_SUPERVISED,
    _adapted("resnet50", "resnet50"),
    _adapted("swin_base_patch4_window7_224", "swin_base"),
    _adapted("convnext_base", "convnext_base"),
)
"""Models of study B that study A does not have."""
