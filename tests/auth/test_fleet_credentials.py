"""Whole fleets that log in: what the engine asks for, what is renewed, and what is told."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from jobfleet.supervisor.exits import ExitCode

from tests.auth.conftest import StartFleet
from tests.auth.login import SECRET, LoginServer
from tests.supervisor.running import Json
from tests.system.engine import Engine
from tests.system.fleet import Fleet, jobfleet

ECHO = """
    from jobfleet import Job, handler

    @handler("echo")
    def echo(job: Job) -> dict:
        return {}
"""

# Jobs that return all at once, when the test says so.
CROWD = """
    import asyncio, os
    from jobfleet import Job, handler

    @handler("crowd", slots=400)
    async def crowd(job: Job) -> dict:
        while not os.path.exists("go"):
            await asyncio.sleep(0.1)
        return {}
"""


def done(count: int, account: Json) -> bool:
    return bool(account["completed"] == count and account["failed"] == 0)


def log_of(fleet: Fleet) -> str:
    return "\n".join(str(record) for record in fleet.records)


def test_fleet_with_oauth_variables_processes_jobs(engine: Engine, run_fleet: StartFleet, login: LoginServer) -> None:
    login.set(engine=f"http://127.0.0.1:{engine.port}")
    engine.accept("Bearer nobody")
    fleet = run_fleet(ECHO, "--processes", "1", environ=login.environ())
    fleet.wait_for_line("credentials ready: oauth, client 'payments', good for 3600 s")
    engine.push("echo", 50)
    engine.wait_account(lambda account: done(50, account), "50 jobs are completed")
    status = fleet.status()["fleet"]["credentials"]
    assert (status["credentials"], status["state"], status["fetched"]) == ("oauth, client 'payments'", "ok", 1)
    with fleet.client() as client:
        metrics = client.get("/metrics").text
    assert "jobfleet_credentials_ok 1.0" in metrics
    assert fleet.stop() == 0
    (form,) = login.look()["forms"]
    assert (form["audience"], form["client_secret"]) == ("engine", SECRET)
    assert not [record for record in fleet.records if record["level"] in ("warning", "error")], log_of(fleet)


def test_two_hundred_outcomes_with_a_revoked_token_cause_one_token_request(
    engine: Engine, run_fleet: StartFleet, login: LoginServer, tmp_path: Path
) -> None:
    login.set(engine=f"http://127.0.0.1:{engine.port}")
    fleet = run_fleet(CROWD, "--processes", "1", environ=login.environ())
    fleet.wait_for_line("credentials ready")
    engine.push("crowd", 200)
    fleet.wait_status(lambda status: status["pools"][0]["processes"][0]["busy"] == 200, "200 jobs run")
    engine.accept("Bearer none that was issued")
    (tmp_path / "go").touch()
    engine.wait_account(lambda account: done(200, account), "200 jobs are completed")
    assert login.requests == 2
    status = fleet.wait_status(lambda status: status["fleet"]["credentials"]["state"] == "ok", "all is well again")
    assert status["types"][0]["failed"] == status["types"][0]["rejected"] == status["types"][0]["expired"] == 0
    assert fleet.stop() == 0
    told = [record for record in fleet.records if "the engine refuses the present header" in record["message"]]
    assert len(told) == 1, log_of(fleet)


def test_engine_gets_nothing_before_a_slow_token_server_has_answered(
    engine: Engine, run_fleet: StartFleet, login: LoginServer
) -> None:
    login.set(engine=f"http://127.0.0.1:{engine.port}", faults=["hang"])
    engine.accept("Bearer nobody")
    engine.push("echo", 5)
    fleet = run_fleet(ECHO, "--processes", "1", environ=login.environ())
    fleet.wait_running()
    assert fleet.status()["fleet"]["credentials"]["state"] == "waiting"
    assert fleet.readiness()[0] == 503
    login.set()
    engine.wait_account(lambda account: done(5, account), "all jobs are completed")
    assert not [record for record in fleet.records if "401" in record["message"]], log_of(fleet)


def test_rejected_client_is_told_in_one_sentence_and_mended_without_a_restart(
    engine: Engine, run_fleet: StartFleet, login: LoginServer, tmp_path: Path
) -> None:
    login.set(engine=f"http://127.0.0.1:{engine.port}")
    engine.accept("Bearer nobody")
    engine.push("echo", 5)
    file = tmp_path / "client-secret"
    file.write_text("outdated-secret\n")
    environ = login.environ(CAMUNDA_CLIENT_SECRET="", JOBFLEET_AUTH_CLIENT_SECRET_FILE=str(file))
    fleet = run_fleet(ECHO, "--processes", "1", environ=environ)
    told = fleet.wait_for_line("rejects the client 'payments' (HTTP 401)")
    assert told["level"] == "error"
    assert fleet.status()["fleet"]["credentials"]["state"] == "failing"
    shown = jobfleet(tmp_path, "status", "--socket", str(fleet.socket)).stdout
    assert "credentials oauth, client 'payments': failing" in shown
    fresh = tmp_path / "fresh"
    fresh.write_text(SECRET)
    os.replace(fresh, file)
    engine.wait_account(lambda account: done(5, account), "all jobs are completed")
    assert fleet.stop() == 0
    assert "outdated-secret" not in log_of(fleet)


def test_basic_credentials_are_shown_and_wrong_ones_are_survived(engine: Engine, run_fleet: StartFleet) -> None:
    engine.accept("Basic " + base64.b64encode(b"ada:other").decode())
    environ = {"CAMUNDA_BASIC_AUTH_USERNAME": "ada", "CAMUNDA_BASIC_AUTH_PASSWORD": "hunter2-basic"}
    fleet = run_fleet(ECHO, "--processes", "1", environ=environ)
    engine.push("echo", 5)
    fleet.wait_for_line("the engine refuses the credentials (basic, user 'ada')")
    assert fleet.process.poll() is None
    engine.accept("Basic " + base64.b64encode(b"ada:hunter2-basic").decode())
    engine.wait_account(lambda account: done(5, account), "all jobs are completed")
    assert fleet.stop() == 0
    assert "hunter2-basic" not in log_of(fleet) + str(fleet)


def test_token_file_that_rotates_costs_no_job(engine: Engine, run_fleet: StartFleet, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    engine.accept("Bearer first")
    fleet = run_fleet(ECHO, "--processes", "1", environ={"JOBFLEET_AUTH_TOKEN_FILE": str(file)})
    engine.push("echo", 20)
    engine.wait_account(lambda account: done(20, account), "the first jobs are completed")
    engine.accept("Bearer second")
    fresh = tmp_path / "fresh"
    fresh.write_text("second")
    os.replace(fresh, file)
    engine.push("echo", 20)
    engine.wait_account(lambda account: done(40, account), "all jobs are completed")
    assert fleet.stop() == 0


def test_class_of_the_user_hands_out_the_header(engine: Engine, run_fleet: StartFleet, tmp_path: Path) -> None:
    (tmp_path / "bank_login.py").write_text(
        "class Engine:\n    async def authorization(self):\n        return 'Bearer from-the-bank', 300\n"
    )
    engine.accept("Bearer from-the-bank")
    fleet = run_fleet(ECHO, "--processes", "1", environ={"JOBFLEET_AUTH_PROVIDER": "bank_login.Engine"})
    engine.push("echo", 5)
    engine.wait_account(lambda account: done(5, account), "all jobs are completed")
    assert fleet.stop() == 0


def test_class_that_cannot_be_made_ends_the_start_with_its_name(tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "handlers.py").write_text("from jobfleet import handler\n@handler('x')\ndef x(job): ...\n")
    environ = {"JOBFLEET_AUTH_PROVIDER": "absent_module.Engine"}
    result = jobfleet(tmp_path, "run", "handlers.py", "--engine", engine.address, environ=environ)
    assert result.returncode == ExitCode.SETTINGS
    assert "auth.provider: absent_module.Engine cannot be made" in result.stderr
