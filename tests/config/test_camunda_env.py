"""Camunda's own variables as settings of a fleet."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobfleet.config import Settings, SettingsError, load_settings
from jobfleet.config.camunda_env import KNOWN
from jobfleet.config.durations import Duration
from jobfleet.config.secret import Secret


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings(**environ: str) -> Settings:
    return load_settings({}, environ).settings


def problems(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings({}, environ)
    return caught.value.problems


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://localhost:8080/v2", "camunda+http://localhost:8080"),
        ("http://localhost:8080", "camunda+http://localhost:8080"),
        ("https://bru-2.zeebe.camunda.io/0815/v2/", "camunda+https://bru-2.zeebe.camunda.io/0815"),
    ],
)
@pytest.mark.parametrize("name", ["CAMUNDA_REST_ADDRESS", "ZEEBE_REST_ADDRESS"])
def test_address_may_have_a_base_path_and_v2(name: str, address: str, url: str) -> None:
    assert settings(**{name: address}).engine.url == url


def test_defaults_of_workers_are_inherited() -> None:
    found = settings(
        CAMUNDA_WORKER_TIMEOUT="300000",
        CAMUNDA_WORKER_MAX_CONCURRENT_JOBS="32",
        CAMUNDA_WORKER_REQUEST_TIMEOUT="20000",
        CAMUNDA_WORKER_NAME="bank-7",
        CAMUNDA_WORKER_STARTUP_JITTER_MAX_SECONDS="2.5",
        CAMUNDA_SDK_BACKPRESSURE_PROFILE="LEGACY",
        CAMUNDA_SDK_LOG_LEVEL="warn",
        CAMUNDA_TENANT_IDS="red, ,blue",
        CAMUNDA_TENANT_ID="green",
    )
    assert (found.defaults.lease, found.defaults.max_jobs) == (Duration(300), 32)
    assert (found.engine.hold, found.engine.worker_name, found.engine.poll_jitter) == (
        Duration(20),
        "bank-7",
        Duration(2.5),
    )
    assert (found.engine.backpressure, found.log_level) == ("legacy", "warning")
    assert found.defaults.tenants == ["red", "blue"]


def test_single_tenant_and_a_request_timeout_of_zero_are_understood() -> None:
    found = settings(CAMUNDA_TENANT_ID="green", CAMUNDA_WORKER_REQUEST_TIMEOUT="0")
    assert (found.defaults.tenants, found.engine.hold) == (["green"], None)


def test_credentials_are_taken_under_every_name() -> None:
    for prefix, url in [("CAMUNDA_", "CAMUNDA_OAUTH_URL"), ("ZEEBE_", "ZEEBE_AUTHORIZATION_SERVER_URL")]:
        loaded = load_settings(
            {},
            {
                "JOBFLEET_ENGINE": "camunda+http://host",
                f"{prefix}CLIENT_ID": "me",
                f"{prefix}CLIENT_SECRET": "s3cret",
                url: "https://login/token",
                f"{prefix}TOKEN_AUDIENCE": "api",
                f"{prefix}TOKEN_SCOPE": "jobs",
            },
        )
        auth = loaded.settings.auth
        assert loaded.strategy == "oauth"
        assert (auth.client_id, auth.client_secret) == ("me", Secret("s3cret"))
        assert (auth.token_url, auth.audience, auth.scope) == ("https://login/token", "api", "jobs")


def test_cache_of_tokens_can_be_switched_off() -> None:
    found = settings(CAMUNDA_TOKEN_CACHE_DIR="/var/cache/tokens", CAMUNDA_TOKEN_DISK_CACHE_DISABLE="true").auth
    assert (found.cache_dir, found.cache) == (Path("/var/cache/tokens"), False)


def test_variable_of_jobfleet_wins_over_one_of_camunda() -> None:
    found = settings(CAMUNDA_REST_ADDRESS="http://theirs", JOBFLEET_ENGINE="camunda+http://ours")
    assert found.engine.url == "camunda+http://ours"


def test_file_is_weaker_than_camundas_variables() -> None:
    file = Path("fleet.toml")
    file.write_text('[defaults]\nlease = "10s"\nmax_jobs = 5\n')
    found = load_settings({}, {"CAMUNDA_WORKER_TIMEOUT": "2000"}, file).settings.defaults
    assert (found.lease, found.max_jobs) == (Duration(2), 5)


def test_aliases_that_agree_are_one_and_others_are_named() -> None:
    same = {"CAMUNDA_REST_ADDRESS": "http://a/", "ZEEBE_REST_ADDRESS": "http://a"}
    assert settings(**same).engine.url == "camunda+http://a"
    assert problems(CAMUNDA_CLIENT_ID="a", CAMUNDA_CLIENT_AUTH_CLIENTID="b") == [
        "CAMUNDA_CLIENT_ID and CAMUNDA_CLIENT_AUTH_CLIENTID mean the same and differ; set one of them"
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CAMUNDA_WORKER_TIMEOUT", "30s", "CAMUNDA_WORKER_TIMEOUT: expected a number of milliseconds, not '30s'"),
        ("CAMUNDA_WORKER_TIMEOUT", "-1", "CAMUNDA_WORKER_TIMEOUT: expected a number of milliseconds, not '-1'"),
        (
            "CAMUNDA_WORKER_MAX_CONCURRENT_JOBS",
            "0",
            "CAMUNDA_WORKER_MAX_CONCURRENT_JOBS: expected a whole number of at least 1, not '0'",
        ),
        (
            "CAMUNDA_AUTH_STRATEGY",
            "KERBEROS",
            'CAMUNDA_AUTH_STRATEGY: expected "none" or "basic" or "oauth" or "token_file" or "provider" or "header", '
            "not 'kerberos'",
        ),
        ("CAMUNDA_REST_ADDRESS", "localhost:8080", "CAMUNDA_REST_ADDRESS: expected an address such as"),
        ("CAMUNDA_REST_ADDRESS", "ftp://host", "CAMUNDA_REST_ADDRESS: unknown transport 'ftp'"),
        ("CAMUNDA_TOKEN_DISK_CACHE_DISABLE", "perhaps", "CAMUNDA_TOKEN_DISK_CACHE_DISABLE: expected true or false"),
    ],
)
def test_wrong_value_names_its_variable(name: str, value: str, said: str) -> None:
    (problem,) = problems(**{name: value})
    assert problem.startswith(said)


def test_exact_address_is_refused_where_it_would_not_be_used_exactly() -> None:
    exact = {"CAMUNDA_REST_ADDRESS_EXACT": "true"}
    assert settings(CAMUNDA_REST_ADDRESS="http://a/v2", **exact).engine.url == "camunda+http://a"
    (problem,) = problems(CAMUNDA_REST_ADDRESS="http://a/api", **exact)
    assert "must end with /v2" in problem


def test_name_that_looks_misspelt_is_noted_with_the_nearest_one() -> None:
    loaded = load_settings({}, {"CAMUNDA_CLIENT_SECERT": "x", "ZEEBE_REST_ADRESS": "y"})
    assert loaded.notes == [
        "CAMUNDA_CLIENT_SECERT is not a setting; the nearest is CAMUNDA_CLIENT_SECRET",
        "ZEEBE_REST_ADRESS is not a setting; the nearest is ZEEBE_REST_ADDRESS",
    ]


def test_names_of_others_are_no_misspellings() -> None:
    others = (
        "CAMUNDA_OPERATE_BASE_URL",
        "CAMUNDA_CONSOLE_CLIENT_ID",
        "CAMUNDA_CLUSTER_ID",
        "ZEEBE_ADDRESS",
        "ZEEBE_BROKER_GATEWAY_MULTITENANCY_ENABLED",
        "CAMUNDA_SOMETHING_ELSE",
    )
    assert load_settings({}, dict.fromkeys(others, "x")).notes == []


def test_known_names_are_no_misspellings_of_each_other() -> None:
    harmless = dict.fromkeys(KNOWN, "")
    assert load_settings({}, harmless).notes == []


def test_no_message_shows_a_secret() -> None:
    said = problems(CAMUNDA_CLIENT_SECRET="hunter2", ZEEBE_CLIENT_SECRET="hunter3")
    said += problems(CAMUNDA_REST_ADDRESS="http://me:hunter2@host?x=1")
    said += problems(CAMUNDA_CLIENT_SECRET="hunter2", CAMUNDA_REST_ADDRESS="http://host")
    assert "hunter" not in " ".join(said)
