"""Labels a program mined from reports: present, absent, uncertain or not mentioned; and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.core.seeds import seed_from
from medtransfer.data.uniform_draws import uniform_draws
from medtransfer.tasks.cell_values import cell_values

UncertainPolicy = Literal["ones", "zeros", "ignore", "lsr-ones", "lsr-zeros"]
"""What an uncertain finding counts as: present, absent, not known, or a share drawn in training (label
smoothing) that leans to present or to absent."""

UNCERTAIN: Final = -1.0
"""How an uncertain finding is written."""

SOFT_RANGES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {"lsr-ones": (0.55, 0.85), "lsr-zeros": (0.0, 0.3)}
)
"""Range of the shares of a smoothing policy."""

_MEANINGS: Final = MappingProxyType(
    {"": 0.0, "0.0": 0.0, "0": 0.0, "1.0": 1.0, "1": 1.0, "-1.0": UNCERTAIN, "-1": UNCERTAIN}
)
_FIXED: Final[Mapping[str, float]] = MappingProxyType(
    {"ones": 1.0, "zeros": 0.0, "ignore": np.nan, "lsr-ones": 1.0, "lsr-zeros": 0.0}
)


def read_uncertain_labels(
    subject: str, where: str, rows: pd.DataFrame, classes: Sequence[str]
) -> pd.DataFrame:
    """Return mined labels as numbers: 1 present, 0 absent or not mentioned (blank), -1 uncertain.

    Args:
        subject: What to begin messages with.
        where: The label file.
        rows: Text cells with line numbers as index.
        classes: Columns to read.

    Raises:
        DataError: If a cell holds anything else, naming the lines.
    """
    return pd.DataFrame({name: cell_values(subject, where, rows[name], _MEANINGS) for name in classes})


def settle_uncertain(
    labels: npt.NDArray[np.float64],
    policy: UncertainPolicy,
    soft: npt.NDArray[np.bool_],
    images: Sequence[str],
    seed: int,
) -> npt.NDArray[np.float64]:
    """Return labels without uncertain ones.

    Args:
        labels: 1, 0 and -1 for uncertain, shape (N, C).
        policy: What an uncertain label becomes. A smoothing policy draws a share once per seed, image
            and class for cases whose labels may be soft; elsewhere it is the value it leans to.
        soft: Which cases may have soft labels, shape (N,).
        images: Name of each image; the draw depends on it and not on the order of the rows.
        seed: Number all of the draw depends on.

    Returns:
        Shape (N, C): 0, 1, NaN under ``ignore``, and shares between for soft labels.
    """
    uncertain = labels == UNCERTAIN
    settled = np.where(uncertain, _FIXED[policy], labels)
    rows = np.flatnonzero(soft & uncertain.any(axis=1))
    if policy in SOFT_RANGES and len(rows):
        low, high = SOFT_RANGES[policy]
        numbers = np.array([seed_from(images[row]) for row in rows.tolist()])
        shares = low + (high - low) * uniform_draws(seed, 0, numbers, labels.shape[1])
        settled[rows] = np.where(uncertain[rows], shares, settled[rows])
    return settled
