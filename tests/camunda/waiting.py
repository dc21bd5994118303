"""Waiting for what other processes do, always with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(probe: Callable[[], T | None], what: str, deadline_s: float = 60.0, every_s: float = 0.05) -> T:
    """Ask `probe` until it gives something true, and return that; `what` names it when the deadline passes.

    Other processes announce nothing that could be waited for, so this asks again and again.
    """
    end = time.monotonic() + deadline_s
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {deadline_s:g} s")
        time.sleep(every_s)
