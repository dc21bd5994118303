"""Keeps the fleet's header good: fetches it ahead of its end and when the engine refuses it, one fetch at a time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from jobfleet.auth.authorization import Authorization
from jobfleet.auth.errors import AuthError, Kind
from jobfleet.auth.make import Credentials
from jobfleet.auth.plan import RefreshPlan

# How often files are looked at, and the clock where there are none: a suspended host wakes with old timers.
_LOOK_S: Final = 1.0
_IDLE_S: Final = 30.0

Level = Literal["info", "warning", "error"]
Tell = Callable[[Level, str], None]


class AuthStatus(msgspec.Struct, kw_only=True):
    """How the credentials are."""

    credentials: str
    state: Literal["ok", "waiting", "failing", "refused"]
    message: str | None = None
    expires_in_s: float | None = None
    fetched: int = 0
    failed: int = 0


class Keeper:
    """One header for the whole fleet. Everything happens on the supervisor's loop."""

    def __init__(self, credentials: Credentials, apply: Callable[[str], None], tell: Tell) -> None:
        """`apply` hands a new header to the core; the core numbers them in the order of these calls."""
        self._credentials = credentials
        self._apply = apply
        self._tell = tell
        self._plan = RefreshPlan(random.random)
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._header: str | None = None
        self._number = 0
        self._is_fetching = False
        self._is_refused = False
        self._problem: str | None = None
        self._told: set[str] = set()
        self._fetched = self._failed = 0

    def start(self) -> None:
        """Begin to fetch. Headers for good are with the core already."""
        if self._credentials.source is not None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """Fetch no more."""
        if self._task is not None:
            self._task.cancel()

    def refused(self, header: int, message: str) -> None:
        """The engine answered 401 to the header with this number."""
        if header < self._number or self._is_fetching:
            # Another one is on its way, or with the core already.
            return
        self._is_refused = True
        if self._credentials.source is None:
            self._say("error", self._advice(message))
            return
        self._plan.refused(_now())
        self._woken.set()
        if self._plan.refusals == 1:
            self._say("info", f"the engine refuses the present header, another one is fetched ({message})")
        else:
            self._say("error", self._advice(message))

    def accepted(self) -> None:
        """The engine answers as it should."""
        if self._is_refused:
            self._is_refused = False
            self._plan.accepted()
            self._told.clear()

    def status(self) -> AuthStatus:
        """What `status` shows; no secret is in it."""
        expires_at = self._plan.expires_at
        if self._is_refused:
            state: Literal["ok", "waiting", "failing", "refused"] = "refused"
        elif self._problem is not None:
            state = "failing"
        else:
            state = "ok" if self._credentials.source is None or self._header else "waiting"
        return AuthStatus(
            credentials=self._credentials.name,
            state=state,
            message=self._problem,
            expires_in_s=None if expires_at is None else round(expires_at - _now(), 1),
            fetched=self._fetched,
            failed=self._failed,
        )

    async def _run(self) -> None:
        while True:
            await self._until_due()
            await self._fetch()

    async def _until_due(self) -> None:
        source = self._credentials.source
        assert source is not None  # noqa: S101 - `start` has looked
        while True:
            if source.has_changed():
                self._plan.changed(_now())
            wait_s = self._plan.due_at - _now()
            if wait_s <= 0:
                return
            try:
                await asyncio.wait_for(self._woken.wait(), min(wait_s, _LOOK_S if source.watches else _IDLE_S))
            except asyncio.TimeoutError:
                continue
            self._woken.clear()

    async def _fetch(self) -> None:
        source = self._credentials.source
        assert source is not None  # noqa: S101 - `start` has looked
        asked_at = _now()
        self._is_fetching = True
        try:
            header = await source.get(self._header)
        except AuthError as error:
            self._not_granted(error)
        except Exception as error:
            # Whatever a source does wrong, the fleet goes on with what it has.
            self._not_granted(AuthError(Kind.OUTAGE, f"a defect of jobfleet, survived: {type(error).__name__}"))
        else:
            self._granted(header, asked_at)
        finally:
            self._is_fetching = False
        complaint = source.complaint()
        if complaint is not None:
            self._say("warning", complaint)

    def _granted(self, header: Authorization, asked_at: float) -> None:
        self._fetched += 1
        self._plan.granted(asked_at, header.expires_in_s)
        first, recovered = self._header is None, self._problem is not None
        self._problem = None
        if header.value != self._header:
            self._header = header.value
            self._number += 1
            self._apply(header.value)
        if first or recovered:
            self._told.clear()
            life = "" if header.expires_in_s is None else f", good for {header.expires_in_s:.0f} s"
            self._say("info", f"credentials ready: {self._credentials.name}{life}")

    def _not_granted(self, error: AuthError) -> None:
        self._failed += 1
        now = _now()
        self._plan.failed(now, error)
        self._problem = error.message
        left_s = None if self._plan.expires_at is None else self._plan.expires_at - now
        if self._header is None or (left_s is not None and left_s <= 0):
            rest = "requests to the engine wait"
        else:
            rest = "the present header stays in use"
        self._say("error" if error.kind is Kind.REJECTED else "warning", f"{error.message}; {rest}")

    def _advice(self, message: str) -> str:
        if self._credentials.source is None and self._credentials.fixed is None:
            return f"the engine wants credentials and the fleet has none; set them as the README tells ({message})"
        return (
            f"the engine refuses the credentials ({self._credentials.name}): check them, their audience and "
            f"what they may do; the fleet goes on trying with growing pauses ({message})"
        )

    def _say(self, level: Level, text: str) -> None:
        """Tell each thing once, until all is well again."""
        if text not in self._told:
            self._told.add(text)
            self._tell(level, text)


def _now() -> float:
    """Seconds that go on while the host is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
