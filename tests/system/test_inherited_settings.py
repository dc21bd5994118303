"""What handlers inherit from `CAMUNDA_WORKER_*`, and what the engine sees of it."""

from __future__ import annotations

from pathlib import Path

from .conftest import StartFleet
from .engine import Engine
from .fleet import jobfleet

HANDLERS = """
    import time
    from jobfleet import Job, handler

    def seen(job):
        return {"lease_s": round(job.deadline / 1000 - time.time())}

    @handler("inherits")
    def inherits(job: Job) -> dict:
        return seen(job)

    @handler("says", lease="500s", max_jobs=5)
    def says(job: Job) -> dict:
        return seen(job)
"""

ENVIRON = {
    "CAMUNDA_WORKER_TIMEOUT": "200000",
    "CAMUNDA_WORKER_NAME": "bank-7",
    "CAMUNDA_WORKER_MAX_CONCURRENT_JOBS": "32",
}


def test_handler_inherits_what_it_does_not_say(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(HANDLERS, "--processes", "1", environ=ENVIRON)
    fleet.wait_running()
    (inherits,), (says,) = engine.push("inherits"), engine.push("says")
    ended = {key: engine.wait_job(key, "completed") for key in (inherits, says)}
    assert 190 <= ended[inherits]["variables"]["lease_s"] <= 200
    assert 490 <= ended[says]["variables"]["lease_s"] <= 500
    assert ended[inherits]["worker"] == "bank-7"
    shown = {handler["type"]: handler for handler in fleet.status()["pools"][0]["handlers"]}
    assert [shown[name]["lease_ms"] for name in ("inherits", "says")] == [200_000, 500_000]
    assert [shown[name]["max_jobs"] for name in ("inherits", "says")] == [32, 5]
    assert fleet.stop() == 0


def test_check_shows_what_is_inherited(tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text("from jobfleet import handler\n@handler('x')\ndef x(job): ...\n")
    (tmp_path / ".env").write_text("CAMUNDA_WORKER_TIMEOUT=7000\n")
    assert " 7s " in jobfleet(tmp_path, "check", "handlers.py").stdout


def test_log_level_holds_back_what_is_less_severe(run_fleet: StartFleet, engine: Engine) -> None:
    source = """
        from jobfleet import Job, handler

        @handler("speaks")
        def speaks(job: Job) -> None:
            job.log.info("not this")
            job.log.error("but this")
    """
    fleet = run_fleet(source, "--processes", "1", environ={"CAMUNDA_SDK_LOG_LEVEL": "error"})
    engine.push("speaks")
    fleet.wait_for_line("but this")
    assert fleet.stop() == 0
    assert {record["level"] for record in fleet.records} == {"error"}
