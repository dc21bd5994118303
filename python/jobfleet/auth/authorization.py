"""The value that requests to the engine carry."""

from __future__ import annotations

import base64
from typing import Final

MASK: Final = "********"


class Authorization:
    """The value of an Authorization header and how long it is good for. Shows its value in no text."""

    __slots__ = ("expires_in_s", "value")

    def __init__(self, value: str, expires_in_s: float | None = None) -> None:
        """`expires_in_s` counts from now; None: until the engine refuses it. Raises `ValueError`, without the value."""
        if not value or not value.isascii() or not value.isprintable():
            raise ValueError("the value of a header is printable ASCII text")
        self.value = value
        self.expires_in_s = expires_in_s

    def __repr__(self) -> str:
        return f"Authorization({MASK!r}, expires_in_s={self.expires_in_s!r})"


def basic(username: str, password: str) -> Authorization:
    """HTTP Basic, in UTF-8 (RFC 7617)."""
    return Authorization("Basic " + base64.b64encode(f"{username}:{password}".encode()).decode())


def bearer(token: str) -> Authorization:
    """A bearer token, with or without its scheme. Raises `ValueError`."""
    words = token.split()
    if len(words) == 2 and words[0].lower() == "bearer":
        words = words[1:]
    if len(words) != 1:
        raise ValueError("expected a token: one word of printable ASCII text")
    return Authorization(f"Bearer {words[0]}")
