"""Recorded embeddings of the generated image: those of the package, and the user's own beside the weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import WeightsError

OWN_RECORDS: Final = "embedding-values.json"
"""File below the weights folder that holds the records of a user's own files."""
PACKAGED_RECORDS: Final = "embedding_values.json"
COUNT: Final = 8
"""Values of the embedding that are recorded."""


class EmbeddingRecord(BaseModel):
    """What a network made of the generated image."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str = Field(min_length=1)
    """What identifies the weights: the SHA-256 of the file, or ``hub:<identifier>``."""
    image: int = Field(ge=1)
    """Version of the generated image."""
    side: int = Field(ge=1)
    """Its side in pixels."""
    values: Annotated[tuple[FiniteFloat, ...], Field(min_length=1, max_length=COUNT)]
    """The first values of the embedding."""
    root_mean_square: FiniteFloat = Field(ge=0)
    """Root mean square of the whole embedding, the scale on which values are compared."""


_Records = TypeAdapter(dict[str, EmbeddingRecord])


@cache
def packaged_records() -> Mapping[str, EmbeddingRecord]:
    """Return the records that come with the package, by source model."""
    text = resources.files("medtransfer.models").joinpath(PACKAGED_RECORDS).read_bytes()
    return _Records.validate_json(text)


def own_records(weights_folder: Path) -> dict[str, EmbeddingRecord]:
    """Return the records below a weights folder, by source model; empty when there are none.

    Raises:
        WeightsError: If the file is damaged.
    """
    path = weights_folder / OWN_RECORDS
    try:
        return _Records.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the file"
        raise WeightsError(
            f"{path}: expected recorded embeddings, got at {where}: {fault['msg']}. "
            "Remove the file and record anew."
        ) from error


def write_own_record(weights_folder: Path, name: str, record: EmbeddingRecord) -> None:
    """Add a record to those below a weights folder, in place of one of the same name.

    Raises:
        WeightsError: If the file that is there is damaged.
    """
    weights_folder.mkdir(parents=True, exist_ok=True)
    with FileLock(weights_folder / f".{OWN_RECORDS}.lock"):
        write_atomically(
            weights_folder / OWN_RECORDS, records_text({**own_records(weights_folder), name: record})
        )


def records_text(records: Mapping[str, EmbeddingRecord]) -> str:
    """Return records as the text of their file, sorted by name."""
    return _Records.dump_json(dict(sorted(records.items())), indent=1).decode() + "\n"
