"""Jobs that kill every worker they run in: convicted after their third death, and nobody else suffers for it."""

from __future__ import annotations

from .conftest import StartFleet
from .engine import Engine

KILLER = """
    import os, time
    from pathlib import Path
    from jobfleet import Job, handler

    @handler("kill")
    def kill(job: Job) -> dict:
        os.kill(os.getpid(), 9)

    @handler("kill-among-others", slots=4)
    def kill_among_others(job: Job) -> dict:
        if job.variables["kills"]:
            # Until the bystanders run beside it, or for ever where it runs alone.
            beside = time.monotonic() + 0.3
            while time.monotonic() < beside and len(list(Path(".").glob(f"runs-{os.getpid()}-*"))) < 2:
                time.sleep(0.005)
            os._exit(11)
        path = Path(f"runs-{os.getpid()}-{job.key}")
        path.touch()
        time.sleep(0.2)
        path.unlink()
        return {"retries": job.retries}

    @handler("noop")
    def noop(job: Job) -> dict:
        return {}
"""


def test_one_poison_job_never_opens_the_breaker_of_its_pool(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(KILLER, "--processes", "1", environ={"JOBFLEET_POISON_DEATHS": "12"}).wait_running()
    (key,) = engine.push("kill", retries=30)
    job = engine.wait_job(key, "incident")
    assert job["activations"] == 12
    assert "poison: 12 worker processes" in job["message"]
    assert not [record for record in fleet.records if "degraded" in record["message"]]
    assert fleet.stop() == 0


def test_poison_jobs_in_a_row_open_no_breaker_either(run_fleet: StartFleet, engine: Engine) -> None:
    """Their deaths before they ran alone, when nobody could know whose fault it was, are no fault of the pool's."""
    fleet = run_fleet(KILLER, "--processes", "1").wait_running()
    for _ in range(6):
        (key,) = engine.push("kill", retries=3)
        assert "poison: 3 worker processes" in engine.wait_job(key, "incident")["message"]
    assert not [record for record in fleet.records if "degraded" in record["message"]]
    assert fleet.stop() == 0


def test_each_death_from_the_second_on_costs_a_retry_and_the_last_one_is_the_end(
    run_fleet: StartFleet, engine: Engine
) -> None:
    fleet = run_fleet(KILLER, "--processes", "1", environ={"JOBFLEET_POISON_DEATHS": "12"}).wait_running()
    (key,) = engine.push("kill", retries=3)
    job = engine.wait_job(key, "incident")
    assert job["activations"] == 4
    assert "poison: 4 worker processes" in job["message"]
    assert fleet.stop() == 0


def test_bystanders_of_a_killer_are_done_and_keep_their_last_retry(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(KILLER, "--processes", "2").wait_running()
    bystanders = engine.push("kill-among-others", 12, retries=1, kills=False)
    (key,) = engine.push("kill-among-others", retries=3, kills=True)
    bystanders += engine.push("kill-among-others", 12, retries=1, kills=False)
    convicted = engine.wait_job(key, "incident")
    assert "the last one with nothing else in it" in convicted["message"]
    assert convicted["activations"] == 3
    for bystander in bystanders:
        assert engine.wait_job(bystander, "completed")["variables"] == {"retries": 1}
    assert engine.check()["incidents"] == 1
    assert fleet.stop() == 0


def test_every_death_costs_a_retry_where_that_is_wanted(run_fleet: StartFleet, engine: Engine) -> None:
    options = {"JOBFLEET_DEATHS_COST_RETRIES": "true", "JOBFLEET_POISON_DEATHS": "0"}
    fleet = run_fleet(KILLER, "--processes", "2", environ=options).wait_running()
    (key,) = engine.push("kill", retries=2)
    job = engine.wait_job(key, "incident")
    assert job["activations"] == 2
    assert "2 worker processes died" in job["message"]
    assert fleet.stop() == 0
