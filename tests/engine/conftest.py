"""Fixtures: engines on free ports and a client that knows Camunda's paths."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from jobfleet._core import LocalEngine

DEADLINE_S = 25.0
"""A guard against hanging; nothing here is expected to take that long. Held polls last longer."""


class Api:
    """One engine and a client of it."""

    def __init__(self, **options: Any) -> None:
        self.engine = LocalEngine(json.dumps(options).encode())
        self.url = f"http://127.0.0.1:{self.engine.port}"
        # Loading certificates would take longer than most of these tests.
        self.http = httpx.Client(base_url=self.url, timeout=DEADLINE_S, verify=False)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        return self.http.post(path, json=body, **kwargs)

    def add(self, job_type: str = "work", count: int = 1, **fields: Any) -> list[int]:
        answer = self.post("/local/jobs", {"type": job_type, "count": count, **fields})
        assert answer.status_code == 200, answer.text
        first, last = answer.json()["keys"]
        return list(range(first, last + 1))

    def ask(self, job_type: str = "work", **fields: Any) -> httpx.Response:
        body = {"type": job_type, "maxJobsToActivate": 10, "timeout": 60_000, "worker": "w", "requestTimeout": -1}
        return self.post("/v2/jobs/activation", body | fields)

    def activate(self, job_type: str = "work", **fields: Any) -> list[dict[str, Any]]:
        answer = self.ask(job_type, **fields)
        assert answer.status_code == 200, answer.text
        jobs: list[dict[str, Any]] = answer.json()["jobs"]
        return jobs

    def take(self, **fields: Any) -> Any:
        """Add one job and activate it; returns its key as the answer has it."""
        self.add()
        (job,) = self.activate(**fields)
        return job.get("jobKey", job.get("key"))

    def settle(self, key: Any, verb: str, body: Any = None) -> httpx.Response:
        return self.post(f"/v2/jobs/{key}/{verb}", body)

    def update(self, key: Any, **changeset: Any) -> httpx.Response:
        return self.http.patch(f"/v2/jobs/{key}", json={"changeset": changeset})

    def look(self, key: Any) -> Any:
        return self.http.get(f"/local/jobs/{key}").json()

    def settings(self, **changes: Any) -> None:
        answer = self.post("/local/settings", changes)
        assert answer.status_code == 200, answer.text

    def faults(self, *faults: dict[str, Any]) -> None:
        answer = self.post("/local/faults", {"faults": list(faults)})
        assert answer.status_code == 200, answer.text

    def advance(self, ms: int) -> None:
        assert self.post("/local/clock", {"advance_ms": ms}).status_code == 200

    def account(self) -> dict[str, int]:
        account: dict[str, int] = json.loads(self.engine.account())
        return account

    def polls(self) -> dict[str, int]:
        """How many polls are held, and how many of them for clients whose departure went unnoticed."""
        polls: dict[str, int] = self.http.get("/local/polls").json()
        return polls

    def until_polls(self, **expected: int) -> None:
        """Wait until so many are held or departed."""
        end = time.monotonic() + DEADLINE_S
        while (found := self.polls()) != found | expected:
            assert time.monotonic() < end, found

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.engine.port), timeout=DEADLINE_S)

    def raw_poll(self, job_type: str = "work", **fields: Any) -> socket.socket:
        """Send a long poll over a socket of its own, without reading the answer."""
        ask = {"type": job_type, "maxJobsToActivate": 5, "timeout": 60_000, "worker": "gone", "requestTimeout": 30_000}
        body = json.dumps(ask | fields).encode()
        head = [
            "POST /v2/jobs/activation HTTP/1.1",
            "host: engine",
            "content-type: application/json",
            f"content-length: {len(body)}",
        ]
        connection = self.connect()
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        return connection

    def until_state(self, key: Any, state: str) -> None:
        """Poll one job until it is in this state: a request that nobody waits for may take effect later."""
        end = time.monotonic() + DEADLINE_S
        while (job := self.look(key))["state"] != state:
            assert time.monotonic() < end, job

    def until(self, condition: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """Poll the account until it satisfies the condition."""
        end = time.monotonic() + DEADLINE_S
        while not condition(account := self.account()):
            assert time.monotonic() < end, account
        return account

    def close(self) -> None:
        self.http.close()
        self.engine.stop()


@pytest.fixture
def start() -> Iterator[Callable[..., Api]]:
    """Start engines with options; they stop with the test."""
    started: list[Api] = []

    def start(**options: Any) -> Api:
        started.append(Api(**options))
        return started[-1]

    yield start
    for api in started:
        api.close()


@pytest.fixture
def api(start: Callable[..., Api]) -> Api:
    """An engine in the newest dialect."""
    return start()


@pytest.fixture
def old(start: Callable[..., Api]) -> Api:
    """An engine in the dialect of 8.6."""
    return start(dialect="8.6")
