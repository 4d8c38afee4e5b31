"""A PostgreSQL server of our own for the length of the tests, where one is installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

REQUIRED = "MEDTRANSFER_REQUIRE_POSTGRES"


def missing(reason: str) -> None:
    """Skip, or fail where the server is required."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"PostgreSQL: expected a server for the tests because {REQUIRED}=1, got none: {reason}.")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Return the address of an empty database on a server that only this machine reaches."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if importlib.util.find_spec("psycopg") is None:
        missing("the package psycopg is not installed")
    if not programs:
        missing("PostgreSQL is not installed under /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="medtransfer-postgres-", dir="/tmp"))
    try:
        yield from _serve(programs[-1].parent, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(programs: Path, folder: Path) -> Iterator[str]:
    account = _account(folder)
    data = folder / "data"
    initialise = [programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(initialise, check=True, cwd=folder, stdout=subprocess.DEVNULL, **account)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [f"-p{port}", f"-k{folder}", "-clisten_addresses=127.0.0.1", "-cfsync=off"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options], cwd=folder, stdout=log, stderr=log, **account
        )
    try:
        _await_server(server, port, folder / "server.log")
        yield f"postgresql://tester@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()  # refuses new sessions; ours are closed by then
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _account(folder: Path) -> dict[str, object]:
    """Return under whom to run: the server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, "postgres", "postgres")
    return {
        "user": "postgres",
        "group": "postgres",
        "extra_groups": [],
        "env": {"HOME": str(folder), "LC_ALL": "C"},
    }


def _await_server(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import psycopg

    until = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user=tester dbname=postgres").close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > until:
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")
            time.sleep(0.05)
        else:
            return
