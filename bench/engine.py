"""The engine that everything is measured against: the local engine, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import httpx

from bench.paths import ROOT
from bench.pki import Pki
from bench.tree import Tree

Json = dict[str, Any]

PAYLOAD = {"orderId": "order-4711", "amount": 129.9, "customer": "c" * 40, "express": True}
"""100 bytes of variables."""


class Engine:
    """Starts on entering, ends on leaving. With certificates it speaks https alone."""

    def __init__(self, pki: Pki | None = None) -> None:
        self._pki = pki

    def __enter__(self) -> Engine:
        options = {"dialect": "8.10"} | ({"tls": self._pki.engine_options()} if self._pki else {})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.serve"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(options) + "\n")
        self._process.stdin.flush()
        port = int(self._process.stdout.readline())
        self.url = f"https://localhost:{port}" if self._pki else f"http://127.0.0.1:{port}"
        self.tree = Tree(self._process.pid)
        verify = self._pki.client_context() if self._pki else True
        self._http = httpx.Client(base_url=self.url, timeout=60, verify=verify)
        self._endless: dict[str, Json] = {}
        self._faults: list[Json] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self._process.communicate()

    def reset(self) -> None:
        """Forget every job, and behave again."""
        self._endless, self._faults = {}, []
        self._ask("POST", "/local/reset")

    def begin(self) -> None:
        """Forget every job and count anew for the next client; endless types and faults stay."""
        self._ask("POST", "/local/reset")
        self._ask("POST", "/local/faults", {"faults": self._faults})
        for body in self._endless.values():
            self._ask("POST", "/local/endless", body)

    def endless(self, job_type: str, variables: Json | None = None) -> None:
        """From now on there is always another job of this type."""
        body = {"type": job_type, "variables": PAYLOAD if variables is None else variables}
        self._endless[job_type] = body
        self._ask("POST", "/local/endless", body)

    def push(self, job_type: str, count: int, variables: Json | None = None) -> None:
        """Add jobs."""
        body = {"type": job_type, "count": count, "variables": PAYLOAD if variables is None else variables}
        self._ask("POST", "/local/jobs", body)

    def delay(self, latency_ms: int) -> None:
        """Answer everything so much later from now on."""
        self.misbehave({"fault": "latency", "latency_ms": latency_ms})

    def misbehave(self, *faults: Json) -> None:
        """Have these faults, and no others, from now on."""
        self._faults = list(faults)
        self._ask("POST", "/local/faults", {"faults": self._faults})

    def settings(self, **changes: Any) -> None:
        """Be another server from now on; a reset leaves this as it is."""
        self._ask("POST", "/local/settings", changes)

    def held_polls(self) -> int:
        """Polls that wait for a job."""
        return int(self._ask("GET", "/local/polls").json()["held"])

    def account(self) -> Json:
        """What became of the jobs since the last reset."""
        return dict(self._ask("GET", "/account").json())

    def latency(self) -> Json:
        """Percentiles of the jobs completed since the last reset: `available_us` and `held_us`."""
        return dict(self._ask("GET", "/local/latency").json())

    def completed(self) -> int:
        """Jobs completed since the last reset."""
        return int(self.account()["completed"])

    def wait(self, enough: Callable[[Json], bool], what: str, deadline_s: float, every_s: float = 0.005) -> Json:
        """Ask for the account until it is enough; `what` names it when the deadline passes."""
        end = time.monotonic() + deadline_s
        while True:
            account = self.account()
            if enough(account):
                return account
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {deadline_s:g} s ({account})")
            time.sleep(every_s)

    def _ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        return self._http.request(method, path, json=body).raise_for_status()
