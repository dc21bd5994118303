"""Fleets that lack descriptors, memory, room on the disk or a clock that can be relied on."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest
from jobfleet.supervisor.exits import ExitCode

from tests.camunda.waiting import wait_until
from tests.supervisor.running import DEADLINE_S

from .conftest import StartFleet
from .engine import Engine
from .jumping_clock import JumpingClock

FLOOD = """
    import os, sys
    from jobfleet import Job, handler

    LINE = "x" * 1000

    @handler("flood")
    def flood(job: Job) -> dict:
        for _ in range(200):
            print(LINE)
            job.log.info(LINE, line=LINE)
        return {}

    @handler("flood-raw")
    def flood_raw(job: Job) -> dict:
        for _ in range(200):
            os.write(1, LINE.encode() + b"\\n")
        return {}

    @handler("noop", slots=4)
    def noop(job: Job) -> dict:
        return {}
"""


def test_jobs_flow_while_nobody_reads_the_output(run_fleet: StartFleet, engine: Engine) -> None:
    reader, writer = os.pipe()
    try:
        fleet = run_fleet(FLOOD, "--processes", "2", output=writer)
        engine.push("flood", 20)
        engine.push("flood-raw", 20)
        engine.push("noop", 2000)
        assert engine.wait_settled()["completed"] == 2040
        fleet.wait_ready(2)
        engine.push("noop", 10)
        assert engine.wait_settled()["completed"] == 2050
        fleet.signal(signal.SIGTERM)
        assert fleet.wait_exit() == 0
    finally:
        os.close(reader)
        os.close(writer)


def test_fleet_without_a_free_descriptor_recovers_when_there_are_some(run_fleet: StartFleet, engine: Engine) -> None:
    few = ("sh", "-c", 'ulimit -n 64; exec "$@"', "sh")
    fleet = run_fleet(FLOOD, "--processes", "2", prefix=few).wait_running()
    engine.push("noop", 200)
    engine.wait_settled()
    victim = fleet.wait_ready(2)[0]["pid"]
    folder = Path(f"/proc/{fleet.process.pid}/fd")
    with ExitStack() as callers:
        for _ in range(80):
            caller = callers.enter_context(socket.socket(socket.AF_UNIX))
            caller.connect(str(fleet.socket))
        wait_until(lambda: len(list(folder.iterdir())) >= 64, "every descriptor is in use", DEADLINE_S)
        fleet.kill_worker(victim)
        # Whatever is open already goes on.
        engine.push("noop", 200)
        engine.wait_settled()
    fleet.wait_ready(2)
    engine.push("noop", 200)
    assert engine.wait_settled()["completed"] == 600
    assert fleet.stop() == 0


def test_fleet_whose_log_cannot_be_written_goes_on(run_fleet: StartFleet, engine: Engine) -> None:
    """A full disk: every write to the log fails with ENOSPC."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        fleet = run_fleet(FLOOD, "--processes", "2", output=full)
        engine.push("flood", 5)
        engine.push("noop", 500)
        assert engine.wait_settled()["completed"] == 505
        fleet.wait_ready(2)
        fleet.signal(signal.SIGTERM)
        assert fleet.wait_exit() == 0
    finally:
        os.close(full)


NO_MEMORY = """
    import errno, os
    from pathlib import Path
    from jobfleet import Job, handler

    real = os.fork

    def fork():
        if Path("no-memory").exists():
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return real()

    # In the zygote, which imports this.
    os.fork = fork

    @handler("noop")
    def noop(job: Job) -> dict:
        return {}
"""


CLOCK = """
    import os, time
    from datetime import date
    from jobfleet import Job, handler

    @handler("tells-the-time", lease="3s")
    def tells_the_time(job: Job) -> dict:
        while job.variables.get("wait") and not os.path.exists("open"):
            time.sleep(0.005)
        job.log.info("so late")
        return {"date": str(date.fromtimestamp(time.time()))}
"""


def test_fleet_that_has_no_memory_for_forks_says_so_and_recovers(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(NO_MEMORY, "--processes", "2").wait_running()
    victim = fleet.wait_ready(2)[0]["pid"]
    (fleet.folder / "no-memory").touch()
    since = fleet.log_length
    os.kill(victim, signal.SIGKILL)
    told = fleet.wait_for_line("could not be forked", since)["message"]
    assert "cannot fork: Cannot allocate memory" in told
    engine.push("noop", 300)
    assert engine.wait_settled()["completed"] == 300
    (fleet.folder / "no-memory").unlink()
    fleet.wait_ready(2)
    assert fleet.stop() == 0


def test_fleet_whose_socket_finds_no_room_on_the_disk_says_so(tmp_path: Path, engine: Engine) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (tmp_path / "handlers.py").write_text(textwrap.dedent(FLOOD))
    # The one inode is that of the folder itself.
    mount = f'mount -t tmpfs -o size=4k,nr_inodes=1 none {full} || exit 99; exec "$@"'
    command = [sys.executable, "-m", "jobfleet", "run", "handlers.py", "--engine", engine.address]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount, "sh", *command, "--socket", str(full / "socket")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    if done.returncode == 99 or "unshare failed" in done.stderr:
        pytest.skip("this user may not mount a file system")
    assert done.returncode == ExitCode.FAILED
    (said,) = done.stderr.splitlines()
    assert f"{full}/socket" in said
    assert "No space left on device" in said


def test_clock_that_jumps_by_days_costs_no_job_and_no_process(
    run_fleet: StartFleet, engine: Engine, tmp_path: Path
) -> None:
    clock = JumpingClock(tmp_path)
    fleet = run_fleet(CLOCK, "--processes", "2", environ=clock.environ).wait_running()
    before = {process["pid"] for process in fleet.wait_ready(2)}
    (running,) = engine.push("tells-the-time", wait=True)
    fleet.wait_status(lambda status: status["totals"]["running"] == 1, "one job runs")
    dates = []
    for days in (0, 3, -3):
        clock.jump(days * 86_400)
        for key in engine.push("tells-the-time", 50):
            job = engine.wait_job(key, "completed")
            assert job["activations"] == 1
        dates.append(date.fromisoformat(job["variables"]["date"]))
    assert dates[2] < dates[0] < dates[1]
    fleet.wait_for(lambda record: record["ts"][:10] == str(dates[2]))
    (fleet.folder / "open").touch()
    assert engine.wait_job(running, "completed")["activations"] == 1
    assert {process["pid"] for process in fleet.wait_ready(2)} == before
    assert engine.check()["handed_back"] == 0
    assert fleet.stop() == 0


def test_engine_whose_clock_jumps_is_worked_for_as_before(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(CLOCK, "--processes", "2").wait_running()
    for _ in range(3):
        keys = engine.push("tells-the-time", 50)
        assert [engine.wait_job(key, "completed")["activations"] for key in keys] == [1] * 50
        fleet.wait_status(lambda status: status["totals"]["in_flight"] == 0, "nothing is in flight")
        engine.advance(3_600_000)
    (running,) = engine.push("tells-the-time", wait=True)
    ends = {engine.job(running)["until"]}
    while len(ends) < 3:
        ends.add(engine.job(running)["until"])
    (fleet.folder / "open").touch()
    assert engine.wait_job(running, "completed")["activations"] == 1
    assert engine.check()["handed_back"] == 0
    assert fleet.stop() == 0


def test_no_decision_reads_a_clock_that_can_jump() -> None:
    """What anybody may set (CLOCK_REALTIME) is shown in logs and status, and decides nothing."""
    shown = {"hub.py", "lifecycle.py", "log.py", "status.py", "fleet.py", "reload.py", "tables.py", "demo_view.py"}
    # The times of files are of that clock, and so is a token's end in a file that outlives the host's uptime.
    shown |= {"zygote.py", "cache.py", "client_credentials.py"}
    root = Path(__file__).parents[2]
    readers = {
        path.name
        for path in [*(root / "python").rglob("*.py"), *(root / "rust" / "core" / "src").rglob("*.rs")]
        if re.search(r"\btime\.time\(|datetime\.now|SystemTime|ClockId::Realtime|Utc::now", path.read_text())
    }
    assert readers <= shown, readers - shown
