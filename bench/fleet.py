"""jobfleet as a client of the engine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from bench.client import Client, Command
from bench.engine import Engine
from bench.measure import Figures, run_client
from bench.paths import HANDLERS, JOBFLEET

Json = dict[str, Any]


class Fleet:
    """`jobfleet run` of one file of handlers: starts on entering, ends on leaving."""

    def __init__(
        self,
        engine: Engine,
        handlers: str,
        processes: int,
        name: str = "",
        env: Mapping[str, str] | None = None,
        *,
        program: Path = JOBFLEET,
    ) -> None:
        self.processes = processes
        self._engine = engine
        # A Unix socket's path is short; the results' folder need not be.
        self._folder = tempfile.TemporaryDirectory(prefix="jf-bench-")
        self._socket = Path(self._folder.name) / "socket"
        self.command = Command(
            name or f"jobfleet {handlers}, {processes} processes",
            [
                *(program, "run", HANDLERS / f"{handlers}.py", "--engine", "camunda+{url}"),
                *("--processes", str(processes), "--socket", self._socket),
            ],
            env or {},
            warm_up_s=2.0,
        )

    def __enter__(self) -> Fleet:
        self.client = Client(self.command, self._engine).__enter__()
        transport = httpx.HTTPTransport(uds=str(self._socket))
        self._http = httpx.Client(base_url="http://fleet", transport=transport, timeout=30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self.client.__exit__(kind, error, trace)
        self._folder.cleanup()

    def figures(self, seconds: float) -> Figures:
        """Run at full speed for a while."""
        return run_client(self.command, self._engine, seconds)

    def status(self) -> Json:
        """The fleet's state."""
        return dict(self._http.get("/v1/status").raise_for_status().json())

    def post(self, path: str) -> Json:
        """Give a command, and wait for its outcome."""
        return dict(self._http.post(path).raise_for_status().json())

    def workers(self) -> list[Json]:
        """The worker processes of all pools."""
        return [process for pool in self.status()["pools"] for process in pool["processes"]]

    def type(self, job_type: str) -> Json:
        """The counters and latencies of one job type."""
        return next(one for one in self.status()["types"] if one["type"] == job_type)

    def wait_ready(self, deadline_s: float = 60) -> None:
        """Return once all worker processes are ready."""
        self.wait(self._is_ready, f"{self.processes} processes are ready", deadline_s)

    def wait(self, probe: Callable[[], bool], what: str, deadline_s: float = 60, every_s: float = 0.005) -> None:
        """Ask until the answer is yes; `what` names it when the deadline passes."""
        end = time.monotonic() + deadline_s
        while not probe():
            self.client.check()
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {deadline_s:g} s (see {self.client.log})")
            time.sleep(every_s)

    def _is_ready(self) -> bool:
        try:
            states = [worker["state"] for worker in self.workers()]
        except httpx.TransportError:
            return False
        return states.count("ready") == self.processes
