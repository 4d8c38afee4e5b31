"""What ``--json`` prints: exactly one JSON document on standard output."""

from __future__ import annotations

import json
from typing import Any

import click


def print_json(document: Any) -> None:
    """Print a JSON document on one line; text outside ASCII is escaped, so no terminal can garble it.

    Raises:
        ValueError: If a number is NaN or infinite, for which JSON has no form.
    """
    click.echo(json.dumps(document, allow_nan=False))


def fact_line(name: str, value: Any) -> str:
    """Return a fact for people: text as it is, everything else as JSON.

    Example:
        >>> fact_line("name", "resnet20"), fact_line("size", 32)
        ('name: resnet20', 'size: 32')
    """
    return f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
