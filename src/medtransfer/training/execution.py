"""How one training is carried out on its device: where its data lies, what compiles its steps, what is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from medtransfer.core.errors import TrialError
from medtransfer.training.depthwise_gradients import fast_depthwise_gradients
from medtransfer.training.depthwise_precision import fp32_depthwise
from medtransfer.training.determinism import fp32_products
from medtransfer.training.device_data import place_data, resident_bytes
from medtransfer.training.device_memory import highest_use_bytes, start_watching
from medtransfer.training.device_policy import VARIABLE, DevicePolicy, compile_backend, policy_for
from medtransfer.training.memory_layout import network_kind
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.training_data import TrainingData, steps_per_epoch
from medtransfer.training.uncopied_activations import uncopied_activations


@dataclass(frozen=True)
class Execution:
    """A device's policy, applied to one training."""

    place: torch.device
    """Where the network trains."""
    policy: DevicePolicy
    """Of that device."""
    data: TrainingData
    """What is trained on, as the device takes it."""
    backend: str | None
    """What compiles the training steps; None for nothing."""
    network: nn.Module
    """What is trained."""
    lifts_depthwise: bool
    """Whether its depthwise convolutions stay in fp32 in training steps of another number format."""

    @classmethod
    def plan(cls, network: nn.Module, data: TrainingData, recipe: TrainingRecipe, device: str) -> Execution:
        """Move a network and its data to a device as the device's policy says.

        Args:
            network: What is trained; moved in place.
            data: What it is trained on.
            recipe: How long.
            device: Such as ``cpu`` or ``cuda:0``.

        Raises:
            UsageError: If the environment variable of the policy cannot be understood.
        """
        place = torch.device(device)
        policy = policy_for(place.type)
        start_watching(place)
        network.to(place)
        steps = recipe.epochs * steps_per_epoch(data)
        backend = compile_backend(policy, place.type, network_kind(network), steps)
        lifts = recipe.precision == "bf16-mixed" and policy.depthwise == "fp32"
        return cls(place, policy, place_data(data, place, policy), backend, network, lifts)

    def as_trained(self, network: nn.Module) -> nn.Module:
        """Return what runs the training steps: the network itself, or its compiled form."""
        if self.backend is None:
            return network
        return cast("nn.Module", torch.compile(network, backend=self.backend))

    @contextmanager
    def training_steps(self) -> Iterator[None]:
        """Run training steps inside the block, in the number format the policy allows and by the shortest way.

        Raises:
            TrialError: ``cannot_compile`` if the compiler fails, ``single_value`` if batch normalisation gets
                maps of one position of a single case.
        """
        with ExitStack() as ways:
            ways.enter_context(_single_values_told())
            ways.enter_context(fp32_products(self.place, tf32=self.policy.tf32 == "training"))
            if self.lifts_depthwise:
                ways.enter_context(fp32_depthwise(self.network))
            if self.backend is not None:
                ways.enter_context(_told_as_trial_error(self.backend))
            else:  # a compiler has ways of its own
                ways.enter_context(uncopied_activations(self.network))
                if self.place.type == "cpu":
                    ways.enter_context(fast_depthwise_gradients(self.network))
            yield

    def facts(self) -> dict[str, Any]:
        """Return what was used, as JSON values under ``execution``; nothing for the CPU's plain path."""
        if self.place.type == "cpu" and self.policy == DevicePolicy():
            return {}
        resident = resident_bytes(self.data)
        return {
            "execution": {
                "device": self.place.type,
                "views": self.policy.views,
                "images": "resident" if resident else "host",
                "resident_bytes": resident,
                "compile": self.backend or "off",
                "tf32": self.policy.tf32,
                "depthwise": self.policy.depthwise,
                "steps_per_look": self.policy.steps_per_look,
                "peak_device_bytes": highest_use_bytes(self.place),
            }
        }


@contextmanager
def _told_as_trial_error(backend: str) -> Iterator[None]:
    from torch._dynamo.exc import TorchDynamoException

    try:
        yield
    except TorchDynamoException as error:
        raise _cannot_compile(backend, error) from error


@contextmanager
def _single_values_told() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrialError(
            "single_value",
            "training: expected at least two cases, or positions of a map, for every batch normalisation, got one. "
            "Raise 'micro_batch' or 'batch_size' to 2 or more, or 'image_size'.",
        ) from error


def _cannot_compile(backend: str, error: Exception) -> TrialError:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return TrialError(
        "cannot_compile",
        f"training: expected a network that {backend!r} can compile, got {said!r}. "
        f"Set {VARIABLE} to 'compile=off'.",
    )
