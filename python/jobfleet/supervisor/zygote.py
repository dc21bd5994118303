"""The supervisor's side of a zygote: one request after the other out, replies in, and its death."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Final, Protocol

import msgspec

from jobfleet.supervisor.messages import (
    Fork,
    Forked,
    Loaded,
    LoadFailed,
    Reply,
    ZygoteForked,
    encode,
    read_reply,
)
from jobfleet.supervisor.reaper import Child, Exit, Reaper
from jobfleet.supervisor.spawn import Spawned

# Forks that were asked for and not answered: each one holds three descriptors.
_FORKS_AT_ONCE: Final = 8
# A seed that was only just started has to import everything first.
_BIRTH_S: Final = 30.0
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
        self._give_up = spawned.give_up
        self._birth: asyncio.TimerHandle | None = None
        self._is_doomed = False
        self.pid = spawned.pid
        self.is_loaded = False
        self._control.setblocking(False)

    def start(self) -> None:
        """Begin to listen. A zygote that is dead already is told of in the next turn of the loop."""
        self._loop.add_reader(self._control, self._read)
        if self.pid is None:
            # An exit is remembered until its pid is told.
            self._reaper.expect(+1)
            self._birth = self._loop.call_later(_BIRTH_S, self._birth_overdue)
        else:
            self._watch(self.pid)

    def _watch(self, pid: int) -> None:
        watched = self._reaper.watch(pid, self._died)
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
        if self._birth is not None:
            self._is_doomed = True
        else:
            self._hang_up()

    def kill(self) -> None:
        """Kill it. Its workers live on."""
        if self._birth is not None:
            # Its pid is not known yet.
            self._is_doomed = True
        elif self._child is not None:
            self._child.kill()

    def _birth_overdue(self) -> None:
        """The seed is stopped; at the seed's end so is the new zygote's control socket."""
        self._owner.zygote_misbehaved(f"was not forked within {_BIRTH_S:g} s; what should fork it is killed")
        if self._give_up is not None:
            self._give_up()

    def _born(self, pid: int | None) -> None:
        """It tells its pid, or it will never be."""
        if self._birth is None:
            return
        self._birth.cancel()
        self._birth, self.pid = None, pid
        if pid is None:
            self._died(Exit(None, None))
        else:
            self._watch(pid)
            if self._is_doomed:
                self.kill()
        self._reaper.expect(-1)

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
        if not message and self._birth is not None:
            self._born(None)
            return
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

    def _hear(self, reply: Reply) -> None:
        if isinstance(reply, ZygoteForked):
            self._born(reply.pid)
        elif isinstance(reply, Loaded):
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
