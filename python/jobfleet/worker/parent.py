"""No process of the fleet outlives its supervisor."""

import ctypes
import os
import signal
import time

from jobfleet.worker.exit_codes import ExitCode

_PR_SET_PDEATHSIG = 1
_LOOK_AGAIN_S = 0.0002
"""The child that stands between zygote and worker exits within microseconds."""

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when its parent dies, even while it is stopped or holds the GIL.

    Exits when the parent is not `parent`: it died before this call, and its signal will never come.
    """
    expected = os.getppid() if parent is None else parent
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot set the parent-death signal")
    if os.getppid() != expected:
        os._exit(ExitCode.SUPERVISOR_GONE)


def wait_for_adoption(supervisor: int, between: int) -> None:
    """Wait until the process `between` has exited and `supervisor`, a sub-reaper, is the parent.

    Only then may the parent-death signal be set: it would fire for the death of `between`.
    """
    while (parent := os.getppid()) != supervisor:
        if parent != between:
            os._exit(ExitCode.SUPERVISOR_GONE)
        time.sleep(_LOOK_AGAIN_S)
