"""How stored mask values become class ids; an undeclared value is an error, never background."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import BadImageError, UsageError
from medtransfer.data.image_source import UInt8Array

_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class MaskColours:
    """What the colours of a mask mean, for masks painted with a palette."""

    classes: tuple[tuple[str, int], ...]
    """Pairs of a colour such as ``#ff0000`` and a class id, 0 being background; black is background
    unless it is named."""

    def __post_init__(self) -> None:
        wrong = [pair for pair in self.classes if not _COLOUR.fullmatch(pair[0]) or not 0 <= pair[1] <= 255]
        if wrong or not self.classes:
            raise UsageError(
                f"mask colours: expected colours such as '#ff0000' with class ids from 0 to 255, got {wrong!r}."
            )

    def ids(self) -> dict[int, int]:
        """Return the class id of every colour, as red * 65536 + green * 256 + blue."""
        return {0: 0} | {int(colour[1:], 16): class_id for colour, class_id in self.classes}


MaskRule = Literal["nonzero", "above-half"] | Mapping[int, int] | MaskColours
"""``nonzero``: every value above 0 is class 1. ``above-half``: every value above half of the
type's range is, for masks that lossy compression has blurred. A mapping: stored value to class
id, 0 being background. Colours: see :class:`MaskColours`."""


def check_mask_rule(rule: MaskRule) -> None:
    """Refuse a rule that is neither a known word nor a mapping to ids in [0, 255].

    Raises:
        UsageError: If the rule cannot be carried out.
    """
    if isinstance(rule, Mapping):
        wrong = [item for item in rule.items() if not _is_entry(*item)]
        if wrong or not rule:
            raise UsageError(
                f"mask rule: expected integer values with class ids from 0 to 255, got {dict(rule)!r}."
            )
    elif not isinstance(rule, MaskColours) and rule not in ("nonzero", "above-half"):
        raise UsageError(f"mask rule: expected 'nonzero', 'above-half' or a mapping, got {rule!r}.")


def apply_mask_rule(values: npt.NDArray[Any], rule: MaskRule, name: str) -> UInt8Array:
    """Return class ids for stored mask values.

    Args:
        values: Stored values, shape (H, W), boolean, integer or floating; (H, W, 3) for colours.
        rule: What the values mean.
        name: What to call the mask in a message.

    Returns:
        Class ids, shape (H, W), uint8; 0 is background, k + 1 is class k.

    Raises:
        BadImageError: If a value is not finite or not declared by the mapping.
    """
    check_mask_rule(rule)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadImageError(f"{name}: expected finite mask values, got NaN or infinity.")
    if isinstance(rule, MaskColours):
        return _coloured(values, rule, name)
    if isinstance(rule, Mapping):
        return _mapped(values, rule, name)
    if rule == "above-half":
        return (values > _half(values.dtype, name)).astype(np.uint8)
    return (values > 0).astype(np.uint8)


def _mapped(values: npt.NDArray[Any], rule: Mapping[int, int], name: str) -> UInt8Array:
    present, positions = np.unique(values, return_inverse=True)
    unknown = [value for value in present.tolist() if value not in rule]
    if unknown:
        raise BadImageError(
            f"{name}: expected mask values among {sorted(rule)[:5]!r}, got {unknown[:5]!r}. "
            "Add them to the task's mask values, or correct the mask."
        )
    ids = np.array([rule[value] for value in present.tolist()], dtype=np.uint8)
    return ids[positions].reshape(values.shape)


def _coloured(values: npt.NDArray[Any], rule: MaskColours, name: str) -> UInt8Array:
    if values.ndim != 3 or values.dtype != np.uint8:
        raise BadImageError(f"{name}: expected a mask in colours, got {values.dtype} of {values.shape}.")
    packed = values.astype(np.int64) @ np.array([65536, 256, 1])
    ids = rule.ids()
    present, positions = np.unique(packed, return_inverse=True)
    unknown = [f"#{value:06x}" for value in present.tolist() if value not in ids]
    if unknown:
        declared = [colour for colour, _ in rule.classes]
        raise BadImageError(
            f"{name}: expected the mask colours {declared[:5]!r}, got {unknown[:5]!r}. "
            "Add them to the task's mask colours, or correct the mask."
        )
    return np.array([ids[value] for value in present.tolist()], dtype=np.uint8)[positions].reshape(
        packed.shape
    )


def _half(dtype: np.dtype[Any], name: str) -> float:
    if dtype.kind == "b":
        return 0.5
    if dtype.kind != "u":
        raise BadImageError(
            f"{name}: expected a mask of 1, 8 or 16 bits for the rule 'above-half', got {dtype}."
        )
    return float(np.iinfo(dtype).max / 2)


def _is_entry(value: object, class_id: object) -> bool:
    return isinstance(value, int) and isinstance(class_id, int) and 0 <= class_id <= 255
