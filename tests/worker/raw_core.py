"""The core's ends of one link and recorder, frame by frame and byte by byte."""

import fcntl
import os
import socket
import struct
from typing import NamedTuple

from jobfleet._core import Link

GUARD_S = 45.0
"""No wait here takes that long unless something hangs."""

Lanes = list[tuple[str, int]]

_KINDS = {16: "ready", 17: "start_failed", 18: "outcome", 19: "log", 20: "logs_dropped"}


class Frame(NamedTuple):
    """One frame from a worker: what it is, and its payload."""

    kind: str
    payload: bytes

    @property
    def number(self) -> int:
        """The number of the job that an outcome settles."""
        return int(struct.unpack_from("<HHQ", self.payload)[2])

    @property
    def run_ns(self) -> int:
        """How long that job ran."""
        return int(struct.unpack_from("<HHQQ", self.payload)[3])

    @property
    def outcome(self) -> bytes:
        """The kind of an outcome and its members."""
        return self.payload[20:]


class RawCore:
    """Makes a link and its recorder; `open_link` gives the worker's end."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.socket, worker = socket.socketpair()
        self.socket.settimeout(GUARD_S)
        self.link_fd = worker.detach()
        self.recorder_fd = _recorder(lanes)
        self.memory = os.dup(self.recorder_fd)
        self._unread = bytearray()

    def open_link(self) -> Link:
        """The worker's end, started."""
        link = Link(self.link_fd, self.recorder_fd, self.lanes)
        link.start()
        return link

    def drain(self) -> None:
        """Say that nothing more comes."""
        self.socket.sendall(frame(2))

    def receive(self) -> Frame:
        """The next frame. Raises `EOFError` at the end of the link and `TimeoutError` when nothing comes."""
        while len(self._unread) < 4 or len(self._unread) < 4 + self._length():
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError
            self._unread += data
        end = 4 + self._length()
        found = bytes(self._unread[4:end])
        del self._unread[:end]
        return Frame(_KINDS[found[0]], found[1:])

    def close(self) -> None:
        """Close the core's end of the link."""
        self.socket.close()

    def line(self, index: int, words: str = "<QQQ") -> tuple[int, ...]:
        """The words of one cache line of the recorder."""
        return struct.unpack(words, os.pread(self.memory, struct.calcsize(words), 64 * index))

    def _length(self) -> int:
        return int(struct.unpack_from("<I", self._unread)[0])


def frame(kind: int, payload: bytes = b"") -> bytes:
    """Any frame."""
    return struct.pack("<IB", 1 + len(payload), kind) + payload


def job(number: int, body: bytes = b"{}", lane: int = 0, type_index: int = 0) -> bytes:
    """A job's frame."""
    return frame(1, struct.pack("<HHQ", lane, type_index, number) + body)


def jobs(first: int, last: int, lane: int = 0) -> bytes:
    """The frames of jobs `first` to `last`."""
    return b"".join(job(number, lane=lane) for number in range(first, last + 1))


def cancel(number: int, reason: str, lane: int = 0) -> bytes:
    """A cancellation's frame."""
    return frame(3, struct.pack("<HQ", lane, number) + reason.encode())


def limit(number: int, limit_ms: int, lane: int = 0) -> bytes:
    """The frame that says that a job's time is over."""
    return frame(4, struct.pack("<HQQ", lane, number, limit_ms))


def _recorder(lanes: Lanes) -> int:
    """A flight recorder's sealed file."""
    slots = sum(count for _, count in lanes)
    fd = os.memfd_create("recorder", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 64 * (2 + len(lanes) + slots))
    os.pwrite(fd, struct.pack("<8sQQQ", b"jobfleet", 1, len(lanes), slots), 0)
    for lane in range(len(lanes)):
        os.pwrite(fd, struct.pack("<Q", 1), 64 * (2 + lane))
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd
