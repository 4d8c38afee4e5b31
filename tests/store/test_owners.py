"""A dead process of this machine is known to be dead; all others are left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from medtransfer.store.owners import dead_owners, this_owner

TELL = "from medtransfer.store.owners import this_owner; print(this_owner(), flush=True); input()"


def start() -> tuple[subprocess.Popen[str], str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", TELL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    return process, process.stdout.readline().strip()


def test_a_process_is_dead_as_soon_as_it_is_killed_and_a_stopped_one_is_not() -> None:
    process, owner = start()
    with process:
        assert dead_owners([owner, this_owner()]) == []
        process.send_signal(signal.SIGSTOP)
        assert dead_owners([owner]) == []
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert dead_owners([owner, this_owner()]) == [owner], "waiting to be reaped"
    assert dead_owners([owner]) == [owner], "reaped"


def test_a_new_process_with_an_old_number_is_not_the_owner() -> None:
    host, number, start_time = this_owner().rsplit(":", 2)
    assert number == str(os.getpid())
    earlier = f"{host}:{number}:{start_time}0"
    assert dead_owners([earlier]) == [earlier]


def test_processes_of_other_hosts_are_left_alone() -> None:
    _, number, start_time = this_owner().rsplit(":", 2)
    assert dead_owners([f"elsewhere:{number}:{start_time}0", "", "nonsense", "a:b:c"]) == []


def test_an_owner_keeps_its_name_and_holds_no_colon_in_its_host() -> None:
    assert this_owner() == this_owner()
    assert this_owner().count(":") >= 2
