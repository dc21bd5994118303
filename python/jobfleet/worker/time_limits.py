"""Tells handlers that their time is over, as far as CPython allows.

In the main thread a signal interrupts system calls and raises at the next bytecode. In other threads CPython raises at
the next bytecode, but wakes nobody: a thread that sleeps or waits in native code notices when it returns from there.
Tasks are cancelled. What none of this reaches is what the hard limit is for.
"""

import signal
import threading
from collections.abc import Callable
from functools import lru_cache
from types import FrameType
from typing import TYPE_CHECKING

from jobfleet.handlers.errors import TimeLimitExceeded
from jobfleet.worker.current import Slot

if TYPE_CHECKING:
    from jobfleet._core import Link

LIMIT_SIGNAL = signal.SIGRTMIN + 10
"""Sent to the main thread alone, by its own process; one that libraries have no use for."""

Tell = Callable[[int, type[TimeLimitExceeded]], None]

_class_of = lru_cache(64)(TimeLimitExceeded.of)


class TimeLimits:
    """Hands limits that are over to the lanes. One thread waits for them without the GIL."""

    def __init__(self, link: "Link") -> None:
        self._link = link
        self._lanes: dict[int, Tell] = {}
        self._slots: dict[int, dict[int, int]] = {}
        self._main: tuple[Slot, int, type[TimeLimitExceeded]] | None = None

    def listen(self, lane: int, tell: Tell) -> None:
        """Call `tell(number, error)`, from the waiting thread, for jobs of a loop lane."""
        self._lanes[lane] = tell

    def watch(self, lane: int, slot: int, running: Slot) -> None:
        """The calling thread runs the jobs of `slot`, and keeps the present one in `running`."""
        if threading.current_thread() is threading.main_thread():
            self._lanes[lane] = lambda number, error: self._tell_main(running, number, error)
        else:
            self._slots.setdefault(lane, {})[slot] = threading.get_ident()

    def start(self) -> None:
        """Begin to wait. Call it in the main thread."""
        signal.signal(LIMIT_SIGNAL, self._raise_in_main)
        threading.Thread(target=self._wait, name="jobfleet-limits", daemon=True).start()

    def _wait(self) -> None:
        while (limit := self._link.wait_limit()) is not None:
            lane, number, limit_ms = limit
            error = _class_of(limit_ms)
            tell = self._lanes.get(lane)
            if tell is not None:
                tell(number, error)
            for slot, thread in list(self._slots.get(lane, {}).items()):
                # Whether the slot still runs that job is decided there, with nothing in between.
                self._link.interrupt(lane, slot, number, thread, error)

    def _tell_main(self, running: Slot, number: int, error: type[TimeLimitExceeded]) -> None:
        self._main = (running, number, error)
        main = threading.main_thread().ident
        if main is not None:
            signal.pthread_kill(main, LIMIT_SIGNAL)

    def _raise_in_main(self, _number: int, _frame: FrameType | None) -> None:
        told, self._main = self._main, None
        if told is None:
            return
        running, number, error = told
        job = running.job
        if job is not None and job._number == number:
            raise error
