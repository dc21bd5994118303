"""The lane of async handlers: one task per job on an asyncio loop."""

import asyncio
import os
import sys
import types
from collections.abc import Coroutine, Generator
from contextlib import suppress
from typing import Any

from jobfleet.handlers.errors import TimeLimitExceeded
from jobfleet.worker.current import RUNNING
from jobfleet.worker.encode import encode
from jobfleet.worker.lane import Lane
from jobfleet.worker.results import EXPLICIT

BURST = 64
"""Jobs that are started before the loop gets to timers, sockets and other tasks again."""

_STARTS_LATER = sys.version_info < (3, 12)
"""Later versions run a task up to its first suspension when it is made."""


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
        self._limits = lane.around.limits
        self._overdue: dict[int, type[TimeLimitExceeded]] = {}
        self._pumping = False
        self._ending = False

    async def run(self) -> None:
        """Run jobs until the lane has drained."""
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._wake_fd = self._link.wake_fd(self._lane)
        self._cancels.listen(self._lane, self._cancel_soon)
        self._limits.listen(self._lane, self._time_over_soon)
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
            if task is not None:
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
        binding, settler = self._bindings[index], self._settler
        try:
            job = binding.decode(raw)
        except Exception as error:
            again = settler.decode_again(slot, number, binding, raw, error)
            if again is None:
                return
            job = again
        job._context = self._context
        job._number = number
        try:
            if _STARTS_LATER:
                await _entered()
            RUNNING.set(job)
            result = binding.function(job)
            if hasattr(result, "__await__"):
                result = await result
            if result is None:
                variables = None
            elif type(result) in EXPLICIT:
                settler.complete(slot, number, job, result)
                return
            else:
                variables = encode(result)
        except BaseException as error:
            # A task that let SystemExit or KeyboardInterrupt through would end the loop.
            settler.raised(slot, number, binding, job, self._reason(number, error))
            return
        finally:
            if self._overdue:
                self._overdue.pop(number, None)
            # A job that was never suspended is not among the running ones.
            if self._running.pop(number, None) is not None and self._ending:
                self._pump_soon()
        try:
            self._link.complete(self._lane, slot, number, variables)
        except Exception as error:
            settler.not_accepted(slot, number, error)

    def _reason(self, number: int, error: BaseException) -> BaseException:
        """The time limit behind a cancellation, where there is one."""
        limit = self._overdue.get(number)
        if limit is None or not isinstance(error, asyncio.CancelledError):
            return error
        return limit().with_traceback(error.__traceback__)

    def _time_over_soon(self, number: int, error: type[TimeLimitExceeded]) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._time_over, number, error)

    def _time_over(self, number: int, error: type[TimeLimitExceeded]) -> None:
        if number in self._running:
            self._overdue[number] = error
            self._cancel(number, str(error()))

    def _cancel_soon(self, number: int, reason: str) -> None:
        """From any thread: the outcome of job `number` is no longer wanted."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel, number, reason)

    def _cancel(self, number: int, reason: str) -> None:
        task = self._running.get(number)
        if task is not None:
            task.cancel(reason)

    def _forget_loop(self) -> None:
        """In a child that a handler forked: it shares the worker's selector and must never turn the loop again."""
        ready: Any = getattr(self._loop, "_ready", None)
        if ready is not None:
            ready.clear()
        self._loop.call_soon(self._guard.leave)


@types.coroutine
def _entered() -> Generator[None, None, None]:
    yield


def _start(coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> "asyncio.Task[None] | None":
    """The task of `coroutine`; None when it has finished already."""
    if sys.version_info >= (3, 12):
        task = asyncio.Task(coroutine, loop=loop, eager_start=True)
        return None if task.done() else task
    # A task that is cancelled before its first step never enters its coroutine, and nobody would settle the job.
    # So it is entered now, up to `_entered`, and goes on from there with the loop's next turn.
    try:
        coroutine.send(None)
    except StopIteration:
        return None
    return asyncio.Task(coroutine, loop=loop)
