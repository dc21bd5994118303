"""Handlers that read what their processes do not have are told of by `jobfleet check`."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from jobfleet.cli.secret_reads import secret_reads

from tests.system.fleet import jobfleet


@pytest.mark.parametrize(
    "source",
    [
        "import os\nsecret = os.environ['CAMUNDA_CLIENT_SECRET']",
        "import os\nsecret = os.environ.get('CAMUNDA_CLIENT_SECRET', '')",
        "import os\nsecret = os.environ.pop('CAMUNDA_CLIENT_SECRET', '')",
        "import os\nsecret = os.getenv('CAMUNDA_CLIENT_SECRET')",
        "import os\nsecret = os.getenv(key='CAMUNDA_CLIENT_SECRET')",
        "from os import environ\nsecret = environ['CAMUNDA_CLIENT_SECRET']",
        "from os import getenv\nsecret = getenv('CAMUNDA_CLIENT_SECRET')",
        "import os\nknown = 'CAMUNDA_CLIENT_SECRET' in os.environ",
        "import os\nsecret = os.environb[b'CAMUNDA_CLIENT_SECRET']",
    ],
)
def test_read_is_found_with_its_line(tmp_path: Path, source: str) -> None:
    file = tmp_path / "handlers.py"
    file.write_text(source)
    (told,) = secret_reads([str(file), str(file)])
    assert told.startswith(f"{file}:2: reads CAMUNDA_CLIENT_SECRET, which worker processes do not inherit")


@pytest.mark.parametrize(
    "source",
    [
        "import os\naddress = os.environ['CAMUNDA_REST_ADDRESS']",
        "import os\nown = os.environ['DATABASE_PASSWORD']",
        "text = 'CAMUNDA_CLIENT_SECRET'",
        "import os\nos.environ[name] = 1",
        "def broken(:",
    ],
)
def test_other_code_is_left_alone(tmp_path: Path, source: str) -> None:
    file = tmp_path / "handlers.py"
    file.write_text(source)
    assert secret_reads([str(file)]) == []


def test_check_tells_of_it_unless_credentials_are_passed_on(tmp_path: Path) -> None:
    source = """
        import os
        from jobfleet import handler

        @handler("x")
        def x(job):
            return {"secret": os.environ.get("ZEEBE_CLIENT_SECRET")}
    """
    (tmp_path / "handlers.py").write_text(textwrap.dedent(source))
    done = jobfleet(tmp_path, "check", "handlers.py")
    assert done.returncode == 0
    assert "handlers.py:7: reads ZEEBE_CLIENT_SECRET" in done.stdout
    passed = jobfleet(tmp_path, "check", "handlers.py", environ={"JOBFLEET_PASS_CREDENTIALS": "true"})
    assert "reads ZEEBE_CLIENT_SECRET" not in passed.stdout
