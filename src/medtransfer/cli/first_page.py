"""The first page of help and the commands it lists; imports nothing, so that it is there at once."""

COMMANDS = {
    "demo": (
        "medtransfer.cli.demo:demo",
        "The whole thing on generated phantoms: no download, a few minutes.",
    ),
    "run": ("medtransfer.cli.run:run", "Run a study: every trial that is not done yet, then the report."),
    "status": ("medtransfer.cli.status:status", "What is done, running, pending and failed, and why."),
    "report": ("medtransfer.cli.report:report", "Write the report of a study that is in a store."),
    "import": (
        "medtransfer.cli.import_results:import_results",
        "Published tables and logs of others into the store.",
    ),
    "published": (
        "medtransfer.cli.published:published",
        "What other studies published, read again.",
    ),
    "compare": (
        "medtransfer.cli.compare:compare",
        "Compare two models of a store: better, equivalent or undecided.",
    ),
    "models": ("medtransfer.cli.models:models", "Source models: list, show, fetch, convert, verify, check."),
    "tasks": (
        "medtransfer.cli.tasks:tasks",
        "Target tasks: list, show, check a data folder, write a sample.",
    ),
}
"""Name to where the command is and what it does, in the order of a first use."""

_PAGE = """\
Usage: medtransfer [OPTIONS] COMMAND [ARGS]...

  Benchmark transfer learning for medical images.

  Which pretrained model should I start from, how should I transfer it, and how
  sure can I be? Start with 'medtransfer demo', then write a study file and
  'medtransfer run STUDY.yaml'.

Commands:
{commands}

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit. Every command has its own.

Exit codes: 0 done, 1 some trials failed, 2 wrong use, 3 bad data or weights.

MEDTRANSFER_DATA, MEDTRANSFER_WEIGHTS, MEDTRANSFER_CACHE and MEDTRANSFER_STORE
stand in for the options of the same names."""


def first_page() -> str:
    """Return what ``medtransfer --help`` prints."""
    return _PAGE.format(commands="\n".join(f"  {name:11}{text}" for name, (_, text) in COMMANDS.items()))
