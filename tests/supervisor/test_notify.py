"""What systemd is told."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jobfleet.supervisor.notify import Notifier

from .running import DEADLINE_S, RunningFleet

NOOP = """
    from jobfleet import Job, handler

    @handler("noop")
    def noop(job: Job) -> dict:
        return {}
"""


WAITS = """
    import os, time
    from jobfleet import Job, handler

    @handler("wait")
    def wait(job: Job) -> dict:
        print("started in", os.getpid(), flush=True)
        while not os.path.exists("open"):
            time.sleep(0.01)
        return {}
"""


def listen(address: str) -> socket.socket:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind("\0" + address[1:] if address.startswith("@") else address)
    manager.settimeout(DEADLINE_S)
    return manager


@pytest.mark.parametrize("abstract", [False, True])
def test_start_and_end_of_a_fleet_are_told(
    run_fleet: Callable[..., RunningFleet], tmp_path: Path, abstract: bool
) -> None:
    address = f"@jobfleet-{tmp_path.name}-{id(tmp_path)}" if abstract else str(tmp_path / "n")
    with listen(address) as manager:
        fleet = run_fleet(NOOP, "--processes", "1", environ={"NOTIFY_SOCKET": address})
        assert manager.recv(4096).decode() == "READY=1\nSTATUS=running 1 job type in 1 worker process"
        assert fleet.stop() == 0
        last = ""
        while not last.startswith("STOPPING"):
            last = manager.recv(4096).decode()
        assert last == "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000\nSTATUS=draining: SIGTERM"


def test_reload_is_told_with_its_begin_and_its_end_whatever_becomes_of_it(
    run_fleet: Callable[..., RunningFleet], tmp_path: Path
) -> None:
    address = str(tmp_path / "n")

    def told(begin: str) -> str:
        while not (message := manager.recv(4096).decode()).startswith(begin):
            assert message
        return message

    with listen(address) as manager:
        fleet = run_fleet(NOOP, "--processes", "1", environ={"NOTIFY_SOCKET": address})
        told("READY=1")
        before_us = time.monotonic_ns() // 1000
        fleet.signal(signal.SIGHUP)
        lines = dict(line.split("=", 1) for line in told("RELOADING=1").splitlines())
        assert before_us <= int(lines["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        assert told("READY=1").startswith("READY=1\nSTATUS=reloaded; running")
        fleet.write("import absent_module_of_nobody\n")
        fleet.signal(signal.SIGHUP)
        told("RELOADING=1")
        assert "reload failed: pool default: " in told("READY=1")


def test_manager_reads_that_the_engine_is_down(run_fleet: Callable[..., RunningFleet], tmp_path: Path) -> None:
    address = str(tmp_path / "n")
    with listen(address) as manager:
        options = ("--processes", "1", "--engine", "camunda+http://127.0.0.1:1")
        run_fleet(NOOP, *options, environ={"NOTIFY_SOCKET": address})
        while (told := manager.recv(4096).decode()) != "STATUS=running; the engine is down":
            assert told


def test_watchdog_of_the_manager_is_fed_while_workers_move_and_not_while_all_are_stopped(
    run_fleet: Callable[..., RunningFleet], tmp_path: Path
) -> None:
    address = str(tmp_path / "n")
    with listen(address) as manager:
        environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}
        fleet = run_fleet(WAITS, "--processes", "1", environ=environ).wait_running()
        while manager.recv(4096) != b"WATCHDOG=1":
            pass
        fleet.push("wait")
        pid = int(fleet.wait_for_line("started in")["message"].split()[-1])
        os.kill(pid, signal.SIGSTOP)
        told = fleet.wait_for_line("the service manager is not told that the fleet lives")["message"]
        assert "no worker of any pool moves" in told
        os.kill(pid, signal.SIGCONT)
        fleet.wait_for_line("moves again")
        manager.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while manager.recv(4096):
                pass
        manager.settimeout(DEADLINE_S)
        while manager.recv(4096) != b"WATCHDOG=1":
            pass
        (tmp_path / "open").touch()
        assert fleet.stop() == 0


def test_nothing_is_told_without_a_manager() -> None:
    notifier = Notifier({})
    notifier.ready("up")
    notifier.close()


def test_manager_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    address = str(tmp_path / "n")
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready("up")
    with listen(address) as manager:
        notifier.status("still up")
        assert manager.recv(4096) == b"STATUS=still up"
    notifier.stopping("down", 1)
    notifier.close()


def test_fleet_whose_handlers_do_not_load_is_never_ready(
    run_fleet: Callable[..., RunningFleet], tmp_path: Path
) -> None:
    address = str(tmp_path / "n")
    with listen(address) as manager:
        fleet = run_fleet("import absent_module_of_nobody\n", environ={"NOTIFY_SOCKET": address})
        assert fleet.wait_exit() != 0
        manager.settimeout(0)
        with pytest.raises(BlockingIOError):
            manager.recv(4096)
