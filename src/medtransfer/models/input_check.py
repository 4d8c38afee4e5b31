"""What a network will see of a folder of images, beside its input contract: ranges, means, order, polarity.

Some faults the values prove: images that are black to the network, that were normalised before, or a contract
whose mean is in other units. Others can only be suspected: channels in the order of OpenCV, black for white.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from medtransfer.core.problems import Problem
from medtransfer.models.image_findings import (
    FolderImage,
    contract_problems,
    proven_faults,
    suspected_faults,
)
from medtransfer.models.source_model import InputContract

if TYPE_CHECKING:
    from medtransfer.models.statistics_fit import StatisticsFit

EXAMPLES: Final = 8
"""Images that are shown."""


@dataclass(frozen=True)
class ChannelFacts:
    """One channel of what the network sees, over all images."""

    name: str
    """``red``, ``green``, ``blue`` or ``grey``."""
    mean: float
    """Mean; near 0 when the images are as bright as those of the training."""
    std: float
    """Standard deviation; near 1 when they have the contrast of those of the training."""
    low: float
    """Smallest value."""
    high: float
    """Largest value."""


@dataclass(frozen=True)
class SeenImage:
    """An image beside what the network sees of it."""

    name: str
    """What to call it."""
    pixels: npt.NDArray[np.uint8]
    """As decoded, shape (S, S) or (S, S, 3)."""
    seen: npt.NDArray[np.float32]
    """As the network sees it, shape (channels, S, S)."""


@dataclass(frozen=True)
class InputCheck:
    """What the network will see of a folder of images."""

    model: str
    """Source model."""
    contract: InputContract
    """What it expects."""
    images: int
    """Images that were looked at."""
    channels: tuple[ChannelFacts, ...]
    """What it sees."""
    problems: tuple[Problem, ...]
    """What is wrong."""
    remarks: tuple[Problem, ...]
    """What may be wrong: to look at."""
    fit: StatisticsFit | None = None
    """How well other contracts would fit the network's own statistics; None where it has none."""
    examples: tuple[SeenImage, ...] = field(default=(), repr=False)
    """Some images, spread over the folder."""

    def as_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object, without the pictures."""
        return {
            "images": self.images,
            "channels": [asdict(channel) for channel in self.channels],
            "fit": None if self.fit is None else asdict(self.fit),
            "problems": [problem.as_json() for problem in self.problems],
            "remarks": [problem.as_json() for problem in self.remarks],
        }


def check_input(
    model: str,
    contract: InputContract,
    images: Sequence[FolderImage],
    *,
    fit: StatisticsFit | None = None,
    unreadable: Sequence[Problem] = (),
) -> InputCheck:
    """Return what a network will see of images, and what is wrong with it as far as can be told.

    Args:
        model: Name of the source model.
        contract: What it expects.
        images: At least one, at the size of the network.
        fit: How well the images fit the network's own statistics.
        unreadable: Images of the folder that could not be read, one problem each.
    """
    seen = [SeenImage(image.name, image.pixels, seen_by_network(image.pixels, contract)) for image in images]
    channels = channel_facts(seen)
    problems = [*unreadable, *contract_problems(model, contract), *proven_faults(images, contract)]
    if fit is not None and fit.better is not None:
        problems.append(fit.problem(model))
    return InputCheck(
        model=model,
        contract=contract,
        images=len(images),
        channels=channels,
        problems=tuple(problems),
        remarks=tuple(suspected_faults(images, contract, channels)),
        fit=fit,
        examples=tuple(seen[index] for index in spread(len(seen), EXAMPLES)),
    )


def spread(number: int, most: int) -> list[int]:
    """Return up to ``most`` positions below ``number``, evenly spread.

    Example:
        >>> spread(10, 4), spread(2, 4)
        ([0, 3, 6, 9], [0, 1])
    """
    return [int(place) for place in np.linspace(0, number - 1, min(number, most)).round()]


def seen_by_network(pixels: npt.NDArray[np.uint8], contract: InputContract) -> npt.NDArray[np.float32]:
    """Return what a network sees of one image, shape (channels, S, S), by its own input transform."""
    import torch

    from medtransfer.models.input_transform import InputTransform

    image = torch.from_numpy(np.atleast_3d(pixels).transpose(2, 0, 1).copy())[None]
    values = InputTransform(contract)(image)
    seen: npt.NDArray[np.float32] = values.expand(1, contract.channels, *values.shape[2:])[0].numpy()
    return seen


def channel_facts(seen: Sequence[SeenImage]) -> tuple[ChannelFacts, ...]:
    """Return the statistics of every channel over all pixels of all images, which weigh the same."""
    names = ("red", "green", "blue") if seen[0].seen.shape[0] == 3 else ("grey",)
    facts = []
    for channel, name in enumerate(names):
        parts = np.array(
            [
                (s.mean(), np.square(s).mean(), s.min(), s.max())
                for s in (image.seen[channel] for image in seen)
            ],
            dtype=np.float64,
        )
        mean = float(parts[:, 0].mean())
        std = float(np.sqrt(max(parts[:, 1].mean() - mean**2, 0.0)))
        facts.append(ChannelFacts(name, mean, std, float(parts[:, 2].min()), float(parts[:, 3].max())))
    return tuple(facts)
