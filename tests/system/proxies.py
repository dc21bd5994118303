"""Proxies for tests: one that connects, and one that passes requests on."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from urllib.parse import urlsplit

CREDENTIALS = "user:hunter2"


class _Proxy:
    """Takes connections, reads the head of each, and brings it to one port of this host, whatever was asked for."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heads: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """What settings and `HTTPS_PROXY` take."""
        return f"http://{CREDENTIALS}@127.0.0.1:{self.port}"

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        self.heads.append(head.decode())
        self._follow(client, head)

    def _follow(self, client: socket.socket, head: bytes) -> None:
        raise NotImplementedError

    def _join(self, client: socket.socket, first: bytes = b"") -> None:
        """Connect the client with the target, which gets `first` before all else."""
        server = socket.create_connection(("127.0.0.1", self._target))
        server.sendall(first)
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


class Tunnel(_Proxy):
    """It takes CONNECT alone, with the credentials that it wants."""

    @property
    def asked(self) -> list[str]:
        """The first line of each request."""
        return [head.partition("\r\n")[0] for head in self.heads]

    def _follow(self, client: socket.socket, head: bytes) -> None:
        wanted = f"Proxy-Authorization: Basic {base64.b64encode(CREDENTIALS.encode()).decode()}"
        if wanted not in head.decode().split("\r\n"):
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            client.close()
            return
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        self._join(client)


class Forwarder(_Proxy):
    """For cleartext: it passes requests on as they are."""

    def _follow(self, client: socket.socket, head: bytes) -> None:
        method, address, rest = head.split(b" ", 2)
        # The server behind a proxy is asked for the path alone.
        self._join(client, b" ".join((method, urlsplit(address).path or address, rest)))


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
