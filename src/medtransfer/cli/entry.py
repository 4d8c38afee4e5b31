"""The entry point: a group whose commands are imported only when they are called."""

from __future__ import annotations

import errno
import importlib
import sys

import click

from medtransfer import __version__
from medtransfer.core.errors import MedtransferError

_COMMANDS = {
    "demo": (
        "medtransfer.cli.demo:demo",
        "The whole thing on generated phantoms: no download, a few minutes.",
    ),
    "run": ("medtransfer.cli.run:run", "Run a study: every trial that is not done yet, then the report."),
    "status": ("medtransfer.cli.status:status", "What is done, running, pending and failed, and why."),
    "report": ("medtransfer.cli.report:report", "Write the report of a study that is in a store."),
    "models": ("medtransfer.cli.models:models", "Source models: list, show, check their weights."),
    "tasks": ("medtransfer.cli.tasks:tasks", "Target tasks: list, show, check a data folder."),
}


class LazyGroup(click.Group):
    """Knows its commands by name and one-line help; imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order of a first use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None when there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list from the table, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="medtransfer")
def cli() -> None:
    r"""Benchmark transfer learning for medical images.

    Which pretrained model should I start from, how should I transfer it, and how sure can I be?
    Start with 'medtransfer demo', then write a study file and 'medtransfer run STUDY.yaml'.

    \b
    Exit codes: 0 done, 1 some trials failed, 2 wrong use, 3 bad data or weights.
    Environment: MEDTRANSFER_DATA, MEDTRANSFER_WEIGHTS, MEDTRANSFER_CACHE and MEDTRANSFER_STORE
    stand in for the options of the same names.
    """


def main() -> None:
    """Run the command line; known errors become one message and their exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Interrupted: finished trials are kept; run the same command again to go on.", err=True)
        sys.exit(130)
    except MedtransferError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        click.echo(
            f"Error: {error.filename or 'output'}: {error.strerror}. Free some space and run again.", err=True
        )
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
