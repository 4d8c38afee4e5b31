"""The entry point: a group whose commands are imported only when they are called."""

from __future__ import annotations

import errno
import importlib
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from medtransfer import __version__
from medtransfer.core.errors import MedtransferError, NotRegisteredError

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

_HELP = """Benchmark transfer learning for medical images.

Which pretrained model should I start from, how should I transfer it, and how sure can I be?
Start with 'medtransfer demo', then write a study file and 'medtransfer run STUDY.yaml'.

\b
Exit codes: 0 done, 1 some trials failed, 2 wrong use, 3 bad data or weights.
Environment: MEDTRANSFER_DATA, MEDTRANSFER_WEIGHTS, MEDTRANSFER_CACHE and MEDTRANSFER_STORE
stand in for the options of the same names.
"""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PLACE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
_INTERRUPTED = 130


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line.

        Raises:
            NotRegisteredError: If there is none of that name; the message suggests near names.
        """
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            from medtransfer.core.registry import unknown_name

            raise NotRegisteredError(unknown_name("command", args[0], _COMMANDS, "medtransfer --help"))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list from the table, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="medtransfer")
def cli() -> None:
    """Benchmark transfer learning for medical images."""


def main() -> NoReturn:
    """Run the command line; known errors become one message and their exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Interrupted: finished trials are kept; run the same command again to go on.", err=True)
        sys.exit(_INTERRUPTED)
    except MedtransferError as error:
        _refuse(str(error), error.exit_code)
    except OSError as error:
        if error.errno not in _NO_SPACE | _NO_PLACE:
            raise
        _refuse(_place_fault(error), MedtransferError.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (the interface)
    """End like Ctrl-C when a scheduler asks: workers are stopped and trials given back."""
    raise KeyboardInterrupt


def _refuse(message: str, exit_code: int) -> NoReturn:
    from medtransfer.reports.printable import printable

    lines = [printable(line) for line in f"Error: {message}".splitlines()]
    click.echo("\n".join(lines), err=True)
    sys.exit(exit_code)


def _place_fault(error: OSError) -> str:
    place, found = error.filename or "output", error.strerror
    if error.errno in _NO_SPACE:
        return (
            f"{place}: expected room to write, got {found!r}. Free some space and run the same command again; "
            "finished trials are kept."
        )
    return (
        f"{place}: expected a place that can be read and written, got {found!r}. "
        "Check the path and its permissions."
    )


if __name__ == "__main__":
    main()
