"""Durations, sizes, addresses, and what the host grants."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobfleet.config.durations import ByteSize, Duration
from jobfleet.config.engine_url import parse_engine_url
from jobfleet.config.hosts import granted_processors
from jobfleet.config.toml_lines import line_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (30, 30),
        ("30", 30),
        ("1.5", 1.5),
        ("250ms", 0.25),
        ("30s", 30),
        ("1m30s", 90),
        ("2h", 7200),
        ("1d", 86400),
        (" 5S ", 5),
    ],
)
def test_duration_is_read(text: object, seconds: float) -> None:
    assert Duration.parse(text).s == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "1 fortnight", "nan", "inf", -3, True, None, [], "1s2"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        Duration.parse(text)


@given(st.integers(min_value=0, max_value=10**9))
def test_duration_survives_being_shown(ms: int) -> None:
    assert Duration.parse(str(Duration(ms / 1000))).ms == ms


@pytest.mark.parametrize(
    ("text", "count"), [(4096, 4096), ("64MiB", 2**26), ("1 GB", 10**9), ("0.5kib", 512), ("10", 10)]
)
def test_size_is_read(text: object, count: int) -> None:
    assert ByteSize.parse(text) == count


@pytest.mark.parametrize("text", ["lots", "1 elephant", -1, True, None])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        ByteSize.parse(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("camunda+http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("camunda+https://host/base/", "https://host/base"),
        ("camunda+http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_address_is_read(text: str, url: str) -> None:
    assert parse_engine_url(text)[:2] == ("camunda", url)


def test_credentials_leave_the_address() -> None:
    address = parse_engine_url("camunda+http://me:p%40ss@host:8080")
    assert address.url == "http://host:8080"
    assert address.authorization is not None
    assert address.authorization.reveal() == "Basic bWU6cEBzcw=="


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("http://host:8080", "such as camunda\\+http://host:8080"),
        ("zeebe+http://host", "unknown engine protocol 'zeebe'"),
        ("camunda+ftp://host", "unknown transport 'ftp'"),
        ("camunda+http://", "no host"),
        ("camunda+http://host:port", "port must be a number"),
        ("camunda+http://host?x=1", "leave out"),
        ("", "starts with its protocol"),
    ],
)
def test_wrong_address_is_refused_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        parse_engine_url(text)


def cgroup(root: Path, *limits: tuple[str, str]) -> Path:
    for folder, limit in limits:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "cpu.max").write_text(limit)
    own = root / "self"
    own.write_text("0::/outer/inner\n")
    return own


@pytest.mark.parametrize(
    ("inner", "outer", "granted"),
    [
        ("max 100000\n", "max 100000\n", 64),
        ("150000 100000\n", "max 100000\n", 2),
        ("max 100000\n", "50000 100000\n", 1),
        ("rubbish", "400000 100000", 4),
    ],
)
def test_processors_are_bounded_by_every_cgroup_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str, outer: str, granted: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    own = cgroup(tmp_path, ("outer/inner", inner), ("outer", outer))
    assert granted_processors(tmp_path, own) == granted


def test_processors_are_bounded_by_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert granted_processors(tmp_path, tmp_path / "absent") == 2


def test_line_of_a_key_is_where_its_statement_begins() -> None:
    text = 'a = 1\n\n# note\nlong = """\nb = 2\n"""\n[t]\nb = [\n  1,\n]\nc.d = 3\n'
    found = {path: line_of(text, path) for path in [("a",), ("long",), ("t", "b"), ("t", "c", "d")]}
    assert found == {("a",): 1, ("long",): 4, ("t", "b"): 8, ("t", "c", "d"): 11}
