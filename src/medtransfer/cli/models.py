"""``medtransfer models``: list, show, fetch, convert, verify and check source models."""

from __future__ import annotations

import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medtransfer.cli.error_problems import error_problem, with_next_step
from medtransfer.cli.json_output import fact_line, print_json
from medtransfer.cli.options import FOLDER, json_option, weights_option
from medtransfer.core.errors import DataError, MedtransferError, UsageError, WeightsError

if TYPE_CHECKING:
    from medtransfer.models.check import ModelCheck
    from medtransfer.models.input_check import InputCheck

FILE = click.Path(path_type=Path, dir_okay=False)
_SHOW = "See 'medtransfer models show {}'."


@click.group()
def models() -> None:
    """Source models: list, show, fetch, convert, verify and check them."""


@models.command("list")
@click.option("--architecture", default="", help="Text in the name of the network; * stands for anything.")
@click.option("--method", default="", help="Text in the objective, such as supervised or simclr.")
@click.option("--data", default="", help="Text in the name of a collection it was trained on.")
@click.option("--licence", default="", help="Text in the licence.")
@click.option("--study", type=click.Choice(["A", "B", "C"], case_sensitive=False), help="Used by that study.")
@click.option("--overlap", "task", metavar="TASK", help="Show what each has seen of a task's images.")
@click.option(
    "--status",
    type=click.Choice(["clean", "same", "source", "unknown"]),
    help="Only those with this overlap; needs --overlap.",
)
@json_option
def list_models(
    architecture: str,
    method: str,
    data: str,
    licence: str,
    study: str | None,
    task: str | None,
    status: Any,
    as_json: bool,
) -> None:
    """List the catalogue; models of timm, torchvision, the hub and files work without an entry."""
    from medtransfer.models.catalogue import catalogue
    from medtransfer.models.catalogue_query import CatalogueQuery

    if status is not None and task is None:
        raise UsageError("models list: expected --overlap TASK with --status, got none.")
    image_sets = () if task is None else _image_sets(task)
    query = CatalogueQuery(architecture, method, data, licence, study or "", tuple(image_sets), status)
    entries = [entry for entry in catalogue if query.admits(entry)]
    if as_json:
        seen = [{} if task is None else {"overlap": asdict(query.overlap(entry))} for entry in entries]
        print_json([{**asdict(entry), **found} for entry, found in zip(entries, seen, strict=True)])
        return
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        if task is None:
            facts = f"{entry.pretraining.objective:<12}  {', '.join(entry.pretraining.data) or '-'}"
        else:
            found = query.overlap(entry)
            facts = f"{found.status:<8}  {found.reason}"
        click.echo(f"{entry.name:<{width}}  {facts}")
    _print_what_else(len(entries), len(catalogue))


@models.command("show")
@click.argument("name")
@click.option(
    "--measure", is_flag=True, help="Build the network, with random numbers, and measure its size and speed."
)
@click.option(
    "--weights",
    type=FOLDER,
    help="Build the network with its weights below this folder and measure its size and speed.",
)
@click.option(
    "--device", default="cpu", show_default=True, help="Where images per second are measured, such as cuda."
)
@json_option
def show_model(name: str, measure: bool, weights: Path | None, device: str, as_json: bool) -> None:
    """Show the record of NAME, how to get its weights, and what it has seen of each registered task."""
    from medtransfer.cli.model_facts import model_facts, network_facts, print_facts
    from medtransfer.models.catalogue import resolve_model
    from medtransfer.tasks.registry import target_tasks

    model = resolve_model(name)
    tasks = {task.name: task.image_sets for task in target_tasks}
    facts = model_facts(model, tasks)
    if measure or weights is not None:
        facts["network"] = network_facts(model, weights, device)
    if as_json:
        print_json(facts)
    else:
        print_facts(model, facts, tasks)


@models.command("fetch")
@click.argument("name")
@weights_option
@json_option
def fetch_model(name: str, weights: Path | None, as_json: bool) -> int:
    """Download the weights of NAME into the weights folder, or those of a library into its cache."""
    from medtransfer.cli.model_files import fetched
    from medtransfer.models.catalogue import resolve_model

    model = resolve_model(name)
    try:
        file = fetched(model, weights)
    except WeightsError as error:
        return _refused(name, error, as_json=as_json)
    if as_json:
        print_json(file)
        return 0
    for key, value in file.items():
        click.echo(fact_line(key, value))
    if model.weights is not None and model.weights.converter is not None:
        click.echo(f"Convert it:  {_command('convert', name, file['file'], '--weights', weights)}")
    return 0


@models.command("convert")
@click.argument("name")
@click.argument("file", type=FILE)
@weights_option
@json_option
def convert_model(name: str, file: Path, weights: Path | None, as_json: bool) -> int:
    """Make safetensors for NAME of FILE, a pickle or another foreign file, in a process of its own.

    That process has no network and limited memory, and admits arrays only. Do it once.
    """
    from medtransfer.cli.model_files import convert_into

    try:
        report = convert_into(name, file, weights)
    except WeightsError as error:
        return _refused(name, error, as_json=as_json)
    if as_json:
        print_json(report)
        return 0
    for key, value in report.items():
        click.echo(fact_line(key, value))
    click.echo(f"Check it:  {_command('check', name, '--weights', weights)}")
    return 0


@models.command("verify")
@click.argument("name")
@click.option("--write", is_flag=True, help="Record the embedding below the weights folder if nobody did.")
@weights_option
@json_option
def verify_model_command(name: str, write: bool, weights: Path | None, as_json: bool) -> int:
    """Compare what NAME makes of a generated image with what was recorded when it was first verified."""
    from medtransfer.models.catalogue import resolve_model
    from medtransfer.models.self_test import verify_model

    model = resolve_model(name)
    try:
        tested = verify_model(model, weights, write=write)
    except WeightsError as error:
        return _refused(name, error, as_json=as_json)
    found = tested.as_json()
    if as_json:
        print_json(found)
    else:
        for key, value in found.items():
            if key != "problems":
                click.echo(fact_line(key, value))
        for problem in tested.problems():
            click.echo(problem.sentence(), err=True)
        if tested.status == "not-recorded":
            click.echo(f"Record it:  {_command('verify', name, '--write')}")
    return 0 if tested.ok else 3


@models.command("check")
@click.argument("name")
@click.option("--images", type=FOLDER, help="Show what the network sees of the images below this folder.")
@click.option("--html", type=FILE, help="Write a page with pictures; needs --images.")
@weights_option
@json_option
def check_model_command(
    name: str, images: Path | None, html: Path | None, weights: Path | None, as_json: bool
) -> int:
    """Load the weights of NAME and account for every parameter; look at what it sees of images."""
    from medtransfer.cli.model_facts import print_check, print_input
    from medtransfer.models.check import check_model

    if html is not None and images is None:
        raise UsageError("models check: expected --images DIR with --html, got none.")
    checked = check_model(name, weights)
    told = tuple(with_next_step(problem, _SHOW.format(shlex.quote(name))) for problem in checked.problems)
    checked = replace(checked, problems=told)
    try:
        seen = None if images is None else _seen(name, checked, weights, images)
    except DataError as error:
        if not as_json:
            raise
        print_json(_without_images(checked, error))
        return error.exit_code
    if seen is not None and html is not None:
        _write_page(html, seen)
    if as_json:
        print_json(_check_document(checked, seen, html))
    else:
        print_check(checked)
        if seen is not None:
            print_input(seen)
        if html is not None:
            click.echo(f"Page: {html}")
    return 0 if checked.ok and (seen is None or not seen.problems) else 3


def _refused(name: str, error: MedtransferError, *, as_json: bool) -> int:
    """Print why a command on weights came to nothing, as its one JSON document.

    Raises:
        MedtransferError: The error itself, where no JSON is asked for.
    """
    if not as_json:
        raise error
    next_step = _SHOW.format(shlex.quote(name))
    problem = error_problem("unusable-weights", name, "weights that can be used", error, next_step)
    print_json({"name": name, "ok": False, "problems": [problem.as_json()]})
    return error.exit_code


def _without_images(checked: ModelCheck, error: DataError) -> dict[str, Any]:
    """Return the JSON object of a check whose images could not be looked at."""
    problem = error_problem(
        "unusable-images", "--images", "images that can be read", error, "Check --images."
    )
    found = replace(checked, problems=(*checked.problems, problem)).as_json()
    return {**found, "page": None, "images": None}


def _command(*words: object) -> str:
    """Return a command on models as a shell takes it."""
    return shlex.join(["medtransfer", "models", *map(str, words)])


def _image_sets(task: str) -> tuple[str, ...]:
    from medtransfer.tasks.registry import target_tasks

    return target_tasks.get(task).image_sets


def _print_what_else(shown: int, known: int) -> None:
    if shown < known:
        click.echo(f"\n{shown} of {known}")
    click.echo(
        "\nAlso: timm/<name>, torchvision/<name>, hf-hub:<owner>/<repository>?arch=<architecture>, "
        "open_clip/<owner>/<repository>?arch=<architecture>, file:<path>?arch=<architecture>, "
        "<architecture>.random"
    )


def _seen(name: str, checked: ModelCheck, weights: Path | None, images: Path) -> InputCheck:
    """Return what the network sees, compared with its own statistics where its weights can be used."""
    from medtransfer.cli.display import Display
    from medtransfer.cli.image_folder import read_folder
    from medtransfer.models.catalogue import resolve_model
    from medtransfer.models.hub_weights import contract_of
    from medtransfer.models.input_check import check_input
    from medtransfer.models.network import build_encoder
    from medtransfer.models.statistics_fit import statistics_fit

    model = resolve_model(name)
    contract = contract_of(model)
    with Display() as display:
        found, unreadable = read_folder(images, contract.size, display.step)
    fit = None
    if checked.embedding_size is not None and not model.is_random:
        encoder = build_encoder(model, weights_folder=weights, seed=0)
        fit = statistics_fit(encoder, [image.pixels for image in found])
    return check_input(name, contract, found, fit=fit, unreadable=unreadable)


def _write_page(path: Path, seen: InputCheck) -> None:
    from medtransfer.core.atomic import write_atomically
    from medtransfer.reports.input_check_report import input_check_document
    from medtransfer.reports.renderers.page import render_page

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, render_page(input_check_document(seen)))


def _check_document(checked: ModelCheck, seen: InputCheck | None, html: Path | None) -> dict[str, Any]:
    found = checked.as_json()
    if seen is None:
        return found
    return {
        **found,
        "ok": found["ok"] and not seen.problems,
        "page": None if html is None else str(html),
        "images": seen.as_json(),
    }
