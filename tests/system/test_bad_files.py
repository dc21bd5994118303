"""Handler files, settings and addresses that cannot work: one sentence with place and remedy, and no job is touched."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from jobfleet.supervisor.exits import ExitCode

from .engine import Engine
from .fleet import jobfleet

NOOP = "from jobfleet import handler\n@handler('noop')\ndef noop(job): ...\n"

BAD_HANDLERS = {
    "missing": (None, ["handler.py does not exist", "did you mean other.py?"]),
    "syntax": ("import os\ndef broken(:\n", ["handlers.py:2 has a syntax error", "correct that line"]),
    "import": ("\nimport absent_module\n", ["handlers.py:2 imports 'absent_module'", "-m pip install absent_module"]),
    "no handler": ("x = 1\n", ["handlers.py defines no handler", "decorate a function with @handler("]),
    "two for one type": (
        NOOP + "@handler('noop')\ndef again(job): ...\n",
        ["two handlers for job type 'noop'", "handlers.py:2", "handlers.py:4", "remove one or give it another type"],
    ),
    "option": (
        "from jobfleet import handler\n@handler('noop', slots=0)\ndef noop(job): ...\n",
        ["handlers.py:2: slots is 0", "give a whole number from 1 to"],
    ),
    "strategy": (
        "from jobfleet import handler\n\n@handler('noop', strategy='main')\nasync def noop(job): ...\n",
        ["handlers.py:3", "use 'loop'"],
    ),
    "unknown option": (
        "from jobfleet import handler\n@handler('noop', slot=4)\ndef noop(job): ...\n",
        ["handlers.py:2", "has no option 'slot'", "did you mean 'slots'?"],
    ),
    "lease": (
        "from jobfleet import handler\n@handler('noop', lease='soon')\ndef noop(job): ...\n",
        ["handlers.py:2: lease is 'soon'"],
    ),
    "exit": ("import sys\nsys.exit(3)\n", ["handlers.py:2 exits while it is imported", "__name__ == '__main__'"]),
    "dies": ("import os\nos._exit(5)\n", ["the process that imports the handlers exited with status 5"]),
}


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("case", BAD_HANDLERS)
def test_handlers_that_cannot_be_loaded_end_the_command_with_place_and_remedy(
    tmp_path: Path, engine: Engine, command: str, case: str
) -> None:
    source, said = BAD_HANDLERS[case]
    (tmp_path / "other.py").write_text(NOOP)
    if source is not None:
        (tmp_path / "handlers.py").write_text(source)
    given = "handlers.py" if source is not None else "handler.py"
    engine.push("noop")
    options = ["--engine", engine.address, "--name", f"bad-{os.getpid()}"] if command == "run" else []
    done = jobfleet(tmp_path, command, given, *options)
    assert done.returncode == ExitCode.HANDLERS, done.stderr
    assert all(words in done.stderr for words in said), done.stderr
    account = engine.check()
    assert (account["waiting"], account["failed"]) == (1, 0)


SETTINGS = [
    ('proceses = 2\nhandlers = ["handlers.py"]\n', ["fleet.toml:1: unknown key `proceses`", "`processes`"]),
    (
        'handlers = ["handlers.py"]\n\n[engine]\n# where\nurll = "x"\n',
        ["fleet.toml:5: unknown key `urll` in [engine]", "`url`"],
    ),
    (
        '[pools.mail]\nhandlers = ["handlers.py"]\npreloaded = true\n',
        ["fleet.toml:3: unknown key `preloaded` in [pools.mail]", "`preload`"],
    ),
    ('handlers = ["handlers.py"]\nprocesses = "many"\n', ["fleet.toml:2: ", 'a whole number of at least 1 or "auto"']),
    ('handlers = "handlers.py"\n', ["fleet.toml:1: ", "expected a list of texts"]),
    ('handlers = ["handlers.py"]\npreload = 1\n', ["fleet.toml:2: ", "expected true or false"]),
    ('handlers = ["handlers.py"]\ngrace = "soon"\n', ["fleet.toml:2: ", "expected a duration"]),
    ('handlers = ["handlers.py"]\nengine = "x"\n', ["fleet.toml:2: `engine` must be a table, written [engine]"]),
    ('handlers = ["handlers.py"\nprocesses = 2\n', ["fleet.toml:2: not valid TOML"]),
    (
        'handlers = ["handlers.py"]\n[engine]\nurl = "zeebe://x"\n',
        ["fleet.toml:3: ", "an engine's address starts with its protocol", "camunda+http://"],
    ),
]


@pytest.mark.parametrize(("text", "said"), SETTINGS, ids=[said[0][:40] for _, said in SETTINGS])
def test_setting_that_is_wrong_is_named_with_its_line_and_what_is_valid(
    tmp_path: Path, text: str, said: list[str]
) -> None:
    (tmp_path / "handlers.py").write_text(NOOP)
    (tmp_path / "fleet.toml").write_text(text)
    done = jobfleet(tmp_path, "run", "--name", f"bad-{os.getpid()}")
    assert done.returncode == ExitCode.SETTINGS, done.stderr
    assert all(words in done.stderr for words in said), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://127.0.0.1", "an engine's address starts with its protocol"),
        ("http://127.0.0.1:8080", "camunda+http://127.0.0.1:8080"),
        ("camunda+ws://127.0.0.1:8080", "camunda+http"),
        ("camunda+http://", "--engine: "),
        ("camunda+http://127.0.0.1:99999", "--engine: "),
        ("127.0.0.1:8080", "--engine: "),
    ],
)
def test_address_that_is_no_engines_is_refused_with_one_that_would_do(tmp_path: Path, address: str, said: str) -> None:
    (tmp_path / "handlers.py").write_text(NOOP)
    done = jobfleet(tmp_path, "run", "handlers.py", "--engine", address, "--name", f"bad-{os.getpid()}")
    assert done.returncode == ExitCode.SETTINGS, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_port_that_is_taken_is_named_with_a_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = jobfleet(tmp_path, "engine", "--port", str(port))
    assert done.returncode == ExitCode.ENGINE
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "choose another --port" in done.stderr
