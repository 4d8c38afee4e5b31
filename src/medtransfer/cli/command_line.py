"""The command line: a group whose commands are imported only when they are called, and what errors become."""

from __future__ import annotations

import errno
import importlib
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from medtransfer import __version__
from medtransfer.cli.first_page import COMMANDS, first_page
from medtransfer.core.errors import MedtransferError, NotRegisteredError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PLACE = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
_INTERRUPTED = 130


class LazyGroup(click.Group):
    """Knows its commands by name and one-line help; imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order of a first use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
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
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from medtransfer.core.registry import unknown_name

            raise NotRegisteredError(unknown_name("command", args[0], COMMANDS, "medtransfer --help"))
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        """Return the first page, without importing any command."""
        return first_page()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="medtransfer")
def cli() -> None:
    """Benchmark transfer learning for medical images."""


def run_command_line() -> NoReturn:
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
