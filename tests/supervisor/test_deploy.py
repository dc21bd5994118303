"""The example of a systemd unit fits the program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from jobfleet.cli.quick import parse
from jobfleet.config.durations import Duration
from jobfleet.supervisor.exits import ExitCode

UNIT = Path(__file__).parents[2] / "deploy" / "jobfleet@.service"


def setting(name: str) -> str:
    lines = [line for line in UNIT.read_text().splitlines() if line.startswith(f"{name}=")]
    assert len(lines) == 1, name
    return lines[0].partition("=")[2]


def test_its_command_is_understood_and_its_stop_is_longer_than_the_grace_period() -> None:
    program, command, *arguments = setting("ExecStart").split()
    assert program.endswith("/jobfleet")
    assert command == "run"
    parsed = parse(arguments)
    assert parsed is not None
    assert Duration.parse(setting("TimeoutStopSec")).s > Duration.parse(parsed.options["grace",]).s + 5


def test_its_reload_asks_the_fleet_that_it_started() -> None:
    program, command, option, socket = setting("ExecReload").split()
    assert (program, command) == (setting("ExecStart").split()[0], "reload")
    assert f"{option} {socket}" in setting("ExecStart")


def test_it_does_not_start_again_after_what_does_not_get_better() -> None:
    hopeless = {ExitCode.USAGE, ExitCode.SETTINGS, ExitCode.HANDLERS}
    assert {int(status) for status in setting("RestartPreventExitStatus").split()} == hopeless


def test_signals_go_to_the_supervisor_first() -> None:
    assert setting("Type") == "notify"
    assert setting("KillMode") == "mixed"


def test_its_watchdog_leaves_room_for_several_looks() -> None:
    assert Duration.parse(setting("WatchdogSec")).s >= 10


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_it(tmp_path: Path) -> None:
    copy = tmp_path / "jobfleet@orders.service"
    copy.write_text(UNIT.read_text().replace("/opt/jobfleet/bin/jobfleet", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert "jobfleet@orders" not in done.stderr, done.stderr
