"""The token on disk: whom it is for, and what is done about others."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import msgspec
import pytest
from jobfleet.auth import cache as cache_module
from jobfleet.auth.cache import CachedToken, TokenCache
from jobfleet.auth.client_credentials import ClientCredentials
from jobfleet.auth.token_request import TokenRequest
from jobfleet.auth.watched import FixedSecret
from jobfleet.config.secret import Secret

from tests.auth.login import CLIENT_ID, SECRET, LoginServer


def source(login: LoginServer, folder: Path) -> ClientCredentials:
    request = TokenRequest(url=login.url, client_id=CLIENT_ID)
    return ClientCredentials(request, FixedSecret(Secret(SECRET)), TokenCache(folder, login.url, CLIENT_ID))


def fetch(source: ClientCredentials, present: str | None = None) -> str:
    import asyncio

    return asyncio.run(source.get(present)).value


def test_token_of_an_earlier_run_is_used_again(login: LoginServer, tmp_path: Path) -> None:
    assert fetch(source(login, tmp_path)) == fetch(source(login, tmp_path))
    assert login.requests == 1


def test_token_that_has_to_be_replaced_is_not_taken_from_the_cache(login: LoginServer, tmp_path: Path) -> None:
    first = fetch(source(login, tmp_path))
    second = fetch(source(login, tmp_path), present=first)
    assert second != first
    # Another fleet, whose token is the old one, finds the new one.
    assert fetch(source(login, tmp_path), present=first) == second
    assert login.requests == 2


def test_fleets_that_start_together_ask_once(login: LoginServer, tmp_path: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(fetch(source(login, tmp_path)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found)), login.requests) == (8, 1, 1)


def test_file_is_for_its_owner_alone_and_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    cache = TokenCache(folder, "x")
    os.umask(0)
    try:
        cache.store("first", 100)
        before = cache.path.stat().st_ino
        cache.store("second", 100)
    finally:
        os.umask(0o022)
    assert stat.S_IMODE(cache.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert cache.path.stat().st_ino != before
    assert [entry.name for entry in folder.iterdir()] == [cache.path.name]


def test_file_that_others_can_read_is_not_trusted(tmp_path: Path) -> None:
    cache = TokenCache(tmp_path, "x")
    cache.store("token", 100)
    cache.path.chmod(0o640)
    assert cache.load() is None
    assert cache.complaint is not None
    assert "can be read by others and is not used" in cache.complaint


def test_file_of_somebody_else_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = TokenCache(tmp_path, "x")
    cache.store("token", 100)
    monkeypatch.setattr(cache_module.os, "geteuid", lambda: cache.path.stat().st_uid + 1)
    assert cache.load() is None


def test_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere, cache = TokenCache(tmp_path, "elsewhere"), TokenCache(tmp_path, "x")
    elsewhere.store("token", 100)
    cache.path.symlink_to(elsewhere.path)
    assert cache.load() is None


@pytest.mark.parametrize(
    "token",
    [
        CachedToken("expired", time.time() - 200, time.time() - 100),
        CachedToken("ends in a moment", time.time() - 200, time.time() + 5),
        CachedToken("of the future", time.time() + 7200, time.time() + 10_000),
    ],
    ids=lambda token: token.access_token,
)
def test_token_that_is_of_no_use_is_not_used(tmp_path: Path, token: CachedToken) -> None:
    cache = TokenCache(tmp_path, "x")
    cache.store("any", 100)
    cache.path.write_bytes(msgspec.json.encode(token))
    assert cache.load() is None


@pytest.mark.parametrize("content", [b"", b'{"access_token": "abc', b"\xff\xfe", b"[]"])
def test_broken_file_is_replaced(tmp_path: Path, content: bytes) -> None:
    cache = TokenCache(tmp_path, "x")
    cache.store("any", 100)
    cache.path.write_bytes(content)
    assert cache.load() is None
    cache.store("token", 100)
    found = cache.load()
    assert found is not None
    assert found.access_token == "token"


def test_folder_that_cannot_be_written_costs_only_the_cache(login: LoginServer, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    at_work = source(login, blocked / "folder")
    assert fetch(at_work).startswith("Bearer ")
    assert at_work.complaint() is not None


def test_credentials_that_differ_have_files_of_their_own(tmp_path: Path) -> None:
    assert TokenCache(tmp_path, "a", "bc").path != TokenCache(tmp_path, "ab", "c").path
