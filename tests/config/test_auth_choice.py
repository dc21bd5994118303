"""Which credentials count."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobfleet.config import SettingsError, load_settings

ENGINE = {"JOBFLEET_ENGINE": "camunda+http://host"}
OAUTH = {"CAMUNDA_CLIENT_ID": "me", "CAMUNDA_CLIENT_SECRET": "hunter2"}
BASIC = {"CAMUNDA_BASIC_AUTH_USERNAME": "me", "CAMUNDA_BASIC_AUTH_PASSWORD": "hunter2"}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problem(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings({}, ENGINE | environ)
    (text,) = caught.value.problems
    assert "hunter2" not in text
    return text


@pytest.mark.parametrize(
    ("environ", "strategy"),
    [
        ({}, "none"),
        (OAUTH, "oauth"),
        (BASIC, "basic"),
        ({"CAMUNDA_CLIENT_ID": "me", "JOBFLEET_AUTH_CLIENT_SECRET_FILE": "/run/s"}, "oauth"),
        ({"JOBFLEET_AUTH_USERNAME": "me", "JOBFLEET_AUTH_PASSWORD_FILE": "/run/p"}, "basic"),
        ({"JOBFLEET_AUTH_TOKEN_FILE": "/run/token"}, "token_file"),
        ({"JOBFLEET_AUTH_PROVIDER": "bank.Login"}, "provider"),
        ({"JOBFLEET_ENGINE_AUTHORIZATION": "Bearer x"}, "header"),
        ({"JOBFLEET_ENGINE": "camunda+http://me:pass@host"}, "header"),
        ({**OAUTH, "CAMUNDA_AUTH_STRATEGY": "NONE"}, "none"),
        ({**OAUTH, **BASIC, "CAMUNDA_AUTH_STRATEGY": "BASIC"}, "basic"),
    ],
)
def test_only_complete_credential_counts_unless_one_is_chosen(environ: dict[str, str], strategy: str) -> None:
    assert load_settings({}, ENGINE | environ).strategy == strategy


def test_two_credentials_are_ambiguous_and_named() -> None:
    assert problem(**OAUTH, **BASIC) == (
        "more than one credential is given: basic (CAMUNDA_BASIC_AUTH_PASSWORD) and oauth (CAMUNDA_CLIENT_SECRET); "
        "choose one with auth.strategy"
    )
    assert "oauth (CAMUNDA_CLIENT_SECRET) and header (JOBFLEET_ENGINE)" in problem(
        **OAUTH, JOBFLEET_ENGINE="camunda+http://me:hunter2@host"
    )


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"CAMUNDA_CLIENT_ID": "me"},
            "CAMUNDA_CLIENT_ID is set, but auth.client_secret or auth.client_secret_file is not; "
            "set it, or auth.strategy to none",
        ),
        (
            {"CAMUNDA_BASIC_AUTH_PASSWORD": "hunter2"},
            "CAMUNDA_BASIC_AUTH_PASSWORD is set, but auth.username is not; set it, or auth.strategy to none",
        ),
        (
            {"CAMUNDA_AUTH_STRATEGY": "OAUTH", "CAMUNDA_CLIENT_ID": "me"},
            "auth.strategy is oauth, but auth.client_secret or auth.client_secret_file is not set",
        ),
        ({"CAMUNDA_AUTH_STRATEGY": "BASIC"}, "auth.strategy is basic, but auth.username is not set"),
        ({"JOBFLEET_AUTH_STRATEGY": "header"}, "auth.strategy is header, but engine.authorization is not set"),
    ],
)
def test_incomplete_credential_is_named_with_what_is_missing(environ: dict[str, str], said: str) -> None:
    assert problem(**environ) == said


def test_embedded_engine_wants_no_credentials() -> None:
    assert load_settings({}, {**OAUTH, **BASIC}).strategy == "none"
