"""Source models a user declares in a study file or names by their weights file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from medtransfer.core.declaration_faults import declaration_faults
from medtransfer.core.errors import UsageError
from medtransfer.models.key_schemes import schemes
from medtransfer.models.known_architectures import architecture_named
from medtransfer.models.source_model import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Adaptation,
    InputContract,
    Pretraining,
    SourceModel,
    WeightsFile,
)

FILE_PREFIX = "file:"
QUERY_KEYS = ("arch", "prefix", "container", "scheme", "size", "mean", "std")
"""What the name of a file or a repository may say after its question mark; mean and std with commas."""


class PretrainingDeclaration(BaseModel):
    """What the user knows about where weights come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objective: str = "undeclared"
    """Such as ``supervised`` or ``simclr``."""
    data: tuple[str, ...] = ()
    """Identifiers of image collections; without them overlap with a task is unknown."""
    year: int | None = Field(default=None, ge=1950, le=2100)
    """Year of publication."""


class ModelDeclaration(BaseModel):
    """The keys a source model may have in a study file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    """Name in results."""
    file: str = Field(min_length=1)
    """File name below the weights folder, or a path."""
    architecture: str
    """Ours, ``timm/<name>``, ``torchvision/<name>``, or a bare timm name."""
    pretraining: PretrainingDeclaration = PretrainingDeclaration()
    """Origin of the weights."""
    container: str | None = None
    """Key under which the tensors lie in the file."""
    prefix: str = ""
    """Only keys that start so are read, without it."""
    rename: tuple[tuple[str, str], ...] = ()
    """Pairs (old start, new start) of key names, applied in order."""
    drop: tuple[str, ...] = ()
    """First components of keys that are left out on purpose."""
    containers: tuple[str, ...] = ()
    """Keys tried in this order in place of ``container``; an empty one is the top of the file."""
    strip: tuple[str, ...] = ()
    """Starts removed from every key, each once and in this order, where a key has them."""
    scheme: str = "same"
    """Name of the scheme the file's names follow."""
    ignore: tuple[str, ...] = ()
    """Expressions that match the whole of a key that is left out on purpose."""
    adapt: tuple[Adaptation, ...] = ()
    """What may be done to tensors of another shape."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Digest the file must have."""
    size: int = Field(default=224, ge=8, le=4096)
    """Side in pixels the weights were trained with."""
    channels: Literal[1, 3] = 3
    """Channels of the first layer."""
    mean: tuple[float, ...] | None = None
    """Mean per channel; the ImageNet values for three channels, 0 for one."""
    std: tuple[float, ...] | None = None
    """Standard deviation per channel; the ImageNet values for three channels, 1 for one."""
    value_range: Literal["unit", "minmax", "hounsfield-like"] = "unit"
    """Range images are scaled to before mean and standard deviation."""
    licence: str = "unknown"
    """Licence of the weights."""
    citation: str = ""
    """Who to cite."""

    @model_validator(mode="after")
    def _has_one_value_per_channel(self) -> ModelDeclaration:
        for key, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != self.channels:
                raise ValueError(f"{key}: expected {self.channels} values, got {len(values)}")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std: expected values above 0, got {self.std!r}")
        return self

    @field_validator("scheme")
    @classmethod
    def _is_known(cls, scheme: str) -> str:
        if scheme not in schemes:
            raise ValueError(f"expected one of {schemes.names()!r}, got {scheme!r}")
        return scheme

    @field_validator("ignore")
    @classmethod
    def _are_expressions(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"expected a regular expression, got {pattern!r}: {error}") from error
        return patterns


def declared_model(declaration: Mapping[str, Any]) -> SourceModel:
    """Return the source model a mapping declares.

    Args:
        declaration: Keys of :class:`ModelDeclaration`.

    Raises:
        UsageError: If a key is unknown, missing or has a wrong value; the message names all of them.
        NotRegisteredError: If nobody defines the architecture.
    """
    try:
        fields = ModelDeclaration.model_validate(dict(declaration))
    except ValidationError as error:
        name = declaration.get("name", "without a name")
        faults = declaration_faults(error, _known_keys)
        raise UsageError(f"model {name!r}: {' '.join(faults)}") from error
    return SourceModel(
        name=fields.name,
        architecture=architecture_named(fields.architecture),
        weights=WeightsFile(
            file=fields.file,
            sha256=fields.sha256,
            container=fields.container,
            prefix=fields.prefix,
            rename=fields.rename,
            drop=fields.drop,
            containers=fields.containers,
            strip=fields.strip,
            scheme=fields.scheme,
            ignore=fields.ignore,
            adapt=fields.adapt,
        ),
        pretraining=Pretraining(
            fields.pretraining.objective, tuple(fields.pretraining.data), fields.pretraining.year
        ),
        input=_contract(fields),
        licence=fields.licence,
        citation=fields.citation,
    )


def file_model(name: str) -> SourceModel:
    """Return the source model of ``file:<path>?arch=<architecture>&prefix=…&container=…&scheme=…``.

    Raises:
        UsageError: If the architecture is not named or a key is unknown.
    """
    path, options = named_options(name.removeprefix(FILE_PREFIX), name)
    return declared_model({"name": name, "file": path, **options})


def named_options(text: str, name: str) -> tuple[str, dict[str, Any]]:
    """Return what stands before the question mark of a name, and the declaration after it.

    Args:
        text: The name without the prefix that says what kind it is.
        name: The whole name, for messages.

    Raises:
        UsageError: If the architecture is not named or a key is unknown.
    """
    place, _, query = text.partition("?")
    options: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    if "arch" not in options:
        start = name.removesuffix(f"?{query}")
        raise UsageError(
            f"model {name!r}: expected the architecture of the file, got none. "
            "Write 'file:<path>?arch=<architecture>', for example 'file:weights.pth?arch=timm/resnet50'."
            if name.startswith(FILE_PREFIX)
            else f"model {name!r}: expected the architecture of its network, got none. "
            f"Write '{start}?arch=<architecture>'; its page says which one it is."
        )
    unknown = sorted(set(options) - set(QUERY_KEYS))
    if unknown:
        raise UsageError(
            f"model {name!r}: expected the keys {', '.join(QUERY_KEYS[:-1])} and {QUERY_KEYS[-1]}, "
            f"got {unknown!r}."
        )
    options["architecture"] = options.pop("arch")
    lists = {key: tuple(options[key].split(",")) for key in ("mean", "std") if key in options}
    return place, options | lists


def _known_keys(place: Sequence[int | str]) -> Iterable[str]:
    return PretrainingDeclaration.model_fields if place else ModelDeclaration.model_fields


def _contract(fields: ModelDeclaration) -> InputContract:
    grey = fields.channels == 1
    return InputContract(
        size=fields.size,
        channels=fields.channels,
        mean=fields.mean or ((0.0,) if grey else IMAGENET_MEAN),
        std=fields.std or ((1.0,) if grey else IMAGENET_STD),
        value_range=fields.value_range,
    )
