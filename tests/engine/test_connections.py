"""Connections: when they are closed, what credentials they need, how many there may be."""

from __future__ import annotations

import base64
import contextlib
import socket
from collections.abc import Callable, Iterator

import httpx
import pytest

from .conftest import Api


def exchange(connection: socket.socket, path: str = "/v2/topology") -> bytes:
    """Send a request and read until the end of its head, or of the connection."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    received = b""
    while b"\r\n\r\n" not in received and (part := connection.recv(65_536)):
        received += part
    return received


def in_time(act: Callable[[], bool]) -> bool:
    """Act until the engine has not closed the connection before the request: a busy host may take longer than that."""
    for _ in range(20):
        with contextlib.suppress(OSError, httpx.TransportError):
            if act():
                return True
    return False


def test_a_connection_is_closed_after_its_requests_with_a_warning(start: Callable[..., Api]) -> None:
    api = start(dialect="8.10", max_requests_per_connection=3)
    with api.connect() as connection:
        answers = [exchange(connection).lower() for _ in range(3)]
        assert [b"connection: close" in answer for answer in answers] == [False, False, True]
        while connection.recv(65_536):
            pass


def test_a_connection_is_kept_without_a_limit(api: Api) -> None:
    with api.connect() as connection:
        assert all(b"connection: close" not in exchange(connection).lower() for _ in range(150))


def test_an_idle_connection_is_closed(start: Callable[..., Api]) -> None:
    api = start(idle_close_ms=30)

    def closed_once_idle() -> bool:
        with api.connect() as connection:
            answered = exchange(connection)
            while connection.recv(65_536):
                pass
        return bool(answered)

    assert in_time(closed_once_idle)


def test_a_held_poll_is_not_idle(start: Callable[..., Api]) -> None:
    api = start(idle_close_ms=20)
    assert in_time(lambda: api.ask(requestTimeout=150).json() == {"jobs": []})


def test_errors_that_close_the_connection_and_errors_that_do_not(api: Api, old: Api) -> None:
    for engine in (api, old):
        assert engine.ask(timeout=-1).headers["connection"] == "close"
        for kept in [engine.http.get("/v2/nothing"), engine.settle((1 << 51) + 5, "completion")]:
            assert (kept.status_code, kept.headers.get("connection")) == (404, None)


def test_credentials_are_checked_where_required(api: Api) -> None:
    basic = "Basic " + base64.b64encode(b"demo:secret").decode()
    api.settings(require_authorization=[basic, "Bearer one"])
    assert api.ask().status_code == 401
    assert api.http.get("/v2/topology").headers["www-authenticate"].startswith("Basic")
    for value, status in [(basic, 200), ("Bearer one", 200), ("Bearer two", 401)]:
        assert api.http.get("/v2/topology", headers={"authorization": value}).status_code == status
    api.settings(require_authorization=["Bearer two"])
    assert api.http.get("/v2/topology", headers={"authorization": "Bearer one"}).status_code == 401
    assert api.http.get("/account").status_code == 200


def test_hundreds_of_held_polls_do_not_slow_other_requests(api: Api) -> None:
    polls = [api.raw_poll(f"t{number}") for number in range(300)]
    api.until_polls(held=300)
    assert api.http.get("/v2/topology").status_code == 200
    for number in range(300):
        api.add(f"t{number}")
    for poll in polls:
        with poll:
            assert b'"jobKey"' in poll.recv(65_536)
    assert api.account()["in_flight"] == 300


def test_a_request_body_in_chunks_is_read_whole(api: Api) -> None:
    api.add()

    def parts() -> Iterator[bytes]:
        yield b'{"type":"work","timeout":1000,'
        yield b'"maxJobsToActivate":1}'

    answer = api.http.post("/v2/jobs/activation", content=parts(), headers={"content-type": "application/json"})
    assert len(answer.json()["jobs"]) == 1


def test_rubbish_on_a_connection_harms_nobody(api: Api) -> None:
    with api.connect() as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00 this is no HTTP \r\n\r\n")
        assert not connection.recv(65_536).startswith(b"HTTP/1.1 2")
    assert api.ask().status_code == 200


@pytest.mark.parametrize("size", [10_000, 4_000_000])
def test_large_variables_travel_whole(api: Api, size: int) -> None:
    api.settings(max_answer_bytes=0)
    api.add(variables={"x": "y" * size}, count=3)
    assert [len(job["variables"]["x"]) for job in api.activate()] == [size] * 3
    assert api.account()["undelivered"] == 0
