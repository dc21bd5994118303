"""Tokens are fetched through the proxy that the settings name, and through no other."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from jobfleet.auth.errors import AuthError
from jobfleet.auth.oauth import fetch_token
from jobfleet.auth.token_request import TokenRequest
from jobfleet.config.secret import Secret
from jobfleet.supervisor.exits import ExitCode

from tests.auth.conftest import StartFleet
from tests.auth.login import CLIENT_ID, SECRET, LoginServer
from tests.auth.test_fleet_credentials import ECHO
from tests.ports import free_port
from tests.system.engine import Engine
from tests.system.fleet import jobfleet
from tests.system.proxies import Forwarder

# Nobody can resolve it: what arrives has come through the proxy.
ABSENT = "http://login.invalid/token"
REQUEST = TokenRequest(url=ABSENT, client_id=CLIENT_ID)


@pytest.fixture
def proxy(login: LoginServer) -> Iterator[Forwarder]:
    forwarder = Forwarder(urlsplit(login.url).port or 0)
    yield forwarder
    forwarder.close()


def test_request_goes_through_the_proxy_with_its_credentials(login: LoginServer, proxy: Forwarder) -> None:
    token = fetch_token(REQUEST, SECRET, proxy=Secret(proxy.url))
    assert token.value == login.look()["issued"][0]
    (head,) = proxy.heads
    assert head.startswith(f"POST {ABSENT} HTTP/1.1")
    assert f"basic {base64.b64encode(b'user:hunter2').decode()}".lower() in head.lower()


def test_environment_by_itself_counts_for_nothing(login: LoginServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
    fetch_token(TokenRequest(url=login.url, client_id=CLIENT_ID), SECRET)


def test_proxy_that_is_down_is_named_without_its_password() -> None:
    port = free_port()
    with pytest.raises(AuthError) as caught:
        fetch_token(REQUEST, SECRET, proxy=Secret(f"http://user:hunter2@127.0.0.1:{port}"))
    assert f"the proxy cannot be reached: 127.0.0.1:{port} refuses" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_proxy_that_does_not_connect_is_named(proxy: Forwarder) -> None:
    # What stands behind it knows no CONNECT.
    request = TokenRequest(url="https://login.invalid/token", client_id=CLIENT_ID)
    with pytest.raises(AuthError, match=rf"the proxy 127\.0\.0\.1:{proxy.port} does not connect to https://login"):
        fetch_token(request, SECRET, ssl.create_default_context(), Secret(proxy.url))


def test_fleet_and_check_fetch_tokens_through_the_proxy_of_the_environment(
    engine: Engine, run_fleet: StartFleet, login: LoginServer, proxy: Forwarder
) -> None:
    login.set(engine=f"http://127.0.0.1:{engine.port}")
    engine.accept("Bearer nobody")
    environ = login.environ(CAMUNDA_OAUTH_URL=ABSENT, HTTP_PROXY=proxy.url, CAMUNDA_WORKER_NAME="w")
    fleet = run_fleet(ECHO, "--processes", "1", environ=environ)
    fleet.wait_for_line("credentials ready: oauth")
    engine.push("echo", 5)
    engine.wait_account(lambda account: account["completed"] == 5, "5 jobs are completed")
    assert fleet.stop() == 0
    assert [head.split()[1] for head in proxy.heads] == [ABSENT]
    engine_url = f"camunda+http://127.0.0.1:{engine.port}"
    done = jobfleet(fleet.folder, "check", "--engine", engine_url, environ=environ)
    assert done.returncode == ExitCode.OK, done.stderr
    assert len(proxy.heads) == 2
