"""The lane of async handlers: one task per job on an asyncio loop."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from contextlib import suppress
from inspect import CORO_CREATED, getcoroutinestate
from typing import Any, cast

from jobfleet.handlers.binding import Binding
from jobfleet.worker.current import RUNNING
from jobfleet.worker.encode import encode
from jobfleet.worker.lane import Lane
from jobfleet.worker.results import EXPLICIT

_Coroutine = Coroutine[Any, Any, None]

BURST = 64
"""Jobs that are started before the loop gets to timers, sockets and other tasks again."""


class LoopLane:
    """Starts jobs while there are jobs and free slots; each task settles its own job."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane.index
        self._link = lane.around.link
        self._bindings = lane.around.bindings
        self._cancels = lane.around.cancels
        self._guard = lane.around.guard
        self._context = lane.context
        self._settler = lane.settler
        self._running: dict[int, asyncio.Task[None]] = {}
        self._pumping = False
        self._ending = False

    async def run(self) -> None:
        """Run jobs until the lane has drained."""
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._wake_fd = self._link.wake_fd(self._lane)
        self._cancels.listen(self._lane, self._cancel_soon)
        self._guard.on_fork(self._forget_loop)
        self._loop.add_reader(self._wake_fd, self._woken)
        self._pump_soon()
        try:
            while not self._ended.done():
                # A handler may cancel every task that it finds; this one ends when the lane has drained.
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(self._ended)
        finally:
            self._loop.remove_reader(self._wake_fd)

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake_fd, 8)
        self._cancels.poll()
        self._pump()

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Start what can start."""
        self._pumping = False
        try_take, lane = self._link.try_take, self._lane
        for _ in range(BURST):
            try:
                taken = try_take(lane)
            except RuntimeError:
                if self._guard.in_child:
                    self._guard.leave()
                raise
            if taken is None:
                self._end_if_drained()
                return
            task = _start(self._run(*taken), self._loop)
            if not task.done():
                self._running[taken[1]] = task
        self._pump_soon()

    def _end_if_drained(self) -> None:
        if self._link.drained and not self._ended.done():
            # A link that is gone is drained whatever runs here.
            self._ending = True
            if not self._running:
                self._ended.set_result(None)

    async def _run(self, slot: int, number: int, index: int, raw: bytes) -> None:
        """One job, from its bytes to its outcome."""
        try:
            await self._settled(slot, number, self._bindings[index], raw)
        finally:
            # A job that was never suspended is not among the running ones.
            if self._running.pop(number, None) is not None and self._ending:
                self._pump_soon()

    async def _settled(self, slot: int, number: int, binding: Binding, raw: bytes) -> None:
        try:
            job = binding.decode(raw)
        except Exception as error:
            again = self._settler.decode_again(slot, number, binding, raw, error)
            if again is None:
                return
            job = again
        job._context = self._context
        job._number = number
        RUNNING.set(job)
        try:
            result = binding.function(job)
            if hasattr(result, "__await__"):
                result = await result
            if result is None:
                variables = None
            elif type(result) in EXPLICIT:
                self._settler.complete(slot, number, job, result)
                return
            else:
                variables = encode(result)
        except BaseException as error:
            # A task that let SystemExit or KeyboardInterrupt through would end the loop.
            self._settler.raised(slot, number, binding, job, error)
            return
        try:
            self._link.complete(self._lane, slot, number, variables)
        except Exception as error:
            self._settler.not_accepted(slot, number, error)

    def _cancel_soon(self, number: int, reason: str) -> None:
        """From any thread: the outcome of job `number` is no longer wanted."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel, number, reason)

    def _cancel(self, number: int, reason: str) -> None:
        task = self._running.get(number)
        if task is None:
            return
        if getcoroutinestate(cast(_Coroutine, task.get_coro())) == CORO_CREATED:
            # A task that is cancelled before its first step never enters its coroutine, which has to settle the job.
            self._loop.call_soon(self._cancel, number, reason)
        else:
            task.cancel(reason)

    def _forget_loop(self) -> None:
        """In a child that a handler forked: it shares the worker's selector and must never turn the loop again."""
        ready: Any = getattr(self._loop, "_ready", None)
        if ready is not None:
            ready.clear()
        self._loop.call_soon(self._guard.leave)


if sys.version_info >= (3, 12):

    def _start(coroutine: _Coroutine, loop: asyncio.AbstractEventLoop) -> "asyncio.Task[None]":
        """A task that has run up to its first suspension already."""
        return asyncio.Task(coroutine, loop=loop, eager_start=True)

else:

    def _start(coroutine: _Coroutine, loop: asyncio.AbstractEventLoop) -> "asyncio.Task[None]":
        """A task that runs with the loop's next turn."""
        return asyncio.Task(coroutine, loop=loop)
