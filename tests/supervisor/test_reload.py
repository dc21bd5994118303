"""Reload: a new generation takes over, or the old one goes on. Real processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.camunda.waiting import wait_until

from .running import DEADLINE_S, Json, RunningFleet

RunFleet = Callable[..., RunningFleet]

SAYS = """
    import os, time
    from jobfleet import Job, handler

    @handler("say")
    def say(job: Job) -> dict:
        print("{word} in", os.getpid(), flush=True)
        while job.variables.get("waits") and not os.path.exists("open"):
            time.sleep(0.01)
        print("{word} done", flush=True)
        return {{}}
"""
ONE, TWO, BROKEN = SAYS.format(word="one"), SAYS.format(word="two"), "import absent_module_of_nobody\n"
NEVER_READY = """
    from jobfleet import Job, handler, on_start

    @on_start
    def connect() -> None:
        raise ConnectionError("no database")

    @handler("say")
    def say(job: Job) -> dict:
        return {}
"""
DIES_AT_START = """
    import os
    from jobfleet import Job, handler, on_start

    @on_start
    def connect() -> None:
        os._exit(9)

    @handler("say")
    def say(job: Job) -> dict:
        return {}
"""


def settled(fleet: RunningFleet) -> Json:
    """The account, once every job has come to its end."""

    def look() -> Json | None:
        account = fleet.account()
        return account if account["waiting"] + account["in_flight"] == 0 else None

    return wait_until(look, "every job has come to its end", DEADLINE_S)


def alone(fleet: RunningFleet) -> Json:
    """The status, once no other generation is left."""

    def look() -> Json | None:
        status = fleet.status()
        return None if status["generations"] else status

    return wait_until(look, "the old generation has left", DEADLINE_S)


def test_fleet_is_not_switched_over_before_the_last_worker_is_ready(run_fleet: RunFleet, tmp_path: Path) -> None:
    fleet = run_fleet(ONE, "--processes", "2").wait_running()
    fleet.write(
        f"""
        import os, time
        from jobfleet import Job, handler, on_start

        @on_start
        def connect() -> None:
            try:
                open({str(tmp_path)!r} + "/first", "x")
            except FileExistsError:
                print("the last one waits", flush=True)
                while not os.path.exists({str(tmp_path)!r} + "/go"):
                    time.sleep(0.01)

        @handler("say")
        def say(job: Job) -> None:
            print("two in", os.getpid(), flush=True)
        """
    )
    assert fleet.post("/v1/reload") == (202, {"state": "accepted"})
    fleet.wait_for_line("the last one waits")
    status = fleet.status()
    assert (status["reload"]["state"], status["pools"][0]["generation"]) == ("running", 1)
    assert [(pool["generation"], pool["state"]) for pool in status["generations"]] == [(2, "starting")]
    fleet.push("say")
    fleet.wait_for_line("one done")
    (tmp_path / "go").touch()
    fleet.wait_for_line("default (generation 2)")
    fleet.push("say")
    fleet.wait_for_line("two in")


def test_hangup_reloads_and_a_second_one_follows_the_first(run_fleet: RunFleet) -> None:
    fleet = run_fleet(ONE, "--processes", "1").wait_running()
    fleet.signal(signal.SIGHUP)
    fleet.wait_for_line("reload: SIGHUP")
    fleet.signal(signal.SIGHUP)
    fleet.wait_for_line("default (generation 2)")
    fleet.wait_for_line("default (generation 3)")
    assert alone(fleet)["pools"][0]["generation"] == 3


def test_handlers_that_do_not_load_leave_the_old_ones_at_work(run_fleet: RunFleet) -> None:
    fleet = run_fleet(ONE, "--processes", "1").wait_running()
    before = fleet.worker_pids()
    fleet.write(BROKEN)
    outcome = fleet.reload()
    assert (outcome["state"], outcome["cause"], outcome["line"]) == ("failed", "handlers", 1)
    assert outcome["path"].endswith("handlers.py")
    assert "absent_module_of_nobody" in outcome["error"]
    logged = fleet.wait_for_line("reload failed, the fleet goes on as it was")
    assert "handlers.py:1" in logged["message"]
    assert (logged["path"], logged["line"]) == (outcome["path"], 1)
    assert fleet.status()["reload"]["error"] == outcome["error"]
    with fleet.client() as client:
        scraped = client.get("/metrics").text
    assert 'jobfleet_reloads_total{outcome="failed"} 1.0' in scraped
    assert 'jobfleet_pool_generation{pool="default"} 1.0' in scraped
    fleet.push("say")
    fleet.wait_for_line("one in")
    assert fleet.worker_pids() == before
    assert alone(fleet)["pools"][0]["generation"] == 1


@pytest.mark.parametrize(("source", "said"), [(NEVER_READY, "no database"), (DIES_AT_START, "exited with status 9")])
def test_workers_that_do_not_become_ready_leave_the_old_ones_at_work(
    run_fleet: RunFleet, source: str, said: str
) -> None:
    fleet = run_fleet(ONE, "--processes", "2").wait_running()
    before = fleet.worker_pids()
    fleet.write(source)
    outcome = fleet.reload()
    assert (outcome["state"], outcome["cause"]) == ("failed", "workers")
    assert said in outcome["error"]
    assert alone(fleet)["pools"][0]["generation"] == 1
    fleet.push("say")
    fleet.wait_for_line("one in")
    assert fleet.worker_pids() == before


def test_handlers_that_hang_while_they_are_imported_fail_the_reload(run_fleet: RunFleet) -> None:
    fleet = run_fleet(ONE, "--processes", "1").wait_running()
    fleet.write("import time\ntime.sleep(600)\n")
    # The first start has no such limit: a busy host may take longer for it.
    fleet.write('start_timeout = "1s"\n', "fleet.toml")
    outcome = fleet.reload()
    assert "not imported within 1 s" in outcome["error"]
    assert alone(fleet)["pools"][0]["generation"] == 1


def test_workers_die_as_ever_after_a_failed_reload(run_fleet: RunFleet) -> None:
    fleet = run_fleet(ONE, "--processes", "1").wait_running()
    fleet.write(BROKEN)
    assert fleet.reload()["state"] == "failed"
    victim = fleet.worker_pids()[0]
    os.kill(victim, signal.SIGKILL)
    fleet.push("say")
    assert int(fleet.wait_for_line("one in")["message"].split()[-1]) != victim


def test_types_come_and_go_with_their_handlers(run_fleet: RunFleet) -> None:
    fleet = run_fleet(ONE, "--processes", "1").wait_running()
    fleet.push("later", count=3)
    fleet.write(TWO.replace('"say"', '"later"'))
    assert fleet.reload()["state"] == "done"
    fleet.wait_for_line("two in")
    fleet.push("say", count=3)

    def types() -> bool:
        return [kind["type"] for kind in fleet.status()["types"]] == ["later"]

    wait_until(types, "the old type is forgotten", DEADLINE_S)

    def done() -> bool:
        account = fleet.account()
        return (account["completed"], account["waiting"], account["incidents"]) == (3, 3, 0)

    wait_until(done, "the new type is done, and the old one waits", DEADLINE_S)


TWO_POOLS = """
    processes = 1
    [pools.a]
    handlers = ["a.py"]
    [pools.b]
    handlers = ["b.py"]
"""


def kinds(*types: str) -> str:
    head = "from jobfleet import Job, handler\n"
    return head + "".join(
        f'\n@handler("{name}")\ndef {name}(job: Job) -> None:\n    print("{name} ran", flush=True)\n' for name in types
    )


@pytest.fixture
def two_pools(run_fleet: RunFleet, tmp_path: Path) -> RunningFleet:
    """Pools `a` with the types x and y, and `b` with z."""
    (tmp_path / "fleet.toml").write_text(TWO_POOLS)
    (tmp_path / "a.py").write_text(kinds("x", "y"))
    (tmp_path / "b.py").write_text(kinds("z"))
    return run_fleet(kinds("w")).wait_running()


def pool_of(fleet: RunningFleet, job_type: str) -> str:
    return next(kind["pool"] for kind in fleet.status()["types"] if kind["type"] == job_type)


def test_type_moves_between_pools_and_its_jobs_with_it(two_pools: RunningFleet) -> None:
    fleet = two_pools
    assert pool_of(fleet, "y") == "a"
    fleet.write(kinds("x"), "a.py")
    fleet.write(kinds("z", "y"), "b.py")
    outcome = fleet.reload()
    assert (outcome["state"], outcome["pools"]) == ("done", {"default": 2, "a": 2, "b": 2})
    assert pool_of(fleet, "y") == "b"
    fleet.push("y", count=5)
    assert settled(fleet)["completed"] == 5


def test_one_pool_that_does_not_load_keeps_all_pools_as_they_are(two_pools: RunningFleet) -> None:
    fleet = two_pools
    fleet.write(kinds("z", "v"), "b.py")
    fleet.write(BROKEN, "a.py")
    outcome = fleet.reload()
    assert outcome["error"].startswith("pool a: ")
    assert {pool["generation"] for pool in alone(fleet)["pools"]} == {1}
    assert "v" not in {kind["type"] for kind in fleet.status()["types"]}


def test_type_of_two_pools_is_refused_and_the_fleet_goes_on(two_pools: RunningFleet) -> None:
    fleet = two_pools
    fleet.write(kinds("z", "x"), "b.py")
    outcome = fleet.reload()
    assert outcome["state"] == "failed"
    assert "'x' is handled by pool" in outcome["error"]


def test_changed_settings_of_pools_apply_and_others_are_named(two_pools: RunningFleet) -> None:
    fleet = two_pools
    fleet.write(
        """
        processes = 1
        grace = "7s"
        pass_credentials = true
        [engine]
        hold = "1s"
        [pools.a]
        handlers = ["a.py"]
        processes = 2
        [pools.c]
        handlers = ["b.py"]
        """,
        "fleet.toml",
    )
    outcome = fleet.reload()
    assert outcome["state"] == "done", outcome
    assert outcome["applied"] == ["grace", "pools.a", "pools.b", "pools.c"]
    assert outcome["needs_restart"] == ["pass_credentials", "engine.hold"]
    fleet.wait_for_line("need a restart of the fleet: pass_credentials, engine.hold")
    status = alone(fleet)
    assert [(pool["name"], pool["size"]) for pool in status["pools"]] == [("default", 1), ("a", 2), ("c", 1)]
    assert pool_of(fleet, "z") == "c"
    fleet.signal(signal.SIGTERM)
    assert "7 s to finish" in fleet.wait_for_line("draining:")["message"]


def test_settings_that_are_wrong_leave_everything_as_it_is(two_pools: RunningFleet) -> None:
    fleet = two_pools
    fleet.write(TWO_POOLS + "    slotz = 3\n", "fleet.toml")
    outcome = fleet.reload()
    assert (outcome["state"], outcome["cause"]) == ("failed", "settings")
    assert "fleet.toml:7" in outcome["error"]
    assert {pool["generation"] for pool in fleet.status()["pools"]} == {1}


def test_degraded_pool_is_healed_at_once(run_fleet: RunFleet) -> None:
    fleet = run_fleet(DIES_AT_START, "--processes", "2")
    fleet.wait_for_line("the pool is degraded")
    fleet.wait_for_line("running ")
    fleet.write(TWO)
    assert fleet.reload()["state"] == "done"
    pool = fleet.status()["pools"][0]
    assert (pool["state"], pool["generation"]) == ("ready", 2)
    assert len(fleet.worker_pids()) == 2


def test_pool_that_was_broken_before_does_not_keep_the_others_from_their_reload(two_pools: RunningFleet) -> None:
    fleet = two_pools
    fleet.write(BROKEN, "a.py")
    zygote = next(pool["zygote_pid"] for pool in fleet.status()["pools"] if pool["name"] == "a")
    worker = next(pool["processes"][0]["pid"] for pool in fleet.status()["pools"] if pool["name"] == "a")
    os.kill(zygote, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    fleet.wait_for(lambda record: record["source"] == "pool a" and "degraded" in record["message"])
    fleet.write(kinds("z", "v"), "b.py")
    outcome = fleet.reload()
    assert outcome["state"] == "done", outcome
    assert "pool a stays degraded" in outcome["warnings"][0]
    assert {pool["name"]: pool["generation"] for pool in fleet.status()["pools"]} == {"default": 2, "a": 1, "b": 2}
    assert pool_of(fleet, "v") == "b"


def test_handlers_that_changed_on_disk_are_reloaded_when_the_zygote_dies(run_fleet: RunFleet) -> None:
    fleet = run_fleet(ONE, "--processes", "2").wait_running()
    fleet.write(TWO)
    os.kill(fleet.status()["pools"][0]["zygote_pid"], signal.SIGKILL)
    fleet.wait_for_line("default (generation 2)")
    fleet.push("say")
    fleet.wait_for_line("two in")
    assert len(alone(fleet)["pools"][0]["processes"]) == 2


def test_equal_handlers_are_loaded_again_without_a_reload_when_the_zygote_dies(run_fleet: RunFleet) -> None:
    fleet = run_fleet(ONE, "--processes", "1").wait_running()
    before = fleet.status()["pools"][0]
    os.kill(before["zygote_pid"], signal.SIGKILL)

    def replaced() -> bool:
        return fleet.status()["pools"][0]["zygote_pid"] not in (None, before["zygote_pid"])

    wait_until(replaced, "another zygote", DEADLINE_S)
    os.kill(before["processes"][0]["pid"], signal.SIGKILL)
    fleet.push("say")
    fleet.wait_for_line("one in")
    assert fleet.status()["pools"][0]["generation"] == 1


def test_handlers_that_are_imported_after_the_fork_are_reloaded(run_fleet: RunFleet) -> None:
    environ = {"JOBFLEET_PRELOAD": "false", "JOBFLEET_PROCESSES": "2"}
    fleet = run_fleet(ONE, environ=environ).wait_running()
    fleet.write(TWO)
    assert fleet.reload()["state"] == "done"
    fleet.push("say")
    fleet.wait_for_line("two in")
    fleet.write(BROKEN)
    assert fleet.reload()["cause"] == "handlers"


def test_worker_that_imports_other_handlers_than_its_generation_has_leads_to_a_reload(run_fleet: RunFleet) -> None:
    environ = {"JOBFLEET_PRELOAD": "false", "JOBFLEET_PROCESSES": "1"}
    fleet = run_fleet(ONE, environ=environ).wait_running()
    fleet.write(TWO.replace('"say"', '"tell"'))
    os.kill(fleet.worker_pids()[0], signal.SIGKILL)
    fleet.wait_for_line("default (generation 2)")
    fleet.push("tell")
    fleet.wait_for_line("two in")


def test_reload_is_refused_in_a_drain_and_a_running_one_gives_up(run_fleet: RunFleet) -> None:
    fleet = run_fleet(ONE, "--processes", "1").wait_running()
    fleet.push("say", waits=True)
    fleet.wait_for_line("one in")
    fleet.write("import time\ntime.sleep(600)\n")
    assert fleet.post("/v1/reload") == (202, {"state": "accepted"})
    fleet.signal(signal.SIGTERM)
    assert "the fleet is draining" in fleet.wait_for_line("reload failed")["message"]
    status, answer = fleet.post("/v1/reload")
    assert (status, "the fleet is draining" in answer["error"]) == (409, True)
    fleet.signal(signal.SIGHUP)
    fleet.wait_for_line("SIGHUP: the fleet is draining")
    (fleet.folder / "open").touch()
    assert fleet.wait_exit() == 0


def test_old_generation_that_outlasts_the_grace_period_hands_its_job_back(run_fleet: RunFleet) -> None:
    fleet = run_fleet(ONE, "--processes", "1", "--grace", "1s").wait_running()
    fleet.push("say", waits=True)
    fleet.wait_for_line("one in")
    fleet.write(TWO.replace('job.variables.get("waits")', "False"))
    assert fleet.reload()["state"] == "done"
    fleet.wait_for_line("the grace period of 1 s is over")
    fleet.wait_for_line("two done")
    account = settled(fleet)
    assert (account["completed"], account["handed_back"], account["incidents"]) == (1, 1, 0)


def test_hangup_during_the_start_is_followed_when_the_fleet_runs(run_fleet: RunFleet) -> None:
    fleet = run_fleet("import time\ntime.sleep(0.5)\n" + kinds("x"), "--processes", "1")
    fleet.wait_for_line("local engine listens on")
    fleet.signal(signal.SIGHUP)
    fleet.wait_for_line("default (generation 2)")


def test_hangup_at_the_very_start_is_followed_too(run_fleet: RunFleet) -> None:
    fleet = run_fleet("import time\ntime.sleep(0.5)\n" + kinds("x"), "--processes", "1")
    wait_until(psutil.Process(fleet.process.pid).children, "its first process", every_s=0.001)
    fleet.signal(signal.SIGHUP)
    fleet.wait_for_line("default (generation 2)")


def test_command_waits_tells_the_outcome_and_exits_accordingly(run_fleet: RunFleet) -> None:
    fleet = run_fleet(ONE, "--processes", "1").wait_running()
    done = fleet.command("reload")
    assert (done.returncode, "default (generation 2)" in done.stdout) == (0, True), done
    fleet.write(BROKEN)
    failed = fleet.command("reload")
    assert failed.returncode == 4
    assert "handlers.py:1" in failed.stderr
    assert "Traceback" in failed.stderr or "absent_module_of_nobody" in failed.stderr
    assert "reload failed" in fleet.command("status").stdout
    (fleet.folder / "fleet.toml").write_text("nonsense = 1\n")
    assert fleet.command("reload").returncode == 3


def test_nothing_of_many_reloads_is_left(run_fleet: RunFleet) -> None:
    fleet = run_fleet(ONE, "--processes", "1").wait_running()
    fleet.reload()
    descriptors = len(os.listdir(f"/proc/{fleet.process.pid}/fd"))
    for _ in range(4):
        assert fleet.reload()["state"] == "done"
    status = alone(fleet)
    assert status["pools"][0]["generation"] == 6

    def released() -> bool:
        return len(os.listdir(f"/proc/{fleet.process.pid}/fd")) <= descriptors + 1

    wait_until(released, "descriptors are closed", DEADLINE_S)
    assert httpx.get(f"{fleet.engine_url}/account", timeout=DEADLINE_S).json()["lost"] == 0


def test_watched_files_reload_the_fleet_when_they_change(run_fleet: RunFleet, tmp_path: Path) -> None:
    helper, second = tmp_path / "helper.py", int(time.time()) + 60
    helper.write_text('WORD = "one"\n')
    os.utime(helper, (second, second))
    source = """
        import helper
        from jobfleet import Job, handler

        @handler("say")
        def say(job: Job) -> None:
            print("helped by", helper.WORD, flush=True)
    """
    fleet = run_fleet(source, environ={"JOBFLEET_WATCH": "true", "JOBFLEET_PROCESSES": "1"}).wait_running()
    # As long as before, and within the same second: Python would take its cached bytecode.
    helper.write_text('WORD = "two"\n')
    os.utime(helper, (second + 0.5, second + 0.5))
    fleet.wait_for_line("has changed")
    wait_until(lambda: fleet.status()["pools"][0]["generation"] > 1, "a reload", DEADLINE_S)
    fleet.push("say")
    assert fleet.wait_for_line("helped by")["message"] == "helped by two"
