"""The self-test of a source model: what it makes of one generated image, recorded once and compared ever after.

Weights can be whole and in their places and yet be used wrongly: another range, another mean, channels in
another order, an option of the network forgotten. All of these change the embedding of an image. So the
first values of the embedding of a generated image are recorded when an entry is first verified with its
real file.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import UsageError, WeightsError
from medtransfer.core.problems import Problem
from medtransfer.models.embedding_records import (
    COUNT,
    OWN_RECORDS,
    EmbeddingRecord,
    own_records,
    packaged_records,
    write_own_record,
)
from medtransfer.models.source_model import SourceModel
from medtransfer.models.weights_files import weights_hash

if TYPE_CHECKING:
    from medtransfer.models.network import Encoder

IMAGE_VERSION: Final = 1
"""Raised whenever :func:`self_test_image` draws other pixels; older records then count as none."""
TOLERANCE: Final = 1e-3
"""Largest difference that counts as equal, as a share of the root mean square of the whole embedding.

Rounding moves values by some 3e-6 of it. A standard deviation that is off by one percent moves them by 3e-3
at least, another range, mean, order of channels or padding by 1e-2 and more.
"""
SEED: Final = 0

Status = Literal["agrees", "differs", "recorded", "not-recorded"]


@dataclass(frozen=True)
class SelfTest:
    """The embedding of the generated image, beside the recorded one."""

    name: str
    """Source model."""
    status: Status
    """``agrees`` or ``differs``; ``recorded`` when it was written now; ``not-recorded`` when nobody did."""
    found: EmbeddingRecord
    """What the network gives now."""
    recorded: EmbeddingRecord | None = None
    """What it is compared with."""
    place: str = ""
    """File that holds the record."""

    @property
    def difference(self) -> float | None:
        """Largest difference as a share of the recorded root mean square; None without a comparison."""
        return None if self.recorded is None else difference(self.found, self.recorded)

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against the model."""
        return self.status != "differs"

    def problems(self) -> tuple[Problem, ...]:
        """Return the difference as a problem; empty when there is none."""
        if self.recorded is None or self.ok:
            return ()
        expected = f"an embedding within {TOLERANCE:g} of the recorded one, {_shown(self.recorded)}"
        step = (
            "The weights are the recorded ones, so the input contract, an option of the network or a library "
            f"has changed. If that is meant, remove the entry from {self.place} and verify with --write."
        )
        found = f"{_shown(self.found)}, which differs by {self.difference:.2g}"
        return (Problem("other-embedding", self.name, expected, found, step),)

    def as_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object with ``ok`` and ``problems``."""
        return {
            **asdict(self),
            "found": self.found.model_dump(mode="json"),
            "recorded": None if self.recorded is None else self.recorded.model_dump(mode="json"),
            "difference": self.difference,
            "tolerance": TOLERANCE,
            "ok": self.ok,
            "problems": [problem.as_json() for problem in self.problems()],
        }


def verify_model(model: SourceModel, weights_folder: Path | None, *, write: bool = False) -> SelfTest:
    """Compare the embedding of the generated image with the recorded one.

    Args:
        model: A pretrained source model.
        weights_folder: Where weights files and the user's own records lie.
        write: Whether to record the embedding, below the weights folder, where there is no record of
            these weights. A record that differs is never overwritten.

    Raises:
        UsageError: If the model has random weights, or ``write`` is asked for without a weights folder.
        WeightsError: If its weights cannot be used, or the file of records is damaged.
    """
    from medtransfer.models.network import build_encoder

    if model.is_random:
        raise UsageError(f"model {model.name!r}: expected pretrained weights to verify, got random ones.")
    encoder = build_encoder(model, weights_folder=weights_folder, seed=SEED)
    tested = compare_embedding(model, encoder, weights_folder)
    if write and tested.status == "not-recorded":
        if weights_folder is None:
            raise UsageError(
                f"model {model.name!r}: expected a weights folder to write {OWN_RECORDS} into, got none. "
                "Name it with --weights or MEDTRANSFER_WEIGHTS."
            )
        write_own_record(weights_folder, model.name, tested.found)
        return SelfTest(model.name, "recorded", tested.found, tested.found, str(weights_folder / OWN_RECORDS))
    return tested


def compare_embedding(model: SourceModel, encoder: Encoder, weights_folder: Path | None) -> SelfTest:
    """Compare what a built encoder makes of the generated image with the record, if there is one.

    Raises:
        WeightsError: If the file of records is damaged.
    """
    found = embedding_record(encoder, weights_hash(model, weights_folder))
    recorded, place = _record_of(model.name, found, weights_folder)
    if recorded is None:
        return SelfTest(model.name, "not-recorded", found)
    agrees = difference(found, recorded) <= TOLERANCE
    return SelfTest(model.name, "agrees" if agrees else "differs", found, recorded, place)


def embedding_record(encoder: Encoder, weights: str) -> EmbeddingRecord:
    """Return what an encoder makes of the generated image at the size of its input contract.

    Args:
        encoder: In evaluation mode, on the CPU.
        weights: What identifies its weights.

    Raises:
        WeightsError: If the embedding is not finite.
    """
    import torch

    image = torch.from_numpy(self_test_image(encoder.input.size))[None]
    with torch.no_grad():
        embedding = encoder(image)[0].double().numpy()
    if not np.isfinite(embedding).all():
        raise WeightsError(f"model {encoder.name!r}: expected a finite embedding, got NaN or infinity.")
    values = tuple(float(f"{value:.7g}") for value in embedding[:COUNT])
    size = float(f"{np.sqrt(np.mean(embedding**2)):.7g}")
    return EmbeddingRecord(
        weights=weights, image=IMAGE_VERSION, side=encoder.input.size, values=values, root_mean_square=size
    )


def self_test_image(side: int) -> npt.NDArray[np.uint8]:
    """Return the generated image: two ramps, a chessboard and a disc, from integers alone.

    The three channels differ, no flip or turn leaves it as it is, and it fills only a part of the range, so
    that every confusion shows.

    Args:
        side: S in pixels.

    Returns:
        uint8 of shape (3, S, S), values in [16, 230]; the same on every machine.

    Example:
        >>> self_test_image(4)[:, 0].tolist()
        [[16, 86, 156, 226], [16, 16, 16, 16], [40, 200, 40, 200]]
    """
    rows, columns = np.indices((side, side), dtype=np.int64)
    last = max(side - 1, 1)
    red, green = 16 + columns * 210 // last, 16 + rows * 210 // last
    blue = 40 + (columns * 4 // side + rows * 4 // side) % 2 * 160
    disc = (columns - side // 3) ** 2 + (rows - 3 * side // 5) ** 2 < (side // 5) ** 2
    channels = np.stack([np.where(disc, 230, red), np.where(disc, 60, green), np.where(disc, 140, blue)])
    return channels.astype(np.uint8)


def difference(found: EmbeddingRecord, recorded: EmbeddingRecord) -> float:
    """Return the largest difference of two records as a share of the recorded root mean square.

    Infinite when they are of images of another size: these cannot be compared.
    """
    if found.side != recorded.side or len(found.values) != len(recorded.values):
        return float("inf")
    pairs = zip(
        (*found.values, found.root_mean_square), (*recorded.values, recorded.root_mean_square), strict=True
    )
    largest = max(abs(now - then) for now, then in pairs)
    return largest / recorded.root_mean_square if recorded.root_mean_square else largest


def _record_of(
    name: str, found: EmbeddingRecord, weights_folder: Path | None
) -> tuple[EmbeddingRecord | None, str]:
    """Return the record of these weights under this name, and where it is."""
    own = {} if weights_folder is None else own_records(weights_folder)
    place = "" if weights_folder is None else str(weights_folder / OWN_RECORDS)
    for records, where in ((packaged_records(), "the package"), (own, place)):
        record = records.get(name)
        if record is not None and (record.weights, record.image) == (found.weights, found.image):
            return record, where
    return None, ""


def _shown(record: EmbeddingRecord) -> str:
    return f"{[float(f'{value:.4g}') for value in record.values]} at {record.side} pixels"
