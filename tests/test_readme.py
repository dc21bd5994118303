"""The README's examples work as they are printed."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from jobfleet.auth.custom import Provided
from jobfleet.config.durations import Duration
from jobfleet.config.load import load_settings, plan_pools
from jobfleet.supervisor.exits import ExitCode

WIDE = os.environ | {"COLUMNS": "200"}
README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("index", "types"),
    [
        (0, ["greet"]),
        (1, ["charge-card", "reserve-stock", "send-mail"]),
        (2, ["book-seat"]),
        (3, ["before-assigning", "next-step"]),
        (4, ["render"]),
    ],
    ids=["short", "long", "options", "kinds", "limits"],
)
def test_handlers_of_the_readme_load(tmp_path: Path, index: int, types: list[str]) -> None:
    (tmp_path / "handlers.py").write_text(blocks("python")[index])
    command = [sys.executable, "-m", "jobfleet", "check", "handlers.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert all(name in run.stdout for name in types), run.stdout


def test_provider_of_the_readme_hands_out_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = next(block for block in blocks("python") if "class Engine" in block)
    (tmp_path / "readme_login.py").write_text(provider)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    header = asyncio.run(Provided("readme_login.Engine").get(None))
    assert (header.value, header.expires_in_s) == ("Bearer from-the-vault", 300)


def test_settings_of_the_readme_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(blocks("toml")[0])
    settings = load_settings({}, {}, file).settings
    plans = [(pool.name, pool.processes, pool.slots) for pool in plan_pools(settings)]
    assert plans[0] == ("cards", 4, None)
    assert plans[1][::2] == ("mail", 200)
    assert (settings.name, settings.grace) == ("payments", Duration(20))


def test_certificates_of_the_readme_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    (certificates,) = (block for block in blocks("toml") if "[engine.tls]" in block)
    file.write_text(certificates)
    engine = load_settings({}, {}, file).settings.engine
    assert engine.url == "camunda+https://camunda.internal/zeebe"
    assert (engine.tls.ca_file, engine.tls.key_file) == (tmp_path / "ca.pem", tmp_path / "fleet.key")


def test_readme_lists_every_exit_status() -> None:
    listed = {(int(number), name) for number, name in re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", README, re.MULTILINE)}
    assert listed == {(code.value, code.name) for code in ExitCode}


def test_readme_lists_every_command() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "jobfleet", "--help"], capture_output=True, text=True, check=True, env=WIDE
    ).stdout
    commands = set(re.findall(r"^  ([a-z]+)  ", shown, re.MULTILINE))
    assert {"run", "reload", "scale", "drain"} <= commands
    assert not [
        command for command in commands if f"`jobfleet {command}" not in README and f"`{command} " not in README
    ]
