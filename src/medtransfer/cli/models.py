"""``medtransfer models``: list, show and check source models."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from medtransfer.cli.json_output import fact_line, print_json
from medtransfer.cli.options import json_option, weights_option


@click.group()
def models() -> None:
    """Source models: list, show, check their weights."""


@models.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """List the catalogue; timm/<name>, torchvision/<name> and file:<path>?arch=<name> work without an entry."""
    from medtransfer.models.catalogue import catalogue

    entries = list(catalogue)
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        data = ", ".join(entry.pretraining.data) or "-"
        click.echo(f"{entry.name:<{width}}  {entry.pretraining.objective:<12}  {data}")
    click.echo(
        "\nAlso: timm/<name>, torchvision/<name>, file:<path>?arch=<architecture>, <architecture>.random"
    )


@models.command("show")
@click.argument("name")
@json_option
def show_model(name: str, as_json: bool) -> None:
    """Show the record of NAME."""
    from medtransfer.models.catalogue import resolve_model

    record = asdict(resolve_model(name))
    if as_json:
        print_json(record)
        return
    for key, value in record.items():
        click.echo(fact_line(key, value))


@models.command("check")
@click.argument("name")
@weights_option
@json_option
def check_model_command(name: str, weights: Path | None, as_json: bool) -> int:
    """Load the weights of NAME and account for every parameter."""
    from medtransfer.models.check import check_model

    checked = check_model(name, weights)
    found = checked.as_json()
    if as_json:
        print_json(found)
    else:
        for key, value in found.items():
            if key != "problems":
                click.echo(fact_line(key, value))
        for problem in checked.problems:
            click.echo(problem.sentence(), err=True)
    return 0 if checked.ok else 3
