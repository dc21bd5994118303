"""A client of the engine as a process: started, measured from outside, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol

from bench.paths import CACHE, ROOT
from bench.tether import die_with_parent
from bench.tree import Tree


@dataclass(frozen=True)
class Command:
    """How to start a client; `{url}` in an argument stands for the engine's address."""

    name: str
    arguments: Sequence[str | Path]
    env: Mapping[str, str] = field(default_factory=dict)
    warm_up_s: float = 1.0


class Served(Protocol):
    """An engine that a client can work for."""

    url: str


class Client:
    """Starts on entering, ends on leaving: politely, then by force."""

    def __init__(self, command: Command, engine: Served) -> None:
        self.command = command
        self._arguments = [str(word).format(url=engine.url) for word in command.arguments]

    def __enter__(self) -> Client:
        logs = CACHE / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self.log = logs / f"{self.command.name.replace(' ', '-').replace('/', '-')}.log"
        self.started = time.monotonic()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._arguments,
                cwd=ROOT,
                env=os.environ | dict(self.command.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )
        self.pid = self._process.pid
        self.tree = Tree(self.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            # Some peers wait for a held poll to end; the group is the client's own.
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait(15)

    def end(self, deadline_s: float) -> None:
        """Tell it to leave, and return when it has."""
        self._process.terminate()
        self._process.wait(deadline_s)

    def check(self) -> None:
        """Raise with the end of its log when it has ended by itself."""
        if self._process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-1500:]
            raise RuntimeError(f"{self.command.name} ended with status {self._process.returncode}: {tail}")
