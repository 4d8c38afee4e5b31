"""The study file: what YAML may say, parsed strictly, with all faults of a file in one message."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, ValidationInfo

from medtransfer.core.declaration_faults import declaration_faults
from medtransfer.core.errors import UsageError
from medtransfer.core.registry import unknown_name
from medtransfer.data.label_fractions import LabelOrder
from medtransfer.data.problem_codes import PROBLEM_CODES
from medtransfer.models.source_model import SourceModel
from medtransfer.protocols.transfer_protocol import TransferProtocol
from medtransfer.study.entries import Declarations, TaskEntry, named, protocol

_MAX_BYTES = 1 << 20
_PARTS = ("tasks", "models", "protocols")


def _task(entry: object, info: ValidationInfo) -> TaskEntry:
    return _declarations(info).task(entry)


def _model(entry: object, info: ValidationInfo) -> SourceModel:
    return _declarations(info).model(entry)


def _declarations(info: ValidationInfo) -> Declarations:
    return info.context if isinstance(info.context, Declarations) else Declarations()


def _known_code(code: object) -> str:
    if not isinstance(code, str) or code not in PROBLEM_CODES:
        raise UsageError(unknown_name("problem", str(code), PROBLEM_CODES, "medtransfer tasks check"))
    return code


class BlockFile(BaseModel):
    """A block: every task with every model under every protocol; what it leaves out is taken from the study."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    tasks: list[Annotated[TaskEntry, PlainValidator(_task)]] | None = None
    models: list[Annotated[SourceModel, PlainValidator(_model)]] | None = None
    protocols: list[Annotated[TransferProtocol, PlainValidator(protocol)]] | None = None
    label_fractions: list[Annotated[float, Field(gt=0, le=1)]] | None = Field(None, min_length=1)
    seeds: int | None = Field(None, ge=1, le=1000)


class StudyFile(BlockFile):
    """A whole study file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    label_order: LabelOrder = "patients"
    accept: dict[str, list[Annotated[str, PlainValidator(_known_code)]]] = Field(default_factory=dict)
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
    except UnicodeDecodeError as error:
        raise UsageError(f"study file {path}: expected YAML, got: {error}") from error
    return text, parse_yaml(text, f"study file {path}")


def parse_yaml(text: str, origin: str) -> dict[str, Any]:
    r"""Return the mapping that the text of a study file holds.

    Args:
        text: YAML.
        origin: What the text comes from, for the message, such as ``study file a.yaml``.

    Raises:
        UsageError: If the text is not YAML, not a mapping or has a key twice.

    Example:
        >>> parse_yaml("seeds: 3\nrate: 1e-4", "study file a.yaml")
        {'seeds': 3, 'rate': 0.0001}
    """
    try:
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader that also refuses repeated keys
    except RecursionError as error:
        raise UsageError(f"{origin}: expected YAML of a few levels, got far too many.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{origin}: expected YAML, got: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{origin}: expected a mapping with 'name', 'tasks', ..., got {content!r:.80}.")
    return content


def dump_yaml(content: Mapping[str, Any]) -> str:
    """Return a mapping as the text of a study file, which :func:`parse_yaml` reads as the same mapping."""
    return yaml.dump(dict(content), Dumper=_StudyDumper, sort_keys=False)


def parse_study(content: Mapping[str, Any], folder: Path, origin: str) -> StudyFile:
    """Return the parsed study, every name in it resolved.

    Args:
        content: Mapping of the study file.
        folder: Where weights files named relative to the study lie.
        origin: What the content comes from, for the message, such as ``study file a.yaml``.

    Raises:
        UsageError: If anything is wrong; the message lists every fault.
    """
    declarations = Declarations(folder, dict(_declared(content, "tasks")), dict(_declared(content, "models")))
    faults = [*_missing_parts(content), *_unknown_accepts(content), *_declared_twice(content)]
    parsed = None
    try:
        parsed = StudyFile.model_validate(content, context=declarations)
    except ValidationError as error:
        faults = [*declaration_faults(error, _known_keys), *faults]
    if parsed is None or faults:
        listed = "\n".join(f"  - {fault}" for fault in faults)
        raise UsageError(f"{origin}: {len(faults)} fault{'s' * (len(faults) > 1)}:\n{listed}")
    return parsed


def _known_keys(place: Sequence[int | str]) -> Iterable[str]:
    return BlockFile.model_fields if place else StudyFile.model_fields


def _entries(content: Mapping[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield name and settings of every well-formed entry of a key, in the study and in its blocks."""
    blocks = content.get("blocks")
    parts = [content, *(blocks if isinstance(blocks, list) else [])]
    for part in parts:
        entries = part.get(key) if isinstance(part, dict) else None
        for entry in entries if isinstance(entries, list) else []:
            try:
                name, settings = named(entry, {})
            except UsageError:
                continue
            yield name, None if settings is None else dict(settings)


def _declared(content: Mapping[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, settings) for name, settings in _entries(content, key) if settings is not None)


def _declared_twice(content: Mapping[str, Any]) -> list[str]:
    faults = []
    for key in ("tasks", "models"):
        seen: dict[str, dict[str, Any]] = {}
        for name, settings in _declared(content, key):
            if seen.setdefault(name, settings) != settings:
                faults.append(f"{key}: expected one declaration of {name!r}, got two that differ.")
    return faults


def _missing_parts(content: Mapping[str, Any]) -> list[str]:
    blocks = content.get("blocks")
    parts = blocks if isinstance(blocks, list) and blocks else [content]
    return [
        f"{key}: expected at least one{f' in block {number}' if blocks else ''}, got none."
        for number, part in enumerate(parts)
        for key in _PARTS
        if isinstance(part, dict) and not part.get(key) and not content.get(key)
    ]


def _unknown_accepts(content: Mapping[str, Any]) -> list[str]:
    accept = content.get("accept")
    known = {name for name, _ in _entries(content, "tasks")}
    return [
        f"accept.{task}: expected a task of this study, one of {sorted(known)[:5]!r}."
        for task in (accept if isinstance(accept, dict) else {})
        if task not in known
    ]


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a mapping with a repeated key instead of keeping the last.

    It also takes ``1e-4`` for a number, which YAML 1.1 does only with a point and a sign.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, f"expected a key that is a word, found {key!r:.80}", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_finite_number(self, node: yaml.ScalarNode) -> float:
        value = super().construct_yaml_float(node)
        if not math.isfinite(value):
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"expected a finite number, found {node.value!r}; put a word in quotes",
                node.start_mark,
            )
        return value


_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:float", _UniqueKeyLoader.construct_finite_number)


class _StudyDumper(yaml.SafeDumper):
    """A safe dumper that puts a word in quotes where the loader would take it for a number."""


for _resolver in (_UniqueKeyLoader, _StudyDumper):
    _resolver.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )
