"""Time limits of handlers: what an author says, what the pool says, and what holds."""

import msgspec

from jobfleet.handlers.duration import Duration, to_ms
from jobfleet.handlers.errors import HandlerOptionError

SHORTEST_LIMIT_MS = 10
"""Limits are looked at every few hundredths of a second at most."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Run times in milliseconds; None leaves the choice to the next one asked, 0 is no limit."""

    soft_ms: int | None = None
    """After it the handler is told to stop."""
    hard_ms: int | None = None
    """After it the worker process is killed."""

    def over(self, default: "Limits") -> "Limits":
        """These limits, and those of `default` where nothing is said. Raises ValueError for an impossible pair."""
        soft_ms = default.soft_ms if self.soft_ms is None else self.soft_ms
        hard_ms = default.hard_ms if self.hard_ms is None else self.hard_ms
        if soft_ms and hard_ms and hard_ms <= soft_ms:
            raise ValueError(
                f"hard_time_limit ({hard_ms / 1000:g} s) must be longer than time_limit ({soft_ms / 1000:g} s): the "
                "handler needs the time between them to stop by itself"
            )
        return Limits(soft_ms=soft_ms or None, hard_ms=hard_ms or None)


NO_LIMITS = Limits()


def limits_of(time_limit: Duration | None, hard_time_limit: Duration | None) -> Limits:
    """The limits of one handler. Raises HandlerOptionError."""
    limits = Limits(soft_ms=_limit_ms(time_limit, "time_limit"), hard_ms=_limit_ms(hard_time_limit, "hard_time_limit"))
    try:
        limits.over(NO_LIMITS)
    except ValueError as wrong:
        raise HandlerOptionError(str(wrong)) from None
    return limits


def _limit_ms(value: Duration | None, name: str) -> int | None:
    if value is None:
        return None
    try:
        limit_ms = to_ms(value, name)
    except ValueError as wrong:
        raise HandlerOptionError(str(wrong)) from None
    if 0 < limit_ms < SHORTEST_LIMIT_MS:
        raise HandlerOptionError(f"{name} is {value!r}; give at least {SHORTEST_LIMIT_MS} ms, or 0 for no limit")
    return limit_ms
