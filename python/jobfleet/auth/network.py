"""Says in one sentence why an HTTP exchange failed."""

from __future__ import annotations

import enum
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx


class Cause(enum.Enum):
    """What stood in the way."""

    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    TLS = "tls"
    PROTOCOL = "protocol"
    OTHER = "other"


def explain(error: Exception, url: str) -> tuple[Cause, str]:
    """The cause and a sentence that names the host. `error` comes from httpx."""
    parts = urlsplit(url)
    host = parts.hostname or "the host"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for inner in _chain(error):
        found = _of_the_system(inner, host, port)
        if found is not None:
            return found
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return Cause.TIMEOUT, f"{host}:{port} does not answer in time"
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return Cause.OTHER, f"{url} is no address: it starts with http:// or https:// and names a host"
    if isinstance(error, httpx.RemoteProtocolError):
        return Cause.PROTOCOL, f"what listens on {host}:{port} does not speak HTTP as expected: {error}"
    reason = str(error) or type(error).__name__
    return Cause.OTHER, f"the connection to {host}:{port} fails: {reason}"


def _of_the_system(error: BaseException, host: str, port: int) -> tuple[Cause, str] | None:
    """What the system says underneath; None when this error says nothing definite."""
    if isinstance(error, socket.gaierror):
        return Cause.DNS, f"the name {host} cannot be resolved: {error.strerror}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return Cause.TLS, f"the certificate of {host}:{port} is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "handshake failed").replace("_", " ").lower()
        return Cause.TLS, f"TLS with {host}:{port} fails: {reason}"
    if isinstance(error, ConnectionRefusedError):
        return Cause.REFUSED, f"{host}:{port} refuses the connection: nothing listens there"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
