"""The networks and pretrained weights known by name; a new model is one more record here."""

from __future__ import annotations

from medtransfer.models.source_model import (
    HALF,
    Architecture,
    DeclaredGap,
    InputContract,
    Pretraining,
    SourceModel,
    WeightsFile,
)

MOBILENETV1 = Architecture(
    name="mobilenetv1_100",
    library="timm",
    builder="mobilenetv1_100",
    options=(("pad_type", "same"), ("bn_eps", 1e-3)),
    trunk="blocks.4.0",
)
SQUEEZENET = Architecture(name="squeezenet1_1", library="torchvision", builder="squeezenet1_1")
RESNET20 = Architecture(
    name="resnet20", library="medtransfer", builder="medtransfer.models.architectures.resnet20:ResNet20"
)

ARCHITECTURES: tuple[tuple[Architecture, InputContract], ...] = (
    (MOBILENETV1, InputContract(size=224, mean=HALF, std=HALF)),
    (SQUEEZENET, InputContract(size=224)),
    (RESNET20, InputContract(size=32)),
)
"""Every architecture and what it expects of its input, with random weights too."""

_NOT_STATED = "not stated with the file; read the publisher's terms"
_CONTRACTS = {architecture.name: contract for architecture, contract in ARCHITECTURES}

MODELS: tuple[SourceModel, ...] = (
    SourceModel(
        name="mobilenetv1_100.sup_in1k",
        architecture=MOBILENETV1,
        weights=WeightsFile(
            file="mobilenetv1_100_in1k_trunk12.fp16.safetensors",
            sha256="7694e638e5142e709b969068b02639493148284e86e98fab7e098b68491c6692",
            gaps=(
                DeclaredGap(
                    prefix="blocks.4.1.",
                    reason="the file ends after the twelfth block; the last is removed from the network",
                ),
            ),
        ),
        pretraining=Pretraining(objective="supervised", data=("imagenet-1k",), year=2017),
        input=_CONTRACTS["mobilenetv1_100"],
        licence=_NOT_STATED,
        citation="Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision "
        "Applications, 2017",
    ),
    SourceModel(
        name="squeezenet1_1.sup_in1k",
        architecture=SQUEEZENET,
        weights=WeightsFile(
            file="squeezenet1_1_in1k_features.pth",
            sha256="563a6bdaed4db04eaf7c51be8eaf2b0bec974ec30bbe5316fb42e0f935490161",
        ),
        pretraining=Pretraining(objective="supervised", data=("imagenet-1k",), year=2016),
        input=_CONTRACTS["squeezenet1_1"],
        licence=_NOT_STATED,
        citation="Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters, 2016",
    ),
    SourceModel(
        name="resnet20.sup_cifar10",
        architecture=RESNET20,
        weights=WeightsFile(
            file="resnet20_cifar10.pth",
            sha256="dbe851a6235026239a72b0c67946a32138f42d31c0ac9a254174711cec3361f9",
        ),
        pretraining=Pretraining(objective="supervised", data=("cifar10",), year=2016),
        input=_CONTRACTS["resnet20"],
        licence=_NOT_STATED,
        citation="He et al., Deep Residual Learning for Image Recognition, CVPR 2016",
    ),
)
"""Source models with weights; every architecture above also gives ``<name>.random``."""
