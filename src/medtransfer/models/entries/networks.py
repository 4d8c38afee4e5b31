"""The architectures of the catalogue and what each expects of its input when nothing else is said."""

from __future__ import annotations

from medtransfer.models.source_model import HALF, Architecture, InputContract

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

IMAGENET = InputContract()
"""224 pixels, mean and standard deviation of ImageNet."""
PLUS_MINUS_ONE = InputContract(mean=HALF, std=HALF)
"""224 pixels, values in [-1, 1]."""
UNIT = InputContract(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
"""224 pixels, values in [0, 1]."""
CLIP = InputContract(mean=CLIP_MEAN, std=CLIP_STD, interpolation="bicubic")
"""224 pixels, mean and standard deviation of CLIP's images."""

HALVES = InputContract(size=448, mean=HALF, std=HALF, interpolation="bicubic")
"""448 pixels, values in [-1, 1]."""

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
VIT_RELATIVE = Architecture(
    name="vit_base_patch16_relpos_224",
    library="timm",
    builder="beit_base_patch16_224",
    options=(("use_rel_pos_bias", False), ("use_shared_rel_pos_bias", True)),
)
"""ViT-B/16 without absolute positions, one table of relative ones for all blocks, as SimMIM trains it."""
RADDINO = Architecture(name="vit_base_patch14", library="timm", builder="vit_base_patch14_dinov2")
UNI = Architecture(
    name="vit_large_patch16",
    library="timm",
    builder="vit_large_patch16_224",
    options=(("init_values", 1e-5),),
)
"""ViT-L/16 whose residual branches are scaled."""

_GATED_TRANSFORMER = "medtransfer.models.architectures.gated_transformer:GatedTransformer"
_VIRCHOW = (("embed_dim", 1280), ("depth", 32), ("num_heads", 16), ("mlp_ratio", 5.3375))

UNI2 = Architecture(
    name="vit_giant_patch14_reg8",
    library="medtransfer",
    builder=_GATED_TRANSFORMER,
    options=(
        *(("embed_dim", 1536), ("depth", 24), ("num_heads", 24), ("mlp_ratio", 5.33334)),
        *(("reg_tokens", 8), ("no_embed_class", True)),
    ),
)
"""ViT of 24 blocks and eight registers with gated perceptrons."""
VIRCHOW = Architecture(
    name="vit_huge_patch14_gated",
    library="medtransfer",
    builder=_GATED_TRANSFORMER,
    options=(*_VIRCHOW, ("embedding", "class-and-mean")),
)
"""ViT-H/14 with gated perceptrons."""
VIRCHOW2 = Architecture(
    name="vit_huge_patch14_gated_reg4",
    library="medtransfer",
    builder=_GATED_TRANSFORMER,
    options=(*_VIRCHOW, ("embedding", "class-and-mean"), ("reg_tokens", 4)),
)
"""The same with four registers."""
MEDSIGLIP = Architecture(
    name="vit_so400m_patch14_siglip_448",
    library="timm",
    builder="vit_so400m_patch14_siglip_384",
    options=(("act_layer", "gelu_tanh"),),
)
"""SigLIP's ViT of 400 million parameters at 448 pixels, with the approximate GELU it was trained with."""

VIT_SMALL_HEADS = Architecture(
    name="vit_small_patch16_heads12_224",
    library="timm",
    builder="vit_small_patch16_224",
    options=(("num_heads", 12),),
)
"""ViT-S/16 with twelve heads, as MoCo-v3 has it; its tensors have the shapes of the usual six heads."""


def _timm(*names: str) -> dict[str, Architecture]:
    return {name: Architecture(name=name, library="timm", builder=name) for name in names}


_AT_224 = _timm(
    *("resnet50", "resnet101", "resnet152", "densenet121"),
    *("convnext_tiny", "convnext_small", "convnext_base"),
    *(f"swin_{size}_patch4_window7_224" for size in ("tiny", "small", "base")),
    *(f"deit_{size}_patch16_224" for size in ("tiny", "small", "base")),
    *("vit_small_patch16_224", "vit_base_patch16_224", "beit_base_patch16_224"),
    *("eva02_base_patch14_224", "eva02_base_patch16_clip_224", "vit_base_patch16_siglip_224"),
    *("vit_base_patch16_clip_224", "vit_large_patch14_clip_224", "vit_base_patch32_clip_quickgelu_224"),
)
_AT_256 = _timm("vit_small_patch16_dinov3", "vit_base_patch16_dinov3")
_AT_518 = _timm(*(f"vit_{size}_patch14_dinov2" for size in ("small", "base", "large")))

TIMM: dict[str, Architecture] = {**_AT_224, **_AT_256, **_AT_518}
"""Networks used as timm defines them, by their name there."""

ARCHITECTURES: tuple[tuple[Architecture, InputContract], ...] = (
    (MOBILENETV1, InputContract(size=224, mean=HALF, std=HALF)),
    (SQUEEZENET, IMAGENET),
    (RESNET20, InputContract(size=32)),
    *((architecture, IMAGENET) for architecture in _AT_224.values()),
    *((architecture, InputContract(size=256)) for architecture in _AT_256.values()),
    *((architecture, InputContract(size=518)) for architecture in (*_AT_518.values(), RADDINO)),
    *((architecture, IMAGENET) for architecture in (VIT_RELATIVE, VIT_SMALL_HEADS)),
    *((architecture, IMAGENET) for architecture in (UNI, UNI2, VIRCHOW, VIRCHOW2)),
    (MEDSIGLIP, HALVES),
)
"""Every architecture and what it expects of its input with random weights."""
