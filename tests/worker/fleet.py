"""A small supervisor: starts a real zygote, has it fork real workers, and sees how they end."""

import array
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .core_end import CoreEnd
from .raw_core import GUARD_S

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Adopt the workers that zygotes fork."""
    assert ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


class Worker:
    """One worker process and the core's end of its link."""

    def __init__(self, pid: int, core: CoreEnd, output: int) -> None:
        self.pid = pid
        self.core = core
        self._output = output
        self._printed = b""
        self._status: int | None = None

    def wait_ready(self) -> "Worker":
        """Wait until it takes jobs."""
        self.core.wait(lambda: self.core.ready)
        return self

    def exit_status(self) -> int:
        """Wait for its end: the exit status, or minus the signal."""
        if self._status is None:
            wait_for(self._reaped, f"worker {self.pid} to exit")
        assert self._status is not None
        return self._status

    def _reaped(self) -> bool:
        self._read_output()
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self._status = os.waitstatus_to_exitcode(status)
        return pid != 0

    def output(self) -> str:
        """What it wrote to its descriptors 1 and 2 so far."""
        self._read_output()
        return self._printed.decode()

    def _read_output(self) -> None:
        while True:
            try:
                data = os.read(self._output, 65536)
            except BlockingIOError:
                return
            if not data:
                return
            self._printed += data

    def close(self) -> None:
        """Kill it if it lives."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.exit_status()
        os.close(self._output)
        self.core.hang_up()


class Zygote:
    """A zygote process, spoken to as a supervisor does."""

    def __init__(self, folder: Path, **environment: str) -> None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        self.control.settimeout(GUARD_S)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jobfleet.worker.zygote", "--control-fd", str(its.fileno())],
            pass_fds=[its.fileno()],
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
        )
        its.close()
        self.lanes: list[tuple[str, int]] = []
        self.workers: list[Worker] = []

    def load(self, *handlers: str, slots: int | None = None, preload: bool = True) -> dict[str, Any]:
        """Have it load `handlers`; its reply."""
        order = {
            "op": "load",
            "pool": "default",
            "generation": 1,
            "handlers": list(handlers),
            "slots": slots,
            "preload": preload,
            "supervisor_pid": os.getpid(),
        }
        reply = self.ask(order)
        self.lanes = [(kind, count) for kind, count in reply.get("lanes", [])]
        return reply

    def fork(self, number: int = 1) -> Worker:
        """Have it fork a worker."""
        core = CoreEnd(self.lanes)
        readable, writable = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(readable, False)
        descriptors = [core.link_fd, core.recorder_fd, writable]
        reply = self.ask({"op": "fork", "worker": number, "index": 0}, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        assert reply["op"] == "forked", reply
        worker = Worker(reply["pid"], core, readable)
        self.workers.append(worker)
        return worker

    def ask(self, order: dict[str, Any], descriptors: list[int] | None = None) -> dict[str, Any]:
        """Send one order and return its reply."""
        self.send(order, descriptors)
        return json.loads(self.control.recv(1 << 20))

    def send(self, order: dict[str, Any], descriptors: list[int] | None = None) -> None:
        """Send one order."""
        rights = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())] if descriptors else []
        )
        self.control.sendmsg([json.dumps(order).encode()], rights)

    def close(self) -> None:
        """End it and its workers."""
        self.control.close()
        for worker in self.workers:
            worker.close()
        try:
            self.process.wait(GUARD_S)
        finally:
            self.process.kill()
            self.process.wait()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Look until `condition` holds; for facts that nothing announces."""
    deadline = time.monotonic() + GUARD_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.002)
