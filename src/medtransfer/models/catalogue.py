"""All source models by name, and how a name that is not listed becomes one; imports no torch."""

from __future__ import annotations

from medtransfer.core.errors import NotRegisteredError
from medtransfer.core.registry import Registry, unknown_name
from medtransfer.models.declared_model import FILE_PREFIX, declared_model, file_model
from medtransfer.models.entries import ARCHITECTURES, MODELS
from medtransfer.models.known_architectures import SEE, architecture_named, architectures
from medtransfer.models.library_names import library_names
from medtransfer.models.repository_model import is_repository_name, repository_model
from medtransfer.models.source_model import Architecture, InputContract, Pretraining, SourceModel, WeightsFile

__all__ = ["architectures", "catalogue", "declared_model", "resolve_model"]

RANDOM_SUFFIX = ".random"

_CONTRACTS = {architecture.name: contract for architecture, contract in ARCHITECTURES}


def resolve_model(name: str) -> SourceModel:
    """Return the source model a name stands for.

    Args:
        name: A catalogue entry; ``timm/<name>[.<tag>]`` or ``torchvision/<name>[.<tag>]`` for weights
            those libraries download; ``<architecture>.random``;
            ``hf-hub:<owner>/<repository>?arch=<architecture>`` and ``open_clip/…`` for files on the
            Hugging Face hub; or ``file:<path>?arch=<architecture>&prefix=…&container=…``.

    Raises:
        NotRegisteredError: If the name is none of these; the message suggests near names.
        UsageError: If the name of a file or repository lacks its architecture.
    """
    if name in catalogue:
        return catalogue.get(name)
    if name.startswith(FILE_PREFIX):
        return file_model(name)
    if is_repository_name(name):
        return repository_model(name)
    if name.endswith(RANDOM_SUFFIX):
        return random_model(architecture_named(name.removesuffix(RANDOM_SUFFIX)), name)
    if name.startswith(("timm/", "torchvision/")):
        return _hub_model(name)
    raise NotRegisteredError(unknown_name("model", name, catalogue.names(), SEE) + _library_hint(name))


def random_model(architecture: Architecture, name: str | None = None) -> SourceModel:
    """Return the source model that starts an architecture from seeded random weights."""
    ours = architecture.name in architectures and architectures.get(architecture.name) == architecture
    contract = _CONTRACTS[architecture.name] if ours else None
    return SourceModel(
        name=name or architecture.name + RANDOM_SUFFIX,
        architecture=architecture,
        weights=None,
        pretraining=Pretraining(objective="none"),
        input=contract or InputContract(),
        input_from_library=contract is None,
        licence="not applicable",
    )


def _hub_model(name: str) -> SourceModel:
    untagged, _, _ = name.partition(".")
    return SourceModel(
        name=name,
        architecture=architecture_named(untagged),
        weights=WeightsFile(hub=name),
        pretraining=Pretraining(),
        input_from_library=True,
        citation=f"weights as distributed by {untagged.partition('/')[0]}",
    )


def _library_hint(name: str) -> str:
    known = [
        library for library in ("timm", "torchvision") if name.partition(".")[0] in library_names(library)
    ]
    forms = " or ".join(repr(f"{library}/{name}") for library in known)
    return f" For weights of that library write {forms}." if known else ""


def _filled_catalogue() -> Registry[SourceModel]:
    registry: Registry[SourceModel] = Registry("model", SEE)
    for architecture, _ in ARCHITECTURES:
        model = random_model(architecture)
        registry.add(model.name, model)
    for model in MODELS:
        registry.add(model.name, model)
    return registry


catalogue = _filled_catalogue()
