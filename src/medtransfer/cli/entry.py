"""The entry point: the first page of help at once, everything else through the command line."""

import sys

from medtransfer.cli.first_page import first_page


def main() -> None:
    """Run the command line and end the process with its exit code."""
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(first_page())
        sys.exit(0)
    from medtransfer.cli.command_line import run_command_line

    run_command_line()


if __name__ == "__main__":
    main()
