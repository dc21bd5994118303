"""A worker process from its link to its exit: start hooks, run lanes, stop hooks."""

import atexit
import importlib
import os
import sys
import threading
import traceback
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from jobfleet.handlers.load import Loaded
from jobfleet.handlers.state import State
from jobfleet.worker.cancels import Cancels
from jobfleet.worker.exit_codes import ExitCode
from jobfleet.worker.fork_guard import ForkGuard
from jobfleet.worker.lane import Lane, Surroundings
from jobfleet.worker.output import finish_output
from jobfleet.worker.run_hooks import StartFailed, is_async, run_start, run_stop
from jobfleet.worker.sync_lane import run_slot, start_threads
from jobfleet.worker.time_limits import TimeLimits

if TYPE_CHECKING:
    from jobfleet._core import Link
    from jobfleet.worker.loop_host import LoopHost

EXIT_FUNCTIONS_S = 2.0
"""How long `atexit` functions of the handlers' modules may take. What needs longer belongs into `@on_stop`."""


class WorkerProcess:
    """Runs the handlers of one pool in this process, which must have been forked for it."""

    def __init__(self, loaded: Loaded, link: "Link") -> None:
        self._loaded = loaded
        self._link = link
        self._state = State()
        self._limits = TimeLimits(link)
        around = Surroundings(link, loaded.bindings, self._state, Cancels(link), ForkGuard(link), self._limits)
        self._lanes = {kind: Lane(around, index, slots) for index, (kind, slots) in enumerate(loaded.lanes)}
        self._host = _loop_host(own_thread=bool(self._lanes.keys() - {"loop"})) if _needs_loop(loaded) else None

    def run(self) -> ExitCode:
        """Take jobs until the link has drained."""
        try:
            run_start(self._loaded.on_start, self._state, self._host)
        except StartFailed as failed:
            sys.stderr.write(f"jobfleet: {failed}\n")
            self._link.start_failed(str(failed))
            return ExitCode.START_FAILED
        if any(handler.time_limit_ms for handler in self._loaded.handlers):
            self._limits.start()
        self._link.ready()
        self._run_lanes()
        run_stop(self._loaded.on_stop, self._state, self._host)
        if self._host is not None:
            self._host.close()
        finish_output()
        self._link.flush()
        return ExitCode.DRAINED

    def _run_lanes(self) -> None:
        """Run every lane to its end: the main lane, or else the loop, in this thread."""
        threads: list[threading.Thread] = []
        looping: Future[None] | None = None
        if "threads" in self._lanes:
            threads = start_threads(self._lanes["threads"])
        if "loop" in self._lanes and self._host is not None:
            if len(self._lanes) == 1:
                self._host.run(_loop_lane(self._lanes["loop"]))
            else:
                looping = self._host.submit(_loop_lane(self._lanes["loop"]))
        if "main" in self._lanes:
            run_slot(self._lanes["main"], 0)
        for thread in threads:
            thread.join()
        if looping is not None:
            looping.result()


def import_link() -> None:
    """Import the extension, so that it is shared: loading it costs a process more than its fork."""
    importlib.import_module("jobfleet._core")


def import_lanes(loaded: Loaded) -> None:
    """Import what running these handlers needs, so that it is shared; asyncio alone costs more than a fork."""
    import_link()
    if _needs_loop(loaded):
        importlib.import_module("jobfleet.worker.loop_lane")
        importlib.import_module("jobfleet.worker.loop_host")


def _loop_host(*, own_thread: bool) -> "LoopHost":
    from jobfleet.worker.loop_host import LoopHost  # noqa: PLC0415 - see import_lanes

    return LoopHost(own_thread=own_thread)


def _loop_lane(lane: Lane) -> Coroutine[Any, Any, None]:
    from jobfleet.worker.loop_lane import LoopLane  # noqa: PLC0415 - see import_lanes

    return LoopLane(lane).run()


def _needs_loop(loaded: Loaded) -> bool:
    hooks = [*loaded.on_start, *loaded.on_stop]
    return any(kind == "loop" for kind, _ in loaded.lanes) or any(is_async(hook) for hook in hooks)


def run_to_exit(loaded: Loaded, link: "Link") -> NoReturn:
    """Run the worker and end the process, whatever threads its handlers left behind."""
    try:
        code = WorkerProcess(loaded, link).run()
    except BaseException:
        sys.stderr.write(f"jobfleet: the worker itself failed:\n{traceback.format_exc()}")
        code = ExitCode.BROKEN
    exit_now(code)


def exit_now(code: ExitCode) -> NoReturn:
    """End this process: output flushed, exit functions run for a bounded time, leaked threads not waited for."""
    with suppress(Exception):
        functions = threading.Thread(target=atexit._run_exitfuncs, daemon=True)
        functions.start()
        functions.join(EXIT_FUNCTIONS_S)
    finish_output()
    os._exit(code)
