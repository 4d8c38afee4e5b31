"""Vision transformers with gated perceptrons, as the large encoders of pathology have them."""

from __future__ import annotations

from typing import Literal

import torch
from timm.layers.mlp import SwiGLUPacked
from timm.models import VisionTransformer
from torch import Tensor, nn

LAYER_SCALE = 1e-5
"""Initial scale of the residual branches; trained weights replace it."""


class GatedTransformer(VisionTransformer):
    """Vision transformer of timm whose perceptrons are gated by SiLU, and whose embedding is chosen.

    Its tensors are named as timm names them. timm's own builders take such layers as classes, which a
    record cannot hold.

    Args:
        channels: Channels of the input.
        img_size: Side of the images in pixels.
        embedding: ``class``: the class token. ``class-and-mean``: the class token and the mean of the
            patches, side by side.
        patch_size: Side of the patches in pixels.
        embed_dim: Features of a token.
        depth: Number of blocks.
        num_heads: Heads of the attention.
        mlp_ratio: Width of a perceptron's first layer, both halves, as a multiple of ``embed_dim``.
        reg_tokens: Register tokens beside the class token.
        no_embed_class: Whether only patches have positions.

    Reference:
        Shazeer, "GLU Variants Improve Transformer", 2020, for the perceptron; Vorontsov et al., "A
        Foundation Model for Clinical-Grade Computational Pathology and Rare Cancers Detection", Nature
        Medicine 2024, methods, for the embedding of two parts.
    """

    def __init__(
        self,
        channels: int = 3,
        img_size: int = 224,
        *,
        embedding: Literal["class", "class-and-mean"] = "class",
        patch_size: int = 14,
        embed_dim: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        reg_tokens: int = 0,
        no_embed_class: bool = False,
    ) -> None:
        super().__init__(
            img_size=img_size,
            patch_size=patch_size,
            in_chans=channels,
            num_classes=0,
            embed_dim=embed_dim,
            depth=depth,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            reg_tokens=reg_tokens,
            no_embed_class=no_embed_class,
            init_values=LAYER_SCALE,
            mlp_layer=SwiGLUPacked,  # type: ignore[arg-type]  # timm calls it, nothing more
            act_layer=nn.SiLU,
        )
        self.embedding = embedding
        self.pretrained_cfg = {"fixed_input_size": True, "input_size": (channels, img_size, img_size)}

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:  # noqa: ARG002 (timm passes it)
        """Return the embedding of normalised tokens.

        Args:
            x: Class token, registers and patches, shape (N, tokens, embed_dim).
            pre_logits: Without influence; there is no classifier.

        Returns:
            Features, shape (N, embed_dim), or twice as many for ``class-and-mean``.
        """
        if self.embedding == "class":
            return x[:, 0]
        return torch.cat([x[:, 0], x[:, self.num_prefix_tokens :].mean(dim=1)], dim=1)
