"""Source models named by their repository on the Hugging Face hub, with weights of timm or of open_clip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from medtransfer.core.errors import UsageError
from medtransfer.models.declared_model import declared_model, named_options
from medtransfer.models.entries.networks import CLIP_MEAN, CLIP_STD
from medtransfer.models.source_model import SourceModel

HUB_PREFIX = "hf-hub:"
OPEN_CLIP_PREFIX = "open_clip/"

_ADDRESS = "https://huggingface.co/{}/resolve/main/{}"
_FILES = {HUB_PREFIX: "model.safetensors", OPEN_CLIP_PREFIX: "open_clip_model.safetensors"}
_RULES: dict[str, dict[str, Any]] = {
    HUB_PREFIX: {},
    OPEN_CLIP_PREFIX: {
        "prefix": "visual.",
        "scheme": "clip-visual",
        "adapt": ("leading-axes", "positions"),
        "mean": CLIP_MEAN,
        "std": CLIP_STD,
    },
}
_NOTE = "Its mean and standard deviation are assumed unless its name says them: compare with its page."
_GATED = "If access is restricted, accept the terms at huggingface.co/{} with an account and download {}."


def is_repository_name(name: str) -> bool:
    """Return whether a name is one of a repository."""
    return name.startswith((HUB_PREFIX, OPEN_CLIP_PREFIX))


def repository_model(name: str) -> SourceModel:
    """Return the source model of a repository, without asking the hub.

    Args:
        name: ``hf-hub:<owner>/<repository>[/<file>]?arch=<architecture>`` or the same after
            ``open_clip/``, whose files are read as image towers of CLIP.

    Raises:
        UsageError: If the architecture or the repository is not named, or a key is unknown.
    """
    kind = HUB_PREFIX if name.startswith(HUB_PREFIX) else OPEN_CLIP_PREFIX
    place, options = named_options(name.removeprefix(kind), name)
    owner, repository, *path = [*place.split("/"), ""] if "/" not in place else place.split("/")
    if not owner or not repository:
        raise UsageError(f"model {name!r}: expected '{kind}<owner>/<repository>?arch=…', got {place!r}.")
    whole, file = f"{owner}/{repository}", "/".join(path) or _FILES[kind]
    local = f"{owner}--{repository}--{file.replace('/', '--')}"
    model = declared_model({"name": name, "file": local, **_RULES[kind], **options})
    assert model.weights is not None
    weights = replace(model.weights, url=_ADDRESS.format(whole, file), manual=_GATED.format(whole, file))
    note = "" if {"mean", "std"} <= set(options) else _NOTE
    citation = f"weights as published at huggingface.co/{whole}"
    return replace(model, weights=weights, citation=citation, note=note)
