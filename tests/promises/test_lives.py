"""The promises about leases, limits and the lives of processes. One test for each row of the table."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path

from jobfleet.supervisor.exits import ExitCode

from tests.supervisor.running import wait_gone
from tests.system.conftest import StartFleet
from tests.system.engine import Engine, Json
from tests.system.fleet import Fleet

from .gated import GATE, let_go, tries, wait_started

OPTIONS = ("--processes", "1", "--grace", "5s")
# No tokens, so that somebody else can command the fleet's jobs.
DIALECT = "8.8"

HANDLERS = (
    GATE
    + """
    @handler("work")
    def work(job: Job) -> dict:
        if job.variables.get("gated"):
            gate(job)
        return {"pid": os.getpid(), "retries": job.retries}

    @handler("kills")
    def kills(job: Job) -> dict:
        os.kill(os.getpid(), 9)

    @handler("oversleeps", time_limit="200ms")
    async def oversleeps(job: Job) -> dict:
        await asyncio.sleep(600)

    @handler("ignores-its-limit", hard_time_limit="300ms")
    async def ignores_its_limit(job: Job) -> dict:
        time.sleep(600)

    @handler("outlives-half-its-lease", lease="4s")
    async def outlives_half_its_lease(job: Job) -> dict:
        file = arrive(job)
        try:
            while not os.path.exists(file):
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            Path(f"cancelled-{job.key}").touch()
            raise
        return {}

    @handler("outlives-its-lease", lease="300ms", renew=False)
    async def outlives_its_lease(job: Job) -> dict:
        file = arrive(job)
        while not os.path.exists(file):
            await asyncio.sleep(0.005)
        return {}

    @handler("short-lease", lease="4s")
    def short_lease(job: Job) -> dict:
        if job.variables.get("gated"):
            gate(job)
        else:
            arrive(job)
        return {}

    @handler("stubborn", slots=4)
    def stubborn(job: Job) -> dict:
        gate(job)
        return {}

    @handler("holds-gil")
    def holds_gil(job: Job) -> dict:
        import ctypes
        if arrive(job).endswith("-1"):
            # A foreign function that never lets go of the interpreter.
            ctypes.PyDLL(None).sleep(600)
        return {}
"""
)


def push_together(fleet: Fleet, job_type: str, count: int, **first: object) -> list[str]:
    """Jobs that come with one activation, `first` the variables of the first one alone."""
    fleet.post("/v1/pools/default/pause")
    fleet.engine.wait_unasked()
    keys = fleet.engine.push(job_type, **first) + fleet.engine.push(job_type, count - 1)
    fleet.post("/v1/pools/default/resume")
    return keys


def queue_up(fleet: Fleet, job_type: str, is_queued: Callable[[str], bool]) -> tuple[str, list[str]]:
    """A job that runs, and those behind it that `is_queued`; the fleet takes several at a time of short jobs alone."""
    for _ in range(20):
        for key in fleet.engine.push(job_type, 100):
            fleet.engine.wait_job(key, "completed")
        running, *others = push_together(fleet, job_type, 10, gated=True)
        wait_started(fleet, running)
        queued = [key for key in others if is_queued(key)]
        if queued:
            return running, queued
        # The host was busy, and jobs that are short seemed to be long.
        let_go(fleet, running)
        for key in (running, *others):
            fleet.engine.wait_job(key, "completed")
    raise AssertionError("jobs of this type never seemed to be short")


def test_worker_process_dies_and_unstarted_jobs_go_elsewhere_while_started_ones_are_handed_back_unchanged(
    shared: Fleet,
) -> None:
    """Row "worker process dies": unstarted and started jobs."""

    def is_in_a_worker(_: str) -> bool:
        return bool(next(kind for kind in shared.status()["types"] if kind["type"] == "work")["dispatched"] > 1)

    since = shared.log_length
    running, unstarted = queue_up(shared, "work", is_in_a_worker)
    victim = wait_started(shared, running)
    os.kill(victim, signal.SIGKILL)
    buried = shared.wait_for(lambda record: running in (record.get("keys") or []), since)
    assert "for other workers, 1 handed back" in buried["message"]
    assert " 0 for other workers" not in buried["message"]
    wait_started(shared, running, 2)
    job = shared.engine.job(running)
    assert (job["activations"], job["retries"]) == (2, 3)
    assert "was killed by signal 9 (SIGKILL)" in job["message"]
    let_go(shared, running, attempt=2)
    assert shared.engine.wait_job(running, "completed")["variables"]["pid"] != victim
    for key in unstarted:
        assert shared.engine.wait_job(key, "completed")["activations"] == 1


def test_worker_process_dies_for_the_third_time_of_a_job_that_runs_alone_and_the_job_is_poison(
    shared: Fleet,
) -> None:
    """Row "worker process dies": poison."""
    (key,) = shared.engine.push("kills", retries=9)
    job = shared.engine.wait_job(key, "incident")
    assert (job["activations"], job["retries"]) == (3, 0)
    words = job["message"]
    assert words.startswith("poison: 3 worker processes died while running this job, the last one with nothing else")
    assert words.count("was killed by signal 9 (SIGKILL)") == 3
    told = shared.wait_for(lambda record: record.get("key") == key and record["level"] == "error")
    assert words in told["message"]
    assert shared.status()["poison"] == {"suspects": 0, "convicted": 1}


def test_handler_exceeds_its_time_limit_and_its_task_is_cancelled_or_its_process_killed_and_the_job_fails(
    shared: Fleet,
) -> None:
    """Row "handler exceeds its time limit"."""
    (before,) = shared.wait_ready(1)
    (key,) = shared.engine.push("oversleeps", retries=1)
    message = shared.engine.wait_job(key, "incident")["message"]
    assert message.startswith("TimeLimitExceeded: the handler ran longer than its time limit of 0.2 s")
    assert shared.wait_ready(1)[0]["pid"] == before["pid"]
    (key,) = shared.engine.push("ignores-its-limit", retries=1)
    message = shared.engine.wait_job(key, "incident")["message"]
    assert "over its hard time limit of 0.3 s; worker process" in message
    assert f"worker process {before['pid']} was killed by signal 9" in message
    assert "in ignores_its_limit" in shared.wait_for_line("in ignores_its_limit")["message"]
    assert shared.wait_ready(1)[0]["pid"] != before["pid"]


def test_handler_outlives_half_its_lease_which_is_renewed_and_a_refusal_cancels_it_and_nothing_is_sent(
    shared: Fleet,
) -> None:
    """Row "handler outlives half its lease"."""
    engine = shared.engine
    (key,) = engine.push("outlives-half-its-lease")
    wait_started(shared, key)
    ends = {engine.job(key)["until"]}
    while len(ends) < 3:
        ends.add(engine.job(key)["until"])
    let_go(shared, key)
    assert engine.wait_job(key, "completed")["activations"] == 1
    lost = shared.status()["totals"]["lost"]
    (key,) = engine.push("outlives-half-its-lease")
    wait_started(shared, key)
    engine.inject({"fault": "latency", "latency_ms": 1, "on": ["complete", "fail", "error"]})
    engine.command(key, "completion", variables={"by": "somebody else"})
    status = shared.wait_status(lambda status: status["totals"]["lost"] == lost + 1, "its renewal is refused")
    assert status["totals"]["in_flight"] == 0
    shared.wait_status(lambda status: status["totals"]["running"] == 0, "it is cancelled")
    assert (shared.folder / f"cancelled-{key}").exists()
    # The one request was that of somebody else.
    assert [fault["seen"] for fault in engine.clear_faults()] == [1]
    assert engine.job(key)["variables"] == {"by": "somebody else"}


def test_handler_outlives_its_lease_where_renewal_is_switched_off_and_the_engine_delivers_again(tmp_path: Path) -> None:
    """Row "handler outlives half its lease": unless switched off."""
    engine = Engine()
    fleet = Fleet(tmp_path, HANDLERS, engine, "--processes", "2").wait_running()
    try:
        (key,) = engine.push("outlives-its-lease")
        engine.inject({"fault": "latency", "latency_ms": 1, "on": "update"})
        wait_started(fleet, key, 2)
        assert engine.clear_faults()[0]["seen"] == 0
        assert engine.account()["expired"] >= 1
        for attempt in range(1, 30):
            let_go(fleet, key, attempt=attempt)
        engine.wait_job(key, "completed")
        assert fleet.stop() == 0
    finally:
        fleet.close()
        engine.close()


def test_remaining_lease_is_too_short_to_start_and_the_job_is_not_started_but_handed_back(shared: Fleet) -> None:
    """Row "job's remaining lease is too short to start"."""
    running, others = queue_up(shared, "short-lease", lambda key: bool(shared.engine.job(key)["activations"]))

    def gone_back() -> bool:
        messages = [shared.engine.job(key)["message"] for key in others]
        return all(message and "before half of the lease was over" in message for message in messages)

    shared.engine.wait_account(lambda _: gone_back(), "the others are handed back")
    assert not any(tries(shared, key) for key in others)
    assert {shared.engine.job(key)["retries"] for key in others} == {3}
    let_go(shared, running)
    assert shared.engine.wait_job(running, "completed")["activations"] == 1
    for key in others:
        shared.engine.wait_job(key, "completed")


def test_sigterm_stops_activation_lets_handlers_finish_hands_the_rest_back_unchanged_and_exits_0(
    run_fleet: StartFleet, engine: Engine
) -> None:
    """Row "SIGTERM, drain"."""
    fleet = run_fleet(HANDLERS, "--processes", "1", "--grace", "3s").wait_running()
    for key in engine.push("work", 100):
        engine.wait_job(key, "completed")
    finishes, waits = push_together(fleet, "work", 2, gated=True)
    (outlasts,) = engine.push("stubborn")
    for key in (finishes, outlasts):
        wait_started(fleet, key)
    fleet.signal(signal.SIGTERM)
    fleet.wait_for_line("draining")
    let_go(fleet, finishes)
    (late,) = engine.push("work")
    assert fleet.wait_exit() == ExitCode.OK
    assert (engine.job(finishes)["state"], engine.job(finishes)["activations"]) == ("completed", 1)
    left = [engine.job(key) for key in (waits, outlasts, late)]
    assert [(job["state"], job["retries"]) for job in left] == [("waiting", 3)] * 3
    assert tries(fleet, waits) == 0
    assert "grace period of 3 s is over" in left[1]["message"]
    assert left[2]["message"] is None
    assert engine.check()["failed"] == engine.check()["handed_back"]


def versioned(number: int) -> str:
    """Handlers of one generation."""
    return textwrap.dedent(GATE) + textwrap.dedent(
        f"""
        @handler("say")
        def say(job: Job) -> dict:
            if job.variables.get("gated"):
                gate(job)
            return {{"generation": {number}}}
        """
    )


def test_sighup_brings_a_new_generation_first_the_old_one_drains_then_and_stays_when_the_new_one_cannot_load(
    run_fleet: StartFleet, engine: Engine
) -> None:
    """Row "SIGHUP, reload"."""

    def said(key: str) -> Json:
        return dict(engine.wait_job(key, "completed")["variables"])

    fleet = run_fleet(versioned(1), "--processes", "1").wait_running()
    (gated,) = engine.push("say", gated=True)
    old = wait_started(fleet, gated)
    fleet.write(versioned(2))
    fleet.signal(signal.SIGHUP)
    fleet.wait_for_line("default (generation 2)")
    (key,) = engine.push("say")
    assert said(key) == {"generation": 2}
    assert engine.job(gated)["state"] == "activated"
    let_go(fleet, gated)
    assert said(gated) == {"generation": 1}
    assert wait_gone(old)
    fleet.write("import absent_module_of_nobody\n")
    fleet.signal(signal.SIGHUP)
    told = fleet.wait_for_line("reload failed, the fleet goes on as it was")
    assert (told["level"], "absent_module_of_nobody" in told["message"]) == ("error", True)
    (key,) = engine.push("say")
    assert said(key) == {"generation": 2}
    account = engine.check()
    assert (account["completed"], account["failed"]) == (3, 0)
    assert fleet.stop() == 0


def test_supervisor_killed_with_sigkill_takes_every_worker_along_and_the_engine_delivers_again(
    run_fleet: StartFleet, engine: Engine
) -> None:
    """Row "supervisor killed with SIGKILL": also workers that are stopped, or whose handler holds the interpreter."""
    options = ("--processes", "4", "--name")
    source = HANDLERS.replace('@handler("work")', '@handler("work", lease="4s")')
    source = source.replace('@handler("holds-gil")', '@handler("holds-gil", lease="4s")')
    fleet = run_fleet(source, *options, "first").wait_running()
    keys = [engine.push(job_type, gated=True)[0] for job_type in ("work", "work", "holds-gil")]
    _, stopped, _ = (wait_started(fleet, key) for key in keys)
    os.kill(stopped, signal.SIGSTOP)
    tree = fleet.tree()
    # The supervisor, the seed, a zygote and the workers.
    assert len(tree) == 7
    fleet.signal(signal.SIGKILL)
    fleet.wait_exit()
    assert [pid for pid in tree[1:] if not wait_gone(pid)] == []
    let_go(fleet, *keys, attempt=2)
    second = run_fleet(source, *options, "second").wait_running()
    for key in keys:
        job = engine.wait_job(key, "completed")
        assert (job["retries"], job["activations"]) == (3, 2)
    assert second.stop() == 0
