"""Tells systemd how the service is, where `NOTIFY_SOCKET` is set."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends `sd_notify` messages; does nothing without a socket to send them to."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract socket.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        self.watchdog_s = _watchdog_s(environ)
        """How often the manager wants to be told that the service lives, in seconds; None if it does not."""

    def ready(self, status: str) -> None:
        """The fleet has started."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self, status: str) -> None:
        """The fleet reloads; `ready` ends that. The time tells systemd that its own request has arrived."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nSTATUS={status}")

    def stopping(self, status: str, at_most_s: float) -> None:
        """The fleet drains, and has ended after `at_most_s`, whatever the unit's TimeoutStopSec says."""
        self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(at_most_s * 1e6)}\nSTATUS={status}")

    def status(self, status: str) -> None:
        """What the fleet does now, in one line."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        """The service works; without this word in time the manager ends it."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is not None:
            # A service manager that is gone or full must not stop the fleet.
            with contextlib.suppress(OSError):
                self._socket.sendto(message.encode(), self._address)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """`WATCHDOG_USEC`, if it is meant for this process (`WATCHDOG_PID`)."""
    pid, limit = environ.get("WATCHDOG_PID", ""), environ.get("WATCHDOG_USEC", "")
    if not limit.isdigit() or int(limit) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(limit) / 1e6
