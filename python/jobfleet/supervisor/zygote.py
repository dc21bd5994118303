"""The supervisor's side of a zygote: one request after the other out, replies in, and its death."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Final, Protocol

import msgspec

from jobfleet.supervisor.messages import Fork, Forked, ForkFailed, Loaded, LoadFailed, encode, read_reply
from jobfleet.supervisor.reaper import Child, Exit, Reaper
from jobfleet.supervisor.spawn import Spawned

# Forks that were asked for and not answered: each one holds three descriptors.
_FORKS_AT_ONCE: Final = 8
# A fork takes milliseconds; a fresh interpreter that imports nothing, half a second.
_FORK_S: Final = 30.0
# A reply lists every handler of a pool; the socket's buffer bounds it long before this.
_REPLY_BYTES: Final = 1 << 20


class ZygoteOwner(Protocol):
    """Who is told what a zygote says."""

    def loaded(self, reply: Loaded) -> None: ...
    def load_failed(self, reply: LoadFailed) -> None: ...
    def forked(self, worker: int, pid: int) -> None: ...
    def fork_failed(self, worker: int, error: str) -> None: ...
    def zygote_died(self, how: Exit, unanswered: list[int]) -> None: ...
    def zygote_misbehaved(self, what: str) -> None: ...


class Zygote:
    """One zygote process. Everything happens on the supervisor's loop."""

    def __init__(self, spawned: Spawned, owner: ZygoteOwner, loop: asyncio.AbstractEventLoop, reaper: Reaper) -> None:
        self._control = spawned.control
        self._owner = owner
        self._loop = loop
        self._reaper = reaper
        self._unanswered: list[int] = []
        self._child: Child | None = None
        self.pid = spawned.pid
        self.is_loaded = False
        self._control.setblocking(False)

    def start(self) -> None:
        """Begin to listen. A zygote that is dead already is told of in the next turn of the loop."""
        self._loop.add_reader(self._control, self._read)
        watched = self._reaper.watch(self.pid, self._died)
        if isinstance(watched, Exit):
            self._loop.call_soon(self._died, watched)
        else:
            self._child = watched

    @property
    def can_fork(self) -> bool:
        """Whether it takes a request now; `forked` and `fork_failed` are when to ask again."""
        return self.is_loaded and len(self._unanswered) < _FORKS_AT_ONCE and self._control.fileno() >= 0

    def fork(self, worker: int, index: int, fds: tuple[int, int, int]) -> None:
        """Ask for a worker with link, recorder and output. Closes our copies. Raises `OSError`."""
        try:
            socket.send_fds(self._control, [encode(Fork(worker, index))], list(fds))
        finally:
            for fd in fds:
                os.close(fd)
        self._unanswered.append(worker)
        self._reaper.expect(+1)
        self._loop.call_later(_FORK_S, self._fork_overdue, worker)

    def quit(self) -> None:
        """Let it leave: it exits at the end of its control socket. Its death is still told."""
        self._hang_up()

    def kill(self) -> None:
        """Kill it. Its workers live on."""
        if self._child is not None:
            self._child.kill()

    def _fork_overdue(self, worker: int) -> None:
        """One that is stopped, or hangs in a hook of somebody's, would keep its pool from ever being whole again."""
        if worker in self._unanswered:
            self._owner.zygote_misbehaved(f"has not answered for {_FORK_S:g} s, and is killed")
            self.kill()

    def _read(self) -> None:
        try:
            message = self._control.recv(_REPLY_BYTES)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            # The end of the socket is not its death, but a zygote that closed it is of no use.
            self._hang_up()
            self.kill()
            return
        try:
            self._hear(read_reply(message))
        except msgspec.DecodeError as error:
            self._owner.zygote_misbehaved(f"sent what is no reply: {error}")
            self.kill()

    def _hear(self, reply: Loaded | LoadFailed | Forked | ForkFailed) -> None:
        if isinstance(reply, Loaded):
            self.is_loaded = True
            self._owner.loaded(reply)
        elif isinstance(reply, LoadFailed):
            self._owner.load_failed(reply)
        elif reply.worker in self._unanswered:
            self._unanswered.remove(reply.worker)
            if isinstance(reply, Forked):
                self._owner.forked(reply.worker, reply.pid)
            else:
                self._owner.fork_failed(reply.worker, reply.error)
            self._reaper.expect(-1)

    def _died(self, how: Exit) -> None:
        self._read_what_is_left()
        self._hang_up()
        lost, self._unanswered = self._unanswered, []
        self._reaper.expect(-len(lost))
        self._owner.zygote_died(how, lost)

    def _read_what_is_left(self) -> None:
        """Replies that were sent before the death still count."""
        while self._control.fileno() >= 0:
            try:
                message = self._control.recv(_REPLY_BYTES)
            except OSError:
                return
            if not message:
                return
            with contextlib.suppress(msgspec.DecodeError):
                self._hear(read_reply(message))

    def _hang_up(self) -> None:
        if self._control.fileno() >= 0:
            self._loop.remove_reader(self._control)
            self._control.close()
