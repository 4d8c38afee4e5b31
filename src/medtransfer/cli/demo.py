"""``medtransfer demo``: pretraining, study and report on generated phantoms."""

from __future__ import annotations

from pathlib import Path

import click

from medtransfer.cli.options import FOLDER, default_workers


@click.command()
@click.option(
    "--out",
    type=FOLDER,
    default=Path("medtransfer-demo"),
    show_default=True,
    help="Folder of everything it makes: weights, records and report.",
)
@click.option("--workers", type=click.IntRange(0), help="Worker processes  [default: one per core]")
def demo(out: Path, workers: int | None) -> int:
    """Run the whole thing on generated phantoms: no download, a few minutes on two cores.

    Draws phantom photographs and chests, pretrains a small network on the photographs, goes on from
    there to the chests, and compares both with random weights on a multi-label, a binary and a
    segmentation task, with fine-tuning and with a frozen encoder. Run again, it shows what is there.
    """
    from medtransfer.cli.display import Display
    from medtransfer.cli.run import run_and_report
    from medtransfer.study.demo import prepare_demo

    click.echo("Phantoms only: these results say nothing about patients.", err=True)
    with Display() as display:
        processes = default_workers() if workers is None else workers
        study, request = prepare_demo(out, workers=processes, progress=display.step)
    return run_and_report(study, request)
