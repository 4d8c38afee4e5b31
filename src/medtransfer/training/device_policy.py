"""How each kind of device trains: one table to read, and one variable to override it with.

A policy decides where work is done and in which order it is looked at. What it changes in a number is the
last digits, and what was used is kept with every record that did not take the plain path of the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medtransfer.core.declaration_faults import declaration_faults
from medtransfer.core.errors import UsageError

VARIABLE = "MEDTRANSFER_DEVICE_POLICY"
"""Environment variable that changes entries of the table, such as ``views=host,compile=off``."""

NetworkKind = Literal["dense", "depthwise", "transformer"]
"""What most of a network's arithmetic is: ordinary convolutions, depthwise ones, or products of tokens."""


class DevicePolicy(BaseModel):
    """Decisions for one device; the defaults are the plain path, which is the CPU's."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    views: Literal["host", "device"] = "host"
    """Where random training views are computed; the draws are always the same."""
    images: Literal["host", "resident"] = "host"
    """``resident`` keeps the bytes of the training and validation images on the device where they fit, if
    views are computed there; ``host`` sends them batch by batch from page-locked memory."""
    resident_share: float = Field(default=0.25, ge=0, le=0.9)
    """Most that resident images may take of the device memory this process may use."""
    layout: Literal["table", "channels-last", "contiguous"] = "table"
    """Memory format of images and kernels; ``table`` asks :mod:`~medtransfer.training.memory_layout`."""
    products: Literal["table", "library", "convolutions"] = "table"
    """Who computes fp32 products of channels on a CPU; ``table`` asks :mod:`~medtransfer.training.product_policy`."""
    compile: Literal["off", "table", "inductor", "aot_eager", "eager"] = "off"
    """Backend of ``torch.compile`` for training steps; ``table`` is ``inductor`` from
    :data:`COMPILE_FROM_STEPS` on. Validation and test always run the plain network."""
    tf32: Literal["off", "training"] = "off"
    """Whether fp32 training steps may round factors to TF32. Validation and test never do."""
    depthwise: Literal["fp32", "as-the-rest"] = "fp32"
    """Number format of depthwise convolutions in steps of ``bf16-mixed``. On CPUs their gradients in bf16 can
    take a hundred times as long: 25 ms where fp32 takes 0.2, for a stride of 2."""
    steps_per_look: int = Field(default=1, ge=1)
    """Steps after which losses and gradients are looked at; an epoch's end is always a look."""


POLICIES: Mapping[str, DevicePolicy] = {
    "cpu": DevicePolicy(),
    "cuda": DevicePolicy(
        views="device", images="resident", compile="table", depthwise="as-the-rest", steps_per_look=200
    ),
}
"""Policy by device type; devices that are not listed work as the CPU does."""

COMPILE_FROM_STEPS: Mapping[tuple[str, NetworkKind], int] = {
    ("cuda", "dense"): 20_000,
    ("cuda", "transformer"): 20_000,
}
"""Device type and network kind to the steps of a whole training from which compiling pays.

An estimate, not a measurement: compiling takes about a minute, and what it saves of a step of 20 to 30 ms is
about a tenth. Kinds that are not listed are never compiled by the table. On CPUs compiling needs a C++ compiler,
which may not be there, and took 11 to 20 CPU seconds; steps of MobileNet-V1 at 64 pixels gained 1.13 to 1.25, of
a U-Net on it at 128 pixels 1.11.
"""


def policy_for(device_type: str) -> DevicePolicy:
    """Return the policy of a device type, with what the environment variable changes.

    Args:
        device_type: Such as ``cpu`` or ``cuda``.

    Raises:
        UsageError: If the variable cannot be understood.

    Example:
        >>> policy_for("cpu").views
        'host'
    """
    policy = POLICIES.get(device_type, DevicePolicy())
    changes = os.environ.get(VARIABLE, "").strip()
    return policy if not changes else _changed(policy, _parsed(changes))


def compile_backend(policy: DevicePolicy, device_type: str, kind: NetworkKind, steps: int) -> str | None:
    """Return what compiles the training steps of a network; None where they run as they are.

    Args:
        policy: Of the device.
        device_type: Such as ``cuda``.
        kind: Kind of the network.
        steps: Optimiser steps of the training if it runs to its end.
    """
    if policy.compile == "off":
        return None
    if policy.compile != "table":
        return policy.compile
    least = COMPILE_FROM_STEPS.get((device_type, kind))
    return "inductor" if least is not None and steps >= least else None


def _parsed(text: str) -> dict[str, str]:
    changes = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or not name or not value or name in changes:
            raise UsageError(
                f"environment variable {VARIABLE}: expected entries like 'views=host,compile=off', each once, "
                f"got {text!r}. Known names: {', '.join(DevicePolicy.model_fields)}."
            )
        changes[name] = value
    return changes


def _changed(policy: DevicePolicy, changes: Mapping[str, Any]) -> DevicePolicy:
    try:
        return DevicePolicy(**{**policy.model_dump(), **changes})
    except ValidationError as error:
        faults = declaration_faults(error, lambda _: DevicePolicy.model_fields)
        raise UsageError(f"environment variable {VARIABLE}: {' '.join(faults)}") from error
