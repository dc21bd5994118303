"""The other commands, and what they say when they cannot do what they are asked."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jobfleet.cli.quick import CONFIG_OPTION, RUN_OPTIONS, parse
from jobfleet.supervisor.exits import ExitCode

from tests.supervisor.running import DEADLINE_S, RunningFleet

from .test_run import NOOP, jobfleet

RunFleet = Callable[..., RunningFleet]


def test_quick_reading_and_the_option_library_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    import jobfleet.cli.run
    from jobfleet.cli.app import app
    from jobfleet.cli.quick import RunArguments
    from typer.testing import CliRunner

    arguments = ["a.py", *(word for flag in RUN_OPTIONS for word in (flag, f"value-of{flag}")), CONFIG_OPTION, "f", "b"]
    quick = parse(arguments)
    slow: list[RunArguments] = []
    monkeypatch.setattr(jobfleet.cli.run, "start", lambda given: slow.append(given) or 0)
    result = CliRunner().invoke(app, ["run", *arguments])
    assert result.exit_code == 0, result.output
    assert quick is not None
    assert (quick.handlers, quick.options, quick.config) == (slow[0].handlers, slow[0].options, slow[0].config)
    assert set(quick.options) == set(RUN_OPTIONS.values())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--slots"], ["--slots", "--name"], ["-x"], ["--", "a.py"], ["--name="]]
)
def test_quick_reading_leaves_what_is_not_plain_to_the_option_library(arguments: list[str]) -> None:
    assert parse(arguments) is None


def test_options_with_an_equals_sign_are_plain() -> None:
    parsed = parse(["--slots=4", "a.py"])
    assert parsed is not None
    assert (parsed.options, parsed.handlers) == ({("slots",): "4"}, ["a.py"])


def test_help_names_every_option_of_run_with_its_variable(tmp_path: Path) -> None:
    done = jobfleet(tmp_path, "run", "--help")
    assert done.returncode == 0
    for flag in RUN_OPTIONS:
        assert flag in done.stdout
    assert "JOBFLEET_PROCESSES" in done.stdout


def test_check_prints_what_would_run(tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text(
        "print('hello from the import')\n"
        "from jobfleet import Job, handler\n"
        "@handler('charge-card', slots=3, lease='30s')\ndef charge(job: Job) -> dict: ...\n"
    )
    done = jobfleet(tmp_path, "check", "handlers.py")
    assert done.returncode == ExitCode.OK, done.stderr
    row = next(line.split() for line in done.stdout.splitlines() if "charge-card" in line)
    assert row == ["charge-card", "handlers:charge", "threads", "3", "30s", "all", f"{tmp_path}/handlers.py:3"]
    assert "hello from the import" in done.stderr


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import absent_module_of_nobody\n", "absent_module_of_nobody"),
        ("import os; os._exit(3)\n", "exited with status 3"),
        ("x = 1\n", "handlers.py"),
    ],
)
def test_check_says_what_is_wrong(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "handlers.py").write_text(source)
    done = jobfleet(tmp_path, "check", "handlers.py")
    assert done.returncode == ExitCode.HANDLERS
    assert said in done.stderr


def test_status_without_a_fleet_says_so(tmp_path: Path) -> None:
    done = jobfleet(tmp_path, "status", "--socket", str(tmp_path / "absent"))
    assert done.returncode == ExitCode.NO_FLEET
    assert "no fleet listens on" in done.stderr
    assert "Traceback" not in done.stderr


def test_status_of_a_dead_fleet_says_so(run_fleet: RunFleet, tmp_path: Path) -> None:
    fleet = run_fleet(NOOP, "--processes", "1").wait_running()
    fleet.signal(signal.SIGKILL)
    fleet.wait_exit()
    assert jobfleet(tmp_path, "status", "--socket", str(fleet.socket)).returncode == ExitCode.NO_FLEET


def test_status_shows_the_fleet_as_table_and_as_json(run_fleet: RunFleet, tmp_path: Path) -> None:
    fleet = run_fleet(NOOP, "--processes", "1").wait_running()
    (pid,) = fleet.worker_pids()
    table = jobfleet(tmp_path, "status", "--socket", str(fleet.socket))
    assert table.returncode == 0, table.stderr
    assert str(pid) in table.stdout
    assert "noop" in table.stdout
    printed = jobfleet(tmp_path, "status", "--json", environ={"JOBFLEET_SOCKET": str(fleet.socket)})
    (process,) = json.loads(printed.stdout)["pools"][0]["processes"]
    assert (process["pid"], process["state"]) == (pid, "ready")


def test_push_finds_the_engine_of_the_running_fleet(run_fleet: RunFleet, tmp_path: Path) -> None:
    source = """
        from jobfleet import Job, handler

        @handler("greet")
        def greet(job: Job) -> dict:
            print("hello", job.variables["name"], flush=True)
            return {}
    """
    fleet = run_fleet(source, "--processes", "1").wait_running()
    done = jobfleet(
        tmp_path, "push", "greet", "--count", "2", "--variables", '{"name": "Ada"}', "--socket", str(fleet.socket)
    )
    assert done.returncode == 0, done.stderr
    fleet.wait_for_line("hello Ada")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--variables", "{"], ExitCode.USAGE, "--variables is not JSON"),
        (["--variables", "[1]"], ExitCode.USAGE, "must be a JSON object"),
        (["--engine", "http://127.0.0.1:1"], ExitCode.ENGINE, "no engine answers at http://127.0.0.1:1"),
        (["--engine", "zeebe+http://x"], ExitCode.USAGE, "unknown engine protocol 'zeebe'"),
    ],
)
def test_push_says_what_is_wrong(tmp_path: Path, options: list[str], code: ExitCode, said: str) -> None:
    done = jobfleet(tmp_path, "push", "greet", *options)
    assert done.returncode == code
    assert said in done.stderr


def test_engine_runs_alone_takes_jobs_and_ends_with_its_account(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobfleet", "engine", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        line = engine.stdout.readline()
        assert line.startswith("local engine listens on http://127.0.0.1:")
        url = line.split()[4]
        port = url.rpartition(":")[2]
        assert jobfleet(tmp_path, "push", "greet", "--count", "3", "--engine", f"camunda+{url}").returncode == 0
        taken = jobfleet(tmp_path, "engine", "--port", port)
        assert taken.returncode == ExitCode.ENGINE
        assert "choose another --port" in taken.stderr
        engine.send_signal(signal.SIGTERM)
        account = json.loads(engine.stdout.read())
        assert engine.wait(DEADLINE_S) == 0
    assert (account["created"], account["waiting"]) == (3, 3)


def test_engine_refuses_a_dialect_that_it_does_not_speak(tmp_path: Path) -> None:
    done = jobfleet(tmp_path, "engine", "--port", "0", "--dialect", "7.0")
    assert done.returncode == ExitCode.USAGE
    assert "7.0" in done.stderr
