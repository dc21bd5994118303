"""An engine that is absent, hidden behind a proxy's pages, cut off or replaced: told once, waited for, no job lost."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.camunda.waiting import wait_until
from tests.ports import free_port
from tests.supervisor.running import DEADLINE_S, Json

from .conftest import StartFleet
from .engine import Engine
from .fleet import Fleet
from .proxy import Proxy

HANDLERS = """
    import time
    from pathlib import Path
    from jobfleet import Job, handler

    def gate(job: Job) -> None:
        Path(f"started-{job.key}").touch()
        while not Path("open").exists():
            time.sleep(0.01)

    @handler("completes", slots=4)
    def completes(job: Job) -> dict:
        gate(job)
        return {"done": True}
"""


def told_down(fleet: Fleet) -> list[Json]:
    """The records that say that the engine is down."""
    return [record for record in fleet.records if record.get("engine") == "down"]


def wait_started(fleet: Fleet, keys: list[str]) -> None:
    """Until these jobs run."""
    for key in keys:
        wait_until((fleet.folder / f"started-{key}").exists, f"job {key} runs", DEADLINE_S)


def wait_up(fleet: Fleet) -> None:
    """Until the fleet says that it is ready."""
    wait_until(lambda: fleet.readiness()[0] == 200, "the fleet is ready", DEADLINE_S)


@pytest.fixture
def proxy(engine: Engine) -> Iterator[Proxy]:
    """A proxy in front of the engine that passes on."""
    proxy = Proxy(engine.port)
    yield proxy
    proxy.leave()


def test_absent_engine_is_told_once_and_found_when_it_comes(
    run_fleet: StartFleet, engine: Engine, proxy: Proxy
) -> None:
    proxy.leave()
    engine.push("completes", 10)
    fleet = run_fleet(HANDLERS, "--processes", "1", address=proxy.address).wait_running()
    down = fleet.wait_for(lambda record: record.get("engine") == "down")
    assert "Connection refused" in down["message"]
    assert str(proxy.port) in down["message"]
    assert fleet.readiness() == (503, "the engine is down\n")
    (fleet.folder / "open").touch()
    proxy.pass_on()
    engine.wait_settled()
    wait_up(fleet)
    assert len(told_down(fleet)) == 1
    assert fleet.stop() == 0


def test_page_of_a_proxy_at_the_start_is_told_once_and_outwaited(
    run_fleet: StartFleet, engine: Engine, proxy: Proxy
) -> None:
    proxy.answer("200 OK")
    engine.push("completes", 10)
    fleet = run_fleet(HANDLERS, "--processes", "1", address=proxy.address).wait_running()
    told = fleet.wait_for_line("text/html")["message"]
    assert f"127.0.0.1:{proxy.port}: HTTP 200 with text/html" in told
    assert re.search("not Camunda's REST API; check the address|but no list of jobs", told)
    assert fleet.readiness()[0] == 503
    (fleet.folder / "open").touch()
    proxy.pass_on()
    engine.wait_settled()
    wait_up(fleet)
    assert len(told_down(fleet)) == 1
    assert fleet.stop() == 0


@contextmanager
def engine_process(port: int, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """`jobfleet engine` on this port."""
    command = [sys.executable, "-m", "jobfleet", "engine", "--port", str(port), "--dialect", "8.10"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert "listens on" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait(DEADLINE_S)
        process.stdout.close()


def test_fleet_works_on_for_an_engine_that_was_killed_and_started_again(run_fleet: StartFleet, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def push(count: int) -> None:
        httpx.post(f"{url}/local/jobs", json={"type": "completes", "count": count}, timeout=60).raise_for_status()

    def account() -> Json:
        return dict(httpx.get(f"{url}/account", timeout=60).raise_for_status().json())

    with engine_process(port, tmp_path) as first:
        fleet = run_fleet(HANDLERS, "--processes", "1", address=f"camunda+{url}").wait_running()
        (fleet.folder / "open").touch()
        push(100)
        wait_until(lambda: account()["completed"] == 100, "all jobs are done", DEADLINE_S)
        (fleet.folder / "open").unlink()
        push(4)
        fleet.wait_status(lambda status: status["totals"]["running"] == 4, "four jobs run")
        first.send_signal(signal.SIGKILL)
        first.wait(DEADLINE_S)
    fleet.wait_for(lambda record: record.get("engine") == "down")
    with engine_process(port, tmp_path):
        fleet.wait_for(lambda record: record.get("engine") == "up" and "again" in record["message"])
        (fleet.folder / "open").touch()
        # The new engine does not know them.
        fleet.wait_status(lambda status: status["totals"]["lost"] == 4, "four outcomes have no job")
        push(50)
        wait_until(lambda: account()["completed"] == 50, "all jobs of the second engine are done", DEADLINE_S)
        assert {name: account()[name] for name in ("waiting", "in_flight", "foreign", "lost", "settled_twice")} == {
            "waiting": 0, "in_flight": 0, "foreign": 0, "lost": 0, "settled_twice": 0,
        }  # fmt: skip
        fleet.wait_status(lambda status: status["totals"]["in_flight"] == 0, "every answer has come")
        assert fleet.stop() == 0
