"""The study file: what YAML may say, parsed strictly, with all faults of a file in one message."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medtransfer.core.errors import UsageError

Entry = str | dict[str, Any]
"""A name, or a name with what is said about it: ``{name: {key: value}}``."""

Fraction = Annotated[float, Field(gt=0, le=1, strict=False)]
_MAX_BYTES = 1 << 20


class BlockFile(BaseModel):
    """A block: every task with every model under every protocol; what it leaves out is taken from the study."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    tasks: list[Entry] | None = None
    models: list[Entry] | None = None
    protocols: list[Entry] | None = None
    label_fractions: list[Fraction] | None = Field(None, min_length=1)
    seeds: int | None = Field(None, ge=1, le=1000)


class StudyFile(BlockFile):
    """A whole study file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    accept: dict[str, list[str]] = Field(default_factory=dict)
    blocks: list[BlockFile] | None = Field(None, min_length=1)


def read_yaml(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a study file's text and its mapping.

    Raises:
        UsageError: If the file is missing, too large, not YAML, not a mapping or has a key twice.
    """
    if not path.is_file():
        raise UsageError(f"study file: expected a file at {path}, got none. Check the path.")
    if path.stat().st_size > _MAX_BYTES:
        raise UsageError(f"study file {path}: expected at most 1 MiB, got {path.stat().st_size} bytes.")
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader that also refuses repeated keys
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"study file {path}: expected YAML, got: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"study file {path}: expected a mapping with 'name', 'tasks', ..., got {content!r:.80}."
        )
    return text, content


def structure_faults(content: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with keys, types and ranges, one sentence each."""
    try:
        StudyFile.model_validate(content)
    except ValidationError as error:
        return [_sentence(fault) for fault in error.errors(include_url=False)]
    return []


def entry_name(entry: Any) -> str | None:
    """Return the name of an entry, or None when it has no valid form."""
    if isinstance(entry, str):
        return entry
    if isinstance(entry, dict) and len(entry) == 1:
        name = next(iter(entry))
        return name if isinstance(name, str) else None
    return None


def entry_options(entry: Entry) -> dict[str, Any] | None:
    """Return what an entry says beside its name; None when it is only a name."""
    if isinstance(entry, str):
        return None
    options = next(iter(entry.values()))
    return {} if options is None else options


def entries(content: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    """Return all entries of a key, in the study and its blocks, each with its place in the file.

    Works on faulty files too, so that every fault can be reported at once.
    """
    parts: list[tuple[str, Any]] = [(key, content.get(key))]
    blocks = content.get("blocks")
    if isinstance(blocks, list):
        parts += [
            (f"blocks.{n}.{key}", block.get(key)) for n, block in enumerate(blocks) if isinstance(block, dict)
        ]
    return [
        (f"{place}.{number}", entry)
        for place, value in parts
        if isinstance(value, list)
        for number, entry in enumerate(value)
    ]


def _sentence(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"] if not str(part).startswith(("function-", "dict[")))
    if fault["type"] == "extra_forbidden":
        known = StudyFile.model_fields if len(fault["loc"]) == 1 else BlockFile.model_fields
        return f"{place}: expected one of {sorted(known)!r}, got an unknown key."
    return f"{place}: {fault['msg']}, got {fault['input']!r:.80}."


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a mapping with a repeated key instead of keeping the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)
