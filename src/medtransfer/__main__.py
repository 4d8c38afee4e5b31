"""``python -m medtransfer`` is the command line."""

from medtransfer.cli.entry import main

main()
