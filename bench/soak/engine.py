"""The engine of a soak: embedded, full of jobs, and with an account."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
from jobfleet._core import LocalEngine

Json = dict[str, Any]

ENDLESS: Final = ("soak-noop", "soak-thread", "soak-task", "soak-slow")
"""There is always another job of these."""
RATIONED: Final = ("soak-error", "soak-failure", "soak-endless")
"""Some are added now and then: endless ones would only fail."""
RATION: Final = 3
"""What the slots for them can do in a second, while faults and kills cost them half of it."""


class SoakEngine:
    """Starts on entering, ends on leaving. Speaks the dialect of a server."""

    def __init__(self, dialect: str, seed: int) -> None:
        self.dialect = dialect
        options = {"port": 0, "dialect": dialect, "seed": seed, "history": 1000}
        self._engine = LocalEngine(json.dumps(options).encode())
        self.url = f"http://127.0.0.1:{self._engine.port}"
        self._http = httpx.Client(base_url=self.url, timeout=30)

    def __enter__(self) -> SoakEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._engine.stop()

    def fill(self) -> None:
        """From now on there is always work."""
        for job_type in ENDLESS:
            self._ask("POST", "/local/endless", {"type": job_type, "variables": {"orderId": "order-4711"}})
        self.ration()

    def ration(self) -> None:
        """A few more jobs of the types that fail."""
        for job_type in RATIONED:
            self._ask("POST", "/local/jobs", {"type": job_type, "count": RATION, "retries": 2})

    def set_faults(self, faults: list[Json]) -> None:
        """Replace what goes wrong."""
        self._ask("POST", "/local/faults", {"faults": faults})

    def settle(self, deadline_s: float) -> Json:
        """Add no more jobs, behave, and wait until every job has come to its end; the account."""
        self.set_faults([])
        for job_type in ENDLESS:
            self._ask("DELETE", f"/local/endless/{job_type}")
        return self.wait(lambda account: account["waiting"] + account["in_flight"] == 0, deadline_s)

    def wait(self, enough: Callable[[Json], bool], deadline_s: float) -> Json:
        """The account as soon as it is enough, or as it is at the deadline."""
        end = time.monotonic() + deadline_s
        while True:
            account = self.account()
            if enough(account) or time.monotonic() > end:
                return account
            time.sleep(0.05)

    def account(self) -> Json:
        """`GET /account`."""
        return dict(self._ask("GET", "/account").json())

    def defects(self) -> list[Json]:
        """The newest activations that the account counts as expired, each with what is known of it."""
        return list(self._ask("GET", "/local/defects").json())

    def _ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        return self._http.request(method, path, json=body).raise_for_status()
