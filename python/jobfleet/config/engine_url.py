"""Reads the address of an engine."""

from __future__ import annotations

import base64
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from jobfleet.config.secret import Secret

_KINDS: Final = ("camunda",)
_TRANSPORTS: Final = ("http", "https")
EXAMPLE: Final = "camunda+http://127.0.0.1:8080"


class EngineAddress(NamedTuple):
    """An engine's protocol, its plain address, and the credentials that stood in the address."""

    kind: str
    url: str
    authorization: Secret | None


def parse_engine_url(text: str) -> EngineAddress:
    """Split `camunda+http://user:password@host:port/base`. Raises `ValueError`, which never shows a password."""
    kind, plus, transport = urlsplit(text).scheme.partition("+")
    if not plus:
        hint = f"camunda+{text.strip()}" if kind in _TRANSPORTS and "@" not in text else EXAMPLE
        raise ValueError(f"an engine's address starts with its protocol, such as {hint}")
    if kind not in _KINDS:
        raise ValueError(f"unknown engine protocol {kind!r}; known: {', '.join(_KINDS)} (example: {EXAMPLE})")
    if transport not in _TRANSPORTS:
        raise ValueError(f"unknown transport {transport!r}; known: {', '.join(_TRANSPORTS)} (example: {EXAMPLE})")
    parts = urlsplit(text[len(kind) + 1 :])
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"the port must be a number from 1 to 65535 (example: {EXAMPLE})") from None
    if not parts.hostname:
        raise ValueError(f"no host in the address (example: {EXAMPLE})")
    if parts.query or parts.fragment:
        raise ValueError(f"an engine's address ends with its path; leave out `?` and `#` (example: {EXAMPLE})")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    netloc = host if port is None else f"{host}:{port}"
    url = urlunsplit((transport, netloc, parts.path.rstrip("/"), "", ""))
    return EngineAddress(kind, url, _basic(parts.username, parts.password))


def _basic(username: str | None, password: str | None) -> Secret | None:
    if username is None:
        return None
    pair = f"{unquote(username)}:{unquote(password or '')}"
    return Secret("Basic " + base64.b64encode(pair.encode()).decode())
