"""What may stand between a fleet and its engine: passes on, answers with a page of its own, or is not there."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterable

from tests.ports import free_port

PAGE = b"<html><body>502 Bad Gateway, please sign in</body></html>"


class Proxy:
    """A proxy on a loopback port that it keeps for its whole life. `alter` may change what the engine answers."""

    def __init__(self, target: int, alter: Callable[[bytes], bytes] | None = None) -> None:
        self._target = target
        self._alter = alter or bytes
        self._page: bytes | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.port = free_port()
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", self.port))
        self.pages = 0
        self._accept_soon()

    @property
    def address(self) -> str:
        """What `--engine` takes."""
        return f"camunda+http://127.0.0.1:{self.port}"

    def pass_on(self) -> None:
        """Connect whoever comes to the engine."""
        self._change(None)

    def answer(self, status: str) -> None:
        """Answer every request with a page of HTML."""
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(PAGE)}\r\n\r\n"
        self._change(head.encode() + PAGE)

    def leave(self) -> None:
        """Refuse connections, and reset those that are open."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            # Wakes the thread that accepts.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._reset()

    def _change(self, page: bytes | None) -> None:
        with self._lock:
            self._page = page
        # What comes from here on is served as it should be, and so is left alone.
        self._reset()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._accept_soon()

    def _reset(self) -> None:
        with self._lock:
            ends, self._open = self._open, set()
        _cut(ends)

    def _accept_soon(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        ends, page = [client], self._page
        if page is None:
            try:
                ends.append(socket.create_connection(("127.0.0.1", self._target)))
            except OSError:
                client.close()
                return
        with self._lock:
            # Accepted before a change that has reset all others.
            is_outdated = self._listener is None or self._page is not page
            if not is_outdated:
                self._open.update(ends)
        if is_outdated:
            _cut(ends)
            return
        if page is not None:
            threading.Thread(target=self._answer, args=(client, page), daemon=True).start()
            return
        for source, sink, alter in ((*ends, bytes), (*ends[::-1], self._alter)):
            threading.Thread(target=_pump, args=(source, sink, alter), daemon=True).start()

    def _answer(self, client: socket.socket, page: bytes) -> None:
        with contextlib.suppress(OSError), client.makefile("rb") as requests:
            while head := requests.readline():
                length = 0
                while (line := requests.readline().lower()) not in (b"\r\n", b""):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                requests.read(length)
                if not head.startswith(b"GET"):
                    self.pages += 1
                client.sendall(page)


def _cut(ends: Iterable[socket.socket]) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def _pump(source: socket.socket, sink: socket.socket, alter: Callable[[bytes], bytes]) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(alter(data))
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
