"""A grace period that a reload changes counts for everything that depends on it."""

from __future__ import annotations

from pathlib import Path

from .conftest import StartFleet
from .engine import Engine

NOOP = """
    from jobfleet import Job, handler

    @handler("noop")
    def noop(job: Job) -> dict:
        return {}
"""


def test_polls_are_held_no_longer_than_fits_into_a_grace_period_that_a_reload_has_shortened(
    run_fleet: StartFleet, engine: Engine, tmp_path: Path
) -> None:
    # Such an engine loses the jobs of a poll that is abandoned, so a drain has to wait for it.
    engine.set(dialect="8.6")
    settings = tmp_path / "fleet.toml"
    settings.write_text('processes = 1\ngrace = "10m"\n')
    fleet = run_fleet(NOOP).wait_running()
    settings.write_text('processes = 1\ngrace = "150ms"\n')
    outcome = fleet.reload()
    assert (outcome["state"], outcome["applied"]) == ("done", ["grace"])
    # With three seconds for each, so many polls would take longer than anybody waits here.
    engine.fault(fault="backpressure", on=["activate"], skip=40, count=1)
    fleet.wait_status(lambda status: status["types"][0]["refusals"] == 1, "many polls have been held")
    assert fleet.stop() == 0
