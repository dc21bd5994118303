"""Ends what is measured when the process that measures it is killed: a fleet at full load would go on for ever."""

import ctypes
import signal

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


def die_with_parent() -> None:
    """For a child between fork and exec; it calls nothing but a C function that was looked up before the fork."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
