"""Tells the log of jobs that failed unasked, and not of each one when there are many."""

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from jobfleet.worker.records import encode_record

if TYPE_CHECKING:
    from jobfleet._core import Link

MOST_PER_SECOND = 5
"""A handler that fails each of its jobs says the same thing each time; the engine has every message."""


class FailureLog:
    """The log of one lane's failures."""

    __slots__ = ("_lane", "_link", "_second", "_told", "_untold")

    def __init__(self, link: "Link", lane: int) -> None:
        self._link = link
        self._lane = lane
        self._second = 0
        self._told = 0
        self._untold = 0

    def failed(self, number: int, text: str, retries: int | None, pause_ms: int = 0) -> None:
        """Job `number` fails with `text`; `retries` are left, None where only the core knows."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._told = second, 0
        self._told += 1
        if self._told > MOST_PER_SECOND:
            self._untold += 1
            return
        more, self._untold = self._untold, 0
        left = "one retry less" if retries is None else f"{retries} retries left" if retries != 1 else "1 retry left"
        again = f", next try in {pause_ms / 1000:.1f} s" if pause_ms and retries != 0 else ""
        since = f" ({more} more failures were not told)" if more else ""
        record = encode_record(f"fails, {left}{again}{since}: {text}", {})
        # A child that a handler forked has no link.
        with contextlib.suppress(RuntimeError):
            self._link.log(logging.WARNING, self._lane, number, record)
