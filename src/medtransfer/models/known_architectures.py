"""Architectures by name: ours, and every network timm or torchvision registers."""

from __future__ import annotations

from typing import Literal

from medtransfer.core.errors import NotRegisteredError
from medtransfer.core.registry import Registry, nearest_names
from medtransfer.models.entries import ARCHITECTURES
from medtransfer.models.library_names import library_names
from medtransfer.models.source_model import Architecture

SEE = "medtransfer models list"

architectures: Registry[Architecture] = Registry("architecture", SEE)

for _architecture, _ in ARCHITECTURES:
    architectures.add(_architecture.name, _architecture)


def architecture_named(name: str) -> Architecture:
    """Return the architecture a name stands for.

    Args:
        name: One of ours, ``timm/<name>``, ``torchvision/<name>``, or a bare timm name.

    Raises:
        NotRegisteredError: If nobody defines it.
    """
    if name in architectures:
        return architectures.get(name)
    library, _, builder = name.rpartition("/")
    if library == "torchvision":
        return _library_architecture("torchvision", builder)
    if library in {"timm", ""}:
        return _library_architecture("timm", builder)
    raise NotRegisteredError(
        f"architecture {name!r}: expected a name of ours, 'timm/<name>' or 'torchvision/<name>', got library "
        f"{library!r}. See '{SEE}'."
    )


def _library_architecture(library: Literal["timm", "torchvision"], builder: str) -> Architecture:
    known = library_names(library)
    if builder not in known:
        near = list(
            dict.fromkeys(
                [*nearest_names(builder, architectures.names(), 2), *nearest_names(builder, known, 3)]
            )
        )
        hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
        raise NotRegisteredError(
            f"architecture {builder!r}: expected a network that {library} defines, got an unknown name.{hint}"
        )
    return Architecture(name=builder, library=library, builder=builder)
