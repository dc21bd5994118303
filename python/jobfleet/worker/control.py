"""The zygote's end of its control socket."""

import array
import mmap
import os
import socket
from contextlib import suppress

import msgspec

from jobfleet.worker.protocol import Order, Reply

LARGEST_MESSAGE_BYTES = 1 << 20
"""A pool of a few thousand handlers; the kernel refuses larger messages long before."""
_MOST_DESCRIPTORS = 16
"""More than any order carries, so that a wrong number is seen instead of cut."""

_orders: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)


class BadOrder(Exception):
    """A message that cannot be carried out; its descriptors are closed. `order` is what could be read of it."""

    def __init__(self, message: str, order: Order | None = None) -> None:
        super().__init__(message)
        self.order = order


class Control:
    """Receives orders with descriptors, sends replies."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(fileno=descriptor)
        # Pages that no message reached take no memory, and no time in a fork.
        self._buffer = mmap.mmap(-1, LARGEST_MESSAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    @property
    def descriptor(self) -> int:
        """The socket's number."""
        return self._socket.fileno()

    def receive(self) -> tuple[Order, list[int]] | None:
        """The next order and its descriptors; None when the supervisor is gone. Raises BadOrder."""
        space = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)
        try:
            length, ancillary, flags, _ = self._socket.recvmsg_into([self._buffer], space, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            return None
        descriptors = _descriptors(ancillary)
        if length == 0:
            close_all(descriptors)
            return None
        try:
            if flags & socket.MSG_TRUNC:
                raise BadOrder(f"a message is larger than {LARGEST_MESSAGE_BYTES} bytes")
            order = _orders.decode(memoryview(self._buffer)[:length])
            if flags & socket.MSG_CTRUNC:
                raise BadOrder("descriptors were lost on the way: this process has too many open files", order)
        except msgspec.MsgspecError as wrong:
            close_all(descriptors)
            raise BadOrder(str(wrong)) from None
        except BadOrder:
            close_all(descriptors)
            raise
        return order, descriptors

    def send(self, reply: Reply) -> None:
        """Send one reply. Raises OSError when it is too large for the socket or nobody is there."""
        message = msgspec.json.encode(reply)
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(message) + 65_536)
        self._socket.send(message)

    def close(self) -> None:
        """Close the socket in this process."""
        self._socket.close()


def close_all(descriptors: list[int]) -> None:
    """Close each descriptor, whatever becomes of the others."""
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    numbers = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    return list(numbers)
