"""What workers inherit."""

from __future__ import annotations

import pytest
from jobfleet.supervisor.environment import is_secret_name, worker_environment


@pytest.mark.parametrize(
    "name",
    [
        "CAMUNDA_CLIENT_SECRET",
        "CAMUNDA_CLIENT_AUTH_CLIENTSECRET",
        "CAMUNDA_BASIC_AUTH_PASSWORD",
        "CAMUNDA_MTLS_KEY",
        "CAMUNDA_MTLS_KEY_PASSPHRASE",
        "ZEEBE_CLIENT_SECRET",
        "JOBFLEET_ENGINE_AUTHORIZATION",
        "JOBFLEET_ENGINE_TLS_KEY_PEM",
        "JOBFLEET_ENGINE_TLS_KEY_PASSPHRASE",
        "JOBFLEET_ENGINE_PROXY",
    ],
)
def test_name_of_a_secret_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "CAMUNDA_CLIENT_ID",
        "CAMUNDA_TOKEN_AUDIENCE",
        "CAMUNDA_MTLS_KEY_PATH",
        "JOBFLEET_ENGINE_TLS_KEY_FILE",
        "JOBFLEET_ENGINE_TLS_CA_FILE",
        "JOBFLEET_PASS_CREDENTIALS",
        "DATABASE_PASSWORD",
        "PATH",
    ],
)
def test_other_names_are_left_alone(name: str) -> None:
    assert not is_secret_name(name)


def test_address_with_a_password_is_a_secret_too() -> None:
    environ = {"JOBFLEET_ENGINE": "camunda+http://me:hunter2@host", "JOBFLEET_NAME": "x", "DATABASE": "pg://a:b@c"}
    assert worker_environment(environ) == {"JOBFLEET_NAME": "x", "DATABASE": "pg://a:b@c"}


def test_workers_cannot_speak_for_the_service() -> None:
    environ = {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "1", "HOME": "/"}
    assert worker_environment(environ, pass_credentials=True) == {"HOME": "/"}
