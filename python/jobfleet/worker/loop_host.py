"""The asyncio loop of a worker process: in the main thread, or in a thread of its own beside sync handlers."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

LEFTOVER_TASKS_S = 2.0
"""How long tasks that handlers left behind may take to notice that the worker ends."""


class LoopHost:
    """Owns one loop for the life of the worker. Its methods are for the main thread."""

    def __init__(self, *, own_thread: bool) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        if own_thread:
            self._thread = threading.Thread(target=self._turn_forever, name="jobfleet-loop", daemon=True)
            self._thread.start()
        else:
            asyncio.set_event_loop(self._loop)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start `coroutine` on the loop's own thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` to its end and return its result."""
        if self._thread is not None:
            return self.submit(coroutine).result()
        task = self._loop.create_task(coroutine)
        while not task.done():
            try:
                self._loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt):
                # Raised by some other task, which must not end the worker.
                continue
            except RuntimeError:
                # A handler stopped the loop.
                if self._loop.is_closed():
                    raise
        return task.result()

    def close(self) -> None:
        """Cancel the tasks that are left, and give them a moment."""
        with suppress(Exception):
            self.run(_end_tasks())

    def _turn_forever(self) -> None:
        asyncio.set_event_loop(self._loop)
        while True:
            with suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    deadline = time.monotonic() + LEFTOVER_TASKS_S
    if tasks:
        await asyncio.wait(tasks, timeout=LEFTOVER_TASKS_S)
    with suppress(asyncio.TimeoutError):
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(loop.shutdown_asyncgens(), max(0.1, deadline - time.monotonic()))
