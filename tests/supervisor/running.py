"""A fleet as a user starts one, in a process of its own, watched through its log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.camunda.waiting import wait_until

Json = dict[str, Any]

DEADLINE_S = 60.0
"""Long enough for a busy machine; a guard against hanging, not a mark."""


class RunningFleet:
    """`jobfleet run` with a JSON log. Every record of the log can be waited for.

    `prefix` is a command that becomes `jobfleet`. What goes to `output`, a descriptor, is not read here.
    """

    def __init__(
        self,
        folder: Path,
        source: str,
        *options: str,
        environ: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
        output: int | None = None,
    ) -> None:
        self.folder = folder
        self.write(source)
        # A path below pytest's temporary folder can be too long for a Unix socket.
        self._run_dir = tempfile.TemporaryDirectory(prefix="jf-")
        self.socket = Path(self._run_dir.name) / "socket"
        self.records: list[Json] = []
        self._changed = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            [
                *prefix,
                *[sys.executable, "-m", "jobfleet", "run", "handlers.py", "--log-format", "json"],
                *["--socket", str(self.socket), *options],
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE if output is None else output,
            start_new_session=True,
            env=os.environ | {"JOBFLEET_DUMPABLE": "true"} | (environ or {}),
        )
        if output is None:
            threading.Thread(target=self._read, daemon=True).start()

    def write(self, source: str, file: str = "handlers.py") -> None:
        """Replace a file of its folder in one step, as editors and deployments do."""
        fresh = self.folder / f".{file}.fresh"
        fresh.write_text(textwrap.dedent(source))
        fresh.replace(self.folder / file)

    # -- the log

    def wait_for(self, matches: Callable[[Json], bool], since: int = 0) -> Json:
        """The first record from number `since` on that matches."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: next(filter(matches, self.records[since:]), None) or (self._ended and {}), DEADLINE_S
            )
        if not found:
            log = "\n".join(json.dumps(record) for record in self.records[-50:])
            raise AssertionError(f"the fleet {'ended' if self._ended else 'hangs'}; its log:\n{log}")
        return found

    def wait_for_line(self, text: str, since: int = 0) -> Json:
        """The first record from number `since` on whose message has `text`."""
        return self.wait_for(lambda record: text in record["message"], since)

    def wait_running(self) -> RunningFleet:
        """Wait until the fleet runs and no worker is starting any more: the log's line comes with the first ones."""
        self.wait_for_line("running ")

        def settled() -> bool:
            return all(process["state"] != "starting" for process in self.processes())

        wait_until(settled, "every worker is ready", DEADLINE_S)
        return self

    @property
    def log_length(self) -> int:
        """How many records there are; what comes later can be waited for with `since`."""
        return len(self.records)

    # -- the control API

    def client(self) -> httpx.Client:
        """A client of the control API."""
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.socket)), base_url="http://fleet", timeout=DEADLINE_S
        )

    def status(self) -> Json:
        """`GET /v1/status`."""
        with self.client() as client:
            return dict(client.get("/v1/status").raise_for_status().json())

    def post(self, route: str, body: object = None) -> tuple[int, Json]:
        """POST: the status code and the answer."""
        with self.client() as client:
            answer = client.post(route) if body is None else client.post(route, json=body)
            return answer.status_code, dict(answer.json())

    def reload(self) -> Json:
        """Reload, and wait for the outcome."""
        return self.post("/v1/reload?wait=true")[1]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the CLI for this fleet."""
        return subprocess.run(
            [sys.executable, "-m", "jobfleet", *arguments, "--socket", str(self.socket)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def processes(self) -> list[Json]:
        """Worker processes of all pools."""
        return [process for pool in self.status()["pools"] for process in pool["processes"]]

    def worker_pids(self) -> list[int]:
        """Worker processes that are ready."""
        return [process["pid"] for process in self.processes() if process["state"] == "ready"]

    # -- the engine

    @property
    def engine_url(self) -> str:
        """Where the embedded engine listens."""
        return str(self.wait_for_line("local engine listens on")["message"]).rpartition(" ")[2]

    def push(self, job_type: str, count: int = 1, **variables: object) -> None:
        """Give jobs to the embedded engine."""
        body = {"type": job_type, "count": count, "variables": variables, "retries": 3}
        httpx.post(f"{self.engine_url}/local/jobs", json=body, timeout=DEADLINE_S).raise_for_status()

    def account(self) -> Json:
        """The engine's account."""
        return dict(httpx.get(f"{self.engine_url}/account", timeout=DEADLINE_S).raise_for_status().json())

    # -- its end

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor alone."""
        self.process.send_signal(number)

    def wait_exit(self) -> int:
        """The exit status."""
        return self.process.wait(DEADLINE_S)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait_exit()

    def close(self) -> None:
        """End whatever is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_S)
        self._run_dir.cleanup()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                record = json.loads(line)
            except ValueError:
                record = {"level": "raw", "source": "stderr", "message": line.decode(errors="replace").rstrip()}
            with self._changed:
                self.records.append(record)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def wait_gone(pid: int) -> bool:
    """Wait for the end of a process that is not our child."""
    import select

    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], DEADLINE_S)[0])
    finally:
        os.close(pidfd)
