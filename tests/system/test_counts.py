"""What the status says of a crowd."""

from __future__ import annotations

from .conftest import StartFleet
from .engine import Engine

CROWD = """
    import asyncio
    from jobfleet import Job, handler

    @handler("crowd", slots=150)
    async def crowd(job: Job) -> None:
        await asyncio.sleep(600)
"""


def test_every_running_job_counts_although_only_some_are_named(run_fleet: StartFleet, engine: Engine) -> None:
    engine.push("crowd", 150)
    fleet = run_fleet(CROWD, "--processes", "1", "--grace", "100ms").wait_running()
    status = fleet.wait_status(lambda status: status["types"][0]["running"] == 150, "all of them run")
    (process,) = status["pools"][0]["processes"]
    assert process["busy"] == 150
    assert 0 < len(process["running"]) < 150
    fleet.stop()
    assert "150 running jobs are handed back" in str(fleet.records)
