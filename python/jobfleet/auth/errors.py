"""Why no header could be had, by what follows from it."""

from __future__ import annotations

import enum
from urllib.parse import quote, quote_plus


class Kind(enum.Enum):
    """What to do about a failure."""

    OUTAGE = "outage"
    """It may work in a moment: try again soon."""
    BUSY = "busy"
    """The other side asks for patience."""
    REJECTED = "rejected"
    """Somebody has to mend the credentials: try again seldom."""


class AuthError(Exception):
    """One sentence about what failed, without any secret."""

    def __init__(self, kind: Kind, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_s = retry_after_s


def without(text: str, *secrets: str | None) -> str:
    """`text` without these secrets, however they came into it."""
    for secret in secrets:
        if secret:
            for shape in (secret, quote_plus(secret), quote(secret)):
                text = text.replace(shape, "********")
    return text
