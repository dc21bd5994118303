"""The fleet of a soak: three pools, watched from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from bench.tether import die_with_parent

Json = dict[str, Any]

_HANDLERS: Final = Path(__file__).with_name("handlers")
_START_S: Final = 60.0
_MARK: Final = "JOBFLEET_SOAK"
_SETTINGS: Final = """
grace = "5s"
stopped_timeout = "30s"
log_format = "json"

[engine]
url = "camunda+{url}"
hold = "1s"

[pools.fast]
handlers = ["{folder}/fast.py"]
processes = 2

[pools.mixed]
handlers = ["{folder}/mixed.py"]
processes = 2

[pools.slow]
handlers = ["{folder}/slow.py"]
processes = 3
"""


class SoakFleet:
    """`jobfleet run` in a process of its own, which writes to `log`. Starts on entering; leaving ends what is left."""

    def __init__(self, url: str, log: Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="jf-")
        self._mark = uuid.uuid4().hex
        folder = Path(self._folder.name)
        self._socket, self._log = folder / "socket", log or folder / "log"
        settings = folder / "fleet.toml"
        settings.write_text(_SETTINGS.format(url=url, folder=_HANDLERS))
        command = [sys.executable, "-m", "jobfleet", "run", "--config", str(settings), "--socket", str(self._socket)]
        with self._log.open("wb") as lines:
            environ = os.environ | {_MARK: self._mark, "JOBFLEET_DUMPABLE": "true"}
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                stderr=lines,
                env=environ,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )
        transport = httpx.HTTPTransport(uds=str(self._socket))
        self._http = httpx.Client(transport=transport, base_url="http://fleet", timeout=30)

    def __enter__(self) -> SoakFleet:
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if self.status()["fleet"]["state"] == "running":
                    return self
            time.sleep(0.05)
        self.__exit__()
        raise RuntimeError(f"the fleet does not start:\n{''.join(self.lines()[-20:])}")

    def __exit__(self, *_: object) -> None:
        self._http.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._folder.cleanup()

    def status(self) -> Json:
        """`GET /v1/status`."""
        return dict(self._http.get("/v1/status").raise_for_status().json())

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def signal(self, number: signal.Signals) -> None:
        """To the supervisor alone."""
        self.process.send_signal(number)

    def footprint(self) -> tuple[int, float]:
        """Open descriptors and resident megabytes of the supervisor."""
        supervisor = psutil.Process(self.process.pid)
        return supervisor.num_fds(), supervisor.memory_info().rss / 2**20

    def orphans(self, deadline_s: float = 2.0) -> list[int]:
        """Processes that outlive the supervisor by more than `deadline_s`."""
        end = time.monotonic() + deadline_s
        while (left := self._marked()) and time.monotonic() < end:
            time.sleep(0.02)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return left

    def lines(self) -> list[str]:
        """The log so far."""
        return self._log.read_text(errors="replace").splitlines(keepends=True)

    def defects(self) -> list[str]:
        """Lines of the log that no fleet may write, whatever happens to it."""
        found = []
        for line in self.lines():
            with contextlib.suppress(ValueError):
                message = json.loads(line).get("message", "")
                if any(word in message for word in ("defect", "no transition", "failed: ", "not understood")):
                    found.append(line.strip())
                continue
            found.append(line.strip())
        return found

    def _marked(self) -> list[int]:
        wanted = f"{_MARK}={self._mark}".encode()
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != self.process.pid:
                with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as environ:
                    if wanted in environ.read().split(b"\0"):
                        found.append(int(entry))
        return found
