"""Fleets that reach their engine over https, and through a proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from jobfleet.supervisor.exits import ExitCode

from .conftest import StartFleet
from .engine import Engine
from .fleet import jobfleet
from .pki import Pki
from .proxies import CREDENTIALS, Tunnel

NOOP = """
    from jobfleet import handler

    @handler("noop")
    def noop(job): ...
"""


@pytest.fixture
def pki(request: pytest.FixtureRequest) -> Pki:
    """Certificates; a parameter is the engine's name."""
    return Pki(getattr(request, "param", "localhost"))


@pytest.fixture
def engine(pki: Pki) -> Iterator[Engine]:
    """An engine that wants to see a certificate."""
    engine = Engine(pki=pki)
    yield engine
    engine.close()


def test_fleet_works_over_https_and_follows_renewed_certificates(
    run_fleet: StartFleet, engine: Engine, pki: Pki, tmp_path: Path
) -> None:
    fleet = run_fleet(NOOP, "--processes", "1", environ=pki.write(tmp_path)).wait_running()
    engine.push("noop", 50)
    assert engine.wait_settled()["completed"] == 50
    streams = fleet.status()["fleet"]["engine"]["outcome_streams"]
    assert streams > 0, "HTTP/2 is spoken where the engine offers it"
    engine.check()
    engine.close()
    renewed = Pki()
    renewed.write(tmp_path)
    with closing(Engine(port=engine.port, pki=renewed)) as successor:
        successor.push("noop", 50)
        assert successor.wait_settled()["completed"] == 50
        fleet.wait_for_line("the certificates have changed; the new ones hold")
        assert fleet.stop() == 0
        successor.check()


def test_engine_that_is_not_trusted_is_told_of_with_a_remedy(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(NOOP, "--processes", "1").wait_running()
    said = fleet.wait_for(lambda record: record.get("engine") == "down")["message"]
    assert engine.url in said
    assert "name the authority's certificate as engine.tls.ca_file" in said
    assert fleet.readiness()[0] == 503


def test_check_uses_the_same_certificates(engine: Engine, pki: Pki, tmp_path: Path) -> None:
    done = jobfleet(tmp_path, "check", "--engine", engine.address, environ=pki.write(tmp_path))
    assert done.returncode == 0, done.stderr
    done = jobfleet(tmp_path, "check", "--engine", engine.address)
    assert done.returncode == ExitCode.ENGINE
    assert "is not trusted" in done.stderr


def test_certificate_that_cannot_be_read_ends_the_command(run_fleet: StartFleet, tmp_path: Path) -> None:
    environ = {"JOBFLEET_ENGINE_TLS_CA_FILE": str(tmp_path / "absent.pem")}
    fleet = run_fleet(NOOP, "--processes", "1", environ=environ)
    said = fleet.wait_for_line("absent.pem")["message"]
    assert "engine.tls.ca_file" in said
    assert "cannot be read" in said
    assert fleet.wait_exit() != 0


@pytest.mark.parametrize("pki", ["engine.test"], indirect=True)
def test_fleet_works_through_a_proxy_and_shows_no_password(
    run_fleet: StartFleet, engine: Engine, pki: Pki, tmp_path: Path
) -> None:
    with closing(Tunnel(engine.port)) as tunnel:
        environ = pki.write(tmp_path) | {"HTTPS_PROXY": tunnel.url}
        address = "camunda+https://engine.test:8443"
        fleet = run_fleet(NOOP, "--processes", "1", address=address, environ=environ).wait_running()
        fleet.wait_for_line(f"go through the proxy 127.0.0.1:{tunnel.port}")
        fleet.wait_for(lambda record: record.get("engine") == "up")
        assert set(tunnel.asked) == {"CONNECT engine.test:8443 HTTP/1.1"}
        shown = json.dumps(fleet.records) + json.dumps(fleet.status())
        assert CREDENTIALS.partition(":")[2] not in shown
        assert fleet.stop() == 0


def test_proxy_is_left_out_for_hosts_that_need_none(run_fleet: StartFleet) -> None:
    environ = {"https_proxy": "http://127.0.0.1:1", "NO_PROXY": "other.test, .invalid"}
    fleet = run_fleet(NOOP, "--processes", "1", address="camunda+https://engine.invalid", environ=environ)
    said = fleet.wait_for(lambda record: record.get("engine") == "down")["message"]
    assert "cannot resolve engine.invalid" in said
