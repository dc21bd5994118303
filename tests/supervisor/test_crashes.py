"""What a fleet does when one of its processes dies. Real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.camunda.waiting import wait_until

from .running import DEADLINE_S, Json, RunningFleet, wait_gone

RunFleet = Callable[..., RunningFleet]

SLOW = """
    import os, time
    from jobfleet import Job, handler

    @handler("slow", slots=2)
    def slow(job: Job) -> dict:
        print("started in", os.getpid(), flush=True)
        time.sleep(float(job.variables.get("seconds", 0)))
        return {}
"""

DIES = """
    import ctypes, os, sys
    from jobfleet import Job, handler

    @handler("die")
    def die(job: Job) -> dict:
        how = job.variables["how"]
        if how == "exit":
            os._exit(7)
        if how == "segfault":
            ctypes.string_at(0)
        os.kill(os.getpid(), int(how))
"""


def started_in(fleet: RunningFleet, since: int = 0) -> int:
    """The process that a `slow` job has started in."""
    return int(fleet.wait_for_line("started in", since)["message"].split()[-1])


def wait_replaced(events: Iterator[str], before: list[int]) -> None:
    """Read events until a worker is ready that was not there before: what was still unread tells of others too."""
    while not ("worker_ready" in (event := next(events)) and json.loads(event)["pid"] not in before):
        pass


def died(pid: int) -> Callable[[Json], bool]:
    return lambda record: record.get("pid") == pid and record["source"].startswith("pool ")


def test_last_words_of_a_worker_are_attributed_to_it(run_fleet: RunFleet) -> None:
    fleet = run_fleet(
        """
        import os, time
        from jobfleet import Job, handler

        @handler("last")
        def last(job: Job) -> dict:
            print("printed by", os.getpid(), flush=True)
            # What is printed within a job leaves with the next flush of the link, and what has not left dies with it.
            while not os.path.exists("told"):
                time.sleep(0.01)
            os.write(1, b"written by %d\\n" % os.getpid())
            os.kill(os.getpid(), 9)
        """,
        "--processes",
        "1",
    ).wait_running()
    fleet.push("last")
    for words in ("printed by", "written by"):
        record = fleet.wait_for_line(words)
        assert record["source"] == "default/" + record["message"].split()[-1]
        (fleet.folder / "told").touch()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("9", "killed by signal 9 (SIGKILL)"),
        ("6", "killed by signal 6 (SIGABRT)"),
        ("exit", "exited with status 7"),
        ("segfault", "killed by signal 11 (SIGSEGV)"),
    ],
)
def test_log_says_how_a_worker_died_and_the_engine_reads_it_too(run_fleet: RunFleet, how: str, said: str) -> None:
    fleet = run_fleet(DIES, "--processes", "1").wait_running()
    fleet.push("die", how=how)
    assert said in fleet.wait_for(lambda record: record["source"] == "pool default")["message"]
    buried = fleet.wait_for_line("handed back")
    assert said in buried["message"]


def test_killed_worker_is_replaced_and_the_restart_counted(run_fleet: RunFleet) -> None:
    fleet = run_fleet(SLOW, "--processes", "2").wait_running()
    with fleet.client() as client, client.stream("GET", "/v1/events") as events:
        lines = events.iter_lines()
        assert "hello" in next(lines)
        while len(pids := fleet.worker_pids()) < 2:
            next(lines)
        os.kill(pids[0], signal.SIGKILL)
        wait_replaced(lines, pids)
    processes = fleet.processes()
    assert sorted(process["restarts"] for process in processes) == [0, 1]
    assert {process["state"] for process in processes} == {"ready"}
    assert pids[0] not in fleet.worker_pids()
    assert pids[1] in fleet.worker_pids()
    assert fleet.status()["pools"][0]["restarts"] == 1


def test_zygote_that_dies_is_replaced_without_its_workers(run_fleet: RunFleet) -> None:
    fleet = run_fleet(SLOW, "--processes", "2").wait_running()
    fleet.push("slow", seconds=0.1)
    started_in(fleet)
    before = fleet.status()["pools"][0]
    os.kill(before["zygote_pid"], signal.SIGKILL)
    fleet.wait_for_line("its workers live on")
    victim = before["processes"][0]["pid"]
    with fleet.client() as client, client.stream("GET", "/v1/events") as events:
        lines = events.iter_lines()
        next(lines)
        os.kill(victim, signal.SIGKILL)
        wait_replaced(lines, [process["pid"] for process in before["processes"]])
    after = fleet.status()["pools"][0]
    assert after["zygote_pid"] not in (None, before["zygote_pid"])
    survivors = {process["pid"] for process in before["processes"]} - {victim}
    assert survivors < {process["pid"] for process in after["processes"]}


def test_what_a_killed_worker_had_started_dies_with_it(run_fleet: RunFleet) -> None:
    fleet = run_fleet(
        """
        import os, subprocess, time
        from jobfleet import Job, handler

        @handler("parent")
        def parent(job: Job) -> dict:
            child = subprocess.Popen(["sleep", "600"])
            print("children", os.getpid(), child.pid, flush=True)
            time.sleep(600)
        """,
        "--processes",
        "1",
    ).wait_running()
    fleet.push("parent")
    _, worker, child = fleet.wait_for_line("children")["message"].split()
    os.kill(int(worker), signal.SIGKILL)
    assert wait_gone(int(child))


def test_orphans_that_the_supervisor_adopts_are_reaped(run_fleet: RunFleet) -> None:
    fleet = run_fleet(
        """
        import os, subprocess
        from jobfleet import Job, handler

        @handler("daemon")
        def daemon(job: Job) -> dict:
            # The shell leaves its child behind in a session of its own, as daemons do.
            script = "setsid sh -c 'echo orphan $$; read line' <&0 & "
            inner, outer = os.pipe()
            subprocess.run(["sh", "-c", script], stdin=inner, check=True)
            os.close(inner)
            os.close(outer)
            return {}
        """,
        "--processes",
        "1",
    ).wait_running()
    fleet.push("daemon")
    orphan = int(fleet.wait_for_line("orphan")["message"].split()[1])
    assert wait_gone(orphan)


def test_pool_whose_handlers_kill_every_worker_is_degraded_and_recovers(run_fleet: RunFleet, tmp_path: object) -> None:
    fleet = run_fleet(
        f"""
        import os
        from jobfleet import on_start, handler, Job

        @on_start
        def fragile() -> None:
            if not os.path.exists({str(tmp_path)!r} + "/mended"):
                os._exit(9)

        @handler("noop")
        def noop(job: Job) -> dict:
            return {{}}
        """,
        "--processes",
        "2",
    )
    assert "never become ready" in fleet.wait_for_line("degraded")["message"]
    with fleet.client() as client:
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "pool default is degraded" in ready.text
    open(f"{tmp_path}/mended", "w").close()
    fleet.wait_for_line("the pool has recovered")
    with fleet.client() as client, client.stream("GET", "/v1/events") as events:
        lines = events.iter_lines()
        next(lines)
        while len(fleet.worker_pids()) < 2:
            next(lines)
        assert client.get("/readyz").status_code == 200


def test_start_hook_that_raises_is_told_with_its_place_and_tried_again_slowly(run_fleet: RunFleet) -> None:
    fleet = run_fleet(
        """
        from jobfleet import Job, handler, on_start

        @on_start
        def connect() -> None:
            raise ConnectionError("no database")

        @handler("noop")
        def noop(job: Job) -> dict:
            return {}
        """,
        "--processes",
        "1",
    )
    told = fleet.wait_for_line("cannot start")["message"]
    assert "no database" in told
    assert "handlers.py" in told
    fleet.wait_for_line("degraded")
    assert fleet.stop() == 0


def test_degraded_pool_keeps_no_jobs_says_why_and_leaves_the_other_pools_alone(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    (tmp_path / "fleet.toml").write_text('processes = 1\n[pools.other]\nhandlers = ["other.py"]\n')
    (tmp_path / "other.py").write_text(
        'from jobfleet import Job, handler\n\n@handler("other")\ndef other(job: Job) -> None:\n    pass\n'
    )
    fleet = run_fleet(
        f"""
        import os
        from jobfleet import on_start, handler, Job

        @on_start
        def fragile() -> None:
            if os.path.exists({str(tmp_path)!r} + "/broken"):
                raise ConnectionError("no database")

        # Half of the lease, when jobs go back that have not started, is longer than this test waits.
        @handler("work", lease="10m")
        def work(job: Job) -> None:
            pass
        """,
    ).wait_running()
    others = {pool["name"]: pool["processes"][0]["pid"] for pool in fleet.status()["pools"]}
    wait_until(lambda: fleet.status()["totals"]["held_polls"] == 2, "both types are polled", DEADLINE_S)
    (tmp_path / "broken").touch()
    os.kill(others["default"], signal.SIGKILL)
    assert "no database" in fleet.wait_for_line("the pool is degraded")["message"]
    # The poll that was held then may still bring the first ones.
    fleet.push("work", count=5)
    fleet.push("other", count=5)

    def given_back() -> bool:
        account = fleet.account()
        return (account["completed"], account["waiting"], account["in_flight"]) == (5, 5, 0)

    wait_until(given_back, "the other pool works, and the degraded one holds nothing", DEADLINE_S)
    default, other = fleet.status()["pools"]
    assert (default["state"], "no database" in default["reason"]) == ("degraded", True)
    assert (other["state"], other["processes"][0]["pid"]) == ("ready", others["other"])
    (tmp_path / "broken").unlink()
    fleet.wait_for_line("the pool has recovered")
    wait_until(lambda: fleet.account()["completed"] == 10, "its jobs are done", DEADLINE_S)
