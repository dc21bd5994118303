"""A local engine that outlives the fleets of a test, so that its account can be read after their end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
from jobfleet._core import LocalEngine

from tests.camunda.waiting import wait_until
from tests.supervisor.running import DEADLINE_S

from .pki import Pki

Json = dict[str, Any]

NEVER = ("expired", "settled_twice", "foreign", "lost")
"""What no fleet may bring about, whatever its handlers do."""


class Engine:
    """An engine, its admin API, and what a test wants to know of it."""

    def __init__(self, port: int = 0, dialect: str = "8.10", pki: Pki | None = None) -> None:
        options = {"port": port, "dialect": dialect} | ({"tls": pki.engine_options()} if pki else {})
        self._engine = LocalEngine(json.dumps(options).encode())
        self.port = self._engine.port
        self.url = f"https://localhost:{self.port}" if pki else f"http://127.0.0.1:{self.port}"
        verify = pki.client_context() if pki else True
        self._client = httpx.Client(base_url=self.url, timeout=DEADLINE_S, verify=verify, trust_env=False)

    @property
    def address(self) -> str:
        """What `--engine` takes."""
        return f"camunda+{self.url}"

    def accept(self, *headers: str) -> None:
        """Accept only these Authorization headers from now on; none of them: every request."""
        self._client.post("/local/settings", json={"require_authorization": headers}).raise_for_status()

    def push(self, job_type: str, count: int = 1, retries: int = 3, **variables: object) -> list[str]:
        """Make jobs; their keys."""
        body = {"type": job_type, "count": count, "variables": variables, "retries": retries}
        first, last = self._client.post("/local/jobs", json=body).raise_for_status().json()["keys"]
        return [str(key) for key in range(first, last + 1)]

    def make(self, job_type: str, **members: object) -> str:
        """Make one job with any members that the engine takes; its key."""
        body = {"type": job_type, **members}
        return str(self._client.post("/local/jobs", json=body).raise_for_status().json()["keys"][0])

    def set(self, **settings: object) -> None:
        """Change settings of the engine."""
        self._client.post("/local/settings", json=settings).raise_for_status()

    def fault(self, **fault: object) -> None:
        """Have one fault, and no other, from now on."""
        self._client.post("/local/faults", json={"faults": [fault]}).raise_for_status()

    def job(self, key: str) -> Json:
        """What the engine knows of one job."""
        return dict(self._client.get(f"/local/jobs/{key}").raise_for_status().json())

    def wait_job(self, key: str, *states: str) -> Json:
        """The job, once it is in one of `states`."""

        def look() -> Json | None:
            job = self.job(key)
            return job if job["state"] in states else None

        return wait_until(look, f"job {key} is {' or '.join(states)}", DEADLINE_S)

    def wait_account(self, reached: Callable[[Json], bool], what: str) -> Json:
        """The account, once it is as wanted."""

        def look() -> Json | None:
            account = self.account()
            return account if reached(account) else None

        return wait_until(look, what, DEADLINE_S)

    def wait_settled(self) -> Json:
        """The account, once every job has come to its end."""
        return self.wait_account(
            lambda account: account["waiting"] + account["in_flight"] == 0, "every job has come to its end"
        )

    def wait_failed(self, key: str) -> Json:
        """The job, once a handler's failure of it has been accepted."""

        def look() -> Json | None:
            job = self.job(key)
            return job if job["message"] and job["state"] != "activated" else None

        return wait_until(look, f"job {key} has failed", DEADLINE_S)

    def command(self, key: str, verb: str, **members: object) -> None:
        """Do something to a job as some other client of the engine; it has to be accepted."""
        self._client.post(f"/v2/jobs/{key}/{verb}", json=members).raise_for_status()

    def inject(self, *faults: Json) -> None:
        """Have these faults, and no others, from now on."""
        self._client.post("/local/faults", json={"faults": faults, "seed": 1}).raise_for_status()

    def faults(self) -> list[Json]:
        """The faults in force: how many requests each has seen, and in how many it was `fired`."""
        return list(self._client.get("/local/faults").raise_for_status().json()["faults"])

    def clear_faults(self) -> list[Json]:
        """Have none any more; what they were."""
        before = self.faults()
        self._client.delete("/local/faults").raise_for_status()
        return before

    def now_ms(self) -> int:
        """The engine's clock, which deadlines are of."""
        return int(self._client.get("/local/clock").raise_for_status().json()["now"])

    def advance(self, ms: int) -> None:
        """Put the engine's clock forward."""
        self._client.post("/local/clock", json={"advance_ms": ms}).raise_for_status()

    def polls(self) -> Json:
        """How many polls are held, and how many of them for clients that have departed."""
        return dict(self._client.get("/local/polls").raise_for_status().json())

    def wait_unasked(self) -> None:
        """Until nobody asks for jobs: the engine may learn a little later that a pause has abandoned a poll."""
        wait_until(lambda: not any(self.polls().values()), "no poll is held", DEADLINE_S)

    def account(self) -> Json:
        """`GET /account`."""
        return dict(self._client.get("/account").raise_for_status().json())

    def check(self) -> Json:
        """The account, which has to add up: no job is lost, whatever happened."""
        account = self.account()
        ended = account["completed"] + account["errors_thrown"] + account["incidents"]
        assert account["created"] == ended + account["waiting"] + account["in_flight"], account
        assert {name: account[name] for name in NEVER} == dict.fromkeys(NEVER, 0), account
        return account

    def close(self) -> None:
        """Stop it."""
        self._client.close()
        self._engine.stop()
