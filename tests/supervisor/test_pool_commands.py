"""Commands for the pools of a running fleet, over the control API and the command line. Real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.camunda.waiting import wait_until

from .running import DEADLINE_S, Json, RunningFleet, wait_gone

RunFleet = Callable[..., RunningFleet]

SAYS = """
    import os, time
    from jobfleet import Job, handler

    @handler("{kind}")
    def say(job: Job) -> None:
        print("{kind} in", os.getpid(), flush=True)
        while job.variables.get("waits") and not os.path.exists("open"):
            time.sleep(0.01)
        print("{kind} done", flush=True)
"""
WAITS = (
    SAYS.format(kind="mail")
    + """
    from jobfleet import on_start

    @on_start
    def connect() -> None:
        print("a worker waits", flush=True)
        while not os.path.exists("go"):
            time.sleep(0.01)
"""
)
TWO_POOLS = """
    processes = 1
    [pools.mail]
    handlers = ["mail.py"]
"""


@pytest.fixture
def fleet(run_fleet: RunFleet, tmp_path: Path) -> RunningFleet:
    """The pools `default` with the type `say`, and `mail` with the type `mail`."""
    (tmp_path / "fleet.toml").write_text(TWO_POOLS)
    (tmp_path / "mail.py").write_text("\n".join(line[4:] for line in SAYS.format(kind="mail").splitlines()))
    return run_fleet(SAYS.format(kind="say")).wait_running()


def pool(fleet: RunningFleet, name: str) -> Json:
    return next(pool for pool in fleet.status()["pools"] if pool["name"] == name)


def until_pool(fleet: RunningFleet, name: str, reached: Callable[[Json], object], what: str) -> Json:
    """The pool, once it is as wanted."""

    def look() -> Json | None:
        found = pool(fleet, name)
        return found if reached(found) else None

    return wait_until(look, what, DEADLINE_S)


def open_gate(fleet: RunningFleet) -> None:
    """Let all jobs that wait go on."""
    (fleet.folder / "open").touch()


def ready(count: int) -> Callable[[Json], bool]:
    return lambda pool: states(pool) == ["ready"] * count


def states(pool: Json) -> list[str]:
    return [process["state"] for process in pool["processes"]]


def busy(count: int) -> Callable[[Json], bool]:
    return lambda pool: sum(process["busy"] for process in pool["processes"]) == count


def until_account(fleet: RunningFleet, **wanted: int) -> Json:
    def look() -> Json | None:
        account = fleet.account()
        return account if {name: account[name] for name in wanted} == wanted else None

    return wait_until(look, f"the account has {wanted}", DEADLINE_S)


def test_pool_grows_and_shrinks_and_the_running_job_of_the_one_too_many_finishes(fleet: RunningFleet) -> None:
    fleet.push("say", waits=True)
    fleet.wait_for_line("say in")
    status, answer = fleet.post("/v1/pools/default/scale", {"processes": 3})
    assert (status, answer) == (200, {"pool": "default", "state": "ready", "generation": 1, "processes": 3})
    until_pool(fleet, "default", ready(3), "three workers")
    fleet.push("say", count=2, waits=True)
    until_pool(fleet, "default", busy(3), "jobs run")
    fleet.post("/v1/pools/default/scale", {"processes": 1})
    until_pool(fleet, "default", lambda pool: states(pool).count("draining") == 2, "two are told to leave")
    open_gate(fleet)
    until_pool(fleet, "default", ready(1), "one worker")
    account = until_account(fleet, completed=3)
    assert (account["handed_back"], account["incidents"]) == (0, 0)
    assert pool(fleet, "default")["restarts"] == 0
    assert len(pool(fleet, "mail")["processes"]) == 1


def test_one_too_many_that_outlasts_the_grace_period_hands_its_job_back(run_fleet: RunFleet) -> None:
    fleet = run_fleet(SAYS.format(kind="say"), "--processes", "2", "--grace", "1s").wait_running()
    since = fleet.log_length
    for _ in range(2):
        fleet.push("say", waits=True)
    fleet.wait_for_line("say in", since)
    until_pool(fleet, "default", busy(2), "both run")
    fleet.post("/v1/pools/default/scale", {"processes": 1})
    until_pool(fleet, "default", ready(1), "one worker")
    account = until_account(fleet, handed_back=1)
    assert account["incidents"] == 0


def test_commanded_size_outlives_a_reload_until_the_setting_changes(fleet: RunningFleet) -> None:
    fleet.post("/v1/pools/default/scale", {"processes": 2})
    assert fleet.reload()["state"] == "done"
    until_pool(fleet, "default", ready(2), "two workers of the new generation")
    fleet.write(TWO_POOLS.replace("processes = 1", "processes = 3"), "fleet.toml")
    assert fleet.reload()["state"] == "done"
    assert pool(fleet, "default")["size"] == pool(fleet, "mail")["size"] == 3


def test_worker_of_a_scaled_pool_is_replaced_when_it_dies(fleet: RunningFleet) -> None:
    fleet.post("/v1/pools/default/scale", {"processes": 2})
    grown = until_pool(fleet, "default", ready(2), "two workers")
    victim = grown["processes"][1]["pid"]
    os.kill(victim, signal.SIGKILL)
    wait_gone(victim)
    until_pool(fleet, "default", lambda pool: ready(2)(pool) and pool["restarts"] == 1, "a replacement")


def test_paused_pool_gets_no_jobs_and_the_others_do(fleet: RunningFleet) -> None:
    before = pool(fleet, "mail")["processes"]
    assert fleet.command("pause", "mail").stdout == "pool mail is paused, generation 1, 1 processes\n"
    fleet.push("mail", count=3)
    fleet.push("say", count=2)
    until_account(fleet, completed=2, waiting=3, in_flight=0)
    assert pool(fleet, "mail")["state"] == "paused"
    with fleet.client() as client:
        assert client.get("/readyz").status_code == 200
    assert fleet.command("resume", "mail").stdout == "pool mail is ready, generation 1, 1 processes\n"
    until_account(fleet, completed=5)
    assert [process["pid"] for process in pool(fleet, "mail")["processes"]] == [before[0]["pid"]]


def test_pause_outlives_a_reload(fleet: RunningFleet) -> None:
    fleet.post("/v1/pools/mail/pause")
    assert fleet.reload()["state"] == "done"
    fleet.push("mail")
    fleet.push("say")
    until_account(fleet, completed=1, waiting=1, in_flight=0)
    assert (pool(fleet, "mail")["state"], pool(fleet, "mail")["generation"]) == ("paused", 2)
    fleet.post("/v1/pools/mail/resume")
    until_account(fleet, completed=2)


def test_drained_pool_finishes_its_job_and_stays_away_until_it_is_resumed(fleet: RunningFleet) -> None:
    fleet.push("mail", waits=True)
    fleet.wait_for_line("mail in")
    assert fleet.post("/v1/pools/mail/drain")[1]["state"] == "draining"
    assert 0 < pool(fleet, "mail")["grace_left_s"] <= 30
    open_gate(fleet)
    done = fleet.command("drain", "mail")
    assert (done.returncode, done.stdout) == (0, "pool mail has drained\n"), done
    assert fleet.account()["completed"] == 1
    fleet.push("mail")
    fleet.push("say")
    until_account(fleet, completed=2, waiting=1, in_flight=0)
    drained = pool(fleet, "mail")
    assert (drained["state"], drained["processes"], drained["zygote_pid"]) == ("drained", [], None)
    assert fleet.reload()["pools"] == {"default": 2}
    assert pool(fleet, "mail")["state"] == "drained"
    status, answer = fleet.post("/v1/pools/mail/scale", {"processes": 2})
    assert (status, "jobfleet resume mail" in answer["error"]) == (409, True)
    resumed = fleet.command("resume", "mail")
    assert (resumed.returncode, "mail (generation 2)" in resumed.stdout) == (0, True), resumed
    until_account(fleet, completed=3)


def test_drain_of_a_pool_that_outlasts_the_grace_period_hands_its_job_back(run_fleet: RunFleet) -> None:
    fleet = run_fleet(SAYS.format(kind="say"), "--processes", "1", "--grace", "1s").wait_running()
    fleet.push("say", waits=True)
    fleet.wait_for_line("say in")
    assert fleet.post("/v1/pools/default/drain")[1]["state"] == "draining"
    assert fleet.command("drain", "default").returncode == 0
    account = until_account(fleet, handed_back=1, waiting=1)
    assert account["incidents"] == 0
    assert fleet.stop() == 0


def test_restart_replaces_every_process_of_one_pool_and_no_other(fleet: RunningFleet) -> None:
    before = {pool["name"]: {process["pid"] for process in pool["processes"]} for pool in fleet.status()["pools"]}
    done = fleet.command("restart", "mail")
    assert (done.returncode, "mail (generation 2)" in done.stdout) == (0, True), done
    fleet.push("mail")
    assert int(fleet.wait_for_line("mail in")["message"].split()[-1]) not in before["mail"]
    assert {process["pid"] for process in pool(fleet, "default")["processes"]} == before["default"]


def test_restart_of_a_pool_that_no_longer_loads_says_so_and_keeps_it(fleet: RunningFleet) -> None:
    fleet.write("import absent_module_of_nobody\n", "mail.py")
    failed = fleet.command("restart", "mail")
    assert failed.returncode == 4
    assert "mail.py:1" in failed.stderr
    fleet.push("mail")
    until_account(fleet, completed=1)


def test_commands_beside_a_reload_count_for_both_generations_and_what_is_asked_for_meanwhile_comes_next(
    fleet: RunningFleet, tmp_path: Path
) -> None:
    fleet.write(WAITS, "mail.py")
    assert fleet.post("/v1/pools/mail/restart")[0] == 202
    fleet.wait_for_line("a worker waits")
    assert fleet.post("/v1/pools/mail/scale", {"processes": 2})[0] == 200
    until_pool(fleet, "mail", ready(2), "two workers of the old generation")
    assert fleet.post("/v1/pools/mail/pause")[1]["state"] == "paused"
    assert fleet.post("/v1/pools/default/restart")[0] == 202
    for name in ("mail", "default"):
        code, refused = fleet.post(f"/v1/pools/{name}/drain")
        assert (code, f"pool {name} is being reloaded; drain it when" in refused["error"]) == (409, True)
    # A third and a fourth one are one with the second.
    fleet.signal(signal.SIGHUP)
    assert fleet.post("/v1/reload")[0] == 202
    assert pool(fleet, "mail")["generation"] == 1
    (tmp_path / "go").touch()
    fleet.wait_for_line("mail (generation 3)")
    until_pool(fleet, "mail", ready(2), "two workers of the last generation")
    assert (pool(fleet, "mail")["state"], pool(fleet, "default")["generation"]) == ("paused", 2)
    fleet.push("mail", count=3)
    fleet.push("say", count=2)
    until_account(fleet, completed=2, waiting=3, in_flight=0)
    fleet.post("/v1/pools/mail/resume")
    account = until_account(fleet, completed=5)
    assert (account["failed"], account["handed_back"]) == (0, 0)
    assert fleet.reload()["pools"] == {"default": 3, "mail": 4}


def test_drain_without_a_pool_ends_the_fleet_and_waits_for_it(fleet: RunningFleet) -> None:
    fleet.push("say", waits=True)
    fleet.wait_for_line("say in")
    with ThreadPoolExecutor(1) as beside:
        command = beside.submit(fleet.command, "drain")
        fleet.wait_for_line("draining")
        open_gate(fleet)
        done = command.result()
    assert (done.returncode, done.stdout) == (0, "the fleet has drained\n"), done
    assert fleet.wait_exit() == 0
    assert [record for record in fleet.records if record["message"] == "say done"]
    assert fleet.command("reload").returncode == 7


@pytest.mark.parametrize(
    ("route", "body", "status", "said"),
    [
        ("/v1/pools/absent/pause", None, 404, "there is no pool 'absent' in this fleet; its pools: default, mail"),
        ("/v1/pools/mail/frobnicate", None, 404, "there are scale, restart, pause, resume and drain"),
        ("/v1/pools/mail/scale", None, 400, '{"processes": 4}'),
        ("/v1/pools/mail/scale", {"processes": 0}, 400, "from 1 to 4096, not 0"),
        ("/v1/pools/mail/scale", {"processes": "many"}, 400, "not 'many'"),
        ("/v1/pools/mail/scale", {"processes": 2, "slots": 1}, 400, "`processes` alone"),
    ],
)
def test_command_that_cannot_be_carried_out_says_why(
    shared_fleet: RunningFleet, route: str, body: object, status: int, said: str
) -> None:
    code, answer = shared_fleet.post(route, body)
    assert (code, said in answer["error"]) == (status, True), answer


def test_command_line_repeats_the_refusal(shared_fleet: RunningFleet) -> None:
    refused = shared_fleet.command("pause", "absent")
    assert refused.returncode == 1
    assert "its pools: default, mail" in refused.stderr
    with shared_fleet.client() as client:
        assert client.get("/v1/pools/mail/pause").status_code == 405


@pytest.fixture(scope="module")
def shared_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    """A fleet for the tests that change nothing."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "fleet.toml").write_text(TWO_POOLS)
    (folder / "mail.py").write_text("\n".join(line[4:] for line in SAYS.format(kind="mail").splitlines()))
    running = RunningFleet(folder, SAYS.format(kind="say"))
    try:
        yield running.wait_running()
    finally:
        running.close()
