"""The pages below docs/ say what the code does."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from jobfleet import Job, handler
from jobfleet.config.camunda_env import KNOWN
from jobfleet.config.shape import description, environment_name, setting_paths
from jobfleet.supervisor.core import TypeStatus

from tests.camunda.waiting import wait_until

ROOT = Path(__file__).parent.parent
SETTINGS, CAMUNDA, OPERATIONS = (
    (ROOT / "docs" / f"{page}.md").read_text() for page in ("settings", "camunda", "operations")
)
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_page_of_settings_is_the_one_that_the_model_writes() -> None:
    command = [sys.executable, ROOT / "tools" / "settings.py"]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert written == SETTINGS, "run `make docs`"


def test_every_setting_has_one_row_and_a_sentence() -> None:
    for path in setting_paths():
        rows = [line for line in SETTINGS.splitlines() if f"| `{environment_name(path)}` |" in line]
        assert len(rows) == 1, path
        assert rows[0].startswith(f"| `{path[-1]}` | "), path
        assert description(path).endswith("."), path


def test_every_variable_of_camunda_is_named() -> None:
    assert [name for name in sorted(KNOWN) if f"`{name}`" not in SETTINGS] == []


def test_every_option_of_a_handler_is_documented() -> None:
    options = [
        name
        for name, parameter in inspect.signature(handler).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    assert len(options) > 10
    table = CAMUNDA[CAMUNDA.index("## Options of a handler") : CAMUNDA.index("## What a handler sees")]
    assert [name for name in options if f"`{name}`" not in table] == []


def test_everything_that_a_job_holds_is_documented() -> None:
    public = [name for name in dir(Job) if not name.startswith("_")]
    assert len(public) > 20
    assert [name for name in public if f"`job.{name}`" not in CAMUNDA] == []


def test_every_counter_of_a_job_type_is_documented() -> None:
    counters = [
        name
        for name, kind in TypeStatus.__annotations__.items()
        if kind == "int" and name not in ("waiting", "dispatched", "running", "held_polls", "settling")
    ]
    assert len(counters) > 7
    assert [name for name in counters if f"`{name}`" not in OPERATIONS] == []


def test_example_of_the_options_loads(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", CAMUNDA, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "handlers.py").write_text(example)
    command = [sys.executable, "-m", "jobfleet", "check", "handlers.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "index-document" in run.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_metrics_are_read_as_the_page_says(tmp_path: Path) -> None:
    (command,) = re.findall(r"^```sh\n(.*?)^```$", OPERATIONS, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "handlers.py").write_text("from jobfleet import handler\n@handler('x')\ndef x(job): ...\n")
    # A path below pytest's temporary folder can be too long for a Unix socket.
    with tempfile.TemporaryDirectory(prefix="jf-") as runtime:
        environ = os.environ | {"XDG_RUNTIME_DIR": runtime}
        fleet = subprocess.Popen([sys.executable, "-m", "jobfleet", "run", "handlers.py"], cwd=tmp_path, env=environ)
        try:
            wait_until((Path(runtime) / "jobfleet" / "default.sock").exists, "the fleet listens")

            def says() -> bool:
                said = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True, check=False)
                return "jobfleet_engine_up" in said.stdout

            wait_until(says, "the command shows the metrics")
        finally:
            fleet.terminate()
            fleet.wait(60)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
