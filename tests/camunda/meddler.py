"""A proxy that cuts off chosen requests of a fleet, before or after the engine has carried them out."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from urllib.parse import urlsplit


class Meddler:
    """Passes everything on but what `refuse` and `lose` say. Both hold parts of request lines, such as b"/failure "."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.refuse: set[bytes] = set()
        """Requests that are cut off before they reach the engine, each time."""
        self.lose: set[bytes] = set()
        """Requests whose answer is cut off, once each."""
        self.lost = 0
        self.passed: list[bytes] = []
        """The lines of the requests that reached the engine."""
        self.bodies: list[tuple[bytes, bytes]] = []
        """The same lines with the requests' bodies."""
        self.answers: list[tuple[bytes, int]] = []
        """The same lines with the bytes of the engine's answers."""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One connection: requests go one after the other, each is read whole before it is judged."""
        with contextlib.suppress(OSError), socket.create_connection(self._target) as engine, client:
            while request := _message(client):
                line = request.partition(b"\r\n")[0]
                if any(part in line for part in self.refuse):
                    return _reset(client)
                self.passed.append(line)
                self.bodies.append((line, request.partition(b"\r\n\r\n")[2]))
                engine.sendall(request)
                answer = _message(engine)
                self.answers.append((line, len(answer)))
                lost = {part for part in self.lose if part in line}
                if lost:
                    self.lose -= lost
                    self.lost += 1
                    return _reset(client)
                client.sendall(answer)
        return None


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def _message(peer: socket.socket) -> bytes:
    """One HTTP message: a head, and a body with a length or in chunks; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = peer.recv(1 << 16)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    chunked = fields.get(b"transfer-encoding") == b"chunked"
    length = int(fields.get(b"content-length", b"0"))
    while not body.endswith(b"0\r\n\r\n") if chunked else len(body) < length:
        more = peer.recv(1 << 16)
        if not more:
            break
        body += more
    return head + b"\r\n\r\n" + body
