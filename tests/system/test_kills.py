"""SIGKILL for one process after the other: what lives on, what follows into death, and who gets the jobs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from jobfleet.supervisor.lifecycle import Reason

from tests.camunda.waiting import wait_until
from tests.supervisor.running import DEADLINE_S

from .conftest import StartFleet
from .engine import Engine

HANDLERS = """
    import os, time
    from pathlib import Path
    from jobfleet import Job, handler

    def gate(job: Job) -> None:
        Path(f"{job.variables['how']}-{os.getpid()}").touch()
        while not Path("open").exists():
            time.sleep(0.01)

    @handler("wait")
    def wait(job: Job) -> dict:
        gate(job)
        return {"pid": os.getpid(), "retries": job.retries}

    @handler("kills-once")
    def kills_once(job: Job) -> dict:
        try:
            Path(f"tried-{job.key}").touch(exist_ok=False)
        except FileExistsError:
            return {}
        os._exit(9)
"""


def started(folder: Path, how: str) -> list[int]:
    """The processes in which jobs of this kind have started, once there is one."""

    def look() -> list[int]:
        return [int(path.name.rpartition("-")[2]) for path in folder.glob(f"{how}-*")]

    return wait_until(look, f"a job runs {how}", DEADLINE_S)


def test_workers_survive_their_zygote_and_a_dead_one_is_replaced_by_the_next_zygote(
    run_fleet: StartFleet, engine: Engine
) -> None:
    fleet = run_fleet(HANDLERS, "--processes", "2").wait_running()
    (key,) = engine.push("wait", how="first")
    (busy,) = started(fleet.folder, "first")
    pool = fleet.status()["pools"][0]
    os.kill(pool["zygote_pid"], signal.SIGKILL)
    fleet.wait_for_line("its workers live on")
    assert {process["pid"] for process in fleet.processes()} == {process["pid"] for process in pool["processes"]}
    (idle,) = {process["pid"] for process in pool["processes"]} - {busy}
    fleet.kill_worker(idle)
    after = {process["pid"] for process in fleet.wait_ready(2)}
    assert busy in after
    assert idle not in after
    (fleet.folder / "open").touch()
    assert engine.wait_job(key, "completed")["variables"]["pid"] == busy
    assert engine.check()["handed_back"] == 0
    assert fleet.stop() == 0


def test_pool_whose_workers_die_while_they_work_is_degraded_and_says_why(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(HANDLERS, "--processes", "1").wait_running()
    # No job is there at two deaths, so that none of them is to blame.
    keys = engine.push("kills-once", 5)
    assert Reason.DIES_WORKING.value in fleet.wait_for_line("the pool is degraded")["message"]
    (pool,) = fleet.status()["pools"]
    assert (pool["state"], pool["restarts"]) == ("degraded", 5)
    assert fleet.readiness()[0] == 503
    for key in keys:
        assert engine.wait_job(key, "completed")["retries"] == 3
    assert fleet.stop() == 0


def test_no_descriptor_is_left_open_by_50_dead_workers(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(HANDLERS, "--processes", "25").wait_running()
    folder = Path(f"/proc/{fleet.process.pid}/fd")
    engine.push("wait", how="first")
    started(fleet.folder, "first")

    def count() -> int:
        return len(list(folder.iterdir()))

    fleet.wait_ready(25)
    before = count()
    # Twice 25, since the restart of one place is put off a little longer with each death.
    for dead in (25, 50):
        for process in fleet.wait_ready(25):
            os.kill(process["pid"], signal.SIGKILL)
        fleet.wait_status(lambda status, dead=dead: status["pools"][0]["restarts"] == dead, "every worker is replaced")
    fleet.wait_ready(25)
    wait_until(lambda: count() <= before, f"no more than {before} descriptors are open", DEADLINE_S)
    (fleet.folder / "open").touch()
    engine.wait_settled()
    assert fleet.stop() == 0
