"""One token request, and every answer that a token server may give."""

from __future__ import annotations

import socket

import pytest
from jobfleet.auth import oauth
from jobfleet.auth.errors import AuthError, Kind
from jobfleet.auth.oauth import fetch_token
from jobfleet.auth.token_request import TokenRequest

from tests.auth.login import CLIENT_ID, SECRET, LoginServer


def request(login: LoginServer, **more: str) -> TokenRequest:
    return TokenRequest(url=login.url, client_id=CLIENT_ID, **{"audience": "engine", **more})  # type: ignore[arg-type]


def failure(login: LoginServer, secret: str = SECRET) -> AuthError:
    with pytest.raises(AuthError) as caught:
        fetch_token(request(login), secret)
    assert secret not in caught.value.message
    return caught.value


def test_client_credentials_go_out_as_a_form(login: LoginServer) -> None:
    token = fetch_token(request(login, scope="jobs", resource="urn:x"), SECRET)
    state = login.look()
    assert (token.value, token.expires_in_s) == (state["issued"][0], 3600)
    assert state["forms"] == [
        {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": SECRET,
            "audience": "engine",
            "scope": "jobs",
            "resource": "urn:x",
        }
    ]


def test_what_is_not_set_is_not_sent(login: LoginServer) -> None:
    fetch_token(request(login, audience=""), SECRET)
    assert set(login.look()["forms"][0]) == {"grant_type", "client_id", "client_secret"}


def test_wrong_secret_is_a_rejection_in_the_servers_words(login: LoginServer) -> None:
    error = failure(login, "wrong")
    assert error.kind is Kind.REJECTED
    assert f"{login.url} rejects the client 'payments' (HTTP 401)" in error.message
    assert "invalid_client - unknown client or secret" in error.message


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("401", Kind.REJECTED, "invalid_client"),
        ("400", Kind.REJECTED, "invalid_scope"),
        ("500", Kind.OUTAGE, "fails (HTTP 500)"),
        ("html", Kind.OUTAGE, "answers HTTP 200 with text/html instead of a token; check auth.token_url"),
        ("redirect", Kind.OUTAGE, "answers HTTP 302"),
        ("404", Kind.OUTAGE, "answers HTTP 404 with text/plain"),
        ("malformed", Kind.OUTAGE, "instead of a token"),
        ("empty", Kind.OUTAGE, "without a usable access_token"),
        ("two_lines", Kind.OUTAGE, "without a usable access_token"),
        ("mac", Kind.OUTAGE, "another type than Bearer"),
        ("429", Kind.BUSY, "is busy (HTTP 429)"),
    ],
)
def test_answer_without_a_token_is_told_by_what_follows_from_it(
    login: LoginServer, fault: str, kind: Kind, said: str
) -> None:
    login.set(faults=[fault])
    error = failure(login)
    assert error.kind is kind
    assert said in error.message


def test_server_that_repeats_the_secret_does_not_bring_it_into_a_message(login: LoginServer) -> None:
    login.set(faults=["401"])
    assert "bad secret client_credentials payments ********" in failure(login).message


def test_retry_after_is_taken_as_seconds_or_by_the_servers_own_clock(login: LoginServer) -> None:
    login.set(faults=["429", "429_date"])
    assert failure(login).retry_after_s == 7
    assert failure(login).retry_after_s == 9


@pytest.mark.parametrize(("said", "meant"), [(None, 300), ("90", 90), (-5, 0), (1e12, 86_400), ("soon", 300)])
def test_odd_life_of_a_token_is_made_sense_of(login: LoginServer, said: object, meant: float) -> None:
    login.set(expires_in=said)
    assert fetch_token(request(login), SECRET).expires_in_s == meant


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_server_that_does_not_come_to_an_end_is_given_up(
    login: LoginServer, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth, "_READ_S", 0.2)
    monkeypatch.setattr(oauth, "REQUEST_LIMIT_S", 0.2)
    login.set(faults=[fault])
    error = failure(login)
    assert error.kind is Kind.OUTAGE
    assert "does not answer in time" in error.message


def test_server_that_is_down_is_named(login: LoginServer) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(AuthError, match=rf"no token: 127\.0\.0\.1:{port} refuses the connection") as caught:
            fetch_token(TokenRequest(url=f"http://127.0.0.1:{port}/token", client_id="x"), SECRET)
    assert caught.value.kind is Kind.OUTAGE


@pytest.mark.parametrize("url", ["login.example/token", "ftp://host/token", "http://"])
def test_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(AuthError, match="no token"):
        fetch_token(TokenRequest(url=url, client_id="x"), SECRET)


def test_name_that_does_not_exist_is_told_as_such() -> None:
    with pytest.raises(AuthError, match=r"the name nowhere\.invalid cannot be resolved"):
        fetch_token(TokenRequest(url="https://nowhere.invalid/token", client_id="x"), SECRET)
