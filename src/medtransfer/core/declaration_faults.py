"""What is wrong with a declaration, as sentences: one form for every key a user can write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from medtransfer.core.registry import nearest_names

Place = Sequence[int | str]


def declaration_faults(error: ValidationError, keys: Callable[[Place], Iterable[str]]) -> list[str]:
    """Return one sentence per fault of a declaration, in the order of the keys.

    Args:
        error: What pydantic found.
        keys: From the place of a mapping to the keys it may have.

    Example:
        >>> from pydantic import BaseModel, ConfigDict
        >>> class Settings(BaseModel):
        ...     model_config = ConfigDict(extra="forbid")
        ...     epochs: int
        >>> try:
        ...     Settings.model_validate({"epoch": 3})
        ... except ValidationError as error:
        ...     declaration_faults(error, lambda place: Settings.model_fields)
        ['epochs: expected a value, got none.', "epoch: expected a known key. Did you mean 'epochs'?"]
    """
    return [_sentence(fault, keys) for fault in error.errors(include_url=False)]


def _sentence(fault: Any, keys: Callable[[Place], Iterable[str]]) -> str:
    path = [part for part in fault["loc"] if not str(part).startswith("function-")]
    place = ".".join(map(str, path))
    match fault["type"]:
        case "value_error":  # of the whole declaration, it names the keys it is about itself
            return _ended(f"{place}: {fault['ctx']['error']}" if place else str(fault["ctx"]["error"]))
        case "missing":
            return f"{place}: expected a value, got none."
        case "extra_forbidden":
            return f"{place}: expected a known key. {_advice(str(path[-1]), sorted(keys(path[:-1])))}"
    message = str(fault["msg"]).removeprefix("Input should be ")
    advice = " Put it in quotes." if fault["type"] == "string_type" and _is_plain(fault["input"]) else ""
    return f"{place}: expected {message[:1].lower()}{message[1:]}, got {fault['input']!r:.80}.{advice}"


def _is_plain(value: object) -> bool:
    """Return whether YAML read a word as something else: yes, no, on, off, or a number."""
    return isinstance(value, bool | int | float)


def _ended(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def _advice(key: str, known: Sequence[str]) -> str:
    near = nearest_names(key, known, most=2)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    return f"Known are {', '.join(known)}."
