"""The one reaper of all children: workers, zygotes, and orphans that the sub-reaper adopts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import NamedTuple


class Exit(NamedTuple):
    """How a process ended."""

    status: int | None
    signal: int | None

    @classmethod
    def of(cls, info: os.waitid_result) -> Exit:
        """Read what `waitid` says."""
        if info.si_code == os.CLD_EXITED:
            return cls(info.si_status, None)
        return cls(None, info.si_status)

    def __str__(self) -> str:
        if self.signal is None and self.status is None:
            return "ended before it could be watched"
        if self.signal is None:
            return f"exited with status {self.status}"
        try:
            name = signal.Signals(self.signal).name
        except ValueError:
            name = "unnamed"
        return f"was killed by signal {self.signal} ({name})"


class Child:
    """A child process, addressed by its pidfd so that a recycled pid is never hit."""

    def __init__(self, pid: int, on_exit: Callable[[Exit], None]) -> None:
        self.pid = pid
        self.pidfd = _pidfd(pid)
        self._on_exit = on_exit
        self._is_reaped = False

    def kill(self) -> None:
        """Send SIGKILL. Nothing happens when it is dead already."""
        if self._is_reaped:
            return
        with contextlib.suppress(ProcessLookupError):
            if self.pidfd >= 0:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            else:
                # Nobody else gets its pid before it is reaped here.
                os.kill(self.pid, signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal that the process may survive."""
        if not self._is_reaped and self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def reaped(self) -> None:
        """Its pid may be another process's from now on."""
        self._is_reaped = True
        if self.pidfd >= 0:
            os.close(self.pidfd)

    def ended(self, how: Exit) -> None:
        """Kill what is left of its process group, then tell its owner. Its pid is still taken, by the zombie."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._on_exit(how)


class Reaper:
    """Looks at every dead child before it reaps it, by pid."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_error: Callable[[str], None]) -> None:
        self._loop = loop
        self._on_error = on_error
        self._children: dict[int, Child] = {}
        self._expected = 0
        self._unclaimed: dict[int, Exit] = {}
        self.orphans = 0

    def start(self) -> None:
        """Watch SIGCHLD: it tells of adopted orphans, which have no pidfd here."""
        self._loop.add_signal_handler(signal.SIGCHLD, self.sweep)

    def stop(self) -> None:
        """Forget everything; the process is about to end."""
        self._loop.remove_signal_handler(signal.SIGCHLD)
        for child in self._children.values():
            self._release(child)
            child.reaped()
        self._children.clear()

    def expect(self, count: int) -> None:
        """Count pids that are about to be told (+1) or were told (-1): until then their exits are remembered."""
        self._expected += count
        if self._expected <= 0:
            self._expected = 0
            self._unclaimed.clear()

    def watch(self, pid: int, on_exit: Callable[[Exit], None]) -> Child | Exit:
        """Watch a child; its exit instead when it has already ended."""
        ended = self._unclaimed.pop(pid, None)
        if ended is not None:
            return ended
        try:
            child = Child(pid, on_exit)
        except ProcessLookupError:
            return Exit(None, None)
        self._children[pid] = child
        if child.pidfd >= 0:
            self._loop.add_reader(child.pidfd, self.sweep)
        return child

    def sweep(self) -> None:
        """Take every dead child there is."""
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None:
                return
            self._take(info.si_pid, Exit.of(info))

    def _take(self, pid: int, how: Exit) -> None:
        child = self._children.pop(pid, None)
        try:
            if child is not None:
                self._release(child)
                child.ended(how)
            else:
                self._adopted(pid, how)
        except Exception as error:
            # An unreaped zombie would be found again for ever.
            self._on_error(f"handling the end of process {pid} failed: {error!r}")
        finally:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
            if child is not None:
                child.reaped()

    def _adopted(self, pid: int, how: Exit) -> None:
        self.orphans += 1
        if self._expected:
            self._unclaimed[pid] = how

    def _release(self, child: Child) -> None:
        if child.pidfd >= 0:
            self._loop.remove_reader(child.pidfd)


def _pidfd(pid: int) -> int:
    """A pidfd, or -1 when no descriptor is to be had: SIGCHLD tells of this child's end as well."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        return -1
