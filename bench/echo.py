"""What the host takes to wake one process and then the other: a byte over a Unix socket and back."""

import os
import socket
import statistics
import subprocess
import sys
import time

_ECHO = """
import os, sys
end = int(sys.argv[1])
while os.write(end, os.read(end, 1)):
    pass
"""
_PAUSE_S = 0.001
"""Both sides are asleep by then, as between two jobs that come one at a time."""


def round_trip_us(rounds: int) -> float:
    """The median of so many round trips, in microseconds."""
    own, other = socket.socketpair()
    with own:
        with other:
            echo = subprocess.Popen([sys.executable, "-c", _ECHO, str(other.fileno())], pass_fds=[other.fileno()])
        try:
            trips = [_trip_ns(own.fileno()) for _ in range(rounds)]
        finally:
            echo.kill()
            echo.wait()
    return statistics.median(trips) / 1000


def _trip_ns(end: int) -> int:
    time.sleep(_PAUSE_S)
    begun = time.perf_counter_ns()
    os.write(end, b"x")
    if not os.read(end, 1):
        raise RuntimeError("the echo has ended")
    return time.perf_counter_ns() - begun
