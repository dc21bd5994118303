"""The control socket between fleets: one that lives keeps it, one that is dead leaves it to the next."""

from __future__ import annotations

import signal

from jobfleet.supervisor.exits import ExitCode

from .conftest import StartFleet
from .engine import Engine

NOOP = """
    from jobfleet import handler

    @handler("noop", lease="2s")
    def noop(job): ...
"""


def test_living_fleet_keeps_its_socket_and_goes_on_working(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(NOOP, "--processes", "1").wait_running()
    done = fleet.jobfleet("run", "handlers.py", "--engine", engine.address, "--socket", str(fleet.socket))
    assert done.returncode == ExitCode.SOCKET_IN_USE
    assert f"process {fleet.process.pid} has {fleet.socket}" in done.stderr
    assert "stop it, or choose another --name" in done.stderr
    engine.push("noop", 10)
    assert engine.wait_settled()["completed"] == 10
    assert fleet.stop() == ExitCode.OK


def test_stale_socket_of_a_dead_fleet_is_taken_over(run_fleet: StartFleet, engine: Engine) -> None:
    dead = run_fleet(NOOP, "--processes", "1").wait_running()
    dead.signal(signal.SIGKILL)
    dead.wait_exit()
    assert dead.socket.exists()
    engine.push("noop", 10)
    fleet = run_fleet(NOOP, "--processes", "1", "--socket", str(dead.socket))
    fleet.socket = dead.socket
    fleet.wait_running()
    assert engine.wait_settled()["completed"] == 10
    assert fleet.status()["fleet"]["pid"] == fleet.process.pid
    assert fleet.stop() == ExitCode.OK
