"""How embeddings are computed and kept: which engine runs the encoder, and in which number format they lie."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import numpy as np

from medtransfer.core.errors import UsageError

Engine = Literal["torch", "openvino"]
FeaturePrecision = Literal["fp32", "fp16"]


@dataclass(frozen=True)
class Extraction:
    """Engine and format; both can change the last digits of a result."""

    engine: Engine = "torch"
    """``openvino`` runs encoders faster on many CPUs, behind a check against torch."""
    precision: FeaturePrecision = "fp32"
    """``fp16`` halves what the features take on disk."""

    @property
    def dtype(self) -> np.dtype[np.float32] | np.dtype[np.float16]:
        """Number format on disk."""
        return np.dtype(np.float32) if self.precision == "fp32" else np.dtype(np.float16)

    def engine_version(self) -> str:
        """Return the version of the engine's library.

        Raises:
            UsageError: If it is not installed.
        """
        try:
            return version(self.engine)
        except PackageNotFoundError as error:
            raise UsageError(
                f"engine {self.engine!r}: expected its package, got none. "
                "Install it with: pip install 'medtransfer[openvino]', or leave 'engine' out."
            ) from error


PLAIN_EXTRACTION = Extraction()
"""torch, in full precision."""


def changed_extraction(extraction: Extraction) -> dict[str, str]:
    """Return what differs from the plain extraction as settings of a protocol.

    Example:
        >>> changed_extraction(PLAIN_EXTRACTION), changed_extraction(Extraction("openvino"))
        ({}, {'engine': 'openvino'})
    """
    values = {"engine": extraction.engine, "feature_precision": extraction.precision}
    plain = {"engine": PLAIN_EXTRACTION.engine, "feature_precision": PLAIN_EXTRACTION.precision}
    return {name: value for name, value in values.items() if value != plain[name]}
