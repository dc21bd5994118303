"""A worker process from its link to its exit: start hooks, run lanes, stop hooks."""

import atexit
import os
import sys
import threading
import traceback
from concurrent.futures import Future
from contextlib import suppress
from typing import NoReturn

from jobfleet._core import Link
from jobfleet.handlers.load import Loaded
from jobfleet.handlers.state import State
from jobfleet.worker.cancels import Cancels
from jobfleet.worker.exit_codes import ExitCode
from jobfleet.worker.fork_guard import ForkGuard
from jobfleet.worker.lane import Lane, Surroundings
from jobfleet.worker.loop_host import LoopHost
from jobfleet.worker.loop_lane import LoopLane
from jobfleet.worker.output import finish_output
from jobfleet.worker.run_hooks import StartFailed, is_async, run_start, run_stop
from jobfleet.worker.sync_lane import run_slot, start_threads

EXIT_FUNCTIONS_S = 2.0
"""How long `atexit` functions of the handlers' modules may take. What needs longer belongs into `@on_stop`."""


class WorkerProcess:
    """Runs the handlers of one pool in this process, which must have been forked for it."""

    def __init__(self, loaded: Loaded, link: Link) -> None:
        self._loaded = loaded
        self._link = link
        self._state = State()
        around = Surroundings(link, loaded.bindings, self._state, Cancels(link), ForkGuard(link))
        self._lanes = {kind: Lane(around, index, slots) for index, (kind, slots) in enumerate(loaded.lanes)}
        self._host: LoopHost | None = None
        if "loop" in self._lanes or any(is_async(hook) for hook in [*loaded.on_start, *loaded.on_stop]):
            self._host = LoopHost(own_thread=bool(self._lanes.keys() - {"loop"}))

    def run(self) -> ExitCode:
        """Take jobs until the link has drained."""
        try:
            run_start(self._loaded.on_start, self._state, self._host)
        except StartFailed as failed:
            sys.stderr.write(f"jobfleet: {failed}\n")
            self._link.start_failed(str(failed))
            return ExitCode.START_FAILED
        self._link.ready()
        self._run_lanes()
        run_stop(self._loaded.on_stop, self._state, self._host)
        if self._host is not None:
            self._host.close()
        self._link.flush()
        return ExitCode.DRAINED

    def _run_lanes(self) -> None:
        """Run every lane to its end: the main lane, or else the loop, in this thread."""
        threads: list[threading.Thread] = []
        looping: Future[None] | None = None
        if "threads" in self._lanes:
            threads = start_threads(self._lanes["threads"])
        if "loop" in self._lanes and self._host is not None:
            loop_lane = LoopLane(self._lanes["loop"])
            if len(self._lanes) == 1:
                self._host.run(loop_lane.run())
            else:
                looping = self._host.submit(loop_lane.run())
        if "main" in self._lanes:
            run_slot(self._lanes["main"], 0)
        for thread in threads:
            thread.join()
        if looping is not None:
            looping.result()


def run_to_exit(loaded: Loaded, link: Link) -> NoReturn:
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
