"""The promises under the table: what is sent how often, and who sees the engine's credentials."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.auth.login import LoginServer
from tests.auth.test_secrets import SEARCH, searched
from tests.system.conftest import StartFleet, fleet_on_its_own_engine
from tests.system.engine import Engine
from tests.system.fleet import Fleet

from .gated import GATE, let_go, wait_started

HANDLERS = (
    GATE
    + """
    @handler("mixed", slots=4)
    def mixed(job: Job) -> dict:
        if job.variables["how"] == "fail":
            raise JobFailure("no", retries=0)
        if job.variables["how"] == "error":
            raise JobError("NO")
        return {}

    @handler("raises", lease="4s")
    def raises(job: Job) -> dict:
        gate(job)
        if Path(f"started-{job.key}-1").read_text() == str(os.getpid()):
            raise ValueError("too late")
        return {"pid": os.getpid()}

    @handler("waits")
    def waits(job: Job) -> dict:
        gate(job)
        return {"pid": os.getpid()}
"""
)


@contextmanager
def old_engine(folder: Path, *options: str) -> Iterator[Fleet]:
    """A fleet on an engine that knows no tokens, so that a late command would hit whoever has the job."""
    with fleet_on_its_own_engine(folder, HANDLERS, "8.6", *options) as fleet:
        yield fleet


def test_outcome_is_sent_at_most_once_after_a_definite_answer(run_fleet: StartFleet, engine: Engine) -> None:
    """Sentence "An outcome is sent at most once after a definite answer; nothing is settled twice on purpose"."""
    engine.inject(
        {"fault": "503", "on": ["complete", "fail", "error"], "probability": 0.1},
        {"fault": "reset_after", "on": ["complete", "fail", "error"], "probability": 0.1},
        {"fault": "reset_before", "on": ["complete", "fail", "error"], "probability": 0.1},
    )
    fleet = run_fleet(HANDLERS, "--processes", "2").wait_running()
    for how in ("complete", "fail", "error"):
        engine.push("mixed", 100, how=how)
    account = engine.wait_settled()
    assert [account[name] for name in ("completed", "incidents", "errors_thrown")] == [100] * 3
    assert all(fault["fired"] for fault in engine.clear_faults())
    fleet.wait_status(lambda status: status["totals"]["in_flight"] == 0, "every answer has come")
    account = engine.check()
    assert (account["settled_twice"], account["foreign"], account["failed"]) == (0, 0, 100)
    assert fleet.stop() == 0


def test_nothing_more_is_sent_for_an_activation_after_its_hand_back(tmp_path: Path) -> None:
    """Sentence "after a hand-back ... nothing more is sent for that activation": not even the hand-back again."""
    with old_engine(tmp_path, "--processes", "2") as fleet:
        engine = fleet.engine
        (key,) = engine.push("waits")
        victim = wait_started(fleet, key)
        engine.inject(
            {"fault": "latency", "latency_ms": 1, "on": ["complete", "error", "fail"]},
            {"fault": "reset_after", "on": "fail", "count": 1},
        )
        os.kill(victim, signal.SIGKILL)
        heir = wait_started(fleet, key, 2)
        fleet.wait_status(lambda status: status["totals"]["in_flight"] == 1, "only the second activation is left")
        job = engine.job(key)
        assert (job["state"], job["activations"], job["retries"]) == ("activated", 2, 3)
        assert [fault["seen"] for fault in engine.faults()] == [1, 1]
        let_go(fleet, key, attempt=2)
        assert engine.wait_job(key, "completed")["variables"] == {"pid": heir}
        assert engine.clear_faults()[0]["seen"] == 2


def test_nothing_more_is_sent_for_an_activation_after_its_leases_end(tmp_path: Path) -> None:
    """Sentence "and after the lease's end, nothing more is sent for that activation"."""
    with old_engine(tmp_path, "--processes", "2") as fleet:
        engine = fleet.engine
        (key,) = engine.push("raises")
        wait_started(fleet, key)
        # No renewal gets through, and the engine gives the job to the other process.
        engine.inject({"fault": "reset_before", "on": "update"})
        heir = wait_started(fleet, key, 2)
        engine.inject({"fault": "latency", "latency_ms": 1, "on": ["complete", "error", "fail"]})
        let_go(fleet, key)
        fleet.wait_status(lambda status: status["totals"]["expired"] == 1, "the first outcome is dropped")
        job = engine.job(key)
        assert (job["state"], job["activations"], job["retries"]) == ("activated", 2, 3)
        assert engine.faults()[0]["seen"] == 0
        let_go(fleet, key, attempt=2)
        assert engine.wait_job(key, "completed")["variables"] == {"pid": heir}
        assert engine.clear_faults()[0]["seen"] == 1


def test_held_poll_is_not_abandoned_where_the_server_would_lose_the_next_job_to_it(tmp_path: Path) -> None:
    """Sentence "A held poll is not abandoned where the server would lose the next job to it"."""
    with old_engine(tmp_path, "--processes", "1", "--grace", "3s") as fleet:
        engine = fleet.engine
        fleet.wait_status(lambda status: status["totals"]["held_polls"] == 3, "a poll of each type is held")
        fleet.signal(signal.SIGTERM)
        fleet.wait_for_line("draining")
        (key,) = engine.push("waits")
        fleet.wait_exit()
        job = engine.job(key)
        assert (job["state"], job["retries"]) == ("waiting", 3)
        assert engine.polls() == {"held": 0, "departed": 0}
        assert engine.account()["undelivered"] == 0


def test_worker_never_sees_the_engines_credentials_neither_in_its_environment_nor_in_its_memory(
    engine: Engine, run_fleet: StartFleet, login: LoginServer
) -> None:
    """Sentence "Workers never see the engine's credentials"."""
    secret, control = "client-secret-of-the-fleet-4711", "variable-that-workers-have-4712"
    login.set(engine=f"http://127.0.0.1:{engine.port}", secret=secret)
    environ = login.environ(CAMUNDA_CLIENT_SECRET=secret, JOBFLEET_DUMPABLE="false", CONTROL=control)
    fleet = run_fleet(SEARCH, "--processes", "1", environ=environ)
    fleet.wait_for_line("credentials ready")
    found = searched(engine, secret, login.look()["issued"][0], control)
    assert found["memory"] == found["environ"] == [0, 0]
    assert found["control"], "the search finds nothing at all"
    assert "CAMUNDA_CLIENT_SECRET" not in str(found["names"])
    if os.geteuid() != 0:
        assert found["parent"] == "PermissionError"
