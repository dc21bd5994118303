"""When to fetch the header anew: decisions only. Times are seconds of one clock, given as arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from jobfleet.auth.errors import AuthError, Kind

# A header is fetched anew when this share of its life is over, at random so that fleets do not come all at once.
_EARLIEST_SHARE: Final = 0.7
_LATEST_SHARE: Final = 0.85
# However short the life of a token, its issuer is not asked more often.
_SHORTEST_S: Final = 1.0

_OUTAGE_FIRST_S: Final = 0.5
_OUTAGE_LONGEST_S: Final = 30.0
# A login service blocks clients that come again and again with wrong credentials.
_REJECTED_FIRST_S: Final = 5.0
_REJECTED_LONGEST_S: Final = 600.0
_PATIENCE_LONGEST_S: Final = 900.0


class RefreshPlan:
    """Says when the next fetch is due. `random` gives numbers from 0 to 1."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures = 0
        self._last_kind: Kind | None = None
        self._refusals = 0
        self.due_at = 0.0
        """When to fetch; at the beginning, at once."""
        self.expires_at: float | None = None
        """When the present header ends; None without one, or without an end."""

    @property
    def refusals(self) -> int:
        """How many headers the engine has refused since it last accepted one."""
        return self._refusals

    def granted(self, now: float, expires_in_s: float | None) -> None:
        """A header was fetched."""
        self._failures, self._last_kind = 0, None
        if expires_in_s is None:
            self.expires_at, self.due_at = None, float("inf")
            return
        share = _EARLIEST_SHARE + (_LATEST_SHARE - _EARLIEST_SHARE) * self._random()
        self.expires_at = now + expires_in_s
        self.due_at = now + max(_SHORTEST_S, expires_in_s * share)

    def failed(self, now: float, error: AuthError) -> None:
        """No header could be had."""
        self._failures = self._failures + 1 if error.kind is self._last_kind else 1
        self._last_kind = error.kind
        if error.kind is Kind.REJECTED:
            pause_s = self._growing(self._failures, _REJECTED_FIRST_S, _REJECTED_LONGEST_S)
        else:
            pause_s = self._growing(self._failures, _OUTAGE_FIRST_S, _OUTAGE_LONGEST_S)
        if error.retry_after_s is not None:
            pause_s = max(pause_s, min(error.retry_after_s, _PATIENCE_LONGEST_S))
        self.due_at = now + pause_s

    def refused(self, now: float) -> None:
        """The engine refused the present header: another one is fetched once, then after growing pauses.

        While fetching fails its own pauses hold.
        """
        self._refusals += 1
        if self._failures:
            return
        if self._refusals == 1:
            self.due_at = now
        else:
            pause_s = self._growing(self._refusals - 1, _REJECTED_FIRST_S, _REJECTED_LONGEST_S)
            self.due_at = min(self.due_at, now + pause_s)

    def accepted(self) -> None:
        """The engine takes the present header."""
        self._refusals = 0

    def changed(self, now: float) -> None:
        """What the header is made from has changed: earlier failures say nothing about it."""
        self._failures, self._last_kind, self._refusals = 0, None, 0
        self.due_at = now

    def _growing(self, times: int, first_s: float, longest_s: float) -> float:
        pause_s = min(longest_s, first_s * 2.0 ** min(times - 1, 30))
        return pause_s * (0.75 + self._random() / 4)
