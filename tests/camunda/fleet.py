"""A fleet as a user starts one: the `jobfleet` command, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from .waiting import wait_until

HANDLERS = Path(__file__).parent / "handlers"

Json = dict[str, Any]
StartFleet = Callable[..., "Fleet"]


class Fleet:
    """`jobfleet run` against a Camunda; its output goes to `directory/fleet.log`.

    Without a `url` the settings have to name the engine, by `environ` for example.
    """

    def __init__(
        self, url: str, process: str, directory: Path, *options: str, environ: Mapping[str, str] | None = None
    ) -> None:
        self.log = directory / "fleet.log"
        self._options = options
        self._url = url
        self._program = Path(sys.executable).with_name("jobfleet")
        # A path below pytest's temporary folder can be too long for a Unix socket.
        self._run_dir = tempfile.TemporaryDirectory(prefix="jf-")
        self._socket = Path(self._run_dir.name) / "socket"
        self._env = os.environ | {"TEST_PROCESS": process, "TEST_DIR": str(directory)} | dict(environ or {})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, handlers: str, deadline_s: float = 60.0) -> None:
        """Run `handlers/<handlers>.py`; returns once every process is ready."""
        command: list[str | Path] = [
            self._program,
            "run",
            HANDLERS / f"{handlers}.py",
            *(["--engine", f"camunda+{self._url}"] if self._url else []),
        ]
        command += ["--socket", self._socket, *self._options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env, start_new_session=True
            )
        wait_until(self._is_ready, f"the fleet is ready (see {self.log})", deadline_s)

    def command(self, *words: str) -> str:
        """Run another command for this fleet, and return what it prints."""
        done = subprocess.run(
            [self._program, *words, "--socket", self._socket],
            capture_output=True,
            text=True,
            timeout=60,
            env=self._env,
            check=True,
        )
        return done.stdout

    def status(self) -> Json:
        """What `jobfleet status --json` prints, without a process for each look."""
        transport = httpx.HTTPTransport(uds=str(self._socket))
        with httpx.Client(transport=transport, base_url="http://fleet", timeout=30) as client:
            return dict(client.get("/v1/status").raise_for_status().json())

    def processes(self) -> list[Json]:
        """The worker processes of all pools."""
        return [process for pool in self.status()["pools"] for process in pool["processes"]]

    def counts(self, job_type: str) -> Json:
        """The counters of one job type."""
        (found,) = [one for one in self.status()["types"] if one["type"] == job_type]
        return dict(found)

    def wait_counted(self, job_type: str, counter: str, least: int = 1) -> Json:
        """The counters of a job type, once this one has come so far."""

        def look() -> Json | None:
            counts = self.counts(job_type)
            return counts if counts[counter] >= least else None

        return wait_until(look, f"{counter} of {job_type} is {least}")

    def wait_logged(self, words: str) -> None:
        """Return once the log has these words."""
        wait_until(lambda: words in self.log.read_text(errors="replace"), f"{words!r} is in {self.log}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, deadline_s: float = 60.0) -> int:
        """Wait for its end and return the exit status."""
        assert self._process is not None
        return self._process.wait(deadline_s)

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def close(self) -> None:
        """End whatever is left."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(30)
        self._run_dir.cleanup()

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the fleet ended: {self.log.read_text(errors='replace')[-2000:]}")
        if not self._socket.exists():
            return False
        try:
            states = [process["state"] for process in self.processes()]
        except httpx.TransportError:
            return False
        return bool(states) and all(state == "ready" for state in states)
