"""Signals of zygotes and workers: only the link drains them."""

import faulthandler
import signal
from types import FrameType

DUMP_SIGNAL = signal.SIGQUIT
"""Makes a worker write the stacks of all its threads to its stderr, at C level, whatever Python is doing."""
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STDERR = 2


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Unlike SIG_IGN it is not inherited by the programs that handlers start."""


def ignore_stop_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP pass, and interrupted system calls go on."""
    for number in _IGNORED:
        signal.signal(number, _nothing)
        signal.siginterrupt(number, False)


def settle_down() -> None:
    """Known settings, whatever handler modules did while they were imported."""
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.setitimer(signal.ITIMER_REAL, 0)
    # Ignoring SIGCHLD, or reaping in its handler, takes the exit status from those who wait for their children.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ignore_stop_signals()
    faulthandler.cancel_dump_traceback_later()
    faulthandler.enable(_STDERR)


def accept_dumps() -> None:
    """Have the dump signal write stacks. Only in workers: nobody asks a zygote."""
    faulthandler.register(DUMP_SIGNAL, _STDERR, chain=False)
