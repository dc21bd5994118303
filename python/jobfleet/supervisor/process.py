"""What the supervisor sets about its own process."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36


def become_subreaper() -> None:
    """Adopt the workers that a zygote leaves behind. Raises `OSError`."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def refuse_dumps() -> None:
    """Keep processes of the same user from reading this one's memory, where credentials are. Raises `OSError`."""
    _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
