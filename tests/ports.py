"""Ports for servers that start later than their test knows the port, or that come back to it."""

from __future__ import annotations

import os
import random
import socket

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8

_PORTS = range(20_000 + 1_500 * _WORKER, 21_500 + 1_500 * _WORKER)
"""Below those that Linux hands out by itself, to any connection at any time: one of those may be gone again. The
processes of one run have ranges of their own: a server may take seconds to begin to listen."""


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody uses now, and that nobody is given without asking for them; all differ."""
    found: set[int] = set()
    while len(found) < count:
        port = random.choice(_PORTS)
        try:
            with socket.create_server(("127.0.0.1", port)):
                found.add(port)
        except OSError:
            continue
    return sorted(found)


def free_port() -> int:
    """One such port."""
    return free_ports(1)[0]
