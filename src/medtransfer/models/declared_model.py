"""Source models a user declares in a study file or names by their weights file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medtransfer.core.declaration_faults import declaration_faults
from medtransfer.core.errors import UsageError
from medtransfer.models.known_architectures import architecture_named
from medtransfer.models.source_model import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    InputContract,
    Pretraining,
    SourceModel,
    WeightsFile,
)

FILE_PREFIX = "file:"


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
        ),
        pretraining=Pretraining(
            fields.pretraining.objective, tuple(fields.pretraining.data), fields.pretraining.year
        ),
        input=_contract(fields),
        licence=fields.licence,
        citation=fields.citation,
    )


def file_model(name: str) -> SourceModel:
    """Return the source model of ``file:<path>?arch=<architecture>&prefix=…&container=…``.

    Raises:
        UsageError: If the architecture is not named or a key is unknown.
    """
    path, _, query = name.removeprefix(FILE_PREFIX).partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if "arch" not in options:
        raise UsageError(
            f"model {name!r}: expected the architecture of the file, got none. "
            "Write 'file:<path>?arch=<architecture>', for example 'file:weights.pth?arch=timm/resnet50'."
        )
    unknown = sorted(set(options) - {"arch", "prefix", "container"})
    if unknown:
        raise UsageError(f"model {name!r}: expected the keys arch, prefix and container, got {unknown!r}.")
    options["architecture"] = options.pop("arch")
    return declared_model({"name": name, "file": path, **options})


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
