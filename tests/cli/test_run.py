"""What `jobfleet run` says about bad input, and how it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jobfleet.supervisor.exits import ExitCode

from tests.ports import free_port
from tests.supervisor.running import RunningFleet
from tests.system.fleet import jobfleet

NOOP = """
    from jobfleet import Job, handler

    @handler("noop")
    def noop(job: Job) -> dict:
        return {}
"""

RunFleet = Callable[..., RunningFleet]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "handlers.py does not exist"),
        ("def broken(:\n", "handlers.py:1"),
        ("import absent_module_of_nobody\n", "absent_module_of_nobody"),
        ("x = 1\n", "handlers.py"),
        ("import os\nos._exit(5)\n", "exited with status 5"),
        ("import os\nos.kill(os.getpid(), 11)\n", "signal 11"),
    ],
    ids=["missing", "syntax", "import", "no handler", "exits", "crashes"],
)
def test_handlers_that_cannot_be_loaded_end_the_start_with_a_reason(
    tmp_path: Path, source: str | None, said: str
) -> None:
    if source is not None:
        (tmp_path / "handlers.py").write_text(source)
    done = jobfleet(tmp_path, "run", "handlers.py", "--name", f"bad-{os.getpid()}")
    assert done.returncode == ExitCode.HANDLERS, done.stderr
    assert said in done.stderr


def test_two_handlers_for_one_type_are_named(tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text(
        "from jobfleet import Job, handler\n"
        "@handler('same')\ndef first(job: Job) -> dict: ...\n"
        "@handler('same')\ndef second(job: Job) -> dict: ...\n"
    )
    done = jobfleet(tmp_path, "run", "handlers.py", "--name", f"bad-{os.getpid()}")
    assert done.returncode == ExitCode.HANDLERS
    assert "same" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], ExitCode.SETTINGS, "no handlers to run"),
        (["handlers.py", "--engine", "ftp://x"], ExitCode.SETTINGS, "--engine: an engine's address starts with its"),
        (["handlers.py", "--engine", "http://127.0.0.1:1"], ExitCode.SETTINGS, "camunda+http://127.0.0.1:1"),
        (
            ["handlers.py", "--processes", "many"],
            ExitCode.SETTINGS,
            '--processes: expected a whole number of at least 1 or "auto"',
        ),
        (["handlers.py", "--processes", "0"], ExitCode.SETTINGS, "--processes"),
        (["handlers.py", "--grace", "soon"], ExitCode.SETTINGS, "--grace: expected a duration"),
        (["handlers.py", "--log-format", "xml"], ExitCode.SETTINGS, '--log-format: expected "text" or "json"'),
        (["handlers.py", "--config", "absent.toml"], ExitCode.SETTINGS, "absent.toml: cannot be read"),
        (["handlers.py", "--proceses", "2"], ExitCode.USAGE, "--proceses"),
        (["handlers.py", "--slots"], ExitCode.USAGE, "--slots"),
    ],
)
def test_bad_option_is_named(tmp_path: Path, arguments: list[str], code: ExitCode, said: str) -> None:
    (tmp_path / "handlers.py").write_text("")
    done = jobfleet(tmp_path, "run", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_key_of_the_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text('handlers = ["handlers.py"]\n\n[engine]\nurll = "x"\n')
    done = jobfleet(tmp_path, "run")
    assert done.returncode == ExitCode.SETTINGS
    assert "fleet.toml:4: unknown key `urll` in [engine]; the nearest valid key is `url`" in done.stderr


def test_second_fleet_on_the_same_socket_is_told_who_has_it(run_fleet: RunFleet, tmp_path: Path) -> None:
    fleet = run_fleet(NOOP, "--processes", "1").wait_running()
    done = jobfleet(tmp_path, "run", "handlers.py", "--socket", str(fleet.socket))
    assert done.returncode == ExitCode.SOCKET_IN_USE
    assert f"process {fleet.process.pid}" in done.stderr
    assert fleet.status()["fleet"]["state"] == "running"


def test_socket_of_a_dead_fleet_is_taken_over(run_fleet: RunFleet) -> None:
    dead = run_fleet(NOOP, "--processes", "1").wait_running()
    dead.signal(signal.SIGKILL)
    dead.wait_exit()
    assert dead.socket.exists()
    fleet = run_fleet(NOOP, "--processes", "1", "--socket", str(dead.socket))
    fleet.socket = dead.socket
    fleet.wait_running()
    assert fleet.status()["fleet"]["pid"] == fleet.process.pid


def test_engine_that_is_absent_is_told_once_and_waited_for(run_fleet: RunFleet) -> None:
    port = free_port()
    fleet = run_fleet(NOOP, "--processes", "1", "--engine", f"camunda+http://127.0.0.1:{port}").wait_running()
    fleet.wait_for(lambda record: record.get("engine") == "down")
    with fleet.client() as client:
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "the engine is down" in answer.text
        assert client.get("/healthz").status_code == 200
    from jobfleet._core import LocalEngine

    engine = LocalEngine(f'{{"port": {port}}}'.encode())
    fleet.wait_for(lambda record: record.get("engine") == "up")
    assert len([record for record in fleet.records if record.get("engine") == "down"]) == 1
    with fleet.client() as client:
        assert client.get("/readyz").status_code == 200
    assert fleet.stop() == ExitCode.OK
    engine.stop()


def test_pools_of_the_file_run_beside_each_other(run_fleet: RunFleet, tmp_path: Path) -> None:
    (tmp_path / "mail.py").write_text("from jobfleet import handler\n@handler('mail')\nasync def mail(job): ...\n")
    (tmp_path / "fleet.toml").write_text('processes = 1\n[pools.mail]\nhandlers = ["mail.py"]\nprocesses = 2\n')
    fleet = run_fleet(NOOP, "--config", "fleet.toml").wait_running()
    pools = {pool["name"]: len(pool["processes"]) for pool in fleet.status()["pools"]}
    assert pools == {"default": 1, "mail": 2}


def test_pool_that_does_not_load_leaves_the_other_pools_alone(run_fleet: RunFleet, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import absent_module_of_nobody\n")
    (tmp_path / "fleet.toml").write_text('processes = 1\n[pools.bad]\nhandlers = ["bad.py"]\n')
    fleet = run_fleet(NOOP, "--config", "fleet.toml").wait_running()
    pools = {pool["name"]: pool for pool in fleet.status()["pools"]}
    assert pools["default"]["state"] == "ready"
    assert pools["bad"]["state"] == "degraded"
    assert "absent_module_of_nobody" in pools["bad"]["reason"]


def test_job_type_of_two_pools_is_refused_to_the_second_one(run_fleet: RunFleet, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("from jobfleet import handler\n@handler('noop')\ndef other(job): ...\n")
    (tmp_path / "fleet.toml").write_text('processes = 1\n[pools.other]\nhandlers = ["other.py"]\n')
    fleet = run_fleet(NOOP, "--config", "fleet.toml").wait_running()
    states = sorted(pool["state"] for pool in fleet.status()["pools"])
    assert states == ["degraded", "ready"]
    assert "'noop' is handled by pool" in fleet.wait_for_line("leave it to one of them")["message"]


def test_workers_do_not_inherit_the_engines_credentials(run_fleet: RunFleet) -> None:
    source = """
        import os
        from jobfleet import Job, handler

        @handler("look")
        def look(job: Job) -> dict:
            names = sorted(name for name in os.environ if name.startswith(("CAMUNDA_", "JOBFLEET_ENGINE", "NOTIFY")))
            print("sees", ",".join(names))
            return {}
    """
    secrets = {
        "CAMUNDA_CLIENT_SECRET": "s3cret",
        "CAMUNDA_CLIENT_ID": "me",
        "JOBFLEET_ENGINE_AUTHORIZATION": "Bearer s3cret",
    }
    fleet = run_fleet(source, "--processes", "1", environ=secrets).wait_running()
    fleet.push("look")
    assert fleet.wait_for_line("sees")["message"] == "sees CAMUNDA_CLIENT_ID"
    assert fleet.stop() == ExitCode.OK
    assert not any("s3cret" in str(record) for record in fleet.records)


def test_workers_inherit_credentials_where_that_is_set(run_fleet: RunFleet) -> None:
    source = """
        import os
        from jobfleet import Job, handler

        @handler("look")
        def look(job: Job) -> dict:
            print("sees", os.environ.get("CAMUNDA_CLIENT_SECRET"))
            return {}
    """
    environ = {"CAMUNDA_CLIENT_SECRET": "s3cret", "JOBFLEET_PASS_CREDENTIALS": "true"}
    fleet = run_fleet(source, "--processes", "1", environ=environ).wait_running()
    fleet.push("look")
    assert fleet.wait_for_line("sees")["message"] == "sees s3cret"


def test_start_imports_nothing_that_a_fleet_does_not_need() -> None:
    program = """
import sys
import jobfleet.cli.quick, jobfleet.cli.start, jobfleet.config, jobfleet.supervisor.service
heavy = {"typer", "click", "rich", "httpx", "starlette", "uvicorn", "prometheus_client", "psutil", "tomllib"}
print(*sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
