"""`jobfleet check --engine` against a real gateway, and against its other ports."""

from __future__ import annotations

import subprocess
import sys

import pytest
from jobfleet.auth.make import Credentials
from jobfleet.auth.probe import Fault, probe_engine
from jobfleet.supervisor.exits import ExitCode

from .engine import CamundaEngine

# The first test of a session may have to fetch 300 MB and start the engine.
pytestmark = pytest.mark.timeout(900)


def test_engine_is_named_with_its_version(camunda_engine: CamundaEngine) -> None:
    command = [sys.executable, "-m", "jobfleet", "check", "--engine", f"camunda+{camunda_engine.url}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == ExitCode.OK, done.stderr
    assert done.stdout == f"engine: {camunda_engine.url} is Camunda 8.6.0; credentials: none\n"


def test_each_mistake_in_the_address_has_its_sentence(camunda_engine: CamundaEngine) -> None:
    url, host = camunda_engine.url, camunda_engine.url.removeprefix("http://")
    expected = {
        f"{url}/nowhere": "has no Camunda REST API (8.6 or newer) at this path: /nowhere/v2/topology answers HTTP 404",
        camunda_engine.management_url: "has no Camunda REST API (8.6 or newer) at this path",
        camunda_engine.grpc_url: "gRPC port (26500) is another one",
        f"https://{host}": f"TLS with {host} fails",
    }
    for address, sentence in expected.items():
        finding = probe_engine(address, Credentials("none"))
        assert (finding.fault, sentence in finding.sentence) == (Fault.ENGINE, True), finding
