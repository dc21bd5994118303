"""Keeping a header good against a real token server."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from jobfleet.auth import keeper as keeper_module
from jobfleet.auth.keeper import Keeper
from jobfleet.auth.make import Credentials, credentials_of
from jobfleet.config.auth import AuthSettings
from jobfleet.config.engine_url import EngineAddress
from jobfleet.config.model import Settings
from jobfleet.config.secret import Secret

from tests.auth.login import CLIENT_ID, SECRET, LoginServer
from tests.supervisor.running import DEADLINE_S

ADDRESS = EngineAddress("camunda", "http://engine", None)


class Desk:
    """A keeper, the headers that it handed out, and what it said."""

    def __init__(self, credentials: Credentials) -> None:
        self.headers: list[str] = []
        self.said: list[tuple[str, str]] = []
        self._changed = asyncio.Event()
        self.keeper = Keeper(credentials, self._apply, self._tell)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until `holds`; asked whenever a header came or something was said, and now and then."""

        async def wait() -> None:
            while not holds():
                self._changed.clear()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.02)

        try:
            await asyncio.wait_for(wait(), DEADLINE_S)
        except asyncio.TimeoutError:
            raise AssertionError(f"never came true: {len(self.headers)} headers, {self.said}") from None

    def count(self, text: str) -> int:
        """How often something with `text` was said."""
        return sum(text in message for _, message in self.said)

    def _apply(self, header: str) -> None:
        self.headers.append(header)
        self._changed.set()

    def _tell(self, level: str, message: str) -> None:
        self.said.append((level, message))
        self._changed.set()


def run(credentials: Credentials, body: Callable[[Desk], Awaitable[None]]) -> Desk:
    async def scene() -> Desk:
        desk = Desk(credentials)
        desk.keeper.start()
        try:
            await body(desk)
        finally:
            desk.keeper.stop()
        return desk

    return asyncio.run(scene())


def oauth(login: LoginServer, **more: object) -> Credentials:
    auth = AuthSettings(
        **{"client_id": CLIENT_ID, "client_secret": Secret(SECRET), "token_url": login.url} | more  # type: ignore[arg-type]
    )
    return credentials_of(Settings(auth=auth), "oauth", ADDRESS)


@pytest.fixture(autouse=True)
def _quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules are those of the plan; only their seconds are shorter."""
    from jobfleet.auth import plan

    for name in ("_OUTAGE_FIRST_S", "_REJECTED_FIRST_S", "_SHORTEST_S"):
        monkeypatch.setattr(plan, name, 0.02)
    monkeypatch.setattr(plan, "_OUTAGE_LONGEST_S", 0.05)
    monkeypatch.setattr(plan, "_REJECTED_LONGEST_S", 0.05)
    monkeypatch.setattr(keeper_module, "_LOOK_S", 0.02)


def test_token_is_fetched_and_fetched_again_before_it_ends(login: LoginServer) -> None:
    login.set(expires_in=1)

    async def body(desk: Desk) -> None:
        await desk.until(lambda: len(desk.headers) == 3)

    desk = run(oauth(login), body)
    assert desk.headers == [f"Bearer {token}" for token in login.look()["issued"]][:3]
    assert desk.count("credentials ready") == 1


def test_refused_header_is_replaced_once_however_often_it_is_refused(login: LoginServer) -> None:
    async def body(desk: Desk) -> None:
        await desk.until(lambda: desk.headers)
        for _ in range(200):
            desk.keeper.refused(1, "HTTP 401")
        await desk.until(lambda: len(desk.headers) == 2)
        desk.keeper.accepted()
        for _ in range(200):
            # Late answers to requests with the first header.
            desk.keeper.refused(1, "HTTP 401")

    desk = run(oauth(login), body)
    assert login.requests == 2
    assert desk.keeper.status().state == "ok"


def test_fresh_header_that_is_refused_too_is_told_once_with_a_remedy(login: LoginServer) -> None:
    async def body(desk: Desk) -> None:
        for number in range(1, 6):
            await desk.until(lambda number=number: len(desk.headers) == number)  # type: ignore[misc]
            desk.keeper.refused(number, "HTTP 401")
        assert desk.keeper.status().state == "refused"

    desk = run(oauth(login), body)
    assert desk.count("check them, their audience and what they may do") == 1


@pytest.mark.parametrize("fault", ["500", "html", "malformed", "429", "empty", "redirect"])
def test_outage_of_the_token_server_is_survived_and_told_once(
    login: LoginServer, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobfleet.auth import plan

    monkeypatch.setattr(plan, "_PATIENCE_LONGEST_S", 0.02)
    login.set(faults=[fault] * 4)

    async def body(desk: Desk) -> None:
        await desk.until(lambda: desk.said)
        assert desk.keeper.status().state == "failing"
        await desk.until(lambda: desk.headers)
        assert desk.keeper.status().state == "ok"

    desk = run(oauth(login), body)
    assert login.requests == 5
    assert [level for level, _ in desk.said] == ["warning", "info"]
    assert desk.count("requests to the engine wait") == 1


def test_outage_while_a_token_is_good_leaves_it_in_use(login: LoginServer) -> None:
    async def body(desk: Desk) -> None:
        await desk.until(lambda: desk.headers)
        login.set(always="500")
        desk.keeper.refused(1, "HTTP 401")
        await desk.until(lambda: desk.count("the present header stays in use"))
        login.set(always="")
        await desk.until(lambda: len(desk.headers) == 2)

    run(oauth(login), body)


def test_rejected_client_is_told_once_and_tried_on_until_its_secret_is_mended(
    login: LoginServer, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("old\n")
    login.set(secret="new")

    async def body(desk: Desk) -> None:
        await desk.until(lambda: desk.count("rejects the client"))
        await desk.until(lambda: desk.keeper.status().failed >= 3)
        fresh = tmp_path / "fresh"
        fresh.write_text("new\n")
        os.replace(fresh, file)
        await desk.until(lambda: desk.headers)

    desk = run(oauth(login, client_secret=None, client_secret_file=file), body)
    assert [level for level, message in desk.said if "rejects" in message] == ["error"]


def test_token_file_is_read_again_when_it_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "token"
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("one\n")
    second.write_text("Bearer two\n")
    file.symlink_to(first)
    credentials = credentials_of(Settings(auth=AuthSettings(token_file=file)), "token_file", ADDRESS)

    async def body(desk: Desk) -> None:
        await desk.until(lambda: desk.headers)
        draft = tmp_path / "draft"
        draft.symlink_to(second)
        os.replace(draft, file)
        await desk.until(lambda: len(desk.headers) == 2)
        file.unlink()
        await desk.until(lambda: desk.count("cannot be read"))
        file.write_text("three")
        await desk.until(lambda: len(desk.headers) == 3)

    assert run(credentials, body).headers == ["Bearer one", "Bearer two", "Bearer three"]


def test_token_file_that_is_missing_at_first_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "token"
    credentials = credentials_of(Settings(auth=AuthSettings(token_file=file)), "token_file", ADDRESS)

    async def body(desk: Desk) -> None:
        await desk.until(lambda: desk.said)
        file.write_text("one")
        await desk.until(lambda: desk.headers)

    assert "the token cannot be read from" in run(credentials, body).said[0][1]


def test_credentials_for_good_need_nobody_and_a_refusal_is_told_once() -> None:
    auth = AuthSettings(username="ada", password=Secret("hunter2"))
    credentials = credentials_of(Settings(auth=auth), "basic", ADDRESS)
    assert credentials.fixed is not None
    assert credentials.fixed.value == "Basic YWRhOmh1bnRlcjI="

    async def body(desk: Desk) -> None:
        desk.keeper.refused(0, "HTTP 401")
        desk.keeper.refused(0, "HTTP 401")

    desk = run(credentials, body)
    assert len(desk.said) == 1
    assert desk.said[0][1].startswith("the engine refuses the credentials (basic, user 'ada')")
    assert "hunter2" not in f"{desk.said} {desk.keeper.status()} {credentials.fixed!r}"


def test_engine_that_wants_credentials_where_there_are_none_is_told_of() -> None:
    async def body(desk: Desk) -> None:
        desk.keeper.refused(0, "HTTP 401")

    assert "the fleet has none" in run(Credentials("none"), body).said[0][1]
