"""Put a model's weights into its network, and make sure that they arrived."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from medtransfer.core.errors import WeightsError
from medtransfer.core.problems import describe_problems
from medtransfer.models.checkpoint import read_checkpoint
from medtransfer.models.hub_weights import hub_state
from medtransfer.models.key_audit import SHOWN, KeyAudit, match_keys
from medtransfer.models.source_model import SourceModel, WeightsFile
from medtransfer.models.weights_files import locate_weights


def read_weights(model: SourceModel, weights_folder: Path | None, seed: int) -> dict[str, Tensor]:
    """Return the tensors of a model's weights by their names in the file.

    Raises:
        WeightsError: If they are missing, unsafe or damaged, or the model is random.
    """
    if model.weights is None:
        raise WeightsError(f"model {model.name!r}: expected pretrained weights, got a random model.")
    if model.weights.hub is not None:
        return hub_state(model, model.architecture, seed)
    path = locate_weights(model, weights_folder)
    return read_checkpoint(path, model.weights.container, model.weights.containers)


def load_into(network: nn.Module, file: Mapping[str, Tensor], weights: WeightsFile, where: str) -> KeyAudit:
    """Load tensors into a network, in place, and return the account of it.

    Args:
        network: The whole network without its head, with its initial random weights.
        file: Tensors by their names in the file.
        weights: Rules for the names, and declared gaps.
        where: Name of the model, for messages.

    Raises:
        WeightsError: If a tensor of the network is neither loaded nor in a declared gap, if one of the
            file has no place, or if what was loaded cannot be trained weights.
    """
    initial = network.state_dict()
    audit = match_keys(initial, file, weights)
    refuse_incomplete(audit, where)
    loaded = {name: _fitted(file, name, audit).to(initial[name].dtype) for name in audit.loaded}
    _check_are_trained(loaded, initial, where)
    network.load_state_dict({**initial, **loaded}, strict=True)
    return audit


def refuse_incomplete(audit: KeyAudit, where: str) -> None:
    """Raise unless every tensor is accounted for.

    Raises:
        WeightsError: With all problems of the audit.
    """
    problems = audit.problems(where)
    if problems or not audit.loaded:
        listed = describe_problems(problems) or "  - nothing was loaded."
        raise WeightsError(f"model {where!r}: expected weights for its network, got others:\n{listed}")


def refuse_used_gaps(network: nn.Module, audit: KeyAudit, where: str) -> None:
    """Raise if a declared gap lies in the part of the network that is used: it would stay random.

    Raises:
        WeightsError: Naming the first such tensors.
    """
    left = set(network.state_dict())
    used = [name for gap in audit.gaps for name in gap.names if name in left]
    if used:
        raise WeightsError(
            f"model {where!r}: expected declared gaps only after the trunk, got {used[:SHOWN]!r} inside it, "
            "which would stay random. End the network earlier with 'trunk', or use complete weights."
        )


def _fitted(file: Mapping[str, Tensor], name: str, audit: KeyAudit) -> Tensor:
    """Return a tensor of the network from those of the file, after its adaptation where one is planned."""
    tensor, plan = audit.loaded[name].read(file), audit.adaptations.get(name)
    return tensor if plan is None else plan.apply(tensor)


def _check_are_trained(loaded: Mapping[str, Tensor], initial: Mapping[str, Tensor], where: str) -> None:
    kernels = {
        name: tensor for name, tensor in loaded.items() if tensor.ndim >= 2 and tensor.is_floating_point()
    }
    if kernels and all(_is_constant(tensor) for tensor in kernels.values()):
        raise WeightsError(
            f"model {where!r}: expected trained weights, got kernels of one constant value each."
        )
    unchanged = [n for n, t in kernels.items() if not _is_constant(t) and torch.equal(t, initial[n])]
    if unchanged:
        raise WeightsError(
            f"model {where!r}: expected trained weights, got the initial ones in {unchanged[:SHOWN]!r}."
        )
    endless = [name for name, tensor in loaded.items() if not bool(torch.isfinite(tensor).all())]
    if endless:
        raise WeightsError(
            f"model {where!r}: expected numbers that fit float32, got larger ones in {endless[:SHOWN]!r}."
        )
    idle = [name for name in loaded if name.endswith("running_var") and _has_default_statistics(name, loaded)]
    if idle:
        raise WeightsError(
            f"model {where!r}: expected trained batch normalisation, got its initial statistics (mean 0, "
            f"variance 1) in {idle[:SHOWN]!r}. The checkpoint was saved without its buffers."
        )


def _has_default_statistics(variance: str, loaded: Mapping[str, Tensor]) -> bool:
    mean = loaded.get(variance.removesuffix("running_var") + "running_mean")
    return mean is not None and not mean.any() and bool((loaded[variance] == 1).all())


def _is_constant(tensor: Tensor) -> bool:
    if tensor.numel() == 0:
        return True
    row, first = tensor[0], tensor.flatten()[0]
    return bool((row == first).all()) and bool((tensor == first).all())
