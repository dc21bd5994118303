"""An offered load: jobs added at a steady rate, and how many of them were completed when."""

from __future__ import annotations

import json
import socket
import threading
import time
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from bench.engine import PAYLOAD, Engine
from bench.windows import WINDOW_S, Sample

STEP_S = WINDOW_S / 50
"""Jobs are added this often: a window's rate is no finer than one step."""


class Load:
    """Adds jobs from entering to leaving, at `rate` per second; 0 only looks.

    It talks to the engine over a plain socket: a client library costs more than what is measured here.
    """

    def __init__(self, engine: Engine, job_type: str, rate: float) -> None:
        self._host = urlsplit(engine.url).netloc
        host, _, port = self._host.partition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=10)
        self._job = {"type": job_type, "variables": PAYLOAD}
        self._rate = rate
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="load")
        self.samples: list[Sample] = []

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()
        if self._error is not None:
            raise RuntimeError(f"the load cannot be added: {self._error}") from self._error

    def _run(self) -> None:
        try:
            began = due = time.monotonic()
            added = 0
            while not self._stop.is_set():
                wanted = int((time.monotonic() - began) * self._rate)
                if wanted > added:
                    self._ask("POST", "/local/jobs", {**self._job, "count": wanted - added})
                    added = wanted
                asked = time.monotonic()
                account = self._ask("GET", "/account")
                self.samples.append(Sample((asked + time.monotonic()) / 2, added, int(account["completed"])))
                due = max(due + STEP_S, time.monotonic())
                self._stop.wait(due - time.monotonic())
        except (OSError, ValueError, KeyError) as error:
            self._error = error

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(content)}\r\n\r\n"
        self._socket.sendall(head.encode() + content)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._received()
        status, _, rest = answer.partition(b"\r\n")
        fields, _, content = rest.partition(b"\r\n\r\n")
        if b" 200 " not in status:
            raise ValueError(f"{path}: {status.decode()}")
        length = next(int(line[15:]) for line in fields.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(content) < length:
            content += self._received()
        return dict(json.loads(content))

    def _received(self) -> bytes:
        part = self._socket.recv(65536)
        if not part:
            raise ConnectionError("the engine has closed the connection")
        return part
