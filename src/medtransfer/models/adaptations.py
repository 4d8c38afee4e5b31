"""Changes a tensor of a weights file may undergo to fit its network; each is allowed by name and recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import isqrt, prod
from typing import TYPE_CHECKING

from medtransfer.models.source_model import Adaptation

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]

BIAS_TABLE = "relative_position_bias_table"
"""Last component of the names of tables of relative positions, shape (positions, heads)."""
POSITIONS = frozenset({"pos_embed"})
"""Last components of the names of absolute positions, shape (1, tokens, features)."""
EXTRA_TOKENS = (0, 1, 2, 5)
"""Numbers of tokens in front of the patches: class, distillation, registers."""
EXTRA_POSITIONS = (0, 3)
"""Rows of a bias table after those of the window: none, or those of a class token."""


@dataclass(frozen=True)
class PlannedAdaptation:
    """What will be done to one tensor."""

    kind: Adaptation
    """Which of the allowed changes."""
    found: Shape
    """Shape in the file."""
    expected: Shape
    """Shape in the network."""

    @property
    def description(self) -> str:
        """What was done, with both shapes, for the account of a load."""
        return f"{_DONE[self.kind]}, {self.found} to {self.expected}"

    def apply(self, tensor: Tensor) -> Tensor:
        """Return the tensor as the network takes it, in its own type.

        Args:
            tensor: Values of shape ``found``.
        """
        return _CHANGES[self.kind](tensor, self.expected).reshape(self.expected).to(tensor.dtype)


def planned_adaptation(
    name: str, found: Shape, expected: Shape, allowed: Collection[Adaptation]
) -> PlannedAdaptation | None:
    """Return the allowed change that makes a tensor fit, or None when there is none.

    Args:
        name: Name in the network.
        found: Shape in the file.
        expected: Shape in the network, another one.
        allowed: Kinds of change the model declares.

    Example:
        >>> plan = planned_adaptation("pos_embed", (1, 197, 8), (1, 257, 8), ("positions",))
        >>> plan.description
        'positions interpolated, (1, 197, 8) to (1, 257, 8)'
    """
    last, size_differs = name.rpartition(".")[2], prod(found) != prod(expected)
    fitting: dict[Adaptation, bool] = {
        "positions": last in POSITIONS and _extra_tokens(found, expected) is not None and size_differs,
        "bias-tables": last == BIAS_TABLE and _extra_positions(found, expected) is not None,
        "linear-to-conv": _is_linear_for(found, expected),
        "stem-channels": _is_stem_of_other_channels(found, expected),
        "leading-axes": not size_differs and _without_leading_ones(expected) == found,
    }
    kind = next((kind for kind in fitting if fitting[kind] and kind in allowed), None)
    return None if kind is None else PlannedAdaptation(kind, found, expected)


def _extra_tokens(found: Shape, expected: Shape) -> int | None:
    """Return how many tokens come before a square of patches in both shapes."""
    if len(expected) != 3 or expected[0] != 1 or found[-1:] != expected[-1:]:
        return None
    if found[:-2] not in {(), (1,)} or len(found) < 2:
        return None
    return _common(EXTRA_TOKENS, found[-2], expected[1], _is_square)


def _extra_positions(found: Shape, expected: Shape) -> int | None:
    """Return how many rows follow those of a square window in both tables."""
    if len(found) != 2 or len(expected) != 2 or found[1] != expected[1]:
        return None
    return _common(EXTRA_POSITIONS, found[0], expected[0], lambda n: _is_square(n) and isqrt(n) % 2 == 1)


def _common(extras: tuple[int, ...], first: int, second: int, fits: Callable[[int], bool]) -> int | None:
    return next((extra for extra in extras if fits(first - extra) and fits(second - extra)), None)


def _is_square(number: int) -> bool:
    return number > 0 and isqrt(number) ** 2 == number


def _is_linear_for(found: Shape, expected: Shape) -> bool:
    return len(found) == 2 and expected == (*found, 1, 1)


def _is_stem_of_other_channels(found: Shape, expected: Shape) -> bool:
    if len(found) != 4 or len(expected) != 4:
        return False
    same = (found[0], *found[2:]) == (expected[0], *expected[2:])
    return same and {found[1], expected[1]} == {1, 3}


def _without_leading_ones(shape: Shape) -> Shape:
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _resized_positions(tensor: Tensor, expected: Shape) -> Tensor:
    import torch

    flat = tensor.reshape(-1, tensor.shape[-1])
    extra = _extra_tokens(tuple(tensor.shape), expected) or 0
    side = isqrt(expected[1] - extra)
    return torch.cat([flat[:extra].float(), _resized_square(flat[extra:], side, antialias=True)])


def _resized_table(tensor: Tensor, expected: Shape) -> Tensor:
    import torch

    extra = _extra_positions(tuple(tensor.shape), expected) or 0
    window, rest = tensor[: len(tensor) - extra], tensor[len(tensor) - extra :]
    side = isqrt(expected[0] - extra)
    return torch.cat([_resized_square(window, side, antialias=False), rest.float()])


def _resized_square(rows: Tensor, side: int, *, antialias: bool) -> Tensor:
    """Return rows of a square grid, shape (n * n, F), interpolated to shape (side * side, F)."""
    from torch.nn.functional import interpolate

    grid = rows.float().T.reshape(1, rows.shape[1], isqrt(len(rows)), isqrt(len(rows)))
    resized: Tensor = interpolate(grid, (side, side), mode="bicubic", antialias=antialias)
    return resized.reshape(rows.shape[1], -1).T


def _with_channels(tensor: Tensor, expected: Shape) -> Tensor:
    """Return kernels that answer to a grey image as before, whether it comes once or three times."""
    if expected[1] == 1:
        return tensor.sum(dim=1, keepdim=True)
    return tensor.expand(-1, expected[1], -1, -1) / expected[1]


def _reshaped(tensor: Tensor, expected: Shape) -> Tensor:
    return tensor.reshape(expected)


_DONE: dict[Adaptation, str] = {
    "positions": "positions interpolated",
    "bias-tables": "table of relative positions interpolated",
    "linear-to-conv": "matrix taken as a 1 x 1 convolution",
    "stem-channels": "first layer changed to another number of channels",
    "leading-axes": "axes of length one added in front",
}

_CHANGES: dict[Adaptation, Callable[[Tensor, Shape], Tensor]] = {
    "positions": _resized_positions,
    "bias-tables": _resized_table,
    "linear-to-conv": _reshaped,
    "stem-channels": _with_channels,
    "leading-axes": _reshaped,
}
