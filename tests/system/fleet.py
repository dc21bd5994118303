"""A fleet against an engine of its own, which leaves no process behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.camunda.waiting import wait_until
from tests.supervisor.running import DEADLINE_S, Json, RunningFleet, wait_gone

from .engine import Engine

_MARK = "SYSTEM_TEST"


class Fleet(RunningFleet):
    """`jobfleet run` against `engine`, in a folder where handlers and test meet in files."""

    def __init__(
        self,
        folder: Path,
        source: str,
        engine: Engine,
        *options: str,
        address: str | None = None,
        prefix: Sequence[str] = (),
        output: int | None = None,
        environ: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.engine = engine
        self._mark = uuid.uuid4().hex
        chosen = ("--engine", address or engine.address, *options)
        super().__init__(
            folder, source, *chosen, environ={_MARK: self._mark, **(environ or {})}, prefix=prefix, output=output
        )

    def jobfleet(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command in the fleet's folder."""
        return jobfleet(self.folder, *arguments)

    def wait_status(self, reached: Callable[[Json], object], what: str) -> Json:
        """The status, once it is as wanted."""

        def look() -> Json | None:
            status = self.status()
            return status if reached(status) else None

        return wait_until(look, what, DEADLINE_S)

    def wait_ready(self, count: int) -> list[Json]:
        """The worker processes, once this many are ready and no other is left."""

        def look() -> list[Json] | None:
            processes = self.processes()
            ready = [process for process in processes if process["state"] == "ready"]
            return processes if len(ready) == len(processes) == count else None

        return wait_until(look, f"{count} workers are ready", DEADLINE_S)

    def readiness(self) -> tuple[int, str]:
        """Status code and text of `/readyz`."""
        with self.client() as client:
            answer = client.get("/readyz")
            return answer.status_code, answer.text

    def tree(self) -> list[int]:
        """Every process of the fleet, the supervisor first."""
        others = [pid for pid in _marked(self._mark) if pid != self.process.pid]
        return [self.process.pid, *others]

    def kill_worker(self, pid: int) -> None:
        """SIGKILL, and wait until the fleet has buried it."""
        since = self.log_length
        os.kill(pid, signal.SIGKILL)
        self.wait_for(lambda record: record.get("pid") == pid and "killed by signal 9" in record["message"], since)

    def close(self) -> None:
        """End whatever is left; nothing may survive the supervisor, and no life cycle may have been broken."""
        super().close()
        left = _marked(self._mark)
        survivors = {pid: _program(pid) for pid in left if not wait_gone(pid)}
        for pid in survivors:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert survivors == {}
        assert not [record for record in self.records if "no transition" in record["message"]]


def jobfleet(folder: Path, *arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "jobfleet", *arguments],
        cwd=folder,
        env=os.environ | (environ or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def _program(pid: int) -> str:
    """What a process runs, for a message."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return "gone meanwhile"


def _marked(mark: str) -> list[int]:
    """The processes that have inherited `mark`."""
    wanted = f"{_MARK}={mark}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as environ:
                if wanted in environ.read().split(b"\0"):
                    found.append(int(entry))
    return found
