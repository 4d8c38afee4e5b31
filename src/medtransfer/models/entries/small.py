"""Small networks whose weights fit anywhere: the ones to try things with."""

from __future__ import annotations

from medtransfer.models.entries.networks import (
    IMAGENET,
    MOBILENETV1,
    PLUS_MINUS_ONE,
    RESNET20,
    SQUEEZENET,
)
from medtransfer.models.source_model import DeclaredGap, InputContract, Pretraining, SourceModel, WeightsFile

_NOT_STATED = "not stated with the file; read the publisher's terms"

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
        input=PLUS_MINUS_ONE,
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
        input=IMAGENET,
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
        input=InputContract(size=32),
        licence=_NOT_STATED,
        citation="He et al., Deep Residual Learning for Image Recognition, CVPR 2016",
    ),
)
"""Weights that are at hand as small files, and what the examples use."""
