"""What the commands on source models print: for people as lines, for programs as one JSON object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from medtransfer.cli.json_output import fact_line
from medtransfer.models.acquisition import adapter_rules, how_to_get
from medtransfer.models.catalogue_query import model_overlap, overlaps_by_status
from medtransfer.models.source_model import SourceModel
from medtransfer.training.device_choice import require_device

if TYPE_CHECKING:
    from pathlib import Path

    from medtransfer.models.check import ModelCheck
    from medtransfer.models.input_check import InputCheck


def model_facts(model: SourceModel, tasks: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the record of a model with its adapter, how to get its weights, and its overlap with tasks.

    Args:
        model: Source model.
        tasks: Task name to the collections of its images.
    """
    overlaps = {name: model_overlap(model, image_sets) for name, image_sets in tasks.items()}
    return {
        **asdict(model),
        "adapter": adapter_rules(model.weights),
        "how_to_get": list(how_to_get(model)),
        "overlap": {name: asdict(found) for name, found in overlaps.items()},
    }


def network_facts(model: SourceModel, weights: Path | None, device: str) -> dict[str, Any]:
    """Return what a model costs and gives, after it was built.

    Args:
        model: Source model.
        weights: Weights folder; None builds the network with random numbers, which changes no figure.
        device: Where images per second are measured.

    Raises:
        WeightsError: If the weights cannot be used.
        UsageError: If there is no such device.
    """
    require_device(device)
    from medtransfer.models.complexity import measure_complexity, measure_throughput
    from medtransfer.models.hub_weights import contract_of
    from medtransfer.models.layer_groups import layer_groups
    from medtransfer.models.network import build_encoder

    twin = replace(model, weights=None, input=contract_of(model), input_from_library=False)
    encoder = build_encoder(twin if weights is None else model, weights_folder=weights, seed=0)
    groups = layer_groups(encoder)
    return {
        "weights": "loaded" if weights is not None and not model.is_random else "random",
        **asdict(measure_complexity(encoder)),
        "pyramid_channels": list(encoder.pyramid_channels),
        "layer_groups": [{"name": group.name, "parameters": group.size} for group in groups],
        "device": device,
        "images_per_s": round(measure_throughput(encoder, device), 2),
    }


def print_facts(model: SourceModel, facts: Mapping[str, Any], tasks: Mapping[str, Sequence[str]]) -> None:
    """Print the facts of a model for people."""
    for key, value in facts.items():
        if key == "how_to_get":
            click.echo("\n".join([f"{key}:", *(f"  {step}" for step in value)]))
        elif key == "overlap":
            _print_overlap(model, tasks)
        elif key == "network":
            click.echo("\n".join([f"{key}:", *(f"  {line}" for line in _network_lines(value))]))
        else:
            click.echo(fact_line(key, value))


def print_check(checked: ModelCheck) -> None:
    """Print the account of a load for people."""
    found = checked.as_json()
    for key, value in found.items():
        if key == "table":
            _print_audit(checked)
        elif key != "problems":
            click.echo(fact_line(key, _shortened(value)))
    for problem in checked.problems:
        click.echo(problem.sentence(), err=True)


def print_input(seen: InputCheck) -> None:
    """Print what a network sees of a folder of images."""
    from medtransfer.cli.display import output_console
    from medtransfer.reports.input_check_report import channel_table
    from medtransfer.reports.renderers.console import rich_table

    click.echo(f"images: {seen.images:,}")
    output_console().print(rich_table(channel_table(seen)))
    for remark in seen.remarks:
        click.echo(f"to look at: {remark.sentence()}")
    for problem in seen.problems:
        click.echo(problem.sentence(), err=True)


def _print_overlap(model: SourceModel, tasks: Mapping[str, Sequence[str]]) -> None:
    """Print the tasks of each status, with the reason where it is not that nothing is shared."""
    click.echo("overlap:")
    for status, found in overlaps_by_status(model, tasks).items():
        if status == "clean":
            click.echo(f"  {status}: {len(found)} of {len(tasks)} tasks")
            continue
        reasons: dict[str, list[str]] = {}
        for name, reason in found.items():
            reasons.setdefault(reason, []).append(name)
        for reason, names in reasons.items():
            click.echo(f"  {status}: {', '.join(names)} ({reason})")


def _network_lines(network: Mapping[str, Any]) -> list[str]:
    groups = network["layer_groups"]
    return [
        f"weights: {network['weights']}",
        f"parameters: {network['parameters']:,}",
        f"multiply-adds for one image: {network['multiply_adds']:,}",
        f"embedding size: {network['embedding_size']:,}",
        f"pyramid channels: {', '.join(map(str, network['pyramid_channels'])) or 'none'}",
        f"images per second on {network['device']}: {network['images_per_s']:g}",
        f"layer groups ({len(groups)}): "
        + ", ".join(f"{group['name']} ({group['parameters']:,})" for group in groups),
    ]


def _print_audit(checked: ModelCheck) -> None:
    click.echo("table:")
    for row in checked.table:
        click.echo(f"  {row.of:<8}{row.part:<11}{row.tensors:>6} tensors {row.share:>7.1%} of the numbers")


def _shortened(value: Any) -> Any:
    """Return a list of names with at most five of them: thousands of lines help nobody."""
    if isinstance(value, list | tuple) and len(value) > 5 and isinstance(value[0], str):
        return [*value[:5], f"and {len(value) - 5} more"]
    return value
