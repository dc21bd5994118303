"""`jobfleet check --engine`: one sentence and one exit status for each cause."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobfleet.auth import probe
from jobfleet.auth.authorization import Authorization
from jobfleet.auth.make import Credentials
from jobfleet.auth.probe import Fault, Finding, probe_engine
from jobfleet.supervisor.exits import ExitCode

from tests.auth.conftest import _login_server, login  # noqa: F401 - fixtures
from tests.auth.login import LoginServer
from tests.supervisor.running import DEADLINE_S
from tests.system.engine import Engine
from tests.system.fleet import jobfleet

SECRET = "hunter2-of-the-engine"
BEARER = Credentials("header", fixed=Authorization(f"Bearer {SECRET}"))
NOBODY = Credentials("none")


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


class Canned:
    """A server that answers every request with the same bytes, or with nothing."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            if self._answers:
                connection.recv(65536)
                connection.sendall(self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])
                _end(connection)

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()


def _end(connection: socket.socket) -> None:
    """Close once the client has: what it still sends would turn the end into a reset, and the answer would be lost."""
    # The test may have closed it by now.
    with contextlib.suppress(OSError):
        connection.settimeout(DEADLINE_S)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    connection.close()


def answer(status: str, body: str = "", kind: str = "text/html", *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", "connection: close", *more]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def topology(version: str) -> bytes:
    return answer("200 OK", f'{{"gatewayVersion": "{version}"}}', "application/json")


def find(url: str, credentials: Credentials = BEARER) -> Finding:
    finding = probe_engine(url, credentials)
    assert SECRET not in finding.sentence
    return finding


@pytest.mark.parametrize(
    ("answers", "fault", "said"),
    [
        ([answer("404 Not Found")], Fault.ENGINE, "has no Camunda REST API (8.6 or newer) at this path: /v2/topology"),
        ([answer("200 OK", "<html>")], Fault.ENGINE, "answers with text/html (HTTP 200): this is not Camunda's"),
        ([answer("302 Found", "", "text/html", "location: /login")], Fault.ENGINE, "redirects elsewhere (HTTP 302)"),
        ([answer("200 OK", '{"a": 1}', "application/json")], Fault.ENGINE, "answers with application/json (HTTP 200)"),
        ([answer("502 Bad Gateway")], Fault.ENGINE, "answers /v2/topology with HTTP 502"),
        ([answer("407 Proxy")], Fault.ENGINE, "wants credentials of its own (HTTP 407)"),
        ([topology("8.5.12")], Fault.ENGINE, "is Camunda 8.5.12, which jobfleet cannot work with; it needs 8.6"),
        ([topology("7.21")], Fault.ENGINE, "is Camunda 7.21, which"),
        ([answer("401 Unauthorized", "{}", "application/json")], Fault.CREDENTIALS, "refuses the credentials (header"),
        (
            [
                topology("8.8.0"),
                answer(
                    "403 Forbidden",
                    f'{{"title": "FORBIDDEN", "detail": "no {SECRET}"}}',
                    "application/problem+json",
                ),
            ],
            Fault.CREDENTIALS,
            "which may not activate jobs (HTTP 403: FORBIDDEN: no ********)",
        ),
        (
            [answer("403 Forbidden"), answer("200 OK", '{"jobs": []}', "application/json")],
            Fault.NONE,
            "is Camunda of a version that the credentials may not read; credentials: header",
        ),
    ],
)
def test_answer_is_explained(answers: list[bytes], fault: Fault, said: str) -> None:
    server = Canned(*answers)
    try:
        finding = find(server.url)
    finally:
        server.close()
    assert finding.fault is fault
    assert said in finding.sentence


def test_host_that_cannot_be_reached_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the name nowhere.invalid cannot be resolved" in find("http://nowhere.invalid:8080").sentence
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert (
            "refuses the connection: nothing listens there"
            in find(f"http://127.0.0.1:{unused.getsockname()[1]}").sentence
        )
    monkeypatch.setattr(probe, "_LIMIT_S", 0.5)
    silent = Canned()
    try:
        assert "does not answer in time" in find(silent.url).sentence
    finally:
        silent.close()


def test_port_of_grpc_is_named() -> None:
    """What it sends first is a frame of HTTP/2."""
    server = Canned(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00")
    try:
        finding = find(server.url)
    finally:
        server.close()
    assert finding.fault is Fault.ENGINE
    assert "does not speak HTTP as expected" in finding.sentence
    assert "gRPC port" in finding.sentence


def test_http_where_https_is_spoken_is_a_matter_of_tls(engine: Engine) -> None:
    finding = find(f"https://127.0.0.1:{engine.port}")
    assert finding.fault is Fault.ENGINE
    assert f"TLS with 127.0.0.1:{engine.port} fails" in finding.sentence
    assert "whether the port speaks https" in finding.sentence


def test_engine_that_wants_credentials_is_told_apart_from_one_that_refuses_them(engine: Engine) -> None:
    engine.accept("Bearer other")
    url = f"http://127.0.0.1:{engine.port}"
    assert "wants credentials and none are set" in find(url, NOBODY).sentence
    assert "refuses the credentials (header, HTTP 401)" in find(url).sentence
    engine.accept(f"Bearer {SECRET}")
    found = find(url)
    assert (found.fault, found.sentence) == (Fault.NONE, f"{url} is Camunda 8.10.0; credentials: header")


def test_command_tries_engine_and_handlers_with_a_status_for_each(tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "handlers.py").write_text("from jobfleet import handler\n@handler('x')\ndef x(job): ...\n")
    engine.accept(f"Bearer {SECRET}")
    accepted = {"JOBFLEET_ENGINE_AUTHORIZATION": f"Bearer {SECRET}"}
    good = jobfleet(tmp_path, "check", "handlers.py", "--engine", engine.address, environ=accepted)
    assert good.returncode == ExitCode.OK, good.stderr
    assert "is Camunda 8.10.0; credentials: header" in good.stdout
    assert "pool default: 1 job types" in good.stdout
    refused = jobfleet(tmp_path, "check", "--engine", environ={"JOBFLEET_ENGINE": engine.address})
    assert refused.returncode == ExitCode.CREDENTIALS
    assert refused.stderr.count("\n") == 1
    nothing = jobfleet(tmp_path, "check", "--engine")
    assert nothing.returncode == ExitCode.SETTINGS
    assert "no engine is set" in nothing.stderr
    engine.close()
    gone = jobfleet(tmp_path, "check", "--engine", engine.address)
    assert gone.returncode == ExitCode.ENGINE
    for run in (good, refused, nothing, gone):
        assert SECRET not in run.stdout + run.stderr


def test_token_server_is_part_of_the_check(tmp_path: Path, engine: Engine, login: LoginServer) -> None:  # noqa: F811
    login.set(engine=f"http://127.0.0.1:{engine.port}")
    good = jobfleet(tmp_path, "check", "--engine", engine.address, environ=login.environ())
    assert good.returncode == ExitCode.OK, good.stderr
    assert "credentials: oauth, client 'payments', good for 3600 s" in good.stdout
    rejected = jobfleet(
        tmp_path, "check", "--engine", engine.address, environ=login.environ(CAMUNDA_CLIENT_SECRET=SECRET)
    )
    assert rejected.returncode == ExitCode.CREDENTIALS
    assert "rejects the client 'payments' (HTTP 401)" in rejected.stderr
    login.set(faults=["html"])
    elsewhere = jobfleet(tmp_path, "check", "--engine", engine.address, environ=login.environ())
    assert elsewhere.returncode == ExitCode.CREDENTIALS
    assert "text/html instead of a token; check auth.token_url; nothing was asked of the engine" in elsewhere.stderr
    assert SECRET not in rejected.stderr


def test_credentials_that_cannot_be_had_are_no_traceback() -> None:
    class Broken:
        name, watches = "broken", False

        async def get(self, present: str | None) -> Authorization:
            await asyncio.sleep(0)
            raise probe.AuthError(probe.Kind.OUTAGE, "the vault is sealed")

        def has_changed(self) -> bool:
            return False

        def complaint(self) -> str | None:
            return None

    finding = probe_engine("http://host", Credentials("broken", source=Broken()))
    assert finding == Finding(Fault.CREDENTIALS, "the vault is sealed; nothing was asked of the engine")
