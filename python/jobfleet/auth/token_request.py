"""What is asked of a token server."""

from __future__ import annotations

import msgspec


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for what, and where."""

    url: str
    client_id: str
    audience: str = ""
    scope: str | None = None
    resource: str | None = None
