"""Where the engine's credentials are not: not in a worker's environment, not in its memory, not in what is shown."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.auth.conftest import StartFleet
from tests.auth.login import LoginServer
from tests.system.engine import Engine
from tests.system.fleet import jobfleet

# The handler knows only how the secret begins, and a digest of the rest, so that it does not find its own variable.
SEARCH = """
    import hashlib, os, re
    from jobfleet import Job, handler

    def readable():
        with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
            for line in maps:
                match = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
                if match and "[v" not in line:
                    start, end = (int(part, 16) for part in match.groups())
                    try:
                        memory.seek(start)
                        yield memory.read(end - start)
                    except (OSError, ValueError, OverflowError):
                        continue

    def count(data, beginning, digest, length):
        found = 0
        at = data.find(beginning)
        while at >= 0:
            rest = data[at + len(beginning) : at + length]
            found += hashlib.sha256(rest).hexdigest() == digest
            at = data.find(beginning, at + 1)
        return found

    @handler("search")
    def search(job: Job) -> dict:
        sought = job.variables
        needles = [(each["beginning"].encode(), each["digest"], each["length"]) for each in sought["secrets"]]
        control = [count(data, *needles[-1]) for data in readable()]
        memory = [sum(count(data, *needle) for data in readable()) for needle in needles[:-1]]
        with open("/proc/self/environ", "rb") as environ:
            block = environ.read()
        inherited = [count(block, *needle) for needle in needles[:-1]]
        parent = "/proc/%d/environ" % os.getppid()
        try:
            with open(parent, "rb") as environ:
                readable_parent = len(environ.read())
        except OSError as error:
            readable_parent = type(error).__name__
        return {
            "memory": memory, "environ": inherited, "control": sum(control), "parent": readable_parent,
            "names": sorted(name for name in os.environ if name.startswith(("CAMUNDA_", "JOBFLEET_"))),
        }
"""


def needle(secret: str) -> dict[str, object]:
    return {
        "beginning": secret[:6],
        "digest": hashlib.sha256(secret[6:].encode()).hexdigest(),
        "length": len(secret),
    }


def searched(engine: Engine, *secrets: str) -> dict[str, object]:
    (key,) = engine.push("search", secrets=[needle(secret) for secret in secrets])
    return dict(engine.wait_job(key, "completed")["variables"])


def test_credentials_are_passed_on_where_that_is_wanted(
    engine: Engine, run_fleet: StartFleet, login: LoginServer
) -> None:
    secret = "client-secret-of-the-fleet-4713"
    login.set(engine=f"http://127.0.0.1:{engine.port}", secret=secret)
    environ = login.environ(CAMUNDA_CLIENT_SECRET=secret, JOBFLEET_PASS_CREDENTIALS="true")
    fleet = run_fleet(SEARCH, "--processes", "1", environ=environ)
    fleet.wait_running()
    found = searched(engine, secret, secret)
    assert found["environ"] == [1]
    assert "CAMUNDA_CLIENT_SECRET" in str(found["names"])


def test_nothing_that_a_fleet_shows_has_a_secret_in_it(
    engine: Engine, run_fleet: StartFleet, login: LoginServer, tmp_path: Path
) -> None:
    secret = "client-secret-of-the-fleet-4714"
    login.set(engine=f"http://127.0.0.1:{engine.port}", secret=secret, faults=["401", "500", "html"])
    file = tmp_path / "secret"
    file.write_text(secret)
    environ = login.environ(CAMUNDA_CLIENT_SECRET="", JOBFLEET_AUTH_CLIENT_SECRET_FILE=str(file))
    fleet = run_fleet(SEARCH, "--processes", "1", environ=environ)
    fleet.wait_for_line("rejects the client")
    file.touch()
    fleet.wait_for_line("credentials ready")
    engine.accept("Bearer none that was issued")
    engine.push("search", secrets=[])
    fleet.wait_for_line("the engine refuses the present header")
    with fleet.client() as client:
        shown = "".join(client.get(path).text for path in ("/v1/status", "/metrics", "/readyz"))
    shown += "".join(map(str, fleet.records))
    shown += jobfleet(tmp_path, "status", "--json", "--socket", str(fleet.socket)).stdout
    assert "credentials" in shown
    for hidden in (secret, *login.look()["issued"]):
        assert hidden not in shown
    fleet.process.kill()


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root needs setpriv to be less than root")
@pytest.mark.parametrize("dumpable", [False, True])
def test_process_of_the_same_user_can_look_into_the_supervisor_only_if_that_is_wanted(
    engine: Engine, run_fleet: StartFleet, dumpable: bool
) -> None:
    # Without capabilities even root is a user like others.
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    fleet = run_fleet(SEARCH, "--processes", "1", environ={"JOBFLEET_DUMPABLE": str(dumpable)}, prefix=drop)
    fleet.wait_running()
    look = [*drop, sys.executable, "-c", f"open('/proc/{fleet.process.pid}/environ', 'rb').read()"]
    assert (subprocess.run(look, check=False, stderr=subprocess.DEVNULL).returncode == 0) is dumpable
    assert fleet.stop() == 0
