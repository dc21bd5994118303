"""The Python class: options, stop, threads and forks."""

from __future__ import annotations

import json
import os
import socket
import threading

import pytest
from jobfleet._core import LocalEngine


def test_it_takes_a_free_port_or_the_one_it_is_given() -> None:
    first = LocalEngine()
    second = LocalEngine(b'{"port": 0}')
    assert first.port != second.port
    port = second.port
    second.stop()
    third = LocalEngine(json.dumps({"port": port, "host": "localhost"}).encode())
    assert third.port == port
    first.stop()
    third.stop()


def test_a_taken_port_is_an_os_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            LocalEngine(json.dumps({"port": taken.getsockname()[1]}).encode())


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (b"[]", "map"),
        (b"{", "EOF"),
        (b'{"prot": 1}', "prot"),
        (b'{"port": "x"}', "port"),
        (b'{"dialect": "8.5"}', "dialect"),
        (b'{"seed": -1}', "seed"),
    ],
)
def test_a_bad_option_is_named(options: bytes, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        LocalEngine(options)


def test_stop_is_idempotent_and_closes_connections() -> None:
    engine = LocalEngine()
    with socket.create_connection(("127.0.0.1", engine.port), timeout=10) as connection:
        connection.sendall(
            b"POST /local/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n"
            b'{"type":"a"}'
        )
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        engine.stop()
        engine.stop()
        assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", engine.port), timeout=10)
    assert json.loads(engine.account())["created"] == 1, "the account outlives the engine"


def test_it_can_be_asked_from_many_threads() -> None:
    engine = LocalEngine()
    answers: list[bytes] = []
    threads = [threading.Thread(target=lambda: answers.extend(engine.account() for _ in range(50))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    engine.stop()
    assert len(answers) == 400


def test_a_forked_child_is_refused_and_exits_cleanly() -> None:
    engine = LocalEngine()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            engine.account()
        except RuntimeError as error:
            status = 0 if "fork" in str(error) else 2
        del engine
        os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert json.loads(engine.account())["created"] == 0
    engine.stop()
